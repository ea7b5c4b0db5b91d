/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Many short lives: `short_lived spawn tcp|udp|none COUNT AT_A_TIME A_SECOND ADDRESS PORT` executes itself COUNT times, at
 * most AT_A_TIME at once and (unless 0) no more than A_SECOND, as `short_lived once KIND ADDRESS PORT NUMBER`: one connection or one
 * datagram, and it is gone. Prints `NUMBER PID` for each, then the seconds it took.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static int live_once(char **argv)
{
	struct sockaddr_in remote = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[4]))};
	int fd;

	if (!strcmp(argv[2], "none"))
		return 0;
	inet_pton(AF_INET, argv[3], &remote.sin_addr);
	fd = socket(AF_INET, strcmp(argv[2], "tcp") ? SOCK_DGRAM : SOCK_STREAM, 0);
	if (!strcmp(argv[2], "tcp"))
		return connect(fd, (struct sockaddr *)&remote, sizeof(remote)) ? 1 : 0;
	return sendto(fd, "x", 1, 0, (struct sockaddr *)&remote, sizeof(remote)) == 1 ? 0 : 1;
}

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

static int running, failed;

static void reap(int flags)
{
	int status;

	while (running && waitpid(-1, &status, flags) > 0) {
		running--;
		failed += status != 0;
		flags = WNOHANG;
	}
}

static pid_t start(char *program, char **words, int number)
{
	char text[16];
	char *argv[] = {program, "once", words[0], words[4], words[5], text, 0};
	pid_t pid;

	snprintf(text, sizeof(text), "%d", number);
	if (posix_spawn(&pid, program, 0, 0, argv, environ)) {
		perror("posix_spawn");
		exit(1);
	}
	running++;
	return pid;
}

/* `words`: KIND COUNT AT_A_TIME A_SECOND ADDRESS PORT */
static void spawn_all(char *program, char **words)
{
	int count = atoi(words[1]), at_a_time = atoi(words[2]);
	double rate = atof(words[3]), begin_s = now_s();

	for (int number = 0; number < count; number++) {
		printf("%d %d\n", number, start(program, words, number));
		reap(running >= at_a_time ? 0 : WNOHANG);
		while (rate && now_s() - begin_s < number / rate)
			usleep(200);
	}
	while (running)
		reap(0);
	printf("took %.6f failed %d\n", now_s() - begin_s, failed);
}

int main(int argc, char **argv)
{
	if (argc == 6 && !strcmp(argv[1], "once"))
		return live_once(argv);
	if (argc != 8 || strcmp(argv[1], "spawn"))
		return 2;
	spawn_all(argv[0], argv + 2);
	return 0;
}
