/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a packet is, whose it is, and which verdict is remembered for it. */
#ifndef LOOKUP_BPF_H
#define LOOKUP_BPF_H

#include "verdict/conntrack.bpf.h"
#include "verdict/cache.bpf.h"

/* allow_bit() in kernel/netfilter/rules.py */
#define ALLOW_MARK 0x10000000
#define SCOPED_ALLOW_MARK 0x08000000

/* Whether our user space has seen this very packet, and let it go on. */
static __always_inline bool is_seen(const struct __sk_buff *skb, const struct settings *settings)
{
	return skb->mark & (settings->is_scoped ? SCOPED_ALLOW_MARK : ALLOW_MARK);
}

/* False: the packet is malformed. */
static __always_inline bool read_question(struct __sk_buff *skb, __u8 direction, struct question *question)
{
	struct transport transport = {};

	question->flow.direction = direction;
	if (!parse_packet(skb, &question->flow, &transport, &question->role))
		return false;
	question->transport = transport.offset;
	question->is_headless = transport.is_missing;
	if (question->role != ROLE_NONE)
		name_conversation(skb, question);
	return true;
}

/* Whether this is a held packet that walks the chain again: it does so within a call of the daemon that decided it. */
static __always_inline bool is_walking_again(void)
{
	struct settings *settings = find_settings();
	struct owner current = {};

	if (!settings || settings->reader.pid != read_current_pid())
		return false;
	read_current(&current);
	return is_same_process(&settings->reader, &current);
}

/*
 * Finds the owner. While a packet is held its socket may be closed, and then is no more in `sockets`; or another
 * program may use it. The entry of the flow still tells whose the packet was. It is looked up last, since most packets
 * do not need it.
 */
static __always_inline void find_whose(struct __sk_buff *skb, struct question *question)
{
	struct owner noted;
	struct flow_entry *flow;

	if (attribute(skb, &question->flow, &question->whose) &&
	    (question->flow.direction == INBOUND || !is_walking_again()))
		return;
	flow = bpf_map_lookup_elem(&flows, &question->flow);
	if (flow) {
		noted = flow->owner;
		barrier();
		if (flow->cookie == question->whose.cookie && noted.exec_id != EXEC_ID_UNKNOWN)
			question->whose.owner = noted;
	}
	if (question->flow.direction == INBOUND)
		forget_stale(&question->whose.owner);
}

/*
 * Scoped: whether the packet is none of the scope's. If it comes in, it is to a port of others. If it leaves, it is a
 * tunnel's: the packet inside was judged when the program sent it. But what SCTP puts into UDP (RFC 6951) was not
 * (sctp_v4_xmit()).
 */
static __always_inline bool is_of_others(struct __sk_buff *skb, const struct question *question)
{
	const struct attribution *whose = &question->whose;

	if (question->flow.direction == INBOUND)
		return !whose->is_listening;
	return whose->owner.exec_id == EXEC_ID_KERNEL && !whose->cookie &&
	       BPF_CORE_READ((struct sk_buff *)skb, sk, sk_protocol) != SCTP;
}

/*
 * The verdict for connections like this one, with its rule. Not inlined, so that the verifier checks it once and not for each caller,
 * and its keys take no room on their stacks.
 */
__noinline __u32 find_verdict_of_process(const struct flow_key *flow, const struct owner *owner, __u64 *program)
{
	struct verdict_key key = {};
	__u32 found;

	if (!flow || !owner || !program)
		return VERDICT_NONE;
	key.program = owner->exec_id;
	key.uid = owner->uid;
	key.protocol = flow->protocol;
	key.mask = flow->direction;
	__builtin_memcpy(key.remote, flow->remote, sizeof(key.remote));
	if (has_ports(flow->protocol))
		key.port = flow->direction == OUTBOUND ? flow->remote_port : flow->local_port;
	found = find_verdict(&key);
	*program = key.program;
	return found;
}

/*
 * The verdict for this very flow with its rule, in the lower half. In the upper half the interface that the flow was last tied to,
 * whether that verdict still holds or not.
 */
__noinline __u64 find_noted_verdict(const struct flow_key *asked, const struct owner *owner, __u64 cookie)
{
	struct settings *settings = find_settings();
	struct displaced_key key = {.cookie = cookie};
	struct flow_entry *flow;
	__u64 noted;

	if (!settings || !asked || !owner)
		return VERDICT_NONE;
	key.flow = *asked; /* Linux 6.1 takes no memory of a caller as a key (map_key_value_types, verifier.c) */
	flow = bpf_map_lookup_elem(&flows, &key.flow);
	if (flow && flow->cookie != cookie)
		flow = bpf_map_lookup_elem(&displaced, &key);
	if (!flow)
		return VERDICT_NONE;
	noted = (__u64)flow->interface << 32;
	if (is_current(settings, flow->generation, flow->expires_ns))
		noted |= flow->verdict | (flow->rule & 0xffff) << 16;
	barrier();
	return flow->cookie == cookie && is_same_program(&flow->owner, owner) ? noted : VERDICT_NONE;
}

