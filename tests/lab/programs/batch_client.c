/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Uses a socket in ways that Python lacks: `batch_client WAY ADDRESS PORT` (IPv4), where WAY is plain, sendmmsg,
 * uring_connect, uring_poll or uring_send. Prints pid and local port. io_uring is used by its system calls
 * (io_uring(7)); a kernel thread may do the work.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct sockaddr_in remote;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int open_socket(int kind)
{
	int fd = socket(AF_INET, kind, 0);

	if (fd < 0)
		die("socket");
	return fd;
}

static void say(int fd)
{
	struct sockaddr_in local;
	socklen_t size = sizeof(local);

	getsockname(fd, (struct sockaddr *)&local, &size);
	printf("%d %d\n", getpid(), ntohs(local.sin_port));
}

static void send_batch(void)
{
	struct iovec data = {"x", 1};
	struct mmsghdr messages[2] = {0};
	int fd = open_socket(SOCK_DGRAM);

	for (int i = 0; i < 2; i++)
		messages[i].msg_hdr = (struct msghdr){&remote, sizeof(remote), &data, 1, 0, 0, 0};
	if (sendmmsg(fd, messages, 2, 0) != 2)
		die("sendmmsg");
	say(fd);
}

static void *map(int ring, size_t size, off_t what)
{
	void *mapped = mmap(0, size, PROT_READ | PROT_WRITE, MAP_SHARED, ring, what);

	if (mapped == MAP_FAILED)
		die("mmap");
	return mapped;
}

/* One request through a ring of its own; IOSQE_ASYNC makes a worker thread of the kernel carry it out. */
static int submit(struct io_uring_sqe request, unsigned flags)
{
	struct io_uring_params params = {.flags = flags};
	int ring = syscall(__NR_io_uring_setup, 4, &params);
	char *sq, *cq;
	struct io_uring_sqe *requests;
	unsigned tail;

	if (ring < 0)
		die("io_uring_setup");
	/* No more than there is: before 3ab1db3c6039 ("io_uring: get rid of remap_pfn_range()") more is refused. */
	sq = map(ring, params.sq_off.array + params.sq_entries * sizeof(unsigned), IORING_OFF_SQ_RING);
	cq = map(ring, params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe), IORING_OFF_CQ_RING);
	requests = map(ring, params.sq_entries * sizeof(struct io_uring_sqe), IORING_OFF_SQES);
	tail = *(unsigned *)(sq + params.sq_off.tail) & *(unsigned *)(sq + params.sq_off.ring_mask);
	requests[tail] = request;
	((unsigned *)(sq + params.sq_off.array))[tail] = tail;
	__atomic_add_fetch((unsigned *)(sq + params.sq_off.tail), 1, __ATOMIC_RELEASE);
	if (syscall(__NR_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_SQ_WAKEUP, 0, 0) != 1)
		die("io_uring_enter");
	return ((struct io_uring_cqe *)(cq + params.cq_off.cqes))->res;
}

/* With IORING_SETUP_SQPOLL a thread of the kernel takes the request by itself. */
static void uring_connect(unsigned flags)
{
	int fd = open_socket(SOCK_STREAM);

	if (submit((struct io_uring_sqe){.opcode = IORING_OP_CONNECT,
					 .flags = IOSQE_ASYNC,
					 .fd = fd,
					 .addr = (unsigned long)&remote,
					 .off = sizeof(remote)},
		   flags))
		die("io_uring connect");
	say(fd);
}

static void uring_send(void)
{
	struct iovec data = {"x", 1};
	struct msghdr message = {&remote, sizeof(remote), &data, 1, 0, 0, 0};
	int fd = open_socket(SOCK_DGRAM);

	if (submit((struct io_uring_sqe){.opcode = IORING_OP_SENDMSG,
					 .flags = IOSQE_ASYNC,
					 .fd = fd,
					 .addr = (unsigned long)&message,
					 .len = 1},
		   0) != 1)
		die("io_uring sendmsg");
	say(fd);
}

static void plain(void)
{
	int fd = open_socket(SOCK_STREAM);

	if (connect(fd, (struct sockaddr *)&remote, sizeof(remote)))
		die("connect");
	say(fd);
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	remote.sin_family = AF_INET;
	remote.sin_port = htons(atoi(argv[3]));
	inet_pton(AF_INET, argv[2], &remote.sin_addr);
	if (!strcmp(argv[1], "sendmmsg"))
		send_batch();
	else if (!strcmp(argv[1], "uring_connect"))
		uring_connect(0);
	else if (!strcmp(argv[1], "uring_poll"))
		uring_connect(IORING_SETUP_SQPOLL);
	else if (!strcmp(argv[1], "uring_send"))
		uring_send();
	else
		plain();
	return 0;
}
