/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who has which port, and how many sockets share it: as many as asked to (socket(7), SO_REUSEPORT and SO_REUSEADDR). */
#ifndef LISTENER_BPF_H
#define LISTENER_BPF_H

#include "include/flow.bpf.h"
#include "identity/owner.bpf.h"

/*
 * In `members`: no socket is left, and the entry is being deleted. A socket that joins at this moment must try again.
 */
#define NOBODY_LEFT (1U << 31)
#define ATTEMPTS 4

/*
 * While a socket is left the entry stays, and stays shared: else the next to bind would be taken for the only one.
 * `is_there`: the socket keeps the port, and is only not counted.
 */
static __always_inline void leave_listener(const struct listener_key *key, bool is_there)
{
	struct listener *listener = bpf_map_lookup_elem(&listeners, key);

	if (!listener)
		return;
	if (listener->is_shared && !is_there)
		note_change(listener);
	if (__sync_fetch_and_sub(&listener->members, 1) == 1 &&
	    !__sync_val_compare_and_swap(&listener->members, 0, NOBODY_LEFT))
		bpf_map_delete_elem(&listeners, key);
}

static __always_inline void forget_listener(__u64 cookie)
{
	struct listener_key key, *known = bpf_map_lookup_elem(&bindings, &cookie);

	if (!known)
		return;
	key = *known;
	if (!bpf_map_delete_elem(&bindings, &cookie)) /* else another CPU did, at this moment */
		leave_listener(&key, false);
}

/*
 * Another program's socket has the port, too. If `is_new` is false it had the port before, so nothing has changed if the
 * port is known to be shared. Were that a change, a packet to a socket that finds no room would be judged for ever, since
 * user space notes its port each time.
 */
static __always_inline void share_port(struct listener *listener, bool is_new)
{
	if (is_new || !listener->is_shared)
		note_change(listener);
}

/*
 * False: the entry is not there, or is being deleted. Its memory may be another port's at once (bpf_mem_cache_free()),
 * so it is looked up once more.
 */
static __always_inline bool join_listener(const struct listener_key *key, const struct owner *owner, bool is_new)
{
	struct listener *listener = bpf_map_lookup_elem(&listeners, key);

	if (!listener)
		return false;
	if (listener->is_shared || !is_same_program(&listener->owner, owner))
		share_port(listener, is_new);
	return __sync_fetch_and_add(&listener->members, 1) < NOBODY_LEFT &&
	       bpf_map_lookup_elem(&listeners, key) == listener;
}

/* Tries again where the last socket on the port has left, and the entry is about to be deleted. */
static __always_inline bool take_port(const struct listener_key *key, const struct listener *listener, bool is_new)
{
	for (int attempt = 0; attempt < ATTEMPTS; attempt++)
		if (!bpf_map_update_elem(&listeners, key, listener, BPF_NOEXIST) ||
		    join_listener(key, &listener->owner, is_new))
			return true;
	return false;
}

/*
 * From now on nobody who has the port is taken to have it alone, unless no other socket may: a program may have filled
 * the tables to hide.
 */
static __always_inline void lose_listener(struct settings *settings, __u32 port, bool is_new)
{
	__u32 *lost = bpf_map_lookup_elem(&lost_ports, &port);

	count(LOST_LISTENERS);
	if (lost && (is_new || !*lost)) {
		__sync_fetch_and_add(lost, 2); /* odd, as in note_change() */
		__sync_fetch_and_or(lost, 1);
	}
	settings->has_lost_listeners = 1;
}

static __always_inline void name_listener(struct sock *sk, struct listener_key *key)
{
	key->protocol = BPF_CORE_READ(sk, sk_protocol);
	key->port = BPF_CORE_READ(sk, __sk_common.skc_num);
	if (BPF_CORE_READ(sk, __sk_common.skc_family) == AF_INET)
		map_v4(key->address, BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr));
	else
		READ_V6(&key->address, sk, skc_v6_rcv_saddr);
}

/*
 * Whether the socket is noted at this port already. An entry for any address will do: while it is connected the socket
 * has a single one, and gets the others back without a hook (udp_disconnect()).
 */
