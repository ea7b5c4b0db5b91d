/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The verdicts that user space told the kernel to remember, and whether they still hold. */
#ifndef REMEMBERED_BPF_H
#define REMEMBERED_BPF_H

#include "maps.bpf.h"

#include <bpf/bpf_endian.h>

#define ICMP 1
#define TCP 6
#define UDP 17
#define DCCP 33
#define ICMPV6 58
#define SCTP 132
#define UDPLITE 136

static __always_inline bool has_ports(__u8 protocol)
{
	return protocol == TCP || protocol == UDP;
}

/*
 * These have ports at the same place as UDP, but rules know none of theirs. Programs use them, and no hook tells which
 * program has which port.
 */
static __always_inline bool has_other_ports(__u8 protocol)
{
	return protocol == SCTP || protocol == DCCP || protocol == UDPLITE;
}

/* IPv4-mapped, RFC 4291 2.5.5.2 */
static __always_inline void map_v4(__u8 *address, __u32 v4)
{
	__u32 *words = (__u32 *)address;

	words[0] = 0;
	words[1] = 0;
	words[2] = bpf_htonl(0xffff);
	words[3] = v4;
}

/* Word by word: the context of a cgroup hook can be read in no other way. */
static __always_inline void copy_v6(__u8 *address, __u32 a, __u32 b, __u32 c, __u32 d)
{
	__u32 *words = (__u32 *)address;

	words[0] = a;
	words[1] = b;
	words[2] = c;
	words[3] = d;
}

static __always_inline bool is_mapped(const __u8 *address)
{
	const __be32 *words = (const __be32 *)address;

	return !words[0] && !words[1] && words[2] == bpf_htonl(0xffff);
}

/* The address that stands for any: of IPv6 (::), or of IPv4 (0.0.0.0). */
static __always_inline bool is_any(const __u8 *address)
{
	const __be32 *words = (const __be32 *)address;

	return !words[0] && !words[1] && !words[3] && (!words[2] || words[2] == bpf_htonl(0xffff));
}

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
