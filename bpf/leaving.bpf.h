/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Packets that leave, after all rules: of most, one glance tells that nothing is left to do. */
#ifndef LEAVING_BPF_H
#define LEAVING_BPF_H

#include "packet.bpf.h"

#define DNS 53
#define MDNS 5353  /* RFC 6762 */
#define LLMNR 5355 /* RFC 4795 */

static __always_inline bool is_message_port(__u8 protocol, __u16 port)
{
	return port == DNS || (protocol == UDP && (port == MDNS || port == LLMNR));
}

/* Whether names may be learned from it. What has extension headers, or makes no sense, may hold anything. */
static __always_inline bool may_be_message(struct __sk_buff *skb)
{
	__u32 at = sizeof(struct ipv6_header);
	__u8 first, protocol;
	__be16 port;
	bool is_v4;

	if (bpf_skb_load_bytes(skb, 0, &first, 1))
		return true;
	is_v4 = first >> 4 == 4;
	if (is_v4)
		at = (first & 15) * 4;
	if (bpf_skb_load_bytes(
		    skb, is_v4 ? offsetof(struct ipv4_header, protocol) : offsetof(struct ipv6_header, next_header),
		    &protocol, 1))
		return true;
	if (!has_ports(protocol))
		return !is_v4 && is_extension(protocol);
	return bpf_skb_load_bytes(skb, at + 2, &port, sizeof(port)) || is_message_port(protocol, bpf_ntohs(port));
}

#endif
