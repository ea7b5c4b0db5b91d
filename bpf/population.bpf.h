/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How many images and processes each user has in the tables: no user may have so many that others find no room. */
#ifndef POPULATION_BPF_H
#define POPULATION_BPF_H

#include "share.bpf.h"

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
