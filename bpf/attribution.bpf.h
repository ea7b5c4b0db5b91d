/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whose packet: from the socket that sent it, or the one that listens for it. */
#ifndef ATTRIBUTION_BPF_H
#define ATTRIBUTION_BPF_H

#include "remembered.bpf.h"
#include "route.bpf.h"
#include "sender.bpf.h"

#define AF_PPPOX 24

struct attribution {
	struct owner owner;
	__u64 cookie; /* 0: no socket; or GROUP */
	bool is_listening;
};

static __always_inline void blame_kernel(struct attribution *attribution)
{
	attribution->owner = (struct owner){.exec_id = EXEC_ID_KERNEL};
}

/* Of what comes in. To what was released nothing new comes: whoever has its port by now is in the table of ports. */
static __always_inline bool find_owner(__u64 cookie, struct owner *owner)
{
	struct owned_socket *socket = bpf_map_lookup_elem(&sockets, &cookie);

	if (!socket)
		return false;
	*owner = socket->owner;
	return true;
}

/* Of what is sent. `socket` NULL: it may have been released */
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
 * MPTCP and SMC send a program's data through TCP sockets of the kernel's own (mptcp_subflow_create_socket(),
 * smc_create_clcsk()). Those of MPTCP lead back to the program's socket; those of SMC stay unknown.
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
 * What a program sends comes by no device and has nothing in it, before it leaves; then it has the device that it
 * leaves by (ip_output(), ip6_output()). That of a tunnel stays with the packet until then; IPsec has none, but notes
 * what it has put into its own (xfrm4_transport_output(), xfrm4_tunnel_encap_add()).
 */
static __always_inline bool has_come_far(struct sk_buff *skb)
{
	struct net_device *device = BPF_CORE_READ(skb, dev);

	return (device && device != find_device(skb)) || BPF_CORE_READ(skb, inner_transport_header);
}

/*
 * What a tunnel sends (WireGuard, VXLAN, IPsec) still leads to the socket whose packet is in it: skb_scrub_packet() does
 * not orphan. A raw socket sends whatever it likes, also another protocol than its own (IP_HDRINCL), but not from afar; one
 * of AF_PPPOX what a program writes to it, in L2TP's UDP (pppol2tp_sendmsg()). One of another port may also have got that
 * since, with its SYN still held, or between MSG_MORE and the end of a datagram; or have none any more, since it was closed
 * (udp_lib_unhash()).
 */
static __always_inline bool is_of_tunnel(struct sk_buff *skb, const struct flow_key *flow)
{
	struct sock *sk = BPF_CORE_READ(skb, sk);

	if (BPF_CORE_READ(sk, sk_protocol) != flow->protocol)
		return BPF_CORE_READ(sk, __sk_common.skc_family) != AF_PPPOX &&
		       (BPF_CORE_READ(sk, sk_type) != SOCK_RAW || has_come_far(skb));
	if (BPF_CORE_READ(sk, sk_type) == SOCK_RAW)
		return false;
	return has_ports(flow->protocol) && BPF_CORE_READ(sk, __sk_common.skc_num) != flow->local_port &&
	       has_come_far(skb);
}

/*
 * Of a program's socket, with its protocol and from its port, as most is: seen without a read past the verifier, each of
 * which takes 37 ns.
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
	/* A SYN is the caller's of connect(), whoever runs when it is sent again; but a raw socket may send one too. */
	if (flow->protocol != TCP || !socket || !socket->protocol)
		correct_sender(skb, cookie, &attribution->owner);
	if (attribution->owner.exec_id != EXEC_ID_UNKNOWN)
		return;
	/* One of TCP that is closed leads to no socket of MPTCP any more: whose it was its flow tells. */
	if (!skb->sk || is_short(skb->sk) || (flow->protocol == TCP && is_closed(skb->sk)))
		return;
	sk = BPF_CORE_READ((struct sk_buff *)skb, sk);
	if (is_kernel_socket(sk) && !is_borrowed(sk, flow->protocol, &attribution->owner))
		blame_kernel(attribution);
}

/* Which sockets have a port of several programs, as a number that no socket has: another one when they change. */
#define GROUP (1ULL << 63)

/* Of two programs only the kernel's own look-up tells. */
static __always_inline void look_for_listener(const struct listener_key *key, struct listener **found, __u64 *group,
					      bool *is_shared)
{
	struct listener *listener = bpf_map_lookup_elem(&listeners, key);

	if (!listener)
		return;
	if (listener->is_shared || (*found && !is_same_program(&(*found)->owner, &listener->owner)))
		*is_shared = true;
	*group += listener->cookie + ((__u64)listener->is_shared << 32);
	if (!*found)
		*found = listener;
}

/*
 * The exact local address, else any of the family, else any at all. The kernel chooses so as well, but passes over
 * sockets of another interface, and between the last two may also choose by CPU (compute_score() in net/ipv4/udp.c).
 * `group` comes zeroed, and stays so where one program has the port.
 */
static __always_inline struct listener *find_listener(const struct flow_key *flow, __u64 *group)
{
	struct listener_key key = {.port = flow->local_port, .protocol = flow->protocol};
	struct listener *listener = NULL;
	bool is_shared = false;

	__builtin_memcpy(key.address, flow->local, sizeof(key.address));
	look_for_listener(&key, &listener, group, &is_shared);
	if (is_mapped(flow->local)) {
		map_v4(key.address, 0);
		look_for_listener(&key, &listener, group, &is_shared);
	}
	__builtin_memset(key.address, 0, sizeof(key.address));
	look_for_listener(&key, &listener, group, &is_shared);
	*group = is_shared ? *group | GROUP : 0;
	return listener;
}

/*
 * Whoever has ended, or runs another program by now (no id comes twice), left the socket to others: nobody is known. Not
 * for what is sent: there each use notes its owner.
 */
static __always_inline void forget_stale(struct owner *owner)
{
	__u32 pid = owner->pid; /* a key on our stack, as in find_noted_verdict() */
	struct process *process = bpf_map_lookup_elem(&processes, &pid);

	if (owner->exec_id != EXEC_ID_KERNEL && (!process || process->exec_id != owner->exec_id))
		*owner = (struct owner){};
}

/*
 * A port that the kernel chose is given back by connect() to AF_UNSPEC (udp_disconnect()), that of a listener by
 * shutdown() too (tcp_set_state()), and the next may get it where no hook tells. Of MPTCP the program's socket has none.
 */
static __always_inline bool has_left(const struct owned_socket *socket, __u16 port)
{
	struct sock *sk = socket && socket->protocol ? (struct sock *)socket->sk : NULL;

	return sk && BPF_CORE_READ(sk, __sk_common.skc_num) != port;
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
	__u64 group = 0;

	*attribution = (struct attribution){};
	if (!has_ports(flow->protocol)) {
		if (!has_other_ports(flow->protocol))
			blame_kernel(attribution);
		return;
	}
	/*
	 * Early demux (net.ipv4.ip_early_demux) has found a connected socket already: of a flow that conntrack forgot. Or
	 * one that has been, under its cookie: a SYN passes on from that to whoever listens (TCP_TW_SYN).
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
	if (has_left(socket, flow->local_port)) /* user space finds who has it now */
		return;
	attribution->cookie = listener->cookie;
	attribution->owner = socket ? socket->owner : listener->owner;
	forget_stale(&attribution->owner);
}

/* True: it is known. For the verifier a function of its own: inline it took half of all its steps. */
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
