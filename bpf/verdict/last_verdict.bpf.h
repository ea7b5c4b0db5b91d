/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The packet that this CPU has just let pass. When it leaves (POST_ROUTING) or is delivered (the end of LOCAL_IN) it is
 * recognised, and need not be judged once more to know that it was not denied. That is only to save time: a packet that
 * is not recognised is judged. It is not if another program queued it, if the thread moved to another CPU, or if this
 * CPU judged another packet in between.
 *
 * A packet is told by its address, which the kernel gives to a later packet once this one is freed. A packet that was
 * denied must never be taken for an earlier one at its address that was allowed:
 * 1. Each packet that is judged replaces what its CPU has noted, whether it is allowed or not.
 * 2. What was recognised is recognised only once.
 * 3. A denial makes stale what all CPUs have noted. The denied packet may come to a CPU on which it was not judged, and
 *    which has noted an earlier packet at its address that never left. That one was noted before this one was denied.
 */
#ifndef LAST_VERDICT_BPF_H
#define LAST_VERDICT_BPF_H

#include "include/maps.bpf.h"

struct passing_packet {
	__u64 address; /* of the sk_buff; 0: none */
	__u64 denials; /* how many there had been when it was allowed */
};

/* direction: what this CPU let pass last */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct passing_packet);
} passing SEC(".maps");

/* direction: how many packets were denied */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} denials SEC(".maps");

static __always_inline int note_passing(struct __sk_buff *skb, enum direction direction, int passes)
{
	__u32 index = direction;
	struct passing_packet *noted = bpf_map_lookup_elem(&passing, &index);
	__u64 *denied = bpf_map_lookup_elem(&denials, &index);

	if (noted && denied) {
		noted->address = passes ? (__u64)skb : 0;
		noted->denials = *denied;
	}
	return passes;
}

static __always_inline void forget_passing(enum direction direction)
{
	__u32 index = direction;
	__u64 *denied = bpf_map_lookup_elem(&denials, &index);

	if (denied)
		__sync_fetch_and_add(denied, 1);
}

static __always_inline bool was_passing(struct __sk_buff *skb, enum direction direction)
{
	__u32 index = direction;
	struct passing_packet *noted = bpf_map_lookup_elem(&passing, &index);
	__u64 *denied = bpf_map_lookup_elem(&denials, &index);

	if (!noted || !denied || noted->address != (__u64)skb)
		return false;
	noted->address = 0;
	return noted->denials == *denied;
}

#endif
