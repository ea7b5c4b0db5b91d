/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a denied SYN is refused: by a reset, or by an ICMP error. A reset comes as if from the remote, but by loopback,
 * and rules of others may drop it for that (wg-quick's do). An ICMP error comes from this machine, but only so many are
 * sent a second (icmp_msgs_per_sec). If a refused SYN is sent again its refusal was lost: from then on the other kind
 * is sent.
 */
#ifndef REJECT_BPF_H
#define REJECT_BPF_H

#include "verdict/egress_local.bpf.h"
#include "include/packet.bpf.h"

/* True: an ICMP error is to refuse this packet. */
static __always_inline bool is_reset_lost(struct __sk_buff *skb)
{
	struct settings *settings = find_settings();
	struct owned_socket *socket;
	__u64 cookie;

	if (!settings || skb->ingress_ifindex || !skb->sk || skb->sk->state != TCP_SYN_SENT)
		return false;
	cookie = bpf_get_socket_cookie(skb);
	socket = bpf_map_lookup_elem(&sockets, &cookie);
	if (!socket)
		return settings->is_reset_lost;
	if (socket->syn == SYN_RESET || socket->syn == SYN_UNREACHABLE) /* it was refused, and is sent again */
		settings->is_reset_lost = socket->syn == SYN_RESET;
	socket->syn = settings->is_reset_lost ? SYN_UNREACHABLE : SYN_RESET;
	return settings->is_reset_lost;
}

/* Whether the source is an address of this machine. Netfilter's addrtype knows none of a VRF. */
static __always_inline bool is_from_us(struct __sk_buff *skb)
{
	struct flow_key flow = {.direction = INBOUND}; /* so the source is the remote */
	enum packet_role role = ROLE_NONE;
	struct transport transport = {};

	return !skb->ingress_ifindex && parse_packet(skb, &flow, &transport, &role) && is_own(&flow);
}

#endif
