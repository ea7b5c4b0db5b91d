// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * TCP connections that end before their program closes them, and those that are open when user space looks. Those that
 * are closed: socket.bpf.c.
 */
#include "identity/carried.bpf.h"

#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "GPL";

/* From now on it is told what of its bytes is in a row. `holder`: the socket, as the verifier takes it. NULL: nothing is. */
static __always_inline struct carried *note_connection(struct sock *sk, void *holder, const struct owned_socket *socket)
{
	struct traffic_key row = {};
	struct carried *known;

	if (!name_tcp_row(sk, socket, &row))
		return NULL;
	known = bpf_sk_storage_get(&carried, holder, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (known)
		known->row = row;
	return known;
}

static __always_inline struct owned_socket *find_noted(struct sock *sk)
{
	__u64 cookie = BPF_CORE_READ(sk, __sk_common.skc_cookie.counter);

	return bpf_map_lookup_elem(&sockets, &cookie);
}

/*
 * Reads a connection that ends before its program closes it, and notes that: by connect() to AF_UNSPEC its socket may
 * begin to count anew. One that both directions of are shut down is left to the close, which may be what ends it: with
 * unread data, or SO_LINGER of 0, it is reset within close(2) (__tcp_close()). Sockets of the kernel's own, those of
 * MPTCP say, nobody closes.
 */
static __always_inline void sum_ended(struct sock *sk, struct owned_socket *socket)
{
	struct carried *known = bpf_sk_storage_get(&carried, sk, NULL, 0);

	if (has_connected(socket)) {
		sum_connection(sk, socket, known, bpf_ktime_get_ns());
		socket->is_summed = 1;
		bpf_sk_storage_delete(&carried, sk);
		return;
	}
	if (!known && read_received(sk) + read_written(sk))
		known = note_connection(sk, sk, socket);
	if (!known)
		return;
	move_bytes(sk, known, bpf_ktime_get_ns());
	known->is_over = 1;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(on_tcp_state, struct sock *sk, int old_state, int new_state)
{
	struct settings *settings;

	if (new_state != TCP_CLOSE || sk->sk_protocol != TCP)
		return 0;
	if (((sk->__sk_common.skc_flags & 1UL << SOCK_DEAD) || BPF_CORE_READ(sk, sk_shutdown) == SHUTDOWN_BOTH) &&
	    !is_kernel_socket(sk))
		return 0;
	settings = find_settings();
	if (settings && sk->__sk_common.skc_net.net->net_cookie == settings->netns_cookie)
		sum_ended(sk, find_noted(sk));
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
	struct carried *known;

	if (!common || !settings || !is_open(BPF_CORE_READ(sk, __sk_common.skc_state)) ||
	    BPF_CORE_READ(sk, __sk_common.skc_flags) & 1UL << SOCK_DEAD)
		return 0;
	known = bpf_sk_storage_get(&carried, common, NULL, 0);
	if (known) {
		move_bytes(sk, known, bpf_ktime_get_ns());
		return 0;
	}
	known = note_connection(sk, common, find_noted(sk));
	if (!known)
		return 0;
	if (settings->traffic_turn) {
		move_bytes(sk, known, bpf_ktime_get_ns());
		return 0;
	}
	known->bytes_in = read_received(sk);
	known->bytes_out = read_written(sk) - (known->row.direction == OUTBOUND);
	return 0;
}
