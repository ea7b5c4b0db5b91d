// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Programs that are attached nowhere: user space runs them (BPF_PROG_TEST_RUN). on_sync writes what user space found out
 * about ports into the tables, with a `struct sync` in place of a packet. User space cannot do so itself: hooks change
 * the same counts at the same time on other CPUs, and only a program can add to them. So it is with on_sum.
 */
#include "identity/current.bpf.h"
#include "identity/passed_on.bpf.h"
#include "identity/listener.bpf.h"
#include "include/traffic.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* Not inlined: its type brings `struct sync` into the BTF, for the test of the layouts. */
static __noinline void replace_owner(struct sync *sync)
{
	struct owned_socket *known = bpf_map_lookup_elem(&sockets, &sync->cookie);
	struct owned_socket socket = {.owner = sync->owner, .boundness = BOUND, .is_given = 1};
	struct listener *listener = find_bound(sync->cookie);

	if (listener)
		hand_over(sync->cookie, listener, &sync->owner);
	if (known)
		give_socket(known, &sync->owner);
	else
		bpf_map_update_elem(&sockets, &sync->cookie, &socket, BPF_NOEXIST);
}

/* The daemon, which runs this. Its pid in the initial namespace is noted, which it may not know itself. */
static __always_inline void note_reader(void)
{
	struct settings *settings = find_settings();
	struct owner reader = {};

	read_current(&reader);
	if (settings)
		settings->reader = reader;
}

/* 1: a port was noted that was not known before. The caller must check then that the socket is still open. */
SEC("socket")
int on_sync(struct __sk_buff *skb)
{
	struct sync sync;

	if (bpf_skb_load_bytes(skb, 0, &sync, sizeof(sync)))
		return 0;
	if (sync.kind == SYNC_PORT)
		return note_listener(NULL, sync.cookie, &sync.key, &sync.owner, false);
	if (sync.kind == SYNC_END)
		forget_listener(sync.cookie);
	if (sync.kind == SYNC_OWNER)
		replace_owner(&sync);
	if (sync.kind == SYNC_READER)
		note_reader();
	return 0;
}

static long sum_next(void *map, struct flow_key *key, struct conversation *conversation, void *context)
{
	struct flow_key copy = *key; /* a function takes no memory that it must not write */

	sum_conversation(&copy, conversation);
	return 0;
}

/* Moves what all conversations carried since the last time. */
SEC("socket")
int on_sum(struct __sk_buff *skb)
{
	bpf_for_each_map_elem(&conversations, sum_next, NULL, 0);
	bpf_for_each_map_elem(&crowded, sum_next, NULL, 0);
	return 0;
}
