/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whose packet: from the socket that sent it, or the one that listens for it. */
#ifndef ATTRIBUTION_BPF_H
#define ATTRIBUTION_BPF_H

#include "remembered.bpf.h"
#include "sender.bpf.h"

#include <bpf/bpf_core_read.h>

#define TCP_TIME_WAIT 6
#define TCP_NEW_SYN_RECV 12

struct attribution {
	struct owner owner;
	__u64 cookie; /* 0: no socket */
	bool is_listening;
};

static __always_inline void blame_kernel(struct attribution *attribution)
{
	attribution->owner = (struct owner){.exec_id = EXEC_ID_KERNEL};
}

static __always_inline bool find_owner(__u64 cookie, struct owner *owner)
{
	struct owned_socket *socket = bpf_map_lookup_elem(&sockets, &cookie);
	struct owner *known = socket ? &socket->owner : bpf_map_lookup_elem(&released, &cookie);

	if (!known)
		return false;
	*owner = *known;
	return true;
}

/*
 * A socket that the kernel made for itself. Read past the verifier, from the real sk_buff that a socket filter's
 * context is (net/core/filter.c, sk_filter_func_proto): __sk_buff shows no sk_kern_sock. Time-wait and request
 * sockets are shorter than struct sock.
 */
static __always_inline bool is_kernel_socket(struct sock *sk)
{
	unsigned char state = BPF_CORE_READ(sk, __sk_common.skc_state);

	if (state == TCP_TIME_WAIT || state == TCP_NEW_SYN_RECV)
		return false;
	return BPF_CORE_READ_BITFIELD_PROBED(sk, sk_kern_sock);
}

/*
 * MPTCP and SMC send a program's data through TCP sockets of the kernel's own (mptcp_subflow_create_socket(),
 * smc_create_clcsk()). Those of MPTCP lead back to the program's socket; those of SMC stay unknown.
 */
static __always_inline bool is_borrowed(struct sock *sk, __u8 protocol, struct owner *owner)
{
	struct tcp_sock *tcp = (struct tcp_sock *)sk;
	struct mptcp_subflow_context *subflow;

	if (protocol != TCP)
		return false;
	if (bpf_core_field_exists(tcp->syn_smc) && BPF_CORE_READ_BITFIELD_PROBED(tcp, syn_smc))
		return true;
	if (!bpf_core_field_exists(tcp->is_mptcp) || !BPF_CORE_READ(tcp, is_mptcp))
		return false;
	subflow = BPF_CORE_READ(tcp, inet_conn.icsk_ulp_data);
	find_owner(BPF_CORE_READ(subflow, conn, __sk_common.skc_cookie.counter), owner);
	return true;
}

/* A kernel thread that connects a socket of the kernel is noted as unknown by connect's hook: look closer then too. */
static __always_inline void attribute_outbound(struct __sk_buff *skb, __u8 protocol, struct attribution *attribution)
{
	struct sock *sk;

	attribution->cookie = bpf_get_socket_cookie(skb);
	if (!attribution->cookie) {
		blame_kernel(attribution);
		return;
	}
	find_owner(attribution->cookie, &attribution->owner);
	if (protocol != TCP) /* a SYN is of who called connect(), whoever runs when it is sent again */
		correct_sender(skb, attribution->cookie, &attribution->owner);
	if (attribution->owner.exec_id != EXEC_ID_UNKNOWN)
		return;
	sk = BPF_CORE_READ((struct sk_buff *)skb, sk);
	if (is_kernel_socket(sk) && !is_borrowed(sk, protocol, &attribution->owner))
		blame_kernel(attribution);
}

/* The exact local address, then any of the family, then any at all. */
static __always_inline struct listener *find_listener(const struct flow_key *flow)
{
	struct listener_key key = {.port = flow->local_port, .protocol = flow->protocol};
	const __u32 *local = (const __u32 *)flow->local;
	struct listener *listener;

	__builtin_memcpy(key.address, flow->local, sizeof(key.address));
	listener = bpf_map_lookup_elem(&listeners, &key);
	if (listener)
		return listener;
	if (!local[0] && !local[1] && local[2] == bpf_htonl(0xffff)) {
		map_v4(key.address, 0);
		listener = bpf_map_lookup_elem(&listeners, &key);
		if (listener)
			return listener;
	}
	__builtin_memset(key.address, 0, sizeof(key.address));
	return bpf_map_lookup_elem(&listeners, &key);
}

static __always_inline void attribute_inbound(struct __sk_buff *skb, const struct flow_key *flow,
					      struct attribution *attribution)
{
	struct listener *listener;

	if (!has_ports(flow->protocol)) {
		blame_kernel(attribution);
		return;
	}
	/* Early demux (net.ipv4.ip_early_demux) has found a connected socket already: of a flow that conntrack forgot. */
	attribution->cookie = bpf_get_socket_cookie(skb);
	if (attribution->cookie && find_owner(attribution->cookie, &attribution->owner)) {
		attribution->is_listening = true;
		return;
	}
	listener = find_listener(flow);
	attribution->cookie = 0;
	attribution->is_listening = listener;
	if (!listener || listener->is_shared)
		return;
	attribution->cookie = listener->cookie;
	if (!find_owner(listener->cookie, &attribution->owner))
		attribution->owner = listener->owner;
}

#endif
