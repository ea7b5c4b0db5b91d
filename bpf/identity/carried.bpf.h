/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a TCP connection carried, as the kernel counts it at the socket, is moved into its row (traffic.bpf.h): when the
 * program closes it or it ends before that, whichever comes first, and whenever user space looks. What is written counts
 * as sent.
 */
#ifndef CARRIED_BPF_H
#define CARRIED_BPF_H

#include "identity/port.bpf.h"
#include "include/traffic.bpf.h"

#define SEND_SHUTDOWN 2
#define SHUTDOWN_BOTH 3
#define SOCK_DEAD 0 /* enum sock_flags: no program has it any more (sock_orphan()) */
#define SOCK_DONE 1 /* enum sock_flags: the remote's FIN came (tcp_fin()) */

/* Of a connection that user space has looked at: its row, and what of its bytes is in there. */
struct carried {
	struct traffic_key row;
	__u64 bytes_in, bytes_out;
	__u64 is_over; /* all of them: it has ended, and is not closed yet */
};

/* In the socket itself, so that it ends with that and needs no bound */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, int);
	__type(value, struct carried);
} carried SEC(".maps");

/* The port is read from where it stays: when a connection ends skc_num is taken away first (tcp_set_state()). */
static __always_inline void read_ends(struct sock *sk, struct flow_key *flow)
{
	flow->protocol = TCP;
	flow->local_port = bpf_ntohs(BPF_CORE_READ((struct inet_sock *)sk, inet_sport));
	flow->remote_port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
	if (BPF_CORE_READ(sk, __sk_common.skc_family) == AF_INET) {
		map_v4(flow->local, BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr));
		map_v4(flow->remote, BPF_CORE_READ(sk, __sk_common.skc_daddr));
	} else {
		READ_V6(&flow->local, sk, skc_v6_rcv_saddr);
		READ_V6(&flow->remote, sk, skc_v6_daddr);
	}
}

/* Whether its SYN was let go: then no other socket tells whose the connection is. */
static __always_inline bool has_connected(const struct owned_socket *socket)
{
	return socket && socket->program;
}

/*
 * The row of a connection. `socket`: what is noted of its own, or NULL. Of what came in the socket that listens tells.
 * False: nothing tells, and only one cgroup is judged.
 */
static __always_inline bool name_tcp_row(struct sock *sk, const struct owned_socket *socket, struct traffic_key *row)
{
	struct settings *settings = find_settings();
	struct listener *listener = NULL;
	struct flow_key flow = {};
	__u64 cookie, group = 0;

	read_ends(sk, &flow);
	if (!has_connected(socket))
		listener = find_listener(&flow, &group);
	if (listener && !group) {
		cookie = listener->cookie;
		socket = bpf_map_lookup_elem(&sockets, &cookie);
	}
	row->verdict = VERDICT_ALLOW;
	row->protocol = TCP;
	row->direction = listener ? INBOUND : OUTBOUND;
	row->port = listener ? flow.local_port : flow.remote_port;
	__builtin_memcpy(row->remote, flow.remote, sizeof(row->remote));
	if (!socket)
		return settings && !settings->is_scoped;
	row->program = socket->program ? socket->program : socket->owner.exec_id;
	row->uid = socket->owner.uid;
	row->rule = socket->rule;
	return true;
}

/* The kernel counts a FIN as a byte (tcp_rcv_nxt_update(), tcp_queue_skb()). */
static __always_inline __u64 read_received(struct sock *sk)
{
	return BPF_CORE_READ((struct tcp_sock *)sk, bytes_received) -
	       (BPF_CORE_READ(sk, __sk_common.skc_flags) >> SOCK_DONE & 1);
}

/* With one more if the socket sent a SYN. */
static __always_inline __u64 read_written(struct sock *sk)
{
	struct tcp_sock *tcp = (struct tcp_sock *)sk;
	__u32 waiting = BPF_CORE_READ(tcp, write_seq) - BPF_CORE_READ(tcp, snd_una);

	return BPF_CORE_READ(tcp, bytes_acked) + waiting - !!(BPF_CORE_READ(sk, sk_shutdown) & SEND_SHUTDOWN);
}

/* Of a connection that user space has looked at. Signed: a FIN that is taken off late makes a row less. */
static __always_inline void move_bytes(struct sock *sk, struct carried *known, __u64 now_ns)
{
	__u64 bytes_in = read_received(sk), bytes_out = read_written(sk) - (known->row.direction == OUTBOUND);
	struct traffic_key row;

	if (known->is_over)
		return;
	bytes_in -= __sync_lock_test_and_set(&known->bytes_in, bytes_in);
	bytes_out -= __sync_lock_test_and_set(&known->bytes_out, bytes_out);
	if (!bytes_in && !bytes_out)
		return;
	row = known->row;
	add_traffic(&row, 0, bytes_in, bytes_out, now_ns);
}

/* Of a connection at its end. `known`: NULL if user space has not looked at it. */
static __always_inline void sum_connection(struct sock *sk, const struct owned_socket *socket, struct carried *known,
					   __u64 now_ns)
{
	struct traffic_key row = {};
	__u64 bytes_in, bytes_out;

	if (known) {
		move_bytes(sk, known, now_ns);
		return;
	}
	bytes_in = read_received(sk);
	bytes_out = read_written(sk);
	if (!bytes_in && bytes_out == has_connected(socket))
		return;
	if (name_tcp_row(sk, socket, &row))
		add_traffic(&row, 0, bytes_in, bytes_out - (row.direction == OUTBOUND), now_ns);
}

#endif
