/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's own sockets below one of MPTCP: no hook tells of their end. */
#ifndef SUBFLOW_BPF_H
#define SUBFLOW_BPF_H

#include "listener.bpf.h"

#define MOST_SUBFLOWS 16

/* Not inlined, nor static, so that the verifier goes through it once, not for each subflow. Always true. */
__noinline bool forget_subflow(__u64 cookie)
{
	bpf_map_delete_elem(&sockets, &cookie);
	forget_listener(cookie);
	return true;
}

/*
 * What was noted of a socket that a program closes, if it is one of MPTCP, for its subflows. They have a port where user
 * space found it (kernel/seed.py): sock_diag shows a subflow, not the program's socket. A path that ended before, under a
 * connection that went on, is left to the table.
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
