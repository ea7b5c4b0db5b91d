/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The interface that a packet leaves by. */
#ifndef ROUTE_BPF_H
#define ROUTE_BPF_H

#include "include/kernel_types.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#define SKB_DST_NOREF 1UL

/* The device that the packet was routed to; NULL: it was not routed yet. */
static __always_inline struct net_device *find_device(struct sk_buff *skb)
{
	unsigned long dst = BPF_CORE_READ(skb, _skb_refdst) & ~SKB_DST_NOREF;

	return BPF_CORE_READ((struct dst_entry *)dst, dev);
}

#endif