static __always_inline bool has_place_in(const struct listener_key *known, const struct listener_key *key)
{
	return known->port == key->port && known->protocol == key->protocol &&
	       (is_any(known->address) || !__builtin_memcmp(known->address, key->address, sizeof(key->address)));
}

/* ALONE: no other socket may have the same port. NULL: the socket is not known. */
static __always_inline enum boundness read_boundness(struct sock *sk)
{
	if (!sk)
		return BOUND;
	if (BPF_CORE_READ_BITFIELD_PROBED(sk, __sk_common.skc_ipv6only))
		return BOUND_TO_IPV6;
	if (BPF_CORE_READ_BITFIELD_PROBED(sk, __sk_common.skc_reuse) ||
	    BPF_CORE_READ_BITFIELD_PROBED(sk, __sk_common.skc_reuseport) ||
	    BPF_CORE_READ(sk, __sk_common.skc_bound_dev_if))
		return BOUND;
	return ALONE;
}

/*
 * Called for a known port, too: note_owner() may have written the entry anew meanwhile. Returns whether none was known.
 */
static __always_inline bool note_boundness(__u64 cookie, enum boundness boundness)
{
	struct owned_socket *socket = bpf_map_lookup_elem(&sockets, &cookie);
	bool was_unbound = socket && socket->boundness == UNBOUND;

	if (socket && socket->boundness < boundness)
		socket->boundness = boundness;
	return was_unbound;
}

/*
 * Notes that the socket has this port. `sk` NULL: user space has found it. `is_binding`: it gets the port right now.
 * False: it was known, or found no room.
 */
static __always_inline bool note_listener(struct sock *sk, __u64 cookie, const struct listener_key *key,
					  const struct owner *owner, bool is_binding)
{
	struct listener_key *known = bpf_map_lookup_elem(&bindings, &cookie);
	struct listener listener = {.cookie = cookie, .owner = *owner, .members = 1};
	struct settings *settings = find_settings();
	bool is_new;
	long problem;

	if (!settings)
		return false;
	if (known && has_place_in(known, key)) {
		note_boundness(cookie, BOUND);
		return false;
	}
	/* A socket that found no room comes here each time that it sends, with no port known. */
	is_new = note_boundness(cookie, read_boundness(sk)) || known;
	is_new = is_binding || (sk && is_new);
	forget_listener(cookie);
	if (!take_port(key, &listener, is_new)) {
		lose_listener(settings, key->port, is_new);
		return false;
	}
	problem = bpf_map_update_elem(&bindings, &cookie, key, BPF_NOEXIST);
	if (problem)
		leave_listener(key, true); /* without a binding nothing would do so later */
	if (problem && problem != -EEXIST) /* EEXIST: another CPU noted it at this moment (scope.bpf.c) */
		lose_listener(settings, key->port, is_new);
	return !problem;
}

/*
 * Whether a socket of the kernel's own may be bound for a program. Only root can have the kernel itself listen by TCP
 * (NFS, iSCSI); for other users SMC does so, and its connections are theirs (smc_bind()). Nothing tells here which
 * socket is SMC's.
 */
static __always_inline bool is_bound_for_others(const struct listener_key *key)
{
	return key->protocol == TCP && BPF_CORE_READ(bpf_get_current_task_btf(), cred, euid.val);
}

/*
 * No hook tells when a socket of the kernel's own is closed, so its entry stays. A program that takes the port later
 * joins it, and one that has it already shares it: then user space looks for who takes a packet.
 */
static __always_inline void note_kernel_listener(__u64 cookie, const struct listener_key *key)
{
	struct listener listener = {.cookie = cookie, .owner = {.exec_id = EXEC_ID_KERNEL}};
	struct settings *settings = find_settings();
	struct listener *known;
	long problem;

	if (is_bound_for_others(key))
		listener.owner.exec_id = EXEC_ID_UNKNOWN;
	problem = bpf_map_update_elem(&listeners, key, &listener, BPF_NOEXIST);
	known = problem ? bpf_map_lookup_elem(&listeners, key) : NULL;
	if (known && !is_same_program(&known->owner, &listener.owner))
		note_change(known);
	if (settings && problem && problem != -EEXIST)
		lose_listener(settings, key->port, true);
}

#endif
