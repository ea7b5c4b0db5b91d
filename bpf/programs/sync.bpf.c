// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Writes what user space found out about ports into the tables. User space cannot do so itself: hooks change the same
 * counts at the same time on other CPUs, and only a program can add to them. It is attached nowhere: user space runs it
 * with a claim in place of a packet (BPF_PROG_TEST_RUN).
 */
#include "identity/current.bpf.h"
#include "identity/handover.bpf.h"
#include "identity/listener.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* Not inlined: its type brings `struct claim` into the BTF, for the test of the layouts. */
static __noinline void replace_owner(struct claim *claim)
{
	struct owned_socket *known = bpf_map_lookup_elem(&sockets, &claim->cookie);
	struct owned_socket socket = {.owner = claim->owner, .boundness = BOUND, .is_given = 1};
	struct listener *listener = find_bound(claim->cookie);

	if (listener)
		hand_over(claim->cookie, listener, &claim->owner);
	if (known)
		give_socket(known, &claim->owner);
	else
		bpf_map_update_elem(&sockets, &claim->cookie, &socket, BPF_NOEXIST);
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
int on_claim(struct __sk_buff *skb)
{
	struct claim claim;

	if (bpf_skb_load_bytes(skb, 0, &claim, sizeof(claim)))
		return 0;
	if (claim.kind == CLAIM_PORT)
		return note_listener(NULL, claim.cookie, &claim.key, &claim.owner, false);
	if (claim.kind == CLAIM_END)
		forget_listener(claim.cookie);
	if (claim.kind == CLAIM_OWNER)
		replace_owner(&claim);
	if (claim.kind == CLAIM_READER)
		note_reader();
	return 0;
}