/* VERDICT_NONE also for a packet that was allowed by another interface alone. */
static __always_inline enum verdict find_verdict_for_flow(struct __sk_buff *skb, struct question *question)
{
	__u64 noted = find_noted_verdict(&question->flow, &question->whose.owner, question->whose.cookie);
	enum verdict verdict = VERDICT_OF((__u32)noted);

	question->program = question->whose.owner.exec_id;
	question->rule = RULE_OF((__u32)noted);
	question->noted_interface = noted >> 32;
	if (!question->noted_interface || verdict == VERDICT_NONE || verdict == VERDICT_DENY || !skb)
		return verdict;
	question->has_strayed = question->noted_interface != read_interface(skb);
	question->interface = question->noted_interface;
	return question->has_strayed ? VERDICT_NONE : verdict;
}

/*
 * Whether the packet comes to a UDP port of several programs, and user space has not looked who takes it. An earlier one
 * between the same ends may have gone to another socket: no hook tells when one of them is disconnected
 * (udp_disconnect()), and gets what comes to the port again. A multicast goes to all of them, whoever is looked up.
 */
static __always_inline bool is_anybodys(struct __sk_buff *skb, const struct settings *settings,
					const struct question *question)
{
	return skb && (question->whose.cookie & GROUP) && question->flow.protocol == UDP && !is_seen(skb, settings) &&
	       !is_for_many(question->flow.local);
}

/*
 * The verdict for this very flow comes first: two names may lead to one address, and the verdict for the process goes
 * by the address alone. As that look-up takes 150 ns, it is made first only if there are such verdicts. `skb` NULL: the
 * packet at hand is not the one that was judged, so its interface does not matter.
 */
static __always_inline enum verdict find_verdict_for(struct __sk_buff *skb, const struct settings *settings,
						     struct question *question)
{
	enum verdict verdict = VERDICT_NONE;

	if (settings->flow_generation == settings->generation)
		verdict = find_verdict_for_flow(skb, question);
	if (verdict == VERDICT_NONE) {
		__u32 found = find_verdict_of_process(&question->flow, &question->whose.owner, &question->program);

		verdict = VERDICT_OF(found);
		question->rule = RULE_OF(found);
	}
	if (verdict == VERDICT_NONE)
		verdict = find_verdict_for_flow(skb, question);
	return verdict != VERDICT_DENY && is_anybodys(skb, settings, question) ? VERDICT_NONE : verdict;
}

/*
 * Before the entry of a flow is overwritten: keeps a verdict that another socket has there. Without it two held packets
 * of one flow would overwrite each other's verdict for ever, since each is a miss when it walks the chain again.
 */
__noinline bool keep_decision(const struct flow_key *asked, __u64 cookie)
{
	struct displaced_key key = {};
	struct flow_entry *flow;

	if (!asked)
		return false;
	key.flow = *asked;
	flow = bpf_map_lookup_elem(&flows, &key.flow);
	if (!flow || flow->cookie == cookie || flow->verdict == VERDICT_NONE)
		return false;
	key.cookie = flow->cookie;
	return !bpf_map_update_elem(&displaced, &key, flow, BPF_ANY);
}

/*
 * Whether this is a SYN whose socket has given up while it was held: nobody waits for the connection any more. A raw
 * socket is always in that state.
 */
static __always_inline bool is_given_up(struct __sk_buff *skb, const struct question *question)
{
	return question->flow.direction == OUTBOUND && question->flow.protocol == TCP && is_closed(skb->sk) &&
	       BPF_CORE_READ((struct sk_buff *)skb, sk, sk_type) != SOCK_RAW;
}

/* Notes whose the flow is. For a packet that has strayed the entry is there, and holds for those that have not. */
static __always_inline void write_flow(const struct question *question)
{
	struct flow_entry flow = {
		.cookie = question->whose.cookie,
		.owner = question->whose.owner,
		.interface = question->noted_interface,
	};

	if (question->has_strayed)
		return;
	keep_decision(&question->flow, question->whose.cookie);
	if (bpf_map_update_elem(&flows, &question->flow, &flow, BPF_ANY))
		count(LOST_FLOWS);
}

#endif
