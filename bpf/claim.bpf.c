// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What user space found out about ports, written here: the hooks change the same numbers at the same time, on another
 * CPU, and only a program can add to them. No packet comes here but the claim itself (BPF_PROG_TEST_RUN).
 */
#include "current.bpf.h"
#include "handover.bpf.h"
#include "listener.bpf.h"

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

/* Who runs this. By its pid of the first namespace, which it may not know itself. */
static __always_inline void note_reader(void)
{
	struct settings *settings = find_settings();
	struct owner reader = {};

	read_current(&reader);
	if (settings)
		settings->reader = reader;
}

/* Whether the port was not known to be the socket's: see that it is still open then. */
SEC("socket")
int on_claim(struct __sk_buff *skb)
{
	struct claim claim;

	if (bpf_skb_load_bytes(skb, 0, &claim, sizeof(claim)))
		return 0;
	if (claim.kind == CLAIM_PORT)
		return note_listener(NULL, claim.cookie, &claim.key, &claim.owner);
	if (claim.kind == CLAIM_END)
		forget_listener(claim.cookie);
	if (claim.kind == CLAIM_OWNER)
		replace_owner(&claim);
	if (claim.kind == CLAIM_READER)
		note_reader();
	return 0;
}
