/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The quickest way through user space that there is: takes each packet of an NFQUEUE and accepts it, without a look at
 * it: accept_all QUEUE. What a firewall in user space costs beyond this is its own. Messages as in
 * linux/netfilter/nfnetlink_queue.h.
 */
#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/netlink.h>

struct request {
	struct nlmsghdr header;
	struct nfgenmsg family;
	struct nlattr attribute;
	char value[16];
};

static void send_request(int s, int type, int queue, int attribute, const void *value, int size)
{
	struct request request = {
		.header.nlmsg_len = NLMSG_LENGTH(sizeof(struct nfgenmsg)) + NLA_HDRLEN + NLA_ALIGN(size),
		.header.nlmsg_type = NFNL_SUBSYS_QUEUE << 8 | type,
		.header.nlmsg_flags = NLM_F_REQUEST,
		.family = {AF_UNSPEC, NFNETLINK_V0, htons(queue)},
		.attribute = {NLA_HDRLEN + size, attribute},
	};

	memcpy(request.value, value, size);
	send(s, &request, request.header.nlmsg_len, 0);
}

static void bind_queue(int s, int queue)
{
	struct nfqnl_msg_config_cmd bind = {.command = NFQNL_CFG_CMD_BIND};
	struct nfqnl_msg_config_params params = {htonl(64), NFQNL_COPY_PACKET};

	send_request(s, NFQNL_MSG_CONFIG, queue, NFQA_CFG_CMD, &bind, sizeof(bind));
	send_request(s, NFQNL_MSG_CONFIG, queue, NFQA_CFG_PARAMS, &params, sizeof(params));
}

/* The packet header is always the first attribute (nfqnl_build_packet_message). */
static void accept_packet(int s, int queue, const struct nlmsghdr *message)
{
	const struct nlattr *first = NLMSG_DATA(message) + NLMSG_ALIGN(sizeof(struct nfgenmsg));
	const struct nfqnl_msg_packet_hdr *packet = (const void *)first + NLA_HDRLEN;
	struct nfqnl_msg_verdict_hdr verdict = {htonl(NF_ACCEPT), packet->packet_id};

	if ((message->nlmsg_type & 0xff) == NFQNL_MSG_PACKET && first->nla_type == NFQA_PACKET_HDR)
		send_request(s, NFQNL_MSG_VERDICT, queue, NFQA_VERDICT_HDR, &verdict, sizeof(verdict));
}

int main(int argc, char **argv)
{
	int s = socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER);
	int queue = argc == 2 ? atoi(argv[1]) : -1;
	static char buffer[1 << 16] __attribute__((aligned(8)));
	int size;

	if (queue < 0 || s < 0) {
		fprintf(stderr, "usage: accept_all QUEUE\n");
		return 2;
	}
	bind_queue(s, queue);
	puts("listening");
	fflush(stdout);
	while ((size = recv(s, buffer, sizeof(buffer), 0)) > 0) {
		struct nlmsghdr *message = (struct nlmsghdr *)buffer;

		for (; NLMSG_OK(message, size); message = NLMSG_NEXT(message, size))
			accept_packet(s, queue, message);
	}
	return 0;
}
