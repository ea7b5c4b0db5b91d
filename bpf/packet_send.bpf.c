// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Packet sockets, when they have sent: for kernels on which functions cannot be traced. All sockets pay for it, some 70 ns
 * a send(2). WORKAROUND(kernel < 6.3): has no such tracepoint; there packet sockets are found in /proc/net/packet alone.
 */
#include "packet_socket.bpf.h"

char LICENSE[] SEC("license") = "GPL";

#define AF_PACKET 17

SEC("tp_btf/sock_send_length")
int BPF_PROG(on_packet_send, struct sock *sk, int size, int flags)
{
	if (sk->__sk_common.skc_family == AF_PACKET)
		note_packet_user(sk->__sk_common.skc_net.net);
	return 0;
}
