/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tells packets that answer what was allowed, for all protocols but TCP, where flags tell. Conntrack could tell too,
 * but costs 3 to 5 us a connection, also of TCP, and gives the answer to any socket that has the port by now.
 */
#ifndef CONNTRACK_BPF_H
#define CONNTRACK_BPF_H

#include "verdict/egress_local.bpf.h"
#include "identity/attribution.bpf.h"
#include "include/packet.bpf.h"
#include "include/traffic.bpf.h"

#define SECOND_NS 1000000000ULL
#define TRANSPORT_SIZE 8 /* of UDP's header (RFC 768), and of ICMP's (RFC 792) */
#define MOST_BEGUN 32    /* by one user in a moment: no more than a quarter of the table's room within ANSWER_NS */

/* A packet that is judged. */
struct question {
	struct flow_key flow;
	struct attribution whose;
	struct flow_key conversation; /* `flow` with direction 0, and with ports even where rules know none */
	enum packet_role role;
	__u32 transport;       /* where the transport header begins */
	bool is_headless;      /* a fragment that is not the first, and has no transport header */
	bool is_watched;       /* a datagram that is to be read before it goes on */
	bool is_own;           /* the remote is this machine; set where no conversation goes on */
	bool has_strayed;      /* it leaves by another interface than the one that its verdict is for */
	__u32 interface;       /* the one that its verdict is for; 0: any */
	__u32 rule;            /* that made its verdict; 0: not known */
	__u64 program;         /* under which its verdict was found; as in a traffic_key */
	__u32 noted_interface; /* the one that its flow was last tied to, whether that verdict still holds or not */
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

/* Signed: `then_ns` is later than `now_ns` if another CPU has seen a packet since this one read the clock. */
static __always_inline bool is_within(__u64 span_ns, __u64 then_ns, __u64 now_ns)
{
	return (__s64)(now_ns - then_ns) < (__s64)span_ns;
}

static __always_inline bool is_alive(const struct conversation *conversation, __u64 now_ns)
{
	return is_within(conversation->is_answered ? LULL_NS : ANSWER_NS, conversation->seen_ns, now_ns);
}

/* NULL: none is known, it has ended, or the packet belongs to none. */
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

/*
 * Whether the same program and user sends, be it by another socket: a server may answer from one for this peer alone.
 */
static __always_inline bool is_of_its_program(const struct question *question, const struct conversation *conversation)
{
	const struct attribution *whose = &question->whose;

	return conversation->exec_id != EXEC_ID_UNKNOWN && whose->owner.exec_id == conversation->exec_id &&
	       whose->owner.uid == conversation->uid;
}

/*
 * If the packet that was allowed came in to a port that no program was known to have, no known program may answer it:
 * that may have bound the port since. But of protocols whose ports no hook tells of, no program is ever known of what
 * comes in.
 */
static __always_inline bool may_be_of_its_program(const struct question *question,
						  const struct conversation *conversation)
{
	if (conversation->exec_id != EXEC_ID_UNKNOWN)
		return is_of_its_program(question, conversation);
	return question->whose.owner.exec_id == EXEC_ID_UNKNOWN || !has_ports(question->flow.protocol);
}

/* Outbound: whether the socket or the program of the conversation sends this. */
static __always_inline bool is_from_its_owner(struct __sk_buff *skb, struct question *question,
					      struct conversation *conversation)
{
	__u64 cookie = bpf_get_socket_cookie(skb);

	if (cookie == conversation->cookie)
		return true;
	attribute(skb, &question->flow, &question->whose);
	if (!may_be_of_its_program(question, conversation))
		return false;
	conversation->cookie = cookie;
	return true;
}

/*
 * Whether the socket of the conversation still has the port. A closed one has not, and the next socket may get the port
 * without a hook (inet_autobind()). If another socket may have found no room in the tables it must also be alone on it.
 */
static __always_inline bool still_has_port(const struct question *question, const struct conversation *conversation)
{
	struct owned_socket *socket = bpf_map_lookup_elem(&sockets, &conversation->cookie);

	if (has_left(socket, question->flow.local_port))
		return false;
	if (read_lost(question->flow.local_port))
		return socket && socket->boundness == ALONE;
	return socket || conversation->exec_id == EXEC_ID_KERNEL;
}

/*
 * Inbound: whether the packet comes to the socket or the program of the conversation.
 * - Early demux knows the socket if it is connected. The conversation of a socket of the kernel's own (L2TP's) is noted
 *   without its cookie.
 * - Nothing tells whose a packet without ports is: it may pass.
 * - If several programs share the port, user space finds which of them takes the packet.
 * - If no hook told of the port, a program got it that only calls send().
 */
static __always_inline bool is_for_its_owner(struct __sk_buff *skb, struct question *question,
					     const struct conversation *conversation)
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
		return still_has_port(question, conversation);
	return !(whose->cookie & GROUP) &&
	       (whose->cookie == conversation->cookie || is_of_its_program(question, conversation));
}

/* Whether this is sent by the process that sent the one before, which the same rules allowed less than a second ago. */
static __always_inline bool is_repeated(const struct settings *settings, const struct question *question,
					const struct conversation *conversation, __u64 now_ns)
{
	return question->flow.direction == OUTBOUND && conversation->generation == settings->generation &&
	       is_within(SECOND_NS, conversation->judged_ns, now_ns) && conversation->pid == read_current_pid();
}

