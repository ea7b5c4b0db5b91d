/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Subflows of MPTCP, the kernel's own sockets below the program's: no hook tells when one is closed. */
#ifndef SUBFLOW_BPF_H
#define SUBFLOW_BPF_H

#include "identity/listener.bpf.h"

#define MOST_SUBFLOWS 16

/* Not static, so that the verifier checks it once and not for each subflow. Always true: it cannot return nothing. */
__noinline bool forget_subflow(__u64 cookie)
{
	bpf_map_delete_elem(&sockets, &cookie);
	forget_listener(cookie);
	return true;
}

/*
 * When a program closes a socket of MPTCP: forgets what is noted under the cookies of its subflows. A port is noted so
 * where user space found it (kernel/attribution/bootstrap.py), since sock_diag shows subflows and not the program's socket. A subflow
 * that was closed earlier, while the connection went on, stays until the table evicts it.
 */
static __always_inline void forget_subflows(struct bpf_sock *ctx)
{
	struct mptcp_sock *mptcp = (struct mptcp_sock *)ctx;
	struct mptcp_subflow_context *subflow;
	struct list_head *at;
	__u64 cookie;

	if (!bpf_core_field_exists(mptcp->conn_list) || ctx->protocol != MPTCP)
		return;
	at = BPF_CORE_READ(mptcp, conn_list.next);
	for (int i = 0; i < MOST_SUBFLOWS && at != &mptcp->conn_list; i++) {
		subflow = (void *)at - bpf_core_field_offset(struct mptcp_subflow_context, node);
		cookie = BPF_CORE_READ(subflow, tcp_sock, __sk_common.skc_cookie.counter);
		forget_subflow(cookie);
		at = BPF_CORE_READ(at, next);
	}
}

#endif
