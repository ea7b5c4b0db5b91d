/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When a connected UDP socket is closed its conversation ends: the next socket at that port has another one. Else the
 * table would be full of ended ones, and to begin a conversation, which evicts the oldest, would cost three times as
 * much.
 */
#ifndef CONNTRACK_END_BPF_H
#define CONNTRACK_END_BPF_H

#include "include/traffic.bpf.h"
#include "identity/owner.bpf.h"

#include <bpf/bpf_endian.h>

/* The key that name_conversation() makes of its packets. False: it is not connected. */
static __always_inline bool name_connection(struct bpf_sock *ctx, struct flow_key *key)
{
	struct sock *sk = (struct sock *)ctx; /* for the fields that the context does not show here */

	key->protocol = UDP;
	key->remote_port = bpf_ntohs(ctx->dst_port);
	if (!key->remote_port)
		return false;
	key->local_port = BPF_CORE_READ(sk, __sk_common.skc_num);
	if (ctx->family == AF_INET) {
		map_v4(key->local, BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr));
		map_v4(key->remote, ctx->dst_ip4);
	} else {
		READ_V6(&key->local, sk, skc_v6_rcv_saddr);
		READ_V6(&key->remote, sk, skc_v6_daddr);
	}
	return true;
}

static __always_inline void end_conversation(struct bpf_sock *sk, __u64 cookie)
{
	struct flow_key key = {.direction = OUTBOUND};
	struct conversation *conversation;

	if (!name_connection(sk, &key))
		return;
	conversation = bpf_map_lookup_elem(&conversations, &key);
	if (conversation && conversation->begun_by == OUTBOUND && conversation->cookie == cookie) {
		sum_conversation(&key, conversation);
		bpf_map_delete_elem(&conversations, &key);
	}
	conversation = bpf_map_lookup_elem(&crowded, &key);
	if (conversation && conversation->begun_by == OUTBOUND && conversation->cookie == cookie) {
		sum_conversation(&key, conversation);
		bpf_map_delete_elem(&crowded, &key);
	}
}

#endif
