/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inbound packets that are told before any rule judges: those of conversations, and those that tell names. */
#ifndef INGRESS_BPF_H
#define INGRESS_BPF_H

#include "verdict/handshake.bpf.h"

/*
 * Whether the packet comes by loopback just if its conversation goes by loopback: else its source is forged. False also
 * for what this machine sends to itself by a VRF, which is then judged like any other packet.
 */
static __always_inline bool comes_its_way(struct __sk_buff *skb, const struct flow_key *flow,
					  const struct conversation *conversation)
{
	bool is_here = is_by_loopback(skb, flow);

	if (is_mapped(flow->remote)) /* the kernel drops forged ones, but for 127.0.0.2 with route_localnet, a sysctl */
		return !is_loopback(flow->remote) || skb->ifindex == LOOPBACK_INTERFACE;
	return conversation->is_local == is_here && (is_here || !conversation->is_own);
}

static __always_inline struct conversation *find_going(struct __sk_buff *skb, const struct settings *settings,
						       struct question *question)
{
	__u64 now_ns = read_conversation_clock();
	struct conversation *conversation = find_conversation(question, now_ns);

	if (!conversation || !comes_its_way(skb, &question->flow, conversation) ||
	    !goes_on(skb, settings, question, conversation, now_ns))
		return NULL;
	carry(skb, question, conversation);
	return conversation;
}

/*
 * Whether the packet goes on in a conversation, and is no message that names are learned from. Then no other rule is
 * asked, over IPv6 not even whether its source is forged (_FORGED in kernel/netfilter/rules.py). One that was held has a
 * mark, which those rules take away.
 */
static __always_inline bool is_going(struct __sk_buff *skb)
{
	struct settings *settings = find_settings();
	struct question question = {};

	if (!settings || is_seen(skb, settings) || !read_question(skb, INBOUND, &question) ||
	    is_message_port(question.flow.protocol, question.flow.remote_port))
		return false;
	return find_going(skb, settings, &question);
}

/*
 * Whether a TCP packet is of an open connection. Nothing is read of one that is held, denied or over: a flood of forged
 * packets has none. Without early demux (a sysctl; on loopback) only the flow leads to the socket. `flow`: that of the
 * SYN.
 */
static __always_inline bool is_of_connection(struct __sk_buff *skb, const struct settings *settings,
					     const struct flow_key *flow)
{
	__u64 cookie = bpf_get_socket_cookie(skb);
	struct owned_socket *socket = bpf_map_lookup_elem(&sockets, &cookie);
	struct flow_entry *known;

	if (is_in_time_wait(skb)) /* it is over: no program gets the packet */
		return false;
	if (!cookie) {
		known = bpf_map_lookup_elem(&flows, flow);
		socket = known ? bpf_map_lookup_elem(&sockets, &known->cookie) : NULL;
	}
	if (socket)
		return is_let_go(socket, flow);
	/* The connection began before the daemon, or is forgotten. Scoped, it is one of others. */
	return !settings->is_scoped && (cookie || skb->ifindex == LOOPBACK_INTERFACE);
}

/* Whether it comes from a remote that was asked: over TCP of an open connection, else of a conversation begun here. */
static __always_inline bool is_answer(struct __sk_buff *skb)
{
	struct settings *settings = find_settings();
	struct question question = {};
	struct conversation *conversation;

	if (!settings || !read_question(skb, INBOUND, &question))
		return false;
	if (question.flow.protocol == TCP) {
		question.flow.direction = OUTBOUND;
		return is_of_connection(skb, settings, &question.flow);
	}
	conversation = find_going(skb, settings, &question);
	return conversation && conversation->begun_by == OUTBOUND;
}

#endif
