/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Protocols and addresses, as the keys of flows have them. */
#ifndef FLOW_BPF_H
#define FLOW_BPF_H

#include "include/maps.bpf.h"

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

/* A multicast (RFC 1112 4, RFC 4291 2.7) or the limited broadcast (RFC 919 7). */
static __always_inline bool is_for_many(const __u8 *address)
{
	const __be32 *words = (const __be32 *)address;

	if (!is_mapped(address))
		return address[0] == 0xff;
	return (words[3] & bpf_htonl(0xf0000000)) == bpf_htonl(0xe0000000) || words[3] == bpf_htonl(0xffffffff);
}

#endif
