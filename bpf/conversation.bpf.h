/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What answers what was allowed, for all protocols but TCP, which tells by its flags. Conntrack would know it too, at 3
 * to 5 us a connection, also for TCP; and it takes whoever has the port by now for the one that began.
 */
#ifndef CONVERSATION_BPF_H
#define CONVERSATION_BPF_H

#include "astray.bpf.h"
#include "attribution.bpf.h"
#include "packet.bpf.h"
#include "share.bpf.h"

#define SECOND_NS 1000000000ULL
#define MOST_BEGUN 32 /* in a moment: no user has more than a quarter of the room within ANSWER_NS */

struct question {
	struct flow_key flow;
	struct attribution whose;
	struct flow_key conversation; /* the same with direction 0, and with ports also where rules know none */
	enum packet_role role;
	__u32 transport;  /* where its header begins */
	bool is_headless; /* a fragment that is not the first has none */
	bool is_watched;
	bool is_own;           /* the remote is this machine; looked for where no conversation goes on */
	bool has_strayed;      /* it leaves by another interface than the one that its verdict ties it to */
	__u32 interface;       /* that one; 0: none */
	__u32 noted_interface; /* of its flow, whatever holds of that */
};

static __always_inline void name_conversation(struct __sk_buff *skb, struct question *question)
{
	struct flow_key *key = &question->conversation;

	*key = question->flow;
	if (has_other_ports(key->protocol))
		parse_ports(skb, key, question->transport);
	key->direction = OUTBOUND;
}

static __always_inline __u64 read_conversation_clock(void)
{
	return bpf_ktime_get_coarse_ns();
}

/* Signed: it may be later than `now_ns`, if another CPU has seen a packet since this one read the clock. */
static __always_inline bool is_within(__u64 span_ns, __u64 then_ns, __u64 now_ns)
{
	return (__s64)(now_ns - then_ns) < (__s64)span_ns;
}

static __always_inline bool is_alive(const struct conversation *conversation, __u64 now_ns)
{
	return is_within(conversation->is_answered ? LULL_NS : ANSWER_NS, conversation->seen_ns, now_ns);
}

/* NULL: none is known, or not any more, or the packet is of those that have none. */
static __always_inline struct conversation *find_conversation(const struct question *question, __u64 now_ns)
{
	struct conversation *conversation;

	if (question->role == ROLE_NONE)
		return NULL;
	conversation = bpf_map_lookup_elem(&conversations, &question->conversation);
	if (!conversation || !is_alive(conversation, now_ns))
		conversation = bpf_map_lookup_elem(&crowded, &question->conversation);
	return conversation && is_alive(conversation, now_ns) ? conversation : NULL;
}

/* The very socket, or another of the same program and user: a server may answer from a socket for one peer alone. */
static __always_inline bool is_theirs(const struct question *question, const struct conversation *conversation)
{
	const struct attribution *whose = &question->whose;

	return conversation->exec_id != EXEC_ID_UNKNOWN && whose->owner.exec_id == conversation->exec_id &&
	       whose->owner.uid == conversation->uid;
}

/*
 * What came in to a port that nobody had is answered by nobody who is known: that may have bound it since. Where no hook
 * tells whose ports are, nobody is known of what comes in.
 */
static __always_inline bool may_be_theirs(const struct question *question, const struct conversation *conversation)
{
	if (conversation->exec_id != EXEC_ID_UNKNOWN)
		return is_theirs(question, conversation);
	return question->whose.owner.exec_id == EXEC_ID_UNKNOWN || !has_ports(question->flow.protocol);
}

static __always_inline bool is_from_them(struct __sk_buff *skb, struct question *question,
					 struct conversation *conversation)
{
	__u64 cookie = bpf_get_socket_cookie(skb);

	if (cookie == conversation->cookie)
		return true;
	attribute(skb, &question->flow, &question->whose);
	if (!may_be_theirs(question, conversation))
		return false;
	conversation->cookie = cookie;
	return true;
}

/*
 * A socket that is closed has left its port, which the next one may get where no hook tells (inet_autobind()). While
 * ports are lost it may not be the only one there.
 */
static __always_inline bool is_still_theirs(const struct settings *settings, const struct question *question,
					    const struct conversation *conversation)
{
	struct owned_socket *socket = bpf_map_lookup_elem(&sockets, &conversation->cookie);

	if (has_left(socket, question->flow.local_port))
		return false;
	if (settings->has_lost_listeners)
		return socket && socket->boundness == ALONE;
	return socket || conversation->exec_id == EXEC_ID_KERNEL;
}

/*
 * Early demux knows the socket if it is connected; to one of the kernel's own (L2TP's) no packet leads that leaves by it.
 * Whose a packet without ports is, nothing tells. A port that is shared has no one owner: user space finds who takes the
 * packet. One that no hook told of is a program's that only calls send().
 */
static __always_inline bool is_for_them(struct __sk_buff *skb, const struct settings *settings,
					struct question *question, const struct conversation *conversation)
{
	const struct attribution *whose = &question->whose;
	__u64 cookie = bpf_get_socket_cookie(skb);

