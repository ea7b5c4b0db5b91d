/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Packets that would leave otherwise than they were judged: led elsewhere, or denied and no longer marked as denied. */
#ifndef LATE_CHECK_BPF_H
#define LATE_CHECK_BPF_H

#include "verdict/lookup.bpf.h"
#include "verdict/last_verdict.bpf.h"
#include "verdict/watch.bpf.h"

#define DHCP_SERVER 67
#define DHCP_CLIENT 68
#define DHCP6_CLIENT 546
#define DHCP6_SERVER 547
#define IGMP 2

#define DENIAL_LASTS 60 /* for how long packets are looked up again; in units of 2^30 ns, a little more than a second */

/*
 * Whether a packet of TCP has a source route or a routing header, or is malformed. A program may set one on an open
 * connection, too: what it sends from then on goes elsewhere.
 */
static __always_inline bool is_led_elsewhere(struct __sk_buff *skb)
{
	struct flow_key flow = {.direction = OUTBOUND};
	enum packet_role role = ROLE_NONE;
	struct transport transport = {};
	__u8 first, next_header;

	if (bpf_skb_load_bytes(skb, 0, &first, 1))
		return true;
	if (first >> 4 == 4)
		return (first & 15) > 5 && has_source_route(skb, (first & 15) * 4);
	if (bpf_skb_load_bytes(skb, offsetof(struct ipv6_header, next_header), &next_header, 1))
		return true;
	return next_header != TCP && (!parse_packet(skb, &flow, &transport, &role) || transport.is_routed);
}

/* Whether its socket is, or was, in the cgroup that is judged; for a subflow of MPTCP the program's socket. */
static __always_inline bool is_in_scope(struct __sk_buff *skb)
{
	__u64 cookie = bpf_get_socket_cookie(skb);
	struct sock *whose;

	if (bpf_map_lookup_elem(&sockets, &cookie) || bpf_map_lookup_elem(&released, &cookie))
		return true;
	if (!skb->sk || is_short(skb->sk))
		return false;
	whose = find_mptcp_socket(BPF_CORE_READ((struct sk_buff *)skb, sk));
	cookie = BPF_CORE_READ(whose, __sk_common.skc_cookie.counter);
	return whose && bpf_map_lookup_elem(&sockets, &cookie);
}

/* Of an open TCP connection with this machine: whether it leaves. Only SO_BINDTODEVICE can choose its interface. */
static __always_inline bool goes_astray(struct __sk_buff *skb)
{
	struct flow_key flow = {.direction = OUTBOUND};
	enum packet_role role = ROLE_NONE;
	struct transport transport = {};

	return is_bound_to_device(skb) && !stays_here(skb) && parse_packet(skb, &flow, &transport, &role) &&
	       is_own(&flow);
}

static __always_inline bool is_allowed_by(const struct flow_entry *flow)
{
	return flow->verdict == VERDICT_ALLOW || is_provisional(flow->verdict);
}

/*
 * Whether the socket was bound to an interface since its last packet came in by another one: bound, it would not have
 * got that. Asked where nothing tells whether the connection was tied, since a program may have filled the tables.
 */
static __always_inline bool is_bound_anew(struct __sk_buff *skb)
{
	struct sock *sk = BPF_CORE_READ((struct sk_buff *)skb, sk);
	struct bpf_sock *bound = skb->sk;

	return bound && bound->bound_dev_if && BPF_CORE_READ(sk, sk_rx_dst_ifindex) != (int)bound->bound_dev_if;
}

/*
 * Of a TCP connection that is tied to an interface: whether this packet leaves by another one, or was not allowed by
 * this one. The socket may be closed by now.
 */
static __always_inline bool has_strayed(struct __sk_buff *skb)
{
	__u64 cookie = bpf_get_socket_cookie(skb);
	struct owned_socket *socket = bpf_map_lookup_elem(&sockets, &cookie);
	struct flow_key key = {.direction = OUTBOUND};
	enum packet_role role = ROLE_NONE;
	struct transport transport = {};
	struct flow_entry *flow;

	if ((socket && !socket->is_tied) || !parse_packet(skb, &key, &transport, &role))
		return false;
	flow = bpf_map_lookup_elem(&flows, &key);
	if (!flow || flow->cookie != cookie)
		return socket || is_bound_anew(skb);
	if (flow->verdict == VERDICT_DENY)
		return true;
	return (socket || flow->interface) && (!is_allowed_by(flow) || flow->interface != read_interface(skb));
}

