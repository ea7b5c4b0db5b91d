/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How many of something a program or a user may have: in a moment (packets held, messages read, conversations begun), or
 * at once (images and processes in the tables: no user may have so many that others find no room).
 */
#ifndef QUOTA_BPF_H
#define QUOTA_BPF_H

#include "include/maps.bpf.h"

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
static __always_inline bool has_place_at(const struct quota_key *key, __u32 most, __u32 moment)
{
	struct quota_use first = {.moment = moment, .count = 1};
	struct quota_use *use = bpf_map_lookup_elem(&quotas, key);

	if (!use) {
		bpf_map_update_elem(&quotas, key, &first, BPF_ANY);
		return true;
	}
	if (use->moment != first.moment) {
		*use = first;
		return true;
	}
	return use->count < most && __sync_fetch_and_add(&use->count, 1) < most;
}

/* In the moment that it is now. */
static __always_inline bool has_place(const struct quota_key *key, __u32 most)
{
	return has_place_at(key, most, bpf_ktime_get_coarse_ns() / QUOTA_MOMENT_NS);
}

static __always_inline struct share *find_share(__u32 uid)
{
	__u32 user = share_of(uid);

	return bpf_map_lookup_elem(&shares, &user);
}

static __always_inline void leave_share(const struct image *image)
{
	struct share *share = find_share(image->uid);

	if (share)
		__sync_fetch_and_sub(&share->images, 1);
}

/* False: the user has too many images; root never has. Else one user could make the programs of all others unknown. */
static __always_inline bool enter_share(const struct image *image)
{
	struct share *share = find_share(image->uid);

	if (!share)
		return false;
	if (__sync_fetch_and_add(&share->images, 1) < IMAGES_OF_ONE || image->uid == 0)
		return true;
	leave_share(image);
	return false;
}

static __always_inline void count_out(__u32 user)
{
	struct share *share = user ? find_share(user) : NULL;

	if (share)
		__sync_fetch_and_sub(&share->processes, 1);
}

/* False: the user has too many processes. `user` 0: it is counted for nobody. */
static __always_inline bool count_in(__u32 user)
{
	struct share *share = user ? find_share(user) : NULL;

	if (!share || __sync_fetch_and_add(&share->processes, 1) < PROCESSES_OF_ONE)
		return true;
	count_out(user);
	return false;
}

#endif
