// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Scoped (tinysnitch run) what comes in is judged if a hook told whose its port is; the rest is others'. But the kernel
 * also gives ports where no hook runs: in listen() (inet_csk_listen_start()), in a connect() or sendto() that fails later
 * (inet_autobind()). So this runs last, where a socket of the scope gets a packet: a first one for a port that is not
 * noted is dropped, and the port noted. It comes again, and is judged. Where there is no room to note it none gets in.
 */
#include "judgement.bpf.h"
#include "listener.bpf.h"

char LICENSE[] SEC("license") = "GPL";

#define PASS 1
#define DROP 0

#define TCP_FLAGS 13 /* in the TCP header, RFC 9293 3.1 */
#define FLAG_SYN 2
#define FLAG_ACK 16

static __always_inline bool is_ours(struct sock *sk, const struct settings *settings)
{
	__u16 protocol = BPF_CORE_READ(sk, sk_protocol);
	__u8 state = BPF_CORE_READ(sk, __sk_common.skc_state);

	if (BPF_CORE_READ(sk, __sk_common.skc_net.net, net_cookie) != settings->netns_cookie)
		return false;
	if (protocol == TCP) /* two that connect to each other need no listener (RFC 9293 3.5) */
		return state == TCP_LISTEN || state == TCP_SYN_SENT;
	return protocol == UDP && BPF_CORE_READ(sk, sk_type) != SOCK_RAW;
}

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

/* Else it was judged by nobody (is_allowed() in verdict.bpf.c). A hook may have told of a port that the socket left. */
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
	note_listener(sk, cookie, &key, &owner);
	if (bpf_map_lookup_elem(&released, &cookie)) /* it is being closed: nobody else would take that away */
		forget_listener(cookie);
	count(LOST_FIRST_PACKETS);
	return DROP;
}
