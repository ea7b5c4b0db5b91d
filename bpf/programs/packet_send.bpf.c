// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Notes who has sent by a packet socket: for kernels on which functions cannot be traced. It costs every socket some 70
 * ns a send(2). WORKAROUND(kernel < 6.3): there is no such tracepoint; packet sockets are found in /proc/net/packet
 * alone.
 */
#include "identity/packet_socket.bpf.h"

char LICENSE[] SEC("license") = "GPL";

#define AF_PACKET 17

SEC("tp_btf/sock_send_length")
int BPF_PROG(on_packet_send, struct sock *sk, int size, int flags)
{
	if (sk->__sk_common.skc_family == AF_PACKET)
		note_packet_user(sk->__sk_common.skc_net.net);
	return 0;
}
