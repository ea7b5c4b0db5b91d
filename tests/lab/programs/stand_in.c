/*
 * Stands in for a program that is not installed, under its file name: connects to the host and port of each http URL
 * among its arguments, all at once. With STARTS_ITSELF a helper of the same file does so, as in a browser: it has an
 * argument that is another one each time.
 */
#define _GNU_SOURCE
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST 64

static void *visit(void *url)
{
	const char *authority = strstr(url, "://") + 3, *port = strncmp(url, "https", 5) ? "80" : "443";
	struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found;
	char *host = strndup(authority, strcspn(authority, "/")), *own_port = strchr(host, ':');
	long is_connected = 0;

	if (own_port) {
		*own_port = '\0';
		port = own_port + 1;
	}
	if (getaddrinfo(host, port, &hints, &found) == 0) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);

		is_connected = connect(fd, found->ai_addr, found->ai_addrlen) == 0;
		close(fd);
		freeaddrinfo(found);
	}
	free(host);
	return (void *)is_connected;
}

static int visit_all(char **words)
{
	pthread_t visits[MOST];
	int count = 0, failed = 0;

	for (; *words && count < MOST; words++) {
		if (strncmp(*words, "http://", 7) == 0 || strncmp(*words, "https://", 8) == 0)
			pthread_create(&visits[count++], NULL, visit, *words);
	}
	while (count--) {
		void *is_connected;

		pthread_join(visits[count], &is_connected);
		failed += !is_connected;
	}
	return failed != 0;
}

int main(int argc, char **argv)
{
#ifdef STARTS_ITSELF
	if (argc > 1 && strcmp(argv[1], "--type=helper") != 0) {
		char number[32], *helper[MOST + 4] = {argv[0], "--type=helper", number};
		int status;

		if (argc > MOST)
			return 2;
		snprintf(number, sizeof(number), "--handle=%d", getpid());
		memcpy(helper + 3, argv + 1, (size_t)argc * sizeof(*argv));
		if (fork() == 0) {
			execv("/proc/self/exe", helper);
			_exit(127);
		}
		wait(&status);
		return WEXITSTATUS(status);
	}
#endif
	(void)argc;
	return visit_all(argv + 1);
}
