/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who has the port that a packet comes in to, as far as the tables tell. */
#ifndef PORT_BPF_H
#define PORT_BPF_H

#include "include/flow.bpf.h"
#include "identity/owner.bpf.h"

/*
 * Stands in place of a cookie where several programs have a port, with a number in the lower bits that changes when
 * they do. No cookie of a socket has this bit.
 */
#define GROUP (1ULL << 63)

/* Where two programs have the port, only the kernel's own look-up tells which takes a packet: then it is shared. */
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

/* 0: all sockets with this port are in the tables, or were when the daemon started. */
static __always_inline __u32 read_lost(__u32 port)
{
	struct settings *settings = find_settings();
	__u32 *lost;

	/* Most ports are in no cache line that was read lately. */
	if (!settings || !settings->has_lost_listeners)
		return 0;
	lost = bpf_map_lookup_elem(&lost_ports, &port);
	return lost ? *lost : 0;
}

/* Whether no other socket may have the port. The kernel's own sockets (WireGuard's) share theirs with nobody. */
static __always_inline bool is_alone(const struct listener *listener)
{
	struct owned_socket *socket;

	if (!listener || listener->owner.exec_id == EXEC_ID_KERNEL)
		return listener;
	socket = bpf_map_lookup_elem(&sockets, &listener->cookie);
	return socket && socket->boundness == ALONE;
}

/*
 * Who has the port at the exact local address, else at any of the family, else at any at all. The kernel chooses so
 * too, but passes over sockets of another interface, and between the last two may also choose by CPU (compute_score()
 * in net/ipv4/udp.c). `group` is zeroed by the caller, and stays 0 where one program has the port, or none.
 */
static __always_inline struct listener *find_listener(const struct flow_key *flow, __u64 *group)
{
	struct listener_key key = {.port = flow->local_port, .protocol = flow->protocol};
	__u32 lost = read_lost(flow->local_port);
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
	if (lost && !is_alone(listener))
		is_shared = true;
	*group = is_shared ? (*group + ((__u64)lost << 32)) | GROUP : 0;
	return listener;
}

#endif
