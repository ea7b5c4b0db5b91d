/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whose a packet is: by the socket that sent it, or the one that it comes in to. */
#ifndef ATTRIBUTION_BPF_H
#define ATTRIBUTION_BPF_H

#include "identity/port.bpf.h"
#include "include/route.bpf.h"
#include "identity/sender.bpf.h"

#define AF_PPPOX 24

struct attribution {
	struct owner owner;
	__u64 cookie;      /* of its socket; 0: none is known; with the bit GROUP: several programs have the port */
	bool is_listening; /* inbound: a socket is known that takes it */
};

static __always_inline void blame_kernel(struct attribution *attribution)
{
	attribution->owner = (struct owner){.exec_id = EXEC_ID_KERNEL};
}

/*
 * Inbound: who owns the socket. Not looked for in `released`: to a closed socket nothing comes, and who has its port by
 * now is in `listeners`.
 */
static __always_inline bool find_owner(__u64 cookie, struct owner *owner)
{
	struct owned_socket *socket = bpf_map_lookup_elem(&sockets, &cookie);

	if (!socket)
		return false;
	*owner = socket->owner;
	return true;
}

/* Outbound: who sends by the socket. `socket` NULL: it is not in `sockets`, and may have been released. */
static __always_inline void find_sender(const struct owned_socket *socket, __u64 cookie, struct owner *owner)
{
	struct owner *known;

	if (socket) {
		copy_sender(socket, owner);
		return;
	}
	known = bpf_map_lookup_elem(&released, &cookie);
	if (known)
		*owner = *known;
}

/*
 * Whether a program's data leaves by this socket of the kernel's own: MPTCP and SMC send it through TCP sockets of
 * theirs (mptcp_subflow_create_socket(), smc_create_clcsk()). Those of MPTCP lead back to the program's socket, and to
 * `owner`; those of SMC stay unknown.
 */
static __always_inline bool is_borrowed(struct sock *sk, __u8 protocol, struct owner *owner)
{
	struct sock *whose;
	__u64 cookie;

	if (protocol != TCP)
		return false;
	if (is_smc(sk))
		return true;
	whose = find_mptcp_socket(sk);
	if (!whose)
		return BPF_CORE_READ(sk, sk_socket, file); /* as is_handed_out() */
	cookie = BPF_CORE_READ(whose, __sk_common.skc_cookie.counter);
	find_sender(bpf_map_lookup_elem(&sockets, &cookie), cookie, owner);
	return true;
}

/*
 * Whether a tunnel put the packet into its own. What a program sends has no device before it leaves, and then that
 * which it leaves by (ip_output(), ip6_output()). A packet that went into a tunnel still has the tunnel's device; IPsec
 * has no device, but notes where the packet inside begins (xfrm4_transport_output(), xfrm4_tunnel_encap_add()).
 */
static __always_inline bool has_been_tunnelled(struct sk_buff *skb)
{
	struct net_device *device = BPF_CORE_READ(skb, dev);

	return (device && device != find_device(skb)) || BPF_CORE_READ(skb, inner_transport_header);
}

/*
 * Whether the packet is a tunnel's own (WireGuard, VXLAN, IPsec). It still leads to the socket whose packet is inside
 * it, since skb_scrub_packet() does not orphan, but differs from what that sends in its protocol or its port. That
 * alone is no proof:
 * - A raw socket may send any protocol (IP_HDRINCL), but not through a tunnel.
 * - What a program writes to a socket of AF_PPPOX leaves in L2TP's UDP (pppol2tp_sendmsg()).
 * - A socket may have got another port while its SYN was held, or between MSG_MORE and the end of a datagram; or it was
 *   closed, and has none any more (udp_lib_unhash()).
 */
static __always_inline bool is_of_tunnel(struct sk_buff *skb, const struct flow_key *flow)
{
	struct sock *sk = BPF_CORE_READ(skb, sk);

	if (BPF_CORE_READ(sk, sk_protocol) != flow->protocol)
		return BPF_CORE_READ(sk, __sk_common.skc_family) != AF_PPPOX &&
		       (BPF_CORE_READ(sk, sk_type) != SOCK_RAW || has_been_tunnelled(skb));
	if (BPF_CORE_READ(sk, sk_type) == SOCK_RAW)
		return false;
	return has_ports(flow->protocol) && BPF_CORE_READ(sk, __sk_common.skc_num) != flow->local_port &&
	       has_been_tunnelled(skb);
}

/*
 * Whether a program's socket sends this, with the socket's protocol and from its port, as most packets are. Told by
 * fields of the context alone: a read of the kernel's memory takes 37 ns.
 */
static __always_inline bool is_plain(struct __sk_buff *skb, const struct flow_key *flow,
				     const struct owned_socket *socket)
{
	struct bpf_sock *sk = skb->sk;

	return sk && socket && socket->protocol && socket->protocol == flow->protocol &&
	       sk->src_port == flow->local_port;
}

static __always_inline void attribute_outbound(struct __sk_buff *skb, const struct flow_key *flow,
					       struct attribution *attribution)
{
	__u64 cookie = bpf_get_socket_cookie(skb);
	struct owned_socket *socket = bpf_map_lookup_elem(&sockets, &cookie);
	struct sock *sk;

