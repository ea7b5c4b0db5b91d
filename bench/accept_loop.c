/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Accepts and closes TCP connections, and swallows datagrams, on one port of IPv4 and IPv6: accept_loop PORT. */
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static int bind_any(int kind, int port)
{
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	int s = socket(AF_INET6, kind | SOCK_NONBLOCK, 0);
	int on = 1;

	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	return bind(s, (struct sockaddr *)&any, sizeof(any)) ? -1 : s;
}

int main(int argc, char **argv)
{
	int port = argc == 2 ? atoi(argv[1]) : 0;
	struct pollfd ends[2] = {{.events = POLLIN}, {.events = POLLIN}};
	char datagram[2048];
	int s;

	ends[0].fd = bind_any(SOCK_STREAM, port);
	ends[1].fd = bind_any(SOCK_DGRAM, port);
	if (!port || ends[0].fd < 0 || ends[1].fd < 0 || listen(ends[0].fd, 65535)) {
		perror("accept_loop PORT");
		return 1;
	}
	puts("listening");
	fflush(stdout);
	while (poll(ends, 2, -1) > 0) {
		while ((s = accept(ends[0].fd, NULL, NULL)) >= 0)
			close(s);
		while (recv(ends[1].fd, datagram, sizeof(datagram), 0) >= 0)
			;
	}
	return 0;
}