static __always_inline bool is_dhcp(const struct flow_key *flow, bool is_v4)
{
	if (is_v4)
		return flow->local_port == DHCP_CLIENT && flow->remote_port == DHCP_SERVER;
	return flow->local_port == DHCP6_CLIENT && flow->remote_port == DHCP6_SERVER;
}

/* Errors; for IPv6 also multicast listeners (RFC 2710, 3810), routers and neighbours (RFC 4861). */
static __always_inline bool is_link_icmp(__u8 type, bool is_v4)
{
	if (is_v4)
		return (type >= 3 && type <= 5) || type == 11 || type == 12;
	return (type >= 1 && type <= 4) || (type >= 130 && type <= 137) || type == 143;
}

/* Whether netfilter's rules pass it without asking: _DHCP, _IGMP and _LINK in kernel/netfilter/rules.py. */
static __always_inline bool is_of_link(struct __sk_buff *skb, const struct question *question)
{
	const struct flow_key *flow = &question->flow;
	bool is_v4 = is_mapped(flow->remote);
	__u8 type;

	if (flow->protocol == UDP)
		return is_dhcp(flow, is_v4);
	if (flow->protocol == IGMP)
		return is_v4;
	if (flow->protocol != (is_v4 ? ICMP : ICMPV6) || question->is_headless)
		return false;
	return !bpf_skb_load_bytes(skb, question->transport, &type, 1) && is_link_icmp(type, is_v4);
}

/* In units of 2^30 ns. Cheap; it stands still only in suspend. */
static __always_inline __u32 read_denial_clock(void)
{
	return bpf_ktime_get_coarse_ns() >> 30;
}

static __always_inline void note_denial(struct settings *settings)
{
	__u32 now = read_denial_clock();

	if (settings->denied_at != now) /* each write would move the cache line from CPU to CPU */
		settings->denied_at = now;
}

/* Signed: another CPU may have denied something since this one read the clock. */
static __always_inline bool was_denied_lately(const struct settings *settings)
{
	return (__s32)(read_denial_clock() - settings->denied_at) <= DENIAL_LASTS;
}

/*
 * Asked behind all other rules: whether the packet is denied, and yet here. A denial is a mark, and rules behind ours
 * may have set another. Asked for a minute after each denial: a denied packet comes here at once, or after the queue of
 * another program. What was allowed, and then translated (nat OUTPUT) to an address that is denied, is recognised by
 * was_passing(). The socket does not tell it from a denied packet: it may be connected to anywhere.
 */
static __always_inline int has_escaped(struct __sk_buff *skb, __u8 direction)
{
	struct settings *settings = find_settings();
	struct question question = {};
	struct conversation *conversation;
	__u64 now_ns;

	if (!settings || was_passing(skb, direction) || !was_denied_lately(settings))
		return 0;
	if (direction == OUTBOUND && skb->ingress_ifindex) /* forwarded, and so never judged */
		return 0;
	/* Packets of others: correct_sender() would note their sockets, and then what answers them would be judged. */
	if (direction == OUTBOUND && settings->is_scoped && !is_in_scope(skb))
		return 0;
	if (!read_question(skb, direction, &question) || is_of_link(skb, &question))
		return 0;
	if (direction == INBOUND && question.is_headless) /* as in is_allowed() */
		return 0;
	now_ns = read_conversation_clock();
	conversation = find_conversation(&question, now_ns);
	if (conversation && goes_on(skb, settings, &question, conversation, now_ns))
		return 0;
	find_whose(skb, &question);
	if (!is_cut(&question) && find_verdict_for(skb, settings, &question) != VERDICT_DENY)
		return 0;
	count(LOST_MARKS);
	return 1;
}

#endif
