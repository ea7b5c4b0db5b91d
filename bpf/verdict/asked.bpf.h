/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * DNS questions over UDP that leave. Nothing depends on them before their answer comes, which is held: so a question is
 * copied for user space, which is not woken for it, and goes on.
 */
#ifndef ASKED_BPF_H
#define ASKED_BPF_H

#include "include/packet.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 * 1024); /* 127 questions, which user space reads in 3 ms */
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} questions SEC(".maps");

/* Not inlined: its type brings `struct asked` into the BTF, for the test of the layouts. */
static __noinline bool fill_asked(struct __sk_buff *skb, const struct owner *owner, struct asked *asked)
{
	__u32 size = skb->len;

	asked->time_ns = bpf_ktime_get_boot_ns();
	asked->exec_id = owner->exec_id;
	asked->uid = owner->uid;
	asked->size = size;
	if (size < sizeof(struct ipv4_header))
		return false;
	/* Else clang makes one comparison of both, from which the verifier of Linux 6.1 does not see the least size. */
	barrier_var(size);
	return size <= ASKED_SIZE && !bpf_skb_load_bytes(skb, 0, asked->packet, size);
}

/* False: the packet itself has to be read, as it is too long, nothing tells whose it is, or there is no room. */
static __always_inline bool copy_asked(struct __sk_buff *skb)
{
	struct flow_key key = {.direction = OUTBOUND};
	enum packet_role role = ROLE_NONE;
	struct transport transport = {};
	struct flow_entry *flow;
	struct asked *asked;
	bool is_whole;

	if (!parse_packet(skb, &key, &transport, &role) || key.protocol != UDP || key.remote_port != DNS)
		return false;
	flow = bpf_map_lookup_elem(&flows, &key);
	if (!flow || flow->owner.exec_id == EXEC_ID_UNKNOWN || flow->owner.exec_id == EXEC_ID_KERNEL)
		return false;
	asked = bpf_ringbuf_reserve(&questions, sizeof(*asked), 0);
	if (!asked)
		return false;
	is_whole = fill_asked(skb, &flow->owner, asked);
	if (is_whole)
		bpf_ringbuf_submit(asked, BPF_RB_NO_WAKEUP);
	else
		bpf_ringbuf_discard(asked, BPF_RB_NO_WAKEUP);
	return is_whole;
}

#endif
