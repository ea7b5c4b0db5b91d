// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A process that accepts a connection uses the listening socket, so it becomes its owner. accept(2) has no hook; but if
 * it is to tell the remote address, it asks for that as getpeername(2) does (do_accept(), inet_getname()), which has
 * one.
 */
#include "identity/attribution.bpf.h"
#include "identity/passed_on.bpf.h"

char LICENSE[] SEC("license") = "GPL";

#define GO_ON 1
#define SOCK_STREAM 1

struct cookie_search {
	struct file **files;
	__u64 wanted;
	bool is_found;
};

static long look_for_cookie(__u32 index, struct cookie_search *search)
{
	search->is_found = read_cookie(search->files, index) == search->wanted;
	return search->is_found;
}

static __always_inline bool has_socket(struct fdtable *table, __u64 cookie)
{
	struct cookie_search search = {.files = BPF_CORE_READ(table, fd), .wanted = cookie};
	__u32 count = BPF_CORE_READ(table, max_fds);

	bpf_loop(count < DESCRIPTORS ? count : DESCRIPTORS, look_for_cookie, &search, 0);
	return search.is_found;
}

/*
 * Whether the hook was run by accept(). It makes the descriptor after it has asked for the address, and getpeername()
 * is called with one: so a connection without a descriptor is being accepted, unless another thread has just closed it.
 * Therefore the process must also have the listening socket. False if it has more descriptors than are searched.
 */
static __always_inline bool is_being_accepted(struct sock *sk, __u64 listening)
{
	struct fdtable *table = BPF_CORE_READ(bpf_get_current_task_btf(), files, fdt);

	return BPF_CORE_READ(table, max_fds) <= DESCRIPTORS && !has_open(BPF_CORE_READ(sk, sk_socket)) &&
	       has_socket(table, listening);
}

/* The caller sets the local address and port of `flow`. */
static __always_inline int note_accept(struct bpf_sock_addr *ctx, struct flow_key *flow)
{
	struct settings *settings = find_settings();
	struct listener *listener;
	struct owner owner, known;
	__u64 group = 0;

	if (!settings || bpf_get_netns_cookie(ctx) != settings->netns_cookie || ctx->type != SOCK_STREAM)
		return GO_ON;
	flow->protocol = TCP;
	listener = find_listener(flow, &group);
	if (!listener || group)
		return GO_ON;
	if (!find_owner(listener->cookie, &known))
		known = listener->owner;
	read_current(&owner);
	if (!is_same_program(&known, &owner) &&
	    is_being_accepted(BPF_CORE_READ((struct bpf_sock_addr_kern *)ctx, sk), listener->cookie))
		hand_over(listener->cookie, listener, &owner);
	return GO_ON;
}

SEC("cgroup/getpeername4")
int on_getpeername4(struct bpf_sock_addr *ctx)
{
	struct flow_key flow = {};

	if (!ctx->sk)
		return GO_ON;
	flow.local_port = ctx->sk->src_port;
	map_v4(flow.local, ctx->sk->src_ip4);
	return note_accept(ctx, &flow);
}

SEC("cgroup/getpeername6")
int on_getpeername6(struct bpf_sock_addr *ctx)
{
	struct bpf_sock *socket = ctx->sk;
	struct flow_key flow = {};

	if (!socket)
		return GO_ON;
	flow.local_port = socket->src_port;
	copy_v6(flow.local, socket->src_ip6[0], socket->src_ip6[1], socket->src_ip6[2], socket->src_ip6[3]);
	return note_accept(ctx, &flow);
}