	*attribution = (struct attribution){};
	if (!is_plain(skb, flow, socket) && (!cookie || is_of_tunnel((struct sk_buff *)skb, flow))) {
		blame_kernel(attribution);
		return;
	}
	attribution->cookie = cookie;
	find_sender(socket, cookie, &attribution->owner);
	if (is_of_another(socket, skb->sk)) /* which has got the memory of the entry */
		attribution->owner = (struct owner){};
	/*
	 * A SYN belongs to the caller of connect(), whatever runs when it is sent again. But a raw socket may send one,
	 * too.
	 */
	if (flow->protocol != TCP || !socket || !socket->protocol)
		correct_sender(skb, cookie, &attribution->owner);
	if (attribution->owner.exec_id != EXEC_ID_UNKNOWN)
		return;
	/* A TCP socket that is closed leads no more to that of MPTCP: the entry of its flow tells whose it was. */
	if (!skb->sk || is_short(skb->sk) || (flow->protocol == TCP && is_closed(skb->sk)))
		return;
	sk = BPF_CORE_READ((struct sk_buff *)skb, sk);
	if (is_kernel_socket(sk) && !is_borrowed(sk, flow->protocol, &attribution->owner))
		blame_kernel(attribution);
}

/*
 * Inbound: an owner that has ended, or runs another program by now (no exec id is given twice), has left the socket to
 * other processes, of which none is known. Outbound that is not asked: there each use of a socket notes its owner.
 */
static __always_inline void forget_stale(struct owner *owner)
{
	__u32 pid = owner->pid; /* a key on this function's own stack, as in find_noted_verdict() */
	struct process_entry *process = bpf_map_lookup_elem(&processes, &pid);

	if (owner->exec_id != EXEC_ID_KERNEL && (!process || process->exec_id != owner->exec_id))
		*owner = (struct owner){};
}

/*
 * Whether the socket has the port no more. A port that the kernel chose is given back by connect() to AF_UNSPEC
 * (udp_disconnect()), that of a listener also by shutdown() (tcp_set_state()), and the next socket may get it without a
 * hook. Not asked of MPTCP, whose program's socket has no port.
 */
static __always_inline bool has_left(const struct owned_socket *socket, __u16 port)
{
	struct sock *sk = socket && socket->protocol ? (struct sock *)socket->sk : NULL;

	return sk && BPF_CORE_READ(sk, __sk_common.skc_num) != port;
}

/* Whether the socket is for IPv6 alone. Then another one may have got the port for IPv4, also without a hook. */
static __always_inline bool passes_over(const struct owned_socket *socket, const struct flow_key *flow)
{
	return socket && socket->boundness == BOUND_TO_IPV6 && is_mapped(flow->local);
}

static __always_inline bool is_in_time_wait(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;

	return sk && sk->state == TCP_TIME_WAIT;
}

static __always_inline void attribute_inbound(struct __sk_buff *skb, const struct flow_key *flow,
					      struct attribution *attribution)
{
	struct owned_socket *socket;
	struct listener *listener;
	struct owner owner;
	__u64 group = 0;

	*attribution = (struct attribution){};
	if (!has_ports(flow->protocol)) {
		if (!has_other_ports(flow->protocol))
			blame_kernel(attribution);
		return;
	}
	/*
	 * If the socket is connected, early demux (net.ipv4.ip_early_demux) has found it already. It also finds a
	 * connection in TIME_WAIT, by the cookie of its socket: a SYN to that goes to the socket that listens
	 * (TCP_TW_SYN).
	 */
	attribution->cookie = bpf_get_socket_cookie(skb);
	if (attribution->cookie && !is_in_time_wait(skb) && find_owner(attribution->cookie, &attribution->owner)) {
		forget_stale(&attribution->owner);
		attribution->is_listening = true;
		return;
	}
	listener = find_listener(flow, &group);
	attribution->cookie = group;
	attribution->is_listening = listener;
	if (!listener || group)
		return;
	socket = bpf_map_lookup_elem(&sockets, &listener->cookie);
	owner = socket ? socket->owner : listener->owner;
	barrier(); /* a socket that has got the memory of the entry has another port */
	attribution->is_listening = !has_left(socket, flow->local_port) && !passes_over(socket, flow);
	if (!attribution->is_listening) /* user space finds who takes it */
		return;
	attribution->cookie = listener->cookie;
	attribution->owner = owner;
	forget_stale(&attribution->owner);
}

/* Whether the owner is known. Not inlined, so that the verifier checks it once: else it took half of all its steps. */
__noinline bool attribute(struct __sk_buff *skb, const struct flow_key *flow, struct attribution *attribution)
{
	if (!flow || !attribution)
		return false;
	if (flow->direction == OUTBOUND)
		attribute_outbound(skb, flow, attribution);
	else
		attribute_inbound(skb, flow, attribution);
	return attribution->owner.exec_id != EXEC_ID_UNKNOWN;
}

#endif
