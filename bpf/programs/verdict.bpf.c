// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What netfilter asks (iptables -m bpf --object-pinned): of each SYN and each packet that is not TCP whether it is
 * allowed, and whether it is denied; of each other TCP packet that leaves whether it is to be shown. If no verdict is
 * remembered it is a miss: the owner is noted for the flow, so that user space can tell whose the queued packet is.
 */
#include "verdict/late_check.bpf.h"
#include "verdict/handshake.bpf.h"
#include "verdict/ingress.bpf.h"
#include "verdict/egress.bpf.h"
#include "verdict/reject.bpf.h"
#include "verdict/watch.bpf.h"
#include "verdict/asked.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* Notes who asks, of an allowed question for a name: user space reads it. */
static __always_inline void keep_message_flow(const struct question *question)
{
	struct flow_entry *flow;

	if (question->flow.direction != OUTBOUND ||
	    !is_message_port(question->flow.protocol, question->flow.remote_port))
		return;
	flow = bpf_map_lookup_elem(&flows, &question->flow);
	if (!flow || flow->cookie != question->whose.cookie)
		write_flow(question);
}

static __always_inline int is_allowed(struct __sk_buff *skb, __u8 direction)
{
	struct settings *settings = find_settings();
	struct question question = {};
	struct conversation *conversation;
	__u64 now_ns = read_conversation_clock();
	enum verdict verdict;
	bool is_first = false;

	if (!settings || !read_question(skb, direction, &question))
		return 0;
	/*
	 * IPv6 packets come in as they were sent, in fragments. Only the first has ports and is judged: without it none
	 * of the others is delivered. If two overlap, all are dropped (RFC 5722; ip6_frag_queue() in
	 * net/ipv6/reassembly.c).
	 */
	if (direction == INBOUND && question.is_headless)
		return 1;
	conversation = find_conversation(&question, now_ns);
	if (conversation && goes_on(skb, settings, &question, conversation, now_ns)) {
		carry(skb, &question, conversation);
		return 1;
	}
	question.is_own = is_own(&question.flow);
	if (direction == OUTBOUND && question.is_own && !stays_here(skb))
		return 0;
	find_whose(skb, &question);
	if (settings->is_scoped && is_of_others(skb, &question))
		return 1;
	verdict = find_verdict_for(skb, settings, &question);
	/* Before begin_watch(), which needs an entry in `sockets`: that of a subflow of MPTCP is made here. */
	if (direction == OUTBOUND && (verdict == VERDICT_ALLOW || is_provisional(verdict))) {
		is_first = note_let_go(skb, &question);
		if (is_first)
			add_connection(skb, &question, VERDICT_ALLOW);
	}
	switch (verdict) {
	case VERDICT_ALLOW_NOTED:
	case VERDICT_ALLOW_GUARDED:
		if (!begin_watch(skb, &question, verdict, is_first)) {
			if (is_seen(skb, settings))
				note_conversation(skb, settings, &question, conversation, now_ns);
			return 0;
		}
		/* fall through */
	case VERDICT_ALLOW:
		if (direction == INBOUND && question.flow.protocol == TCP) {
			note_let_in(&question);
			add_connection(skb, &question, VERDICT_ALLOW);
		}
		keep_message_flow(&question);
		note_conversation(skb, settings, &question, conversation, now_ns);
		count(HITS_ALLOWED);
		count_use(question.rule);
		return 1;
	case VERDICT_DENY:
		return 0;
	default:
		if (is_given_up(skb, &question))
			return 0;
		count(MISSES);
		write_flow(&question);
		return 0;
	}
}

/* Whether this is a SYN that was refused already, and is sent again. */
static __always_inline bool is_refused(const struct question *question)
{
	struct owned_socket *socket;

	if (question->flow.protocol != TCP || question->flow.direction == INBOUND)
		return false;
	socket = bpf_map_lookup_elem(&sockets, &question->whose.cookie);
	return socket && (socket->syn == SYN_RESET || socket->syn == SYN_UNREACHABLE);
}

static __always_inline int is_denied(struct __sk_buff *skb, __u8 direction)
{
	struct settings *settings = find_settings();
	struct question question = {};
	enum verdict verdict;

	if (!settings || !read_question(skb, direction, &question))
		return 0;
	find_whose(skb, &question);
	verdict = find_verdict_for(skb, settings, &question);
	if (verdict != VERDICT_DENY && !is_cut(&question) && (verdict != VERDICT_NONE || !is_given_up(skb, &question)))
		return 0;
	note_denial(settings);
	forget_passing(direction);
	count(HITS_DENIED);
	if (!is_refused(&question))
		add_connection(skb, &question, VERDICT_DENY);
	if (verdict == VERDICT_DENY)
		count_use(question.rule);
	return 1;
}

SEC("socket")
int out_allowed(struct __sk_buff *skb)
{
	return note_passing(skb, OUTBOUND, is_allowed(skb, OUTBOUND));
}

SEC("socket")
int out_denied(struct __sk_buff *skb)
{
	return is_denied(skb, OUTBOUND);
}

SEC("socket")
int in_allowed(struct __sk_buff *skb)
{
	return note_passing(skb, INBOUND, is_allowed(skb, INBOUND));
}

SEC("socket")
int in_denied(struct __sk_buff *skb)
{
	return is_denied(skb, INBOUND);
}

/* Does it go on in a conversation, so that no other rule need be asked? */
SEC("socket")
int in_going(struct __sk_buff *skb)
{
	return note_passing(skb, INBOUND, is_going(skb));
}

