/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Outbound packets after all rules: for most, one look at the headers tells that nothing is left to do. */
#ifndef EGRESS_BPF_H
#define EGRESS_BPF_H

#include "include/packet.bpf.h"

#define PLAIN_V4 0x45 /* no options: RFC 791 3.1 */

/* The first bytes of a packet: of IPv4 without options to the ports, of IPv6 with the next header. */
struct packet_start {
	union {
		struct ipv4_header v4;
		__u8 bytes[sizeof(struct ipv4_header)];
	};
	__be16 source_port, port;
};

/* Whether names may be learned from it. Also true if it is malformed or has extension headers: it may hold anything. */
static __always_inline bool may_be_message(struct __sk_buff *skb)
{
	__u32 at = sizeof(struct ipv6_header);
	struct packet_start start;
	__u8 protocol;
	bool is_v4;

	if (bpf_skb_load_bytes(skb, 0, &start, sizeof(start)))
		return true;
	is_v4 = start.v4.version_and_words >> 4 == 4;
	protocol = is_v4 ? start.v4.protocol : start.bytes[offsetof(struct ipv6_header, next_header)];
	if (!has_ports(protocol))
		return !is_v4 && is_extension(protocol);
	if (is_v4)
		at = (start.v4.version_and_words & 15) * 4;
	if (start.v4.version_and_words != PLAIN_V4 && bpf_skb_load_bytes(skb, at + 2, &start.port, sizeof(start.port)))
		return true;
	return is_message_port(protocol, bpf_ntohs(start.port));
}

#endif
