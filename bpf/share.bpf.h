/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How many of something a program or a user may have in a moment: packets held, messages read, conversations begun. */
#ifndef SHARE_BPF_H
#define SHARE_BPF_H

#include "maps.bpf.h"

/* In place of an exec id, which never grows so large. */
#define ANY_PROGRAM (~0ULL)
#define BEGINNERS (~1ULL) /* who begins conversations; the two ids below it: unknown programs, and the kernel */

/* All users of containers have one share together: one person may be any number of these (subuid(5)). */
static __always_inline __u32 share_of(__u32 uid)
{
	return uid < USERS_APART ? uid : USERS_APART;
}

/*
 * Counts one more in this moment. False: there have been `most` already. If two CPUs begin a moment at the same time,
 * one more than that may be let go on.
 */
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
