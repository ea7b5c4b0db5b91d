/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs a command as often as it can, as a shell loop does, each time as a new process, and prints as one JSON object how many
 * ended, how many of them failed, how fast, and how long one took: start_loop [-t AT_A_TIME] [-s SECONDS] COMMAND [WORD...]
 * The command's output is thrown away.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_SAMPLES (1 << 20) /* more than a million processes are not timed */

extern char **environ;

struct run {
	pid_t pid; /* 0: none */
	double begun_s;
};

static struct run *runs;
static int at_a_time = 1, running;
static double seconds = 1;
static float *samples; /* microseconds */
static unsigned int count, failed;
static posix_spawn_file_actions_t silence;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void start(char **command)
{
	struct run *run = runs;

	while (run->pid)
		run++;
	run->begun_s = now();
	if (posix_spawnp(&run->pid, command[0], &silence, 0, command, environ)) {
		perror(command[0]);
		exit(1);
	}
	running++;
}

static void reap(void)
{
	struct run *run = runs;
	int status;
	pid_t pid = waitpid(-1, &status, 0);

	while (run->pid != pid)
		run++;
	if (count < MAX_SAMPLES)
		samples[count] = (now() - run->begun_s) * 1e6;
	count++;
	failed += status != 0;
	run->pid = 0;
	running--;
}

static int compare(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

static void report(double elapsed_s)
{
	unsigned long timed = count < MAX_SAMPLES ? count : MAX_SAMPLES;

	qsort(samples, timed, sizeof(*samples), compare);
	printf("{\"count\": %u, \"refused\": 0, \"failed\": %u, \"rate\": %.3f, \"p50_us\": %.1f, \"p99_us\": %.1f}\n",
	       count, failed, count / elapsed_s, samples[timed / 2], samples[timed * 99 / 100]);
}

int main(int argc, char **argv)
{
	double begun_s;
	int option;

	while ((option = getopt(argc, argv, "+t:s:")) != -1) {
		at_a_time = option == 't' ? atoi(optarg) : at_a_time;
		seconds = option == 's' ? atof(optarg) : seconds;
	}
	if (optind == argc || at_a_time < 1) {
		fprintf(stderr, "usage: start_loop [-t AT_A_TIME] [-s SECONDS] COMMAND [WORD...]\n");
		return 2;
	}
	runs = calloc(at_a_time, sizeof(*runs));
	samples = malloc(MAX_SAMPLES * sizeof(*samples));
	posix_spawn_file_actions_init(&silence);
	for (int fd = 1; fd <= 2; fd++)
		posix_spawn_file_actions_addopen(&silence, fd, "/dev/null", O_WRONLY, 0);
	begun_s = now();
	do {
		start(argv + optind);
		if (running == at_a_time)
			reap();
	} while (now() - begun_s < seconds);
	while (running)
		reap();
	report(now() - begun_s);
	return 0;
}
