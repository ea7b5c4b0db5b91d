/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A socket is connecting while its SYN is still held, and takes any SYN+ACK that acknowledges the number it began with
 * (tcp_rcv_synsent_state_process()), which a program in league can tell the remote before. So what answers a SYN that
 * was not let go is dropped. One dropped too many costs a second: the SYN is sent again, and judged again.
 */
#ifndef HANDSHAKE_BPF_H
#define HANDSHAKE_BPF_H

#include "judgement.bpf.h"

static __always_inline bool is_let_go(const struct owned_socket *socket, const struct flow_key *flow)
{
	return socket->is_let_go && socket->let_go_port == flow->remote_port &&
	       !__builtin_memcmp(socket->let_go_to, flow->remote, sizeof(flow->remote));
}

/*
 * A packet that leaves was allowed. Of TCP only a SYN is asked about. With where it goes, since it may have been held
 * till its socket connects elsewhere.
 */
static __always_inline void note_let_go(const struct question *question)
{
	struct owned_socket *socket = question->whose.socket;
	const struct flow_key *flow = &question->flow;

	if (flow->protocol != TCP || !socket || is_let_go(socket, flow))
		return;
	__builtin_memcpy(socket->let_go_to, flow->remote, sizeof(flow->remote));
	socket->let_go_port = flow->remote_port;
	socket->is_let_go = 1;
}

/* A subflow of MPTCP has no entry of its own; without early demux, and behind extension headers, no socket is known. */
static __always_inline bool answers_held_flow(const struct settings *settings, struct question *question, __u64 cookie)
{
	struct flow *flow = bpf_map_lookup_elem(&flows, &question->flow);
	struct owned_socket *socket;
	enum verdict verdict;

	if (!flow || (cookie && flow->cookie != cookie)) /* it never was a miss */
		return false;
	socket = bpf_map_lookup_elem(&sockets, &flow->cookie);
	if (socket)
		return !is_let_go(socket, &question->flow);
	question->whose.cookie = flow->cookie;
	question->whose.owner = flow->owner;
	verdict = find_verdict_for(settings, question);
	return verdict != VERDICT_ALLOW && !is_provisional(verdict);
}

/* `question` is that of the SYN. */
static __always_inline bool answers_what_is_held(struct __sk_buff *skb, const struct settings *settings,
						 struct question *question)
{
	__u64 cookie = bpf_get_socket_cookie(skb); /* connecting sockets are found by early demux (tcp_v4_connect()) */
	struct owned_socket *socket = bpf_map_lookup_elem(&sockets, &cookie);

	if (socket)
		return !is_let_go(socket, &question->flow);
	return answers_held_flow(settings, question, cookie);
}

#endif