	if (cookie)
		return cookie == conversation->cookie || (conversation->exec_id == EXEC_ID_KERNEL &&
							  is_kernel_socket(BPF_CORE_READ((struct sk_buff *)skb, sk)));
	if (!has_ports(question->flow.protocol))
		return true;
	attribute(skb, &question->flow, &question->whose);
	if (!whose->is_listening)
		return is_still_theirs(settings, question, conversation);
	return !(whose->cookie & GROUP) && (whose->cookie == conversation->cookie || is_theirs(question, conversation));
}

/* A datagram like one that was allowed a moment ago, by the same process and the same rules. */
static __always_inline bool is_repeated(const struct settings *settings, const struct question *question,
					const struct conversation *conversation, __u64 now_ns)
{
	return question->flow.direction == OUTBOUND && conversation->generation == settings->generation &&
	       is_within(SECOND_NS, conversation->judged_ns, now_ns) && conversation->pid == read_current_pid();
}

/* An answer to what was allowed, what follows after an answer, or one more of what was allowed just now. */
static __always_inline bool goes_on(struct __sk_buff *skb, const struct settings *settings, struct question *question,
				    struct conversation *conversation, __u64 now_ns)
{
	bool is_answer = conversation->begun_by != question->flow.direction;

	if (question->flow.direction == OUTBOUND &&
	    (conversation->is_watched || (conversation->is_own && !stays_here(skb)) ||
	     (conversation->interface && conversation->interface != read_interface(skb))))
		return false;
	if (question->role != ROLE_ANY && is_answer != (question->role == ROLE_ANSWERS))
		return false;
	if (!is_answer && !conversation->is_answered && !is_repeated(settings, question, conversation, now_ns))
		return false;
	if (question->flow.direction == OUTBOUND ? !is_from_them(skb, question, conversation)
						 : !is_for_them(skb, settings, question, conversation))
		return false;
	if (is_answer && !conversation->is_answered)
		conversation->is_answered = 1;
	/* Not for each packet: that would move the cache line from CPU to CPU. */
	if (!is_within(SECOND_NS, conversation->seen_ns, now_ns))
		conversation->seen_ns = now_ns;
	return true;
}

/*
 * The kernel sends by a program's port, too: what it puts into UDP for IPsec (RFC 3948), of which the program hands over
 * what comes. The port stays the program's, and so does what answers.
 */
static __always_inline bool is_by_their_port(const struct question *question, const struct conversation *known)
{
	return question->whose.owner.exec_id == EXEC_ID_KERNEL && question->flow.direction == OUTBOUND && known &&
	       known->exec_id != EXEC_ID_KERNEL && bpf_map_lookup_elem(&sockets, &known->cookie);
}

/*
 * Any user may begin as many as there is room for, with this machine itself, say, and then an answer to others would be
 * judged, as what nobody asked for. So those of whoever begins too many have a room of their own.
 */
__noinline bool is_one_of_many(const struct owner *owner, __u32 direction)
{
	struct crowd_key key = {.direction = direction};

	if (!owner)
		return false;
	key.exec_id = owner->exec_id <= EXEC_ID_KERNEL ? BEGINNERS - 1 - owner->exec_id : BEGINNERS;
	key.uid = share_of(owner->uid);
	return !has_place(&key, MOST_BEGUN);
}

static __always_inline void begin_conversation(const struct question *question, struct conversation *conversation)
{
	long problem;

	if (is_one_of_many(&question->whose.owner, question->flow.direction)) {
		bpf_map_delete_elem(&conversations, &question->conversation); /* it is found first */
		problem = bpf_map_update_elem(&crowded, &question->conversation, conversation, BPF_ANY);
	} else {
		problem = bpf_map_update_elem(&conversations, &question->conversation, conversation, BPF_ANY);
	}
	if (problem)
		count(LOST_CONVERSATIONS);
}

/* A packet was allowed: what answers it is welcome. */
static __always_inline void note_conversation(struct __sk_buff *skb, const struct settings *settings,
					      const struct question *question, struct conversation *known, __u64 now_ns)
{
	struct conversation conversation = {
		.cookie = question->whose.cookie,
		.exec_id = question->whose.owner.exec_id,
		.uid = question->whose.owner.uid,
		.seen_ns = now_ns,
		.judged_ns = now_ns,
		.generation = settings->generation,
		.pid = read_current_pid(),
		.begun_by = question->flow.direction,
		.is_watched = question->is_watched,
		.is_own = question->is_own,
		.interface = question->interface,
	};

	if (question->role == ROLE_NONE || question->role == ROLE_ANSWERS)
		return;
	if (is_by_their_port(question, known)) {
		known->seen_ns = now_ns;
		return;
	}
	conversation.is_local = is_by_loopback(skb, &question->flow);
	if (known && known->begun_by == conversation.begun_by && known->cookie == conversation.cookie) {
		conversation.is_answered = known->is_answered;
		*known = conversation;
		return;
	}
	begin_conversation(question, &conversation);
}

#endif
