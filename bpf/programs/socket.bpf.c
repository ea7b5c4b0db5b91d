// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Whose a socket is: noted under its cookie in the context of the process that uses it, so that nothing has to be
 * looked for later. The last user is the owner, since a socket can be handed over (unix(7), SCM_RIGHTS). A connection
 * for which a denial is remembered is refused right here. These hooks never allow: the verdict programs judge what they
 * let go on.
 */
#include "verdict/conntrack_end.bpf.h"
#include "identity/carried.bpf.h"
#include "identity/passed_on.bpf.h"
#include "identity/listener.bpf.h"
#include "verdict/cache.bpf.h"
#include "identity/sender.bpf.h"
#include "identity/subflow.bpf.h"

char LICENSE[] SEC("license") = "GPL";

#define GO_ON 1
#define REFUSE 0

/* NULL: the socket is not in the network namespace that is judged. */
static __always_inline struct settings *find_settings_for(void *ctx)
{
	struct settings *settings = find_settings();

	return settings && bpf_get_netns_cookie(ctx) == settings->netns_cookie ? settings : NULL;
}

/* `known`: what was noted of the socket before, or NULL. */
static __always_inline void note_owner(__u64 cookie, struct owned_socket *known, const struct owner *owner)
{
	struct owned_socket socket = {.owner = *owner, .boundness = known ? known->boundness : BOUND};

	if (known && is_same_owner(&known->owner, owner) && !known->is_given) {
		if (known->syn) /* connect() runs the hook before it sends a SYN (__inet_stream_connect()) */
			known->syn = SYN_HELD;
		return;
	}
	if (known && known->boundness && !is_same_program(&known->owner, owner))
		hand_over_port(cookie, owner);
	if (known) { /* connect() on a connected socket changes nothing but the owner */
		socket.sk = known->sk;
		socket.watch = known->watch;
		socket.is_tied = known->is_tied;
		socket.protocol = known->protocol;
	}
	if (bpf_map_update_elem(&sockets, &cookie, &socket, BPF_ANY))
		count(LOST_SOCKETS);
}

SEC("cgroup/sock_create")
int on_sock_create(struct bpf_sock *ctx)
{
	__u64 cookie = bpf_get_socket_cookie(ctx);
	struct owned_socket socket = {.sk = (__u64)ctx}; /* the struct sock (__cgroup_bpf_run_filter_sk()) */

	if (!find_settings_for(ctx))
		return GO_ON;
	read_current(&socket.owner);
	if (ctx->type != SOCK_RAW && (ctx->protocol == TCP || ctx->protocol == UDP))
		socket.protocol = ctx->protocol;
	if (bpf_map_update_elem(&sockets, &cookie, &socket, BPF_ANY)) /* a new socket: nothing was noted of it before */
		count(LOST_SOCKETS);
	return GO_ON;
}

/*
 * Whether a packet of a released socket may yet be seen. One that was sent within the call counts in sk_wmem_alloc
 * until it is freed (skb_set_owner_w()), where 1 is the socket's own (sk_alloc()). The context is the struct sock
 * (__cgroup_bpf_run_filter_sk()).
 */
static __always_inline bool may_still_send(struct bpf_sock *ctx)
{
	return !sends_within_the_call(ctx->type) || BPF_CORE_READ((struct sock *)ctx, sk_wmem_alloc.refs.counter) > 1;
}

static __always_inline void keep_released(__u64 cookie, const struct owned_socket *socket)
{
	struct owner owner = {};

	if (!socket)
		return;
	copy_sender(socket, &owner);
	if (bpf_map_update_elem(&released, &cookie, &owner, BPF_ANY))
		count(LOST_SOCKETS);
}

SEC("cgroup/sock_release")
int on_sock_release(struct bpf_sock *ctx)
{
	__u64 cookie = bpf_get_socket_cookie(ctx);
	struct settings *settings = find_settings_for(ctx);
	struct owned_socket *socket;
	bool may_be_bound;

	if (!settings)
		return GO_ON;
	forget_subflows(ctx);
	socket = bpf_map_lookup_elem(&sockets, &cookie);
	if (is_of_another(socket, ctx))
		return GO_ON;
	may_be_bound = !socket || socket->boundness;
	/*
	 * The owner of a SYN that is still held is in `flows`; that of a datagram may not be, if it was not judged yet.
	 * Scoped, a packet may still come to the socket (scope.bpf.c).
	 */
	if (settings->is_scoped || (ctx->protocol != TCP && may_still_send(ctx)))
		keep_released(cookie, socket);
	if (ctx->protocol == UDP)
		end_conversation(ctx, cookie);
	if (ctx->protocol == TCP && ctx->state != TCP_LISTEN && !(socket && socket->is_summed))
		sum_connection((struct sock *)ctx, socket, bpf_sk_storage_get(&carried, ctx, NULL, 0),
			       bpf_ktime_get_coarse_ns());
	/* Before its port is forgotten: if scope.bpf.c notes the port meanwhile it finds no owner. */
	bpf_map_delete_elem(&sockets, &cookie);
	if (may_be_bound)
		forget_listener(cookie);
	return GO_ON;
}

