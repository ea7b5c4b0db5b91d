/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Connects (TCP) or sends a first datagram (UDP) as often as it can, each time on a new socket, and prints as one JSON
 * object how many, how fast, and what the call cost: connect_loop [-u] [-e] [-t THREADS] [-s SECONDS] [-p A_SECOND] [-o OFFSET]
 * [-r RANGE] ADDRESS PORT. With -r each connection goes to the next of RANGE addresses from ADDRESS + OFFSET on; with -p
 * all threads together make no more than A_SECOND; with -e a datagram is done when its echo is back, within a second.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_SAMPLES (1 << 21) /* of each thread: more than two million connections are not timed */

static struct sockaddr_storage base;
static socklen_t base_size;
static int is_udp, awaits_echo;
static unsigned int range = 1;
static double seconds = 1, begun_s, pace;
static atomic_uint next_offset, paced;

struct worker {
	pthread_t thread;
	float *samples; /* microseconds */
	unsigned int count;
	unsigned int refused;
	unsigned int failed;
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* The low 32 bits of the address count on, whatever the family. */
static struct sockaddr_storage next_remote(void)
{
	struct sockaddr_storage remote = base;
	unsigned char *address = (unsigned char *)&((struct sockaddr_in *)&remote)->sin_addr;
	unsigned int low, offset;

	if (range == 1)
		return remote;
	if (remote.ss_family == AF_INET6)
		address = ((struct sockaddr_in6 *)&remote)->sin6_addr.s6_addr + 12;
	offset = atomic_fetch_add(&next_offset, 1) % range;
	memcpy(&low, address, 4);
	low = htonl(ntohl(low) + offset);
	memcpy(address, &low, 4);
	return remote;
}

static void await_turn(void)
{
	double due = pace ? begun_s + atomic_fetch_add(&paced, 1) / pace : 0;
	double wait = due ? due - now() : 0;

	if (wait > 0)
		usleep(wait * 1e6);
}

static int attempt(int s)
{
	struct sockaddr_storage remote = next_remote();

	if (connect(s, (struct sockaddr *)&remote, base_size))
		return -1;
	if (!is_udp)
		return 0;
	if (awaits_echo)
		setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){1, 0}, sizeof(struct timeval));
	if (send(s, "x", 1, 0) < 0)
		return -1;
	return awaits_echo ? (int)recv(s, &(char){0}, 1, 0) : 0;
}

static void *work(void *argument)
{
	struct linger reset = {1, 0}; /* close by RST: no TIME_WAIT, the local port is free at once */
	struct worker *worker = argument;
	double end = now() + seconds;
	double begun;
	int s;

	while ((begun = now()) < end && worker->count < MAX_SAMPLES) {
		await_turn();
		s = socket(base.ss_family, is_udp ? SOCK_DGRAM : SOCK_STREAM, 0);
		begun = now();
		if (attempt(s) < 0) {
			worker->refused += errno == ECONNREFUSED || errno == EPERM;
			worker->failed += errno != ECONNREFUSED && errno != EPERM;
		}
		worker->samples[worker->count++] = (now() - begun) * 1e6;
		if (!is_udp)
			setsockopt(s, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		close(s);
	}
	return NULL;
}

static int compare(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

static void report(struct worker *workers, int threads, double elapsed)
{
	unsigned int count = 0, refused = 0, failed = 0;
	float *all;

	for (int i = 0; i < threads; i++)
		count += workers[i].count;
	all = malloc((count + 1) * sizeof(*all));
	count = 0;
	for (int i = 0; i < threads; i++) {
		memcpy(all + count, workers[i].samples, workers[i].count * sizeof(*all));
		count += workers[i].count;
		refused += workers[i].refused;
		failed += workers[i].failed;
	}
	qsort(all, count, sizeof(*all), compare);
	printf("{\"count\": %u, \"refused\": %u, \"failed\": %u, \"rate\": %.1f, \"p50_us\": %.1f, \"p99_us\": %.1f}\n",
	       count, refused, failed, count / elapsed, all[count / 2], all[(unsigned long)count * 99 / 100]);
}

static int parse_remote(const char *address, int port)
{
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)&base;
	struct sockaddr_in *four = (struct sockaddr_in *)&base;

	if (inet_pton(AF_INET, address, &four->sin_addr) == 1) {
		four->sin_family = AF_INET;
		four->sin_port = htons(port);
		base_size = sizeof(*four);
	} else if (inet_pton(AF_INET6, address, &six->sin6_addr) == 1) {
		six->sin6_family = AF_INET6;
		six->sin6_port = htons(port);
		base_size = sizeof(*six);
	}
	return base_size ? 0 : -1;
}

int main(int argc, char **argv)
{
	struct worker *workers;
	int option, threads = 1;

	while ((option = getopt(argc, argv, "uet:s:p:o:r:")) != -1) {
		is_udp |= option == 'u';
		awaits_echo |= option == 'e';
		threads = option == 't' ? atoi(optarg) : threads;
		seconds = option == 's' ? atof(optarg) : seconds;
		pace = option == 'p' ? atof(optarg) : pace;
		range = option == 'r' ? strtoul(optarg, NULL, 10) : range;
		if (option == 'o')
			atomic_store(&next_offset, strtoul(optarg, NULL, 10));
	}
	if (argc - optind != 2 || parse_remote(argv[optind], atoi(argv[optind + 1])) || threads < 1 || range < 1) {
		fprintf(stderr,
			"usage: connect_loop [-u] [-e] [-t THREADS] [-s SECONDS] [-p A_SECOND] [-o OFFSET] [-r RANGE] "
			"ADDRESS PORT\n");
		return 2;
	}
	workers = calloc(threads, sizeof(*workers));
	begun_s = now();
	for (int i = 0; i < threads; i++) {
		workers[i].samples = malloc(MAX_SAMPLES * sizeof(float));
		pthread_create(&workers[i].thread, NULL, work, &workers[i]);
	}
	for (int i = 0; i < threads; i++)
		pthread_join(workers[i].thread, NULL);
	/* Not the time until the last one ended: a lost SYN is sent again after a second, which says nothing of the rate. */
	report(workers, threads, seconds);
	return 0;
}
