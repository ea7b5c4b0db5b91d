// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The ports of the kernel's own sockets (a tunnel's, say) that were there before the daemon: no hook told of them, and
 * sock_diag does not tell them from those of programs. A daemon that starts runs these iterators once, in its network
 * namespace.
 */
#include "identity/listener.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* `cookie`: the helper that the caller read it with has made one, if the socket had none. */
static __always_inline void note_if_kernels(struct sock *sk, __u64 cookie)
{
	struct listener_key key = {};

	name_listener(sk, &key);
	if (key.port && is_kernel_socket(sk))
		note_kernel_listener(cookie, &key);
}

/*
 * Connected ones too, as L2TP's is: a packet to a socket of the kernel's is known by its port alone, not by an owner.
 */
SEC("iter/udp")
int on_list_udp(struct bpf_iter__udp *ctx)
{
	struct udp_sock *udp = ctx->udp_sk;

	if (udp)
		note_if_kernels((struct sock *)udp, bpf_get_socket_cookie(udp));
	return 0;
}

/* Without those of MPTCP and SMC, which belong to the program that called bind(): user space looks for that. */
SEC("iter/tcp")
int on_list_tcp(struct bpf_iter__tcp *ctx)
{
	struct sock_common *common = ctx->sk_common;
	struct sock *sk = (struct sock *)common;

	if (common && BPF_CORE_READ(sk, __sk_common.skc_state) == TCP_LISTEN && !find_mptcp_socket(sk) && !is_smc(sk))
		note_if_kernels(sk, bpf_get_socket_cookie(common));
	return 0;
}
