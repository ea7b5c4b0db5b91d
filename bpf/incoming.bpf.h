/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Packets that come in: what most of them are, and what names are learned from, before all rules that judge. */
#ifndef INCOMING_BPF_H
#define INCOMING_BPF_H

#include "handshake.bpf.h"

/*
 * From loopback as all the rest of its conversation, or not as all the rest. What is ours and comes by a VRF is not
 * known so.
 */
static __always_inline bool comes_its_way(struct __sk_buff *skb, const struct flow_key *flow,
					  const struct conversation *conversation)
{
	bool is_here = is_by_loopback(skb, flow);

	if (is_mapped(flow->remote)) /* the kernel sees to it, but for 127.0.0.2 and route_localnet, a sysctl */
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
	return conversation;
}

/*
 * What a conversation goes on with, and is no message that names are learned from: nothing else is asked of it, of IPv6
 * not even whose its addresses are (_FORGED in kernel/netfilter_rules.py).
 */
static __always_inline bool is_going(struct __sk_buff *skb)
{
	struct settings *settings = find_settings();
	struct question question = {};

	if (!settings || !read_question(skb, INBOUND, &question) ||
	    is_message_port(question.flow.protocol, question.flow.remote_port))
		return false;
	return find_going(skb, settings, &question);
}

/*
 * Of a connection that is there: no flood comes so far. Of one that is held, denied or over nothing is read. Where there
 * is no early demux (a sysctl; on loopback) only the flow leads to the socket. `flow` is that of the SYN.
 */
static __always_inline bool is_of_connection(struct __sk_buff *skb, const struct settings *settings,
					     const struct flow_key *flow)
{
	__u64 cookie = bpf_get_socket_cookie(skb);
	struct owned_socket *socket = bpf_map_lookup_elem(&sockets, &cookie);
	struct flow *known;

	if (is_in_time_wait(skb)) /* over: no program gets what comes */
		return false;
	if (!cookie) {
		known = bpf_map_lookup_elem(&flows, flow);
		socket = known ? bpf_map_lookup_elem(&sockets, &known->cookie) : NULL;
	}
	if (socket)
		return is_let_go(socket, flow);
	/* It began before us, or is forgotten. Scoped, it is another's. */
	return !settings->is_scoped && (cookie || skb->ifindex == LOOPBACK_INTERFACE);
}

/* From what was asked out there. */
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
