/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Connects (tcp), or sends a datagram and awaits its echo (udp), COUNT times, each time by a new socket: `many_client
 * KIND ADDRESS PORT COUNT STEP` (IPv4), where each next port is STEP further. It may be refused. A TCP connection ends
 * by a reset: the next may have its port.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int talk(int s, const struct sockaddr_in *remote, int is_udp)
{
	struct linger reset = {1, 0};
	char echo;

	if (connect(s, (const struct sockaddr *)remote, sizeof(*remote)))
		return errno == ECONNREFUSED ? 0 : -1;
	if (is_udp)
		return send(s, "x", 1, 0) == 1 && recv(s, &echo, 1, 0) == 1 ? 0 : -1;
	return setsockopt(s, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
}

int main(int argc, char **argv)
{
	struct sockaddr_in remote = {.sin_family = AF_INET};
	int is_udp, s;

	if (argc != 6 || inet_pton(AF_INET, argv[2], &remote.sin_addr) != 1)
		return 2;
	is_udp = !strcmp(argv[1], "udp");
	for (int i = 0; i < atoi(argv[4]); i++) {
		remote.sin_port = htons(atoi(argv[3]) + i * atoi(argv[5]));
		s = socket(AF_INET, is_udp ? SOCK_DGRAM : SOCK_STREAM, 0);
		if (talk(s, &remote, is_udp)) {
			perror(argv[0]);
			return 1;
		}
		close(s);
	}
	return 0;
}
