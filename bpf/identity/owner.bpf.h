/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Comparing owners; and sockets whose owner is not the program that the hooks saw: the kernel's, MPTCP's, SMC's. */
#ifndef OWNER_BPF_H
#define OWNER_BPF_H

#include "include/flow.bpf.h"

#include <bpf/bpf_core_read.h>

#define DESCRIPTORS 1024 /* of a process, that are searched at most: RLIMIT_NOFILE's usual soft limit */
#define MPTCP 262
#define TCP_SYN_SENT 2
#define TCP_TIME_WAIT 6
#define TCP_CLOSE 7
#define TCP_LISTEN 10
#define TCP_NEW_SYN_RECV 12

/* `field` is skc_v6_daddr or skc_v6_rcv_saddr. Writes nothing where the kernel was built without IPv6. */
#define READ_V6(to, sk, field)                                                                                         \
	do {                                                                                                           \
		if (bpf_core_field_exists((sk)->__sk_common.field))                                                    \
			BPF_CORE_READ_INTO(to, sk, __sk_common.field);                                                 \
	} while (0)

static __always_inline bool is_same_process(const struct owner *a, const struct owner *b)
{
	return a->pid == b->pid && a->started_ns == b->started_ns;
}

/* The same program and user, be it in another process. */
static __always_inline bool is_same_program(const struct owner *a, const struct owner *b)
{
	return a->exec_id == b->exec_id && a->uid == b->uid;
}

static __always_inline bool is_same_owner(const struct owner *a, const struct owner *b)
{
	return is_same_program(a, b) && is_same_process(a, b);
}

/* Always odd, so that it does not come back to 0 after four billion changes. */
static __always_inline void note_change(struct listener *listener)
{
	__sync_fetch_and_add(&listener->is_shared, 2);
	__sync_fetch_and_or(&listener->is_shared, 1);
}

/* In these states the kernel has a shorter struct than struct sock, and no program uses the socket. */
static __always_inline bool is_short(const struct bpf_sock *sk)
{
	return sk->state == TCP_TIME_WAIT || sk->state == TCP_NEW_SYN_RECV;
}

/* A connecting socket that has given up while its SYN was held. A raw socket is in this state, too. */
static __always_inline bool is_closed(const struct bpf_sock *sk)
{
	return sk && sk->state == TCP_CLOSE;
}

/*
 * A socket that the kernel made for itself: no program owns it, even if it was made for one. Read from the kernel's
 * memory, since the context does not show sk_kern_sock. Not for sockets that is_short() is true for.
 */
static __always_inline bool is_kernel_socket(struct sock *sk)
{
	return BPF_CORE_READ_BITFIELD_PROBED(sk, sk_kern_sock);
}

/*
 * For a subflow of MPTCP, which is a TCP socket of the kernel's own (mptcp_subflow_create_socket()): the program's
 * socket. NULL: it is no subflow.
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

/*
 * A TCP socket of the kernel's own that carries a program's SMC connection. It is marked so once it connects or
 * listens.
 */
static __always_inline bool is_smc(struct sock *sk)
{
	struct tcp_sock *tcp = (struct tcp_sock *)sk;

	return bpf_core_field_exists(tcp->syn_smc) && BPF_CORE_READ_BITFIELD_PROBED(tcp, syn_smc);
}

/*
 * A socket of the kernel's own that a program has a descriptor of by now: where SMC falls back to TCP, it puts its TCP
 * socket there (smc_switch_to_fallback()). Subflows of MPTCP are left out: they may share the file of the program's.
 */
static __always_inline bool is_handed_out(struct sock *sk)
{
	return BPF_CORE_READ(sk, sk_protocol) == TCP && !find_mptcp_socket(sk) && BPF_CORE_READ(sk, sk_socket, file);
}

/*
 * A connection that MPTCP accepted has the cookie of the socket that listens (mptcp_sk_clone_init()). What is noted
 * under that cookie is of the listening socket, and not of `sk`.
 */
static __always_inline bool is_of_another(const struct owned_socket *noted, const void *sk)
{
	return noted && noted->sk && noted->sk != (__u64)sk;
}

#endif
