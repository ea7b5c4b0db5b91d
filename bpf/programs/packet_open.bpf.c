// SPDX-License-Identifier: GPL-2.0-or-later
/* Notes who opens a packet socket. It costs nothing at any other time. */
#include "identity/packet_socket.bpf.h"

char LICENSE[] SEC("license") = "GPL";

SEC("fexit/packet_create")
int BPF_PROG(on_packet_open, struct net *net, struct socket *socket, int protocol, int is_kernels, int failed)
{
	if (!failed && !is_kernels)
		note_packet_user(net);
	return 0;
}