/* Does it come from a remote that was asked? A DNS answer is read before it is delivered. */
SEC("socket")
int in_answer(struct __sk_buff *skb)
{
	return is_answer(skb);
}

/* Is it a SYN+ACK to a SYN that was not let go? So is a malformed one. */
SEC("socket")
int in_unasked(struct __sk_buff *skb)
{
	struct settings *settings = find_settings();
	struct question question = {};

	if (!settings)
		return 0;
	if (read_question(skb, INBOUND, &question)) {
		question.flow.direction = OUTBOUND;
		if (!answers_what_is_held(skb, settings, &question))
			return 0;
	}
	count(LOST_ANSWERS);
	return 1;
}

/* Notes whose the packet is, for user space. Always 1. */
static __always_inline int show(struct __sk_buff *skb, struct question *question)
{
	struct flow_entry *flow = bpf_map_lookup_elem(&flows, &question->flow);
	__u64 cookie = bpf_get_socket_cookie(skb);

	if (flow && flow->cookie == cookie)
		return 1;
	find_whose(skb, question);
	write_flow(question);
	return 1;
}

/* Does it leave this machine, though it is to one of its addresses? Then it is dropped. */
SEC("socket")
int out_astray(struct __sk_buff *skb)
{
	struct flow_key flow = {.direction = OUTBOUND};
	enum packet_role role = ROLE_NONE;
	struct transport transport = {};

	if (!parse_packet(skb, &flow, &transport, &role) || !is_own(&flow) || stays_here(skb))
		return 0;
	count(LOST_ASTRAY);
	return 1;
}

/*
 * Is a TCP packet that is no SYN to be shown? Asked of each: most carry no data, or their socket tells. Also true for
 * packets that the rules behind drop or judge: led elsewhere, of a connection that was not let go, astray, or strayed.
 */
SEC("socket")
int out_stream(struct __sk_buff *skb)
{
	struct settings *settings = find_settings();
	struct question question = {};
	struct owned_socket *socket;

	if (!settings)
		return 0;
	if ((is_led_elsewhere(skb) || goes_astray(skb) || is_unopened(skb)) &&
	    (!settings->is_scoped || is_in_scope(skb)))
		return 1;
	if (settings->has_ties && has_strayed(skb))
		return 1;
	if (!settings->is_watching || is_bare_segment(skb))
		return 0;
	question.whose.cookie = bpf_get_socket_cookie(skb);
	socket = bpf_map_lookup_elem(&sockets, &question.whose.cookie);
	if (socket && (socket->watch == WATCH_NONE || socket->watch == WATCH_OVER))
		return 0;
	if (!read_question(skb, OUTBOUND, &question) || !has_payload(skb, &question))
		return 0;
	return is_stream_watched(&question, socket) ? show(skb, &question) : 0;
}

/* Is it a question that was copied for user space? */
SEC("socket")
int out_copied(struct __sk_buff *skb)
{
	return copy_asked(skb);
}

SEC("socket")
int out_unopened(struct __sk_buff *skb)
{
	return is_unopened(skb);
}

/* Does it leave by another interface than its verdict is for? Then it is judged again. */
SEC("socket")
int out_strayed(struct __sk_buff *skb)
{
	return has_strayed(skb);
}

/*
 * Is a datagram, or a SYN with data (RFC 7413), to be read? A watch outlives the verdict that began it: a packet that
 * is allowed no more, or is another program's by now, must be judged and not read.
 */
SEC("socket")
int out_watched(struct __sk_buff *skb)
{
	struct settings *settings = find_settings();
	struct question question = {};
	struct watch *watch;

	if (!settings || !read_question(skb, OUTBOUND, &question) || !has_payload(skb, &question))
		return 0;
	question.whose.cookie = bpf_get_socket_cookie(skb);
	watch = find_watch(&question);
	if (!watch || watch->state == WATCH_OVER)
		return 0;
	find_whose(skb, &question);
	if (!is_provisional(find_verdict_for(skb, settings, &question)))
		return 0;
	return show(skb, &question);
}

/* Must it wait until it was read, even while no daemon lives? So must a packet that the daemon is to drop. */
SEC("socket")
int out_guarded(struct __sk_buff *skb)
{
	struct question question = {};
	struct watch *watch;

	if (!read_question(skb, OUTBOUND, &question) || (question.flow.protocol == TCP && is_led_elsewhere(skb)))
		return 1;
	question.whose.cookie = bpf_get_socket_cookie(skb);
	watch = find_watch(&question);
	return watch && watch->state == WATCH_GUARDED;
}

/* Must it go through the rules for what leaves? They take longer than everything else that most packets are asked. */
SEC("socket")
int out_leaves(struct __sk_buff *skb)
{
	struct settings *settings = find_settings();
	bool was_just_allowed = was_passing(skb, OUTBOUND);

	return !settings || (!was_just_allowed && was_denied_lately(settings)) || may_be_message(skb);
}

SEC("socket")
int out_escaped(struct __sk_buff *skb)
{
	return has_escaped(skb, OUTBOUND);
}

/* Is it to be refused by ICMP, since a reset may not be heard? */
SEC("socket")
int out_unheard(struct __sk_buff *skb)
{
	return is_reset_lost(skb);
}

/* Is its source this machine's, so that what refuses it stays here? */
SEC("socket")
int out_ours(struct __sk_buff *skb)
{
	return is_from_us(skb);
}

SEC("socket")
int in_escaped(struct __sk_buff *skb)
{
	return has_escaped(skb, INBOUND);
}
