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

static __always_inline enum verdict find_verdict_of_key(const struct settings *settings, const struct verdict_key *key)
{
	struct verdict_value *value = bpf_map_lookup_elem(&verdicts, key);

	if (!value || !is_current(settings, value->generation, value->expires_ns))
		return VERDICT_NONE;
	return value->verdict;
}

/* For this remote, else for any. VERDICT_NONE: none is remembered, or it holds no more. */
static __always_inline enum verdict find_verdict(const struct settings *settings, const struct verdict_key *key)
{
	struct verdict_key everywhere = {
		.exec_id = key->exec_id,
		.uid = key->uid,
		.protocol = key->protocol,
		.direction = key->direction | ANY_REMOTE,
	};
	enum verdict verdict = find_verdict_of_key(settings, key);

	return verdict == VERDICT_NONE ? find_verdict_of_key(settings, &everywhere) : verdict;
}

#endif
