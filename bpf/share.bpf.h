/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How much each may have of something in a moment. */
#ifndef SHARE_BPF_H
#define SHARE_BPF_H

#include "maps.bpf.h"

#define ANY_PROGRAM (~0ULL) /* no exec id grows so large */
#define BEGINNERS (~1ULL)   /* of conversations; those below it are the kernel's and unknown ones' */

/* All users of containers have one together: one person may be any number of these (subuid(5)). */
static __always_inline __u32 share_of(__u32 uid)
{
	return uid < USERS_APART ? uid : USERS_APART;
}

/* Two at the same time may both begin a moment: then one packet more goes on. */
static __always_inline bool has_place(const struct crowd_key *key, __u32 most)
{
	struct crowd first = {.moment = bpf_ktime_get_coarse_ns() / CROWD_MOMENT_NS, .count = 1};
	struct crowd *crowd = bpf_map_lookup_elem(&crowds, key);

	if (!crowd) {
		bpf_map_update_elem(&crowds, key, &first, BPF_ANY);
		return true;
	}
	if (crowd->moment != first.moment) {
		*crowd = first;
		return true;
	}
	return crowd->count < most && __sync_fetch_and_add(&crowd->count, 1) < most;
}

#endif
