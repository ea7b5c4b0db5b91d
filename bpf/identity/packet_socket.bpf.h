/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who uses a packet socket (packet(7)), which sends and receives past netfilter. No cgroup hook runs for AF_PACKET:
 * packet_create() itself is traced where the kernel can do that (packet_open.bpf.c), else what is sent
 * (packet_send.bpf.c). These programs run only while the daemon lives.
 */
#ifndef PACKET_SOCKET_BPF_H
#define PACKET_SOCKET_BPF_H

#include "identity/current.bpf.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

/* Owners that the daemon was told of already; not pinned, so that each daemon is told anew */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct owner);
	__type(value, __u8);
} packet_users SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 16 * 1024);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} packet_events SEC(".maps");

static __always_inline void note_packet_user(struct net *net)
{
	struct settings *settings = find_settings();
	struct owner owner = {};
	__u8 told = 1;

	if (!settings || BPF_CORE_READ(net, net_cookie) != settings->netns_cookie)
		return;
	read_current(&owner);
	if (bpf_map_update_elem(&packet_users, &owner, &told, BPF_NOEXIST))
		return;
	if (bpf_ringbuf_output(&packet_events, &owner, sizeof(owner), 0)) {
		count(LOST_PACKET_USERS);
		bpf_map_delete_elem(&packet_users, &owner); /* so that it is told of the next time */
	}
}

#endif
