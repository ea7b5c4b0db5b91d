// SPDX-License-Identifier: GPL-2.0-or-later
/* Packet sockets, when they are opened: costs nothing else anything. */
#include "packet_socket.bpf.h"

char LICENSE[] SEC("license") = "GPL";

SEC("fexit/packet_create")
int BPF_PROG(on_packet_open, struct net *net, struct socket *socket, int protocol, int is_kernels, int failed)
{
	if (!failed && !is_kernels)
		note_packet_user(net);
	return 0;
}
