// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Scoped (tinysnitch run): a packet that comes in is judged if a hook told that its port is of the scope; all others
 * pass. But the kernel also gives ports without a hook: in listen() (inet_csk_listen_start()), and in a connect() or
 * sendto() that fails later (inet_autobind()). So this runs last of all, where a socket of the scope gets a packet. The
 * first packet to a port that is not noted is dropped, and the port is noted: when the packet comes again it is judged.
 * Without room to note the port no packet gets in.
 */
#include "verdict/lookup.bpf.h"
#include "identity/listener.bpf.h"

char LICENSE[] SEC("license") = "GPL";

#define PASS 1
#define DROP 0

#define TCP_FLAGS 13 /* in the TCP header, RFC 9293 3.1 */
#define FLAG_SYN 2
#define FLAG_ACK 16

/* Whether it is a socket of the judged network namespace that may take a first packet. */
static __always_inline bool is_ours(struct sock *sk, const struct settings *settings)
{
	__u16 protocol = BPF_CORE_READ(sk, sk_protocol);
	__u8 state = BPF_CORE_READ(sk, __sk_common.skc_state);

	if (BPF_CORE_READ(sk, __sk_common.skc_net.net, net_cookie) != settings->netns_cookie)
		return false;
	if (protocol == TCP) /* SYN_SENT: two that connect to each other need no listener (RFC 9293 3.5) */
		return state == TCP_LISTEN || state == TCP_SYN_SENT;
	return protocol == UDP && BPF_CORE_READ(sk, sk_type) != SOCK_RAW;
}

/* A SYN, or a datagram of no conversation of this socket. */
static __always_inline bool is_first(struct __sk_buff *skb, const struct question *question, __u64 cookie)
{
	struct conversation *conversation;
	__u8 flags;

	if (question->flow.protocol == TCP)
		return !bpf_skb_load_bytes(skb, question->transport + TCP_FLAGS, &flags, 1) &&
		       (flags & (FLAG_SYN | FLAG_ACK)) == FLAG_SYN;
	conversation = find_conversation(question, read_conversation_clock());
	return !conversation || conversation->cookie != cookie;
}

/*
 * Whether the socket's port is noted: otherwise is_allowed() (verdict.bpf.c) let the packet pass unjudged. Compared
 * with the port that it has now, since a hook may have told of one that it has left.
 */
static __always_inline bool is_noted(__u64 cookie, const struct listener_key *key)
{
	struct listener_key *known = bpf_map_lookup_elem(&bindings, &cookie);

	return known && has_place_in(known, key) && bpf_map_lookup_elem(&listeners, known);
}

SEC("cgroup_skb/ingress")
int on_receive(struct __sk_buff *skb)
{
	struct sock *whose, *sk = BPF_CORE_READ((struct sk_buff *)skb, sk);
	struct settings *settings = find_settings();
	struct question question = {};
	struct listener_key key = {};
	struct owner owner = {};
	__u64 cookie;

	if (!settings || !is_ours(sk, settings) || !read_question(skb, INBOUND, &question))
		return PASS;
	whose = question.flow.protocol == TCP ? find_mptcp_socket(sk) : NULL;
	if (!whose)
		whose = sk;
	cookie = BPF_CORE_READ(whose, __sk_common.skc_cookie.counter);
	name_listener(sk, &key);
	if (is_noted(cookie, &key) || !is_first(skb, &question, cookie))
		return PASS;
	find_owner(cookie, &owner);
	forget_listener(cookie);
	note_listener(sk, cookie, &key, &owner, false);
	if (bpf_map_lookup_elem(&released, &cookie)) /* it is being closed: nothing else would forget the port */
		forget_listener(cookie);
	count(LOST_FIRST_PACKETS);
	return DROP;
}
