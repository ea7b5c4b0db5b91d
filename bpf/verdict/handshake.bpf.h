/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A socket is connecting while its SYN is still held, and takes any SYN+ACK that acknowledges its sequence number
 * (tcp_rcv_synsent_state_process()), which a program in league can tell the remote before. So a SYN+ACK to a SYN that
 * was not let go is dropped. So is one to a SYN of which nothing is known: a program that can fill a table can have a
 * held SYN forgotten. To drop one too many costs a second: the SYN is sent again, and judged again.
 */
#ifndef HANDSHAKE_BPF_H
#define HANDSHAKE_BPF_H

#include "verdict/lookup.bpf.h"

/* Whether the SYN of the socket's last connect() was let go to this remote. */
static __always_inline bool is_let_go(const struct owned_socket *socket, const struct flow_key *flow)
{
	return socket->syn == SYN_LET_GO && socket->let_go_port == flow->remote_port &&
	       !__builtin_memcmp(socket->let_go_to, flow->remote, sizeof(flow->remote));
}

/* For a socket that no program uses, a subflow of MPTCP, say. Its owner is looked for each time (is_borrowed()). */
static __always_inline void note_unknown_let_go(const struct question *question)
{
	struct owned_socket socket = {
		.let_go_port = question->flow.remote_port,
		.syn = SYN_LET_GO,
		.boundness = BOUND,
		.is_tied = question->interface != 0,
		.program = question->program,
		.rule = question->rule,
	};

	__builtin_memcpy(socket.let_go_to, question->flow.remote, sizeof(socket.let_go_to));
	if (bpf_map_update_elem(&sockets, &question->whose.cookie, &socket, BPF_ANY))
		count(LOST_SOCKETS);
}

/*
 * Notes at the socket that its SYN was let go, and to which remote: when a held SYN is let go the socket may be
 * connecting elsewhere already. True: it is the first SYN of its connection. Nothing is noted for a socket that was
 * closed meanwhile, since no hook would tell when to forget it. (The only outbound packets of TCP that are judged are
 * SYNs.)
 */
static __always_inline bool note_let_go(struct __sk_buff *skb, const struct question *question)
{
	const struct flow_key *flow = &question->flow;
	struct owned_socket *socket;

	if (flow->protocol != TCP)
		return false;
	socket = bpf_map_lookup_elem(&sockets, &question->whose.cookie);
	if (!socket) {
		if (question->whose.cookie && !is_closed(skb->sk))
			note_unknown_let_go(question);
		return true;
	}
	if (socket->is_tied != (question->interface != 0))
		socket->is_tied = question->interface != 0;
	if (is_let_go(socket, flow))
		return false;
	__builtin_memcpy(socket->let_go_to, flow->remote, sizeof(flow->remote));
	socket->let_go_port = flow->remote_port;
	socket->syn = SYN_LET_GO;
	socket->program = question->program;
	socket->rule = question->rule;
	socket->is_summed = 0;
	return true;
}

/* Inbound: notes at the socket that listens by which verdict a SYN came in, so that the connection has the same row. */
static __always_inline void note_let_in(const struct question *question)
{
	struct owned_socket *socket = bpf_map_lookup_elem(&sockets, &question->whose.cookie);

	if (socket && (socket->program != question->program || socket->rule != question->rule)) {
		socket->program = question->program;
		socket->rule = question->rule;
	}
}

/*
 * Whether a packet that is no SYN leaves by a socket whose SYN was not let go to its remote. MPTCP sends a reset when
 * it gives up a connection (mptcp_do_fastclose()), even then. It is asked before the packet is held, since the socket
 * changes its state meanwhile. An earlier SYN of the same socket may have been let go, but to another remote.
 */
static __always_inline bool is_unopened(struct __sk_buff *skb)
{
	struct flow_key flow = {.direction = OUTBOUND};
	enum packet_role role = ROLE_NONE;
	struct transport transport = {};
	struct owned_socket *socket;
	__u64 cookie;

	if (!skb->sk || skb->sk->state != TCP_SYN_SENT)
		return false;
	cookie = bpf_get_socket_cookie(skb);
	socket = bpf_map_lookup_elem(&sockets, &cookie);
	return !socket || !parse_packet(skb, &flow, &transport, &role) || !is_let_go(socket, &flow);
}

/* Whether the packet has extension headers of IPv6. A SYN+ACK has none, unless to evade early demux. */
static __always_inline bool is_behind_extension(const struct question *question)
{
	return !is_mapped(question->flow.remote) && question->transport != sizeof(struct ipv6_header);
}

/* By the flow, where the socket is not known: without early demux (a sysctl), and behind extension headers. */
static __always_inline bool answers_held_flow(const struct settings *settings, struct question *question, __u64 cookie)
{
	struct flow_entry *flow = bpf_map_lookup_elem(&flows, &question->flow);
	struct owned_socket *socket;
	enum verdict verdict;

	/* The SYN was no miss, or is forgotten, and no socket says that it was let go. Scoped, most are others'. */
	if (!flow || (cookie && flow->cookie != cookie))
		return !settings->is_scoped && (cookie || is_behind_extension(question));
	socket = bpf_map_lookup_elem(&sockets, &flow->cookie);
	if (socket)
		return !is_let_go(socket, &question->flow);
	question->whose.cookie = flow->cookie;
	question->whose.owner = flow->owner;
	verdict = find_verdict_for(NULL, settings, question);
	return verdict != VERDICT_ALLOW && !is_provisional(verdict);
}

/* Whether a SYN+ACK answers a SYN that was not let go. `question`: with the flow of that SYN. */
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
