/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The verdicts that user space told the kernel to remember, and whether they still hold. */
#ifndef CACHE_BPF_H
#define CACHE_BPF_H

#include "include/maps.bpf.h"

static __always_inline bool is_current(const struct settings *settings, __u32 generation, __u64 expires_ns)
{
	return generation == settings->generation && (!expires_ns || bpf_ktime_get_boot_ns() < expires_ns);
}

static __always_inline bool is_provisional(enum verdict verdict)
{
	return verdict == VERDICT_ALLOW_NOTED || verdict == VERDICT_ALLOW_GUARDED;
}

/* A verdict in the lower half, and in the upper half where the uses of its rule are counted */
#define VERDICT_OF(found) ((found) & 0xffff)
#define RULE_OF(found) ((found) >> 16)

/*
 * The verdict under one of the masks in use, with its rule. VERDICT_NONE: none is remembered, or it holds no more.
 * `asked` has the exec id as program, and the direction alone as mask; if a verdict is found its program is that of the
 * key. Whichever mask has one, it is right: a verdict holds for all connections that are alike in the columns of its
 * mask. Not inlined, so that the verifier checks it once.
 */
__noinline __u32 find_verdict(struct verdict_key *asked)
{
	const struct settings *settings = find_settings();
	const struct verdict_value *value;
	const struct image *image;
	struct verdict_key key;
	__u64 programs[4] = {}; /* by grain; no verdict is remembered for 0 */

	if (!settings || !asked)
		return VERDICT_NONE;
	programs[GRAIN_EXEC] = asked->program;
	image = bpf_map_lookup_elem(&images, &programs[GRAIN_EXEC]);
	if (image) {
		programs[GRAIN_FILE] = image->file_id;
		programs[GRAIN_ARGS] = image->args_id;
		programs[GRAIN_LINEAGE] = image->lineage_id;
	}
	for (__u32 mask = 0; mask < MASKS; mask++) {
		if (!(settings->masks & 1U << mask))
			continue;
		key = *asked;
		key.program = programs[mask & GRAIN_BITS];
		key.mask |= mask << 1;
		if (mask & MASK_ANY_REMOTE)
			__builtin_memset(key.remote, 0, sizeof(key.remote));
		if (mask & MASK_ANY_PORT)
			key.port = 0;
		value = bpf_map_lookup_elem(&verdicts, &key);
		if (!value || !is_current(settings, value->generation, value->expires_ns))
			continue;
		asked->program = key.program;
		return value->verdict | (__u32)value->rule << 16;
	}
	return VERDICT_NONE;
}

#endif