/* In the payload: of the transport header only those of the shortest is taken off, as UDP and ICMP have it. */
static __always_inline __u32 measure_payload(const struct __sk_buff *skb, const struct question *question)
{
	__u32 headers = question->transport + TRANSPORT_SIZE;

	return skb->len > headers ? skb->len - headers : 0;
}

/* Once for each packet: what only checks it again does not (late_check.bpf.h). */
static __always_inline void carry(const struct __sk_buff *skb, const struct question *question,
				  struct conversation *conversation)
{
	__u64 *bytes = question->flow.direction == OUTBOUND ? &conversation->bytes_out : &conversation->bytes_in;

	__sync_fetch_and_add(bytes, measure_payload(skb, question));
}

/* Whether the packet may pass as an answer, as a packet after an answer, or as one more of what was just allowed. */
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
	if (question->flow.direction == OUTBOUND ? !is_from_its_owner(skb, question, conversation)
						 : !is_for_its_owner(skb, question, conversation))
		return false;
	if (is_answer && !conversation->is_answered)
		conversation->is_answered = 1;
	/* Once a second, not for each packet: that would move the cache line from CPU to CPU. */
	if (!is_within(SECOND_NS, conversation->seen_ns, now_ns))
		conversation->seen_ns = now_ns;
	return true;
}

/*
 * Whether the kernel sends from a program's port: so it does for IPsec in UDP (RFC 3948), where the program hands over
 * what comes in. The conversation stays the program's, so that answers go to it.
 */
static __always_inline bool is_from_its_port(const struct question *question, const struct conversation *known)
{
	return question->whose.owner.exec_id == EXEC_ID_KERNEL && question->flow.direction == OUTBOUND && known &&
	       known->exec_id != EXEC_ID_KERNEL && bpf_map_lookup_elem(&sockets, &known->cookie);
}

/*
 * Whether the user begins too many conversations. Any user could fill the table, by datagrams to this machine itself,
 * say, and then answers to others would be judged as if nobody had asked. So those beyond MOST_BEGUN go into a table of
 * their own.
 */
__noinline bool is_one_of_many(const struct owner *owner, __u32 direction)
{
	struct quota_key key = {.direction = direction};

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
		bpf_map_delete_elem(&conversations, &question->conversation); /* that would be found first */
		problem = bpf_map_update_elem(&crowded, &question->conversation, conversation, BPF_ANY);
	} else {
		problem = bpf_map_update_elem(&conversations, &question->conversation, conversation, BPF_ANY);
	}
	if (problem)
		count(LOST_CONVERSATIONS);
}

/*
 * Counts a connection; with the payload of this packet, unless that is a SYN or denied. Not inlined, so that its key
 * takes no room on the stacks of its callers. True: it found room.
 */
__noinline bool add_connection(struct __sk_buff *skb, const struct question *question, __u32 verdict)
{
	struct traffic_key key = {.verdict = verdict};
	const struct flow_key *flow;
	__u64 size = 0;

	if (!question)
		return false;
	flow = &question->flow;
	if (flow->protocol != TCP && verdict == VERDICT_ALLOW)
		size = measure_payload(skb, question);
	key.program = question->program;
	key.uid = question->whose.owner.uid;
	key.rule = question->rule;
	key.protocol = flow->protocol;
	key.direction = flow->direction;
	if (has_ports(flow->protocol))
		key.port = flow->direction == OUTBOUND ? flow->remote_port : flow->local_port;
	__builtin_memcpy(key.remote, flow->remote, sizeof(key.remote));
	return add_to_row(&key, 1, flow->direction == INBOUND ? size : 0, flow->direction == OUTBOUND ? size : 0,
			  read_conversation_clock());
}

static __always_inline bool is_begun_by(const struct conversation *known, const struct question *question)
{
	return known && known->begun_by == question->flow.direction && known->cookie == question->whose.cookie;
}

/*
 * `known`: NULL if it begins. Not inlined: with it the callers' stacks would be too large for what attribute() calls.
 */
static __noinline __attribute__((unused)) void write_conversation(struct __sk_buff *skb, struct settings *settings,
								  const struct question *question,
								  struct conversation *known, __u64 now_ns)
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
		.is_local = is_by_loopback(skb, &question->flow),
		.program = question->program,
		.rule = question->rule,
		.is_new = 1,
	};

	carry(skb, question, &conversation);
	if (!known) {
		begin_conversation(question, &conversation);
		await_user_space(settings);
		return;
	}
	conversation.is_answered = known->is_answered;
	conversation.is_new = known->is_new;
	conversation.bytes_in += __sync_lock_test_and_set(&known->bytes_in, 0);
	conversation.bytes_out += __sync_lock_test_and_set(&known->bytes_out, 0);
	*known = conversation;
}

/* A packet was allowed: from now on what answers it may pass. `known`: its conversation, if there is one. */
static __always_inline void note_conversation(struct __sk_buff *skb, struct settings *settings,
					      const struct question *question, struct conversation *known, __u64 now_ns)
{
	if (question->role == ROLE_NONE || question->role == ROLE_ANSWERS) {
		if (question->flow.protocol != TCP)
			add_connection(skb, question, VERDICT_ALLOW);
		return;
	}
	if (is_from_its_port(question, known)) {
		known->seen_ns = now_ns;
		carry(skb, question, known);
		return;
	}
	if (known && !is_begun_by(known, question)) {
		sum_conversation(&question->conversation, known);
		known = NULL;
	}
	write_conversation(skb, settings, question, known, now_ns);
}

#endif
