/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owners, and sockets that nobody owns as they are. */
#ifndef OWNER_BPF_H
#define OWNER_BPF_H

#include "remembered.bpf.h"

#include <bpf/bpf_core_read.h>

#define DESCRIPTORS 1024 /* searched at most: RLIMIT_NOFILE's usual soft limit */
#define MPTCP 262
#define TCP_SYN_SENT 2
#define TCP_TIME_WAIT 6
#define TCP_CLOSE 7
#define TCP_LISTEN 10
#define TCP_NEW_SYN_RECV 12

/* One of skc_v6_daddr and skc_v6_rcv_saddr; nothing is written where the kernel was built without IPv6. */
#define READ_V6(to, sk, field)                                                                                         \
	do {                                                                                                           \
		if (bpf_core_field_exists((sk)->__sk_common.field))                                                    \
			BPF_CORE_READ_INTO(to, sk, __sk_common.field);                                                 \
	} while (0)

static __always_inline bool is_same_process(const struct owner *a, const struct owner *b)
{
	return a->pid == b->pid && a->started_ns == b->started_ns;
}

/* Whatever process of it. */
static __always_inline bool is_same_program(const struct owner *a, const struct owner *b)
{
	return a->exec_id == b->exec_id && a->uid == b->uid;
}

static __always_inline bool is_same_owner(const struct owner *a, const struct owner *b)
{
	return is_same_program(a, b) && is_same_process(a, b);
}

/* Odd, so that whoever comes and goes four billion times does not make it 0. */
static __always_inline void note_change(struct listener *listener)
{
	__sync_fetch_and_add(&listener->is_shared, 2);
	__sync_fetch_and_or(&listener->is_shared, 1);
}

/* Shorter than struct sock, and no program's to use. */
static __always_inline bool is_short(const struct bpf_sock *sk)
{
	return sk->state == TCP_TIME_WAIT || sk->state == TCP_NEW_SYN_RECV;
}

/* It gave up while its SYN was held. */
static __always_inline bool is_closed(const struct bpf_sock *sk)
{
	return sk && sk->state == TCP_CLOSE;
}

/*
 * A socket that the kernel made for itself: nobody owns it, whoever it was made for. Read past the verifier, which shows
 * no sk_kern_sock in the context. It is not to be short.
 */
static __always_inline bool is_kernel_socket(struct sock *sk)
{
	return BPF_CORE_READ_BITFIELD_PROBED(sk, sk_kern_sock);
}

/*
 * The program's socket whose subflow this one of TCP is, a socket of the kernel's own (mptcp_subflow_create_socket());
 * NULL: it is no subflow.
 */
static __always_inline struct sock *find_mptcp_socket(struct sock *sk)
{
	struct tcp_sock *tcp = (struct tcp_sock *)sk;
	struct mptcp_subflow_context *subflow;

	if (!bpf_core_field_exists(tcp->is_mptcp) || !BPF_CORE_READ(tcp, is_mptcp))
		return NULL;
	subflow = BPF_CORE_READ(tcp, inet_conn.icsk_ulp_data);
	return BPF_CORE_READ(subflow, conn);
}

/* Of the kernel's own, by which SMC carries what is a program's. So marked once it connects, or listens. */
static __always_inline bool is_smc(struct sock *sk)
{
	struct tcp_sock *tcp = (struct tcp_sock *)sk;

	return bpf_core_field_exists(tcp->syn_smc) && BPF_CORE_READ_BITFIELD_PROBED(tcp, syn_smc);
}

/*
 * One of the kernel's own that is a program's by now: SMC that cannot do without TCP puts its socket of that under the
 * program's descriptor (smc_switch_to_fallback()). Subflows of MPTCP may share the program's.
 */
static __always_inline bool is_handed_out(struct sock *sk)
{
	return BPF_CORE_READ(sk, sk_protocol) == TCP && !find_mptcp_socket(sk) && BPF_CORE_READ(sk, sk_socket, file);
}

/*
 * What MPTCP accepts has the cookie of the socket that listens (mptcp_sk_clone_init()): what is noted under it is that
 * one's.
 */
static __always_inline bool is_of_another(const struct owned_socket *noted, const void *sk)
{
	return noted && noted->sk && noted->sk != (__u64)sk;
}

#endif
