/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sends each datagram back from the address that it came to, of many: echo_loop PORT. The address is told and chosen by
 * IPV6_PKTINFO (ipv6(7)), which a socket of both families takes for IPv4 too (ip_cmsg_send()).
 */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

static int bind_any(int port)
{
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	int s = socket(AF_INET6, SOCK_DGRAM, 0);
	int on = 1, room = 8 << 20;

	setsockopt(s, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on));
	setsockopt(s, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof(on)); /* a route alone makes the many addresses local */
	setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	return bind(s, (struct sockaddr *)&any, sizeof(any)) ? -1 : s;
}

int main(int argc, char **argv)
{
	int s = bind_any(argc == 2 ? atoi(argv[1]) : 0);
	char datagram[2048], control[CMSG_SPACE(sizeof(struct in6_pktinfo))];
	struct sockaddr_in6 peer;
	ssize_t size;

	if (argc != 2 || s < 0) {
		perror("echo_loop PORT");
		return 1;
	}
	puts("listening");
	fflush(stdout);
	for (;;) {
		struct iovec data = {datagram, sizeof(datagram)};
		struct msghdr message = {&peer, sizeof(peer), &data, 1, control, sizeof(control), 0};

		size = recvmsg(s, &message, 0);
		if (size < 0)
			continue;
		data.iov_len = size;
		((struct in6_pktinfo *)CMSG_DATA(CMSG_FIRSTHDR(&message)))->ipi6_ifindex = 0;
		sendmsg(s, &message, 0);
	}
}
