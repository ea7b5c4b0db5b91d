/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `closing DESCRIPTOR ROUNDS`: one thread asks for the remote's address of a connection while another one closes the
 * descriptor, ROUNDS times. When the kernel answers, the process may not have the socket any more; a child keeps it.
 */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile int descriptor = -1, is_over;

static void *ask(void *nothing)
{
	struct sockaddr_in6 remote;
	socklen_t size;
	int asked;

	while (!is_over) {
		asked = descriptor;
		size = sizeof(remote);
		if (asked >= 0)
			getpeername(asked, (struct sockaddr *)&remote, &size);
	}
	return nothing;
}

static void wait_a_little(int steps)
{
	for (volatile int step = 0; step < steps; step++)
		;
}

int main(int count, char **words)
{
	int given = count == 3 ? atoi(words[1]) : -1;
	pid_t keeper = fork();
	pthread_t asking;
	int keepers, taken = -1;

	if (given < 0 || keeper < 0)
		return 1;
	if (keeper == 0)
		return pause();
	keepers = syscall(SYS_pidfd_open, keeper, 0);
	close(given);
	if (pthread_create(&asking, NULL, ask, NULL))
		return 1;
	for (int round = 0; round < atoi(words[2]); round++) {
		taken = syscall(SYS_pidfd_getfd, keepers, given, 0);
		descriptor = taken;
		wait_a_little(round % 1024);
		close(taken);
		descriptor = -1;
	}
	is_over = 1;
	pthread_join(asking, NULL);
	kill(keeper, SIGKILL);
	waitpid(keeper, NULL, 0);
	return taken < 0;
}
