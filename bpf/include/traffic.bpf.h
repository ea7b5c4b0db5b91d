/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sums up what was decided and what it carried, in rows that user space takes away: no connection costs an event. No
 * verdict depends on it. There are two tables, in turns: user space begins a turn, and reads the rows of the one before
 * once no program writes them any more. A row that finds no room is counted.
 */
#ifndef TRAFFIC_BPF_H
#define TRAFFIC_BPF_H

#include "include/flow.bpf.h"
#include "include/quota.bpf.h"

#define SUMMED (~3ULL) /* in place of an exec id, in `quotas`: who has rows */
#define TRAFFIC_TICK_NS 100000000ULL

static __always_inline struct traffic *find_row(bool is_odd, const struct traffic_key *key)
{
	return is_odd ? bpf_map_lookup_elem(&traffic_odd, key) : bpf_map_lookup_elem(&traffic_even, key);
}

static __always_inline long add_row(bool is_odd, const struct traffic_key *key, const struct traffic *row)
{
	return is_odd ? bpf_map_update_elem(&traffic_odd, key, row, BPF_NOEXIST)
		      : bpf_map_update_elem(&traffic_even, key, row, BPF_NOEXIST);
}

/* In the ring's own memory: there is no room for it on the stack. */
static __always_inline void tell_of_traffic(void)
{
	struct trace_event *event = bpf_ringbuf_reserve(&traces, sizeof(*event), 0);

	if (!event) {
		count(LOST_TRACES);
		return;
	}
	__builtin_memset(event, 0, sizeof(*event));
	event->kind = TRACE_TRAFFIC;
	bpf_ringbuf_submit(event, 0);
}

/* Tells user space, once, that there will be rows to take away. */
static __always_inline void await_user_space(struct settings *settings)
{
	if (!settings->is_awaited && !__sync_lock_test_and_set(&settings->is_awaited, 1))
		tell_of_traffic();
}

/* Whether the user may have one more in this turn. Else one user could take the room of all. */
static __always_inline bool may_have_row(__u32 uid, __u32 turn)
{
	struct quota_key key = {.exec_id = SUMMED, .uid = share_of(uid)};

	return has_place_at(&key, TRAFFIC_OF_ONE, turn);
}

static __always_inline void note_new_row(struct settings *settings)
{
	if (__sync_fetch_and_add(&settings->traffic_rows, 1) == TRAFFIC_MANY)
		tell_of_traffic();
	await_user_space(settings);
}

/*
 * `key`: on the caller's own stack (find_noted_verdict()). `now_ns`: tracing programs can read the exact clock alone.
 * True: it found room. Inlined, since Linux 6.1 takes 32 bytes of the stack for each further function that is called.
 */
static __always_inline bool add_to_row(const struct traffic_key *key, __u32 connections, __u64 bytes_in,
				       __u64 bytes_out, __u64 now_ns)
{
	struct settings *settings = find_settings();
	struct traffic *row;
	bool is_odd;

	if (!settings)
		return false;
	is_odd = settings->traffic_turn & 1;
	row = find_row(is_odd, key);
	if (!row) {
		struct traffic first = {connections, bytes_in, bytes_out, now_ns, now_ns};

		if (may_have_row(key->uid, settings->traffic_turn) && !add_row(is_odd, key, &first)) {
			note_new_row(settings);
			return true;
		}
		row = find_row(is_odd, key); /* another CPU may have added it just now */
	}
	if (!row) {
		if (connections)
			count(LOST_TRAFFIC);
		return false;
	}
	if (connections)
		__sync_fetch_and_add(&row->connections, connections);
	if (bytes_in)
		__sync_fetch_and_add(&row->bytes_in, bytes_in);
	if (bytes_out)
		__sync_fetch_and_add(&row->bytes_out, bytes_out);
	if ((__s64)(now_ns - row->last_ns) > (__s64)TRAFFIC_TICK_NS) /* each write moves the cache line between CPUs */
		row->last_ns = now_ns;
	return true;
}

/* The same for callers that have no room on their stacks. Not inlined, so that the verifier checks it once. */
__noinline bool add_traffic(const struct traffic_key *added, __u32 connections, __u64 bytes_in, __u64 bytes_out,
			    __u64 now_ns)
{
	struct traffic_key key;

	if (!added)
		return false;
	key = *added;
	return add_to_row(&key, connections, bytes_in, bytes_out, now_ns);
}

/* The row of a conversation. `key`: its own, as in `conversations`. */
static __always_inline void name_row(const struct flow_key *key, const struct conversation *conversation,
				     struct traffic_key *row)
{
	row->program = conversation->program;
	row->uid = conversation->uid;
	row->rule = conversation->rule;
	row->verdict = VERDICT_ALLOW;
	row->protocol = key->protocol;
	row->direction = conversation->begun_by;
	if (has_ports(key->protocol))
		row->port = conversation->begun_by == OUTBOUND ? key->remote_port : key->local_port;
	__builtin_memcpy(row->remote, key->remote, sizeof(row->remote));
}

/*
 * Moves what a conversation carried, and the conversation itself if it is new, into its row. Not
 * inlined, so that the verifier checks it once. True: there was something.
 */
__noinline bool sum_conversation(const struct flow_key *key, struct conversation *conversation)
{
	struct traffic_key row = {};
	__u64 bytes_in, bytes_out;
	__u32 is_new;

	if (!key || !conversation || (!conversation->is_new && !conversation->bytes_in && !conversation->bytes_out))
		return false;
	name_row(key, conversation, &row);
	is_new = __sync_lock_test_and_set(&conversation->is_new, 0);
	bytes_in = __sync_lock_test_and_set(&conversation->bytes_in, 0);
	bytes_out = __sync_lock_test_and_set(&conversation->bytes_out, 0);
	add_to_row(&row, is_new, bytes_in, bytes_out, bpf_ktime_get_coarse_ns());
	return true;
}

#endif
