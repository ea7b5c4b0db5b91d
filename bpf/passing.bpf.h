/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The packet that this CPU has just let pass. By the time that it leaves, or is delivered, nothing has to be looked up again
 * to know that it was not denied: LOCAL_OUT and POST_ROUTING, as all of LOCAL_IN, are gone through in one go, unless the
 * packet is queued or the CPU sends another one in between. Then it is not recognised, and is looked up.
 *
 * A packet is told by its address, which the next one may have. So each that is judged replaces what is noted, allowed or
 * not, and what was recognised is recognised once.
 */
#ifndef PASSING_BPF_H
#define PASSING_BPF_H

#include "maps.bpf.h"

/* direction: the address of a packet; 0: none */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} passing SEC(".maps");

static __always_inline int note_passing(struct __sk_buff *skb, enum direction direction, int passes)
{
	__u32 index = direction;
	__u64 *noted = bpf_map_lookup_elem(&passing, &index);

	if (noted)
		*noted = passes ? (__u64)skb : 0;
	return passes;
}

static __always_inline bool was_passing(struct __sk_buff *skb, enum direction direction)
{
	__u32 index = direction;
	__u64 *noted = bpf_map_lookup_elem(&passing, &index);

	if (!noted || *noted != (__u64)skb)
		return false;
	*noted = 0;
	return true;
}

#endif
