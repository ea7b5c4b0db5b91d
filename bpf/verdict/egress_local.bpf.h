/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A packet to an address of this machine that yet leaves it. Any program may choose the interface (socket(7),
 * SO_BINDTODEVICE; ip(7), IP_PKTINFO), also for 127.0.0.1, and also for a connection that is open. The packet would go
 * to any machine that answers for the address out there, but rules for the address mean this machine: so it is dropped.
 * Link-local addresses are left out: on another link they may be another machine's.
 */
#ifndef EGRESS_LOCAL_BPF_H
#define EGRESS_LOCAL_BPF_H

#include "include/flow.bpf.h"
#include "include/route.bpf.h"

#define IFF_LOOPBACK 8                /* netdevice(7) */
#define IFF_L3MDEV_MASTER (1UL << 18) /* a VRF is the loopback of its own interfaces (include/linux/netdevice.h) */
#define LOOPBACK_INTERFACE 1          /* LOOPBACK_IFINDEX in include/net/flow.h: of each network namespace */

static __always_inline bool is_loopback(const __u8 *address)
{
	const __be32 *words = (const __be32 *)address;

	if (is_mapped(address))
		return address[12] == 127;
	return !words[0] && !words[1] && !words[2] && words[3] == bpf_htonl(1);
}

__noinline bool is_own(const struct flow_key *flow)
{
	struct settings *settings = find_settings();
	struct own_key key;
	__u32 *epoch;

	if (!settings || !flow)
		return false;
	if (is_loopback(flow->remote))
		return true;
	__builtin_memcpy(key.address, flow->remote, sizeof(key.address));
	epoch = bpf_map_lookup_elem(&own_addresses, &key);
	return epoch &&
	       (__s32)(*epoch - settings->own_epoch) >= 0; /* addresses are written before their epoch begins */
}

__noinline __u32 read_interface(struct __sk_buff *skb)
{
	return BPF_CORE_READ(find_device((struct sk_buff *)skb), ifindex);
}

__noinline bool stays_here(struct __sk_buff *skb)
{
	struct net_device *device = find_device((struct sk_buff *)skb);

	return (BPF_CORE_READ(device, flags) & IFF_LOOPBACK) ||
	       (BPF_CORE_READ_BITFIELD_PROBED(device, priv_flags) & IFF_L3MDEV_MASTER);
}

/*
 * Asked of IPv6, where the addresses do not tell: any program may send in the name of another machine (ipv6(7),
 * IPV6_FREEBIND), and any machine in that of this one. Of IPv4 the kernel drops both (fib_validate_source(),
 * ip_route_output_key_hash_rcu()).
 */
__noinline bool is_by_loopback(struct __sk_buff *skb, const struct flow_key *flow)
{
	if (!flow || is_mapped(flow->remote))
		return false;
	return (flow->direction == OUTBOUND ? read_interface(skb) : skb->ifindex) == LOOPBACK_INTERFACE;
}

static __always_inline bool is_bound_to_device(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;

	return sk && sk->bound_dev_if;
}

#endif