/*
 * `sk`: the program's socket of MPTCP, of which the kernel binds a subflow. mptcp_bind() binds the first in the context
 * of its caller, and the kernel binds later ones at any time (__mptcp_subflow_connect()). So the current process is the
 * caller if it has the program's socket open; else nobody uses the socket, and its owner stays.
 */
static __always_inline void note_mptcp_binding(struct sock *sk, const struct listener_key *key)
{
	__u64 cookie = BPF_CORE_READ(sk, __sk_common.skc_cookie.counter);
	struct owned_socket *known = bpf_map_lookup_elem(&sockets, &cookie);
	struct owner owner = {};

	if (!known) /* a socket from before the daemon's start: user space looks for its owner */
		return;
	owner = known->owner;
	if (has_open(BPF_CORE_READ(sk, sk_socket))) {
		read_current(&owner);
		note_owner(cookie, known, &owner);
	}
	note_listener(sk, cookie, key, &owner, true);
}

static __always_inline void note_kernels_binding(struct bpf_sock *ctx, const struct listener_key *key)
{
	struct sock *whose = key->protocol == TCP ? find_mptcp_socket((struct sock *)ctx) : NULL;

	if (whose && !is_kernel_socket(whose))
		note_mptcp_binding(whose, key);
	else
		note_kernel_listener(bpf_get_socket_cookie(ctx), key);
}

/* The caller sets address and port of `key`. For a subflow of MPTCP the protocol here is TCP. */
static __always_inline int note_binding(struct bpf_sock *ctx, struct listener_key *key)
{
	struct settings *settings = find_settings_for(ctx);
	__u64 cookie = bpf_get_socket_cookie(ctx);
	struct owner owner = {};

	key->protocol = ctx->protocol;
	if (!settings || !has_ports(key->protocol))
		return GO_ON;
	if (is_kernel_socket((struct sock *)ctx)) {
		note_kernels_binding(ctx, key);
		return GO_ON;
	}
	read_current(&owner);
	note_owner(cookie, bpf_map_lookup_elem(&sockets, &cookie), &owner);
	note_listener((struct sock *)ctx, cookie, key, &owner, true);
	if (settings->is_tracing)
		trace(TRACE_BIND, cookie, &owner, key->address, key->port, key->protocol);
	return GO_ON;
}

SEC("cgroup/post_bind4")
int on_post_bind4(struct bpf_sock *ctx)
{
	struct listener_key key = {.port = ctx->src_port};

	map_v4(key.address, ctx->src_ip4);
	return note_binding(ctx, &key);
}

SEC("cgroup/post_bind6")
int on_post_bind6(struct bpf_sock *ctx)
{
	struct listener_key key = {.port = ctx->src_port};

	copy_v6(key.address, ctx->src_ip6[0], ctx->src_ip6[1], ctx->src_ip6[2], ctx->src_ip6[3]);
	return note_binding(ctx, &key);
}

/*
 * The cookie of the socket that a program uses; 0: none, the kernel connects a socket of its own. mptcp_connect() runs
 * the hook for its first subflow in the context of its caller, and the kernel connects later ones at any time.
 * `cookie`: of the socket that the hook runs for.
 */
static __always_inline __u64 find_used(struct bpf_sock_addr *ctx, __u64 cookie)
{
	struct sock *whose, *sk = BPF_CORE_READ((struct bpf_sock_addr_kern *)ctx, sk);

	if (!is_kernel_socket(sk) || is_handed_out(sk))
		return cookie;
	bpf_map_delete_elem(&sockets, &cookie); /* an earlier SYN of it may be noted as let go (handshake.bpf.h) */
	whose = ctx->protocol == TCP ? find_mptcp_socket(sk) : NULL;
	if (!whose || !has_open(BPF_CORE_READ(whose, sk_socket)))
		return 0;
	return BPF_CORE_READ(whose, __sk_common.skc_cookie.counter);
}

