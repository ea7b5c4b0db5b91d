// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * TCP connections that end before their program closes them, and those that are open when user space looks. Those that
 * are closed: socket.bpf.c.
 */
#include "identity/carried.bpf.h"

#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "GPL";

static __always_inline struct owned_socket *find_noted(struct sock *sk)
{
	__u64 cookie = BPF_CORE_READ(sk, __sk_common.skc_cookie.counter);

	return bpf_map_lookup_elem(&sockets, &cookie);
}

/*
 * After connect() to AF_UNSPEC a socket begins to count anew, so it is read before. What was closed by its program was
 * read then; sockets of the kernel's own, those of MPTCP say, nobody closes.
 */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(on_tcp_state, struct sock *sk, int old_state, int new_state)
{
	struct settings *settings;
	struct carried *known;

	if (new_state != TCP_CLOSE || sk->sk_protocol != TCP)
		return 0;
	if ((sk->__sk_common.skc_flags & 1UL << SOCK_DEAD) && !is_kernel_socket(sk))
		return 0;
	settings = find_settings();
	if (!settings || sk->__sk_common.skc_net.net->net_cookie != settings->netns_cookie)
		return 0;
	known = bpf_sk_storage_get(&carried, sk, NULL, 0);
	sum_connection(sk, find_noted(sk), known, bpf_ktime_get_ns());
	return 0;
}

static __always_inline bool is_open(__u8 state)
{
	return state != TCP_SYN_SENT && state != TCP_TIME_WAIT && state != TCP_CLOSE && state != TCP_LISTEN &&
	       state != TCP_NEW_SYN_RECV;
}

/*
 * Of all connections that are open in the network namespace of the caller: moves what they carried since the last time.
 * Of those from before the first turn only what they carry from now on. What is orphaned was read when it was closed.
 */
SEC("iter/tcp")
int on_each_tcp(struct bpf_iter__tcp *ctx)
{
	struct sock_common *common = ctx->sk_common;
	struct settings *settings = find_settings();
	struct sock *sk = (struct sock *)common;
	struct traffic_key row = {};
	struct carried *known;

	if (!common || !settings || !is_open(BPF_CORE_READ(sk, __sk_common.skc_state)) ||
	    BPF_CORE_READ(sk, __sk_common.skc_flags) & 1UL << SOCK_DEAD)
		return 0;
	known = bpf_sk_storage_get(&carried, common, NULL, 0);
	if (known) {
		move_bytes(sk, known, bpf_ktime_get_ns());
		return 0;
	}
	if (!name_tcp_row(sk, find_noted(sk), &row))
		return 0;
	known = bpf_sk_storage_get(&carried, common, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!known)
		return 0;
	known->row = row;
	if (settings->traffic_turn) {
		move_bytes(sk, known, bpf_ktime_get_ns());
		return 0;
	}
	known->bytes_in = read_received(sk);
	known->bytes_out = read_written(sk) - (known->row.direction == OUTBOUND);
	return 0;
}