/* `key`: as find_verdict() leaves it. */
static __always_inline void add_refused(const struct verdict_key *key, __u32 rule)
{
	struct traffic_key row = {
		.program = key->program,
		.uid = key->uid,
		.rule = rule,
		.verdict = VERDICT_DENY,
		.port = key->port,
		.protocol = key->protocol,
		.direction = OUTBOUND,
	};

	__builtin_memcpy(row.remote, key->remote, sizeof(row.remote));
	add_traffic(&row, 1, 0, 0, bpf_ktime_get_coarse_ns());
}

/* The caller sets the remote address of `key`. `owner` is filled in, unless nobody uses the socket. */
static __always_inline int note_use(struct bpf_sock_addr *ctx, struct verdict_key *key, struct owner *owner, __u8 kind)
{
	struct settings *settings = find_settings_for(ctx);
	__u64 cookie = bpf_get_socket_cookie(ctx);
	struct owned_socket *known;
	__u32 found;

	if (!settings)
		return GO_ON;
	known = bpf_map_lookup_elem(&sockets, &cookie);
	if (!known || !known->protocol) { /* else a program was seen to make it: it is not the kernel's own */
		cookie = find_used(ctx, cookie);
		if (!cookie)
			return GO_ON;
		known = bpf_map_lookup_elem(&sockets, &cookie);
	}
	read_current(owner);
	note_owner(cookie, known, owner);
	key->protocol = ctx->protocol;
	if (has_ports(key->protocol))
		key->port = bpf_ntohs(ctx->user_port);
	if (settings->is_tracing)
		trace(kind, cookie, owner, key->remote, key->port, key->protocol);
	if (owner->exec_id == EXEC_ID_UNKNOWN)
		return GO_ON;
	key->program = owner->exec_id;
	key->uid = owner->uid;
	found = find_verdict(key);
	if (VERDICT_OF(found) != VERDICT_DENY)
		return GO_ON;
	count(HITS_DENIED_EARLY);
	count_use(RULE_OF(found));
	add_refused(key, RULE_OF(found));
	bpf_set_retval(-ECONNREFUSED);
	return REFUSE;
}

SEC("cgroup/connect4")
int on_connect4(struct bpf_sock_addr *ctx)
{
	struct verdict_key key = {};
	struct owner owner = {};

	map_v4(key.remote, ctx->user_ip4);
	return note_use(ctx, &key, &owner, TRACE_CONNECT);
}

SEC("cgroup/connect6")
int on_connect6(struct bpf_sock_addr *ctx)
{
	struct verdict_key key = {};
	struct owner owner = {};

	copy_v6(key.remote, ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2], ctx->user_ip6[3]);
	return note_use(ctx, &key, &owner, TRACE_CONNECT);
}

/*
 * A socket that sends without bind() got its port from inet_send_prepare() just before, without a hook. From now on any
 * machine can send to that port, so it is noted.
 */
static __always_inline int note_send(struct bpf_sock_addr *ctx, struct verdict_key *key)
{
	struct bpf_sock *socket = ctx->sk;
	struct listener_key local = {.protocol = UDP};
	struct owner owner = {};
	int way = note_use(ctx, key, &owner, TRACE_SEND);
	struct sock *sk;

	if (!socket || ctx->protocol != UDP || !owner.pid) /* no pid: nobody uses it, or it is not judged */
		return way;
	local.port = socket->src_port;
	copy_v6(local.address, socket->src_ip6[0], socket->src_ip6[1], socket->src_ip6[2], socket->src_ip6[3]);
	barrier(); /* clang would merge both into one read at a computed offset, which the verifier refuses */
	if (ctx->family == AF_INET)
		map_v4(local.address, socket->src_ip4);
	sk = BPF_CORE_READ((struct bpf_sock_addr_kern *)ctx, sk);
	note_listener(sk, bpf_get_socket_cookie(ctx), &local, &owner, false);
	return way;
}

SEC("cgroup/sendmsg4")
int on_sendmsg4(struct bpf_sock_addr *ctx)
{
	struct verdict_key key = {};

	map_v4(key.remote, ctx->user_ip4);
	return note_send(ctx, &key);
}

SEC("cgroup/sendmsg6")
int on_sendmsg6(struct bpf_sock_addr *ctx)
{
	struct verdict_key key = {};

	copy_v6(key.remote, ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2], ctx->user_ip6[3]);
	return note_send(ctx, &key);
}
