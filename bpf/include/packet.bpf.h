/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From packet to flow. Where xt_bpf runs (LOCAL_OUT, POST_ROUTING and LOCAL_IN), skb->data is at the IP header:
 * ip_local_out() has just built it, ip_local_deliver() and ip6_input() have not yet taken it off. For a cgroup's hook
 * it is put back (__cgroup_bpf_run_filter_skb()). In LOCAL_IN an IPv4 packet is whole (ip_local_deliver()), an IPv6
 * packet may be a fragment.
 * A packet that hides where it goes, which core/packets/packet.py calls malformed, has no flow here either: no remembered
 * verdict must let it pass.
 * The verifier checks a function that is not static once for each program, with any arguments, NULL too; a static one
 * is checked anew on each path that calls it (do_check_subprogs() in kernel/bpf/verifier.c). That takes ten times as
 * long.
 */
#ifndef PACKET_BPF_H
#define PACKET_BPF_H

#include "include/flow.bpf.h"

#define EXTENSIONS 8 /* extension headers of IPv6; a longer chain only serves to hide the transport header */

/* IANA protocol numbers */
#define HOP_BY_HOP 0
#define ROUTING 43
#define FRAGMENT 44
#define AUTHENTICATION 51
#define DESTINATION_OPTIONS 60

/* The bits of the fragment offset, 0 in the first fragment: RFC 791 3.1; in the second byte, RFC 8200 4.5 */
#define FRAGMENT_OFFSET 0x1fff
#define FRAGMENT_OFFSET6 0xf8

/* RFC 791 3.1 */
#define OPTIONS_SIZE 40
#define END_OF_OPTIONS 0
#define NO_OPERATION 1
#define LOOSE_SOURCE_ROUTE 131
#define STRICT_SOURCE_ROUTE 137

#define ICMP_ECHO_REPLY 0
#define ICMP_ECHO 8
#define ICMP_TIMESTAMP 13
#define ICMP_TIMESTAMP_REPLY 14
#define ICMPV6_ECHO 128
#define ICMPV6_ECHO_REPLY 129

#define DNS 53
#define MDNS 5353  /* RFC 6762 */
#define LLMNR 5355 /* RFC 4795 */

struct ipv4_header {
	__u8 version_and_words;
	__u8 tos;
	__be16 length, id, fragment;
	__u8 ttl, protocol;
	__u16 checksum;
	__be32 source, destination;
};

struct ipv6_header {
	__be32 version_and_label;
	__be16 payload_size;
	__u8 next_header, hop_limit;
	__u8 source[16], destination[16];
} __attribute__((aligned(8)));

/* Where the transport header is, and of which protocol. */
struct transport {
	__u32 offset;
	__u8 protocol;
	bool is_missing; /* the packet is a fragment, and not the first */
	bool is_routed;  /* it has a routing header */
};

/* What a packet can be in a conversation: of none; question or answer, which nothing tells; a question; an answer. */
enum packet_role { ROLE_NONE, ROLE_ANY, ROLE_ASKS, ROLE_ANSWERS };

static __always_inline void place_addresses(struct flow_key *flow, const void *source, const void *destination)
{
	bool is_outbound = flow->direction == OUTBOUND;

	__builtin_memcpy(flow->local, is_outbound ? source : destination, 16);
	__builtin_memcpy(flow->remote, is_outbound ? destination : source, 16);
}

/* Bytes from this option to the next; 0: it is the last, or malformed. */
__noinline __u32 measure_option(struct __sk_buff *skb, __u32 at, __u8 type)
{
	__u8 size;

	if (type == END_OF_OPTIONS)
		return 0;
	if (type == NO_OPERATION)
		return 1;
	return bpf_skb_load_bytes(skb, at + 1, &size, 1) || size < 2 ? 0 : size;
}

/*
 * With a source route the destination in the IP header is only the next stop. Any program may set one (ip(7),
 * IP_OPTIONS). The search ends at the first malformed option: the kernel sends none (__ip_options_compile()).
 */
__noinline bool has_source_route(struct __sk_buff *skb, __u32 end)
{
	__u32 step, at = sizeof(struct ipv4_header);
	__u8 type;

	for (int i = 0; i < OPTIONS_SIZE && at < end; i++) {
		if (bpf_skb_load_bytes(skb, at, &type, 1))
			return false;
		if (type == LOOSE_SOURCE_ROUTE || type == STRICT_SOURCE_ROUTE)
			return true;
		step = measure_option(skb, at, type);
		if (!step)
			return false;
		at += step;
	}
	return false;
}

static __always_inline bool parse_v4(struct __sk_buff *skb, const struct ipv4_header *header, struct flow_key *flow,
				     struct transport *transport)
{
	bool is_outbound = flow->direction == OUTBOUND;

	map_v4(flow->local, is_outbound ? header->source : header->destination);
	map_v4(flow->remote, is_outbound ? header->destination : header->source);
	transport->offset = (header->version_and_words & 15) * 4;
	transport->protocol = header->protocol;
	transport->is_missing = header->fragment & bpf_htons(FRAGMENT_OFFSET);
	return transport->offset <= sizeof(*header) || !has_source_route(skb, transport->offset);
}

static __always_inline bool is_extension(__u8 protocol)
{
	return protocol == HOP_BY_HOP || protocol == ROUTING || protocol == FRAGMENT || protocol == AUTHENTICATION ||
	       protocol == DESTINATION_OPTIONS;
}

/* In bytes. AH counts units of 4 bytes, less 2 (RFC 4302 2.2); the others count units of 8, less 1 (RFC 8200 4). */
static __always_inline __u32 measure_extension(__u8 protocol, __u8 length)
{
	if (protocol == FRAGMENT)
		return 8;
	return protocol == AUTHENTICATION ? (length + 2) * 4 : (length + 1) * 8;
}

/*
 * False: it is cut short, or a routing header by which the destination in the IP header is only the next stop (RFC 3542
 * 7).
 */
__noinline bool skip_extension(struct __sk_buff *skb, struct transport *transport)
{
	__u8 header[4];

	if (!transport || bpf_skb_load_bytes(skb, transport->offset, header, sizeof(header)))
		return false;
	if (transport->protocol == ROUTING && header[3])
		return false;
	if (transport->protocol == FRAGMENT)
		transport->is_missing |= header[2] || (header[3] & FRAGMENT_OFFSET6);
	transport->is_routed |= transport->protocol == ROUTING;
	transport->offset += measure_extension(transport->protocol, header[1]);
	transport->protocol = header[0];
	return true;
}

static __always_inline bool parse_v6(struct __sk_buff *skb, struct flow_key *flow, struct transport *transport)
{
	struct ipv6_header header;

	if (bpf_skb_load_bytes(skb, 0, &header, sizeof(header)))
		return false;
	/* An IPv4-mapped one would be taken for an address of IPv4; ip6_rcv_core() drops such a source too. */
	if (is_mapped(header.source) || is_mapped(header.destination))
		return false;
	place_addresses(flow, header.source, header.destination);
	transport->offset = sizeof(header);
	transport->protocol = header.next_header;
	for (int i = 0; i < EXTENSIONS; i++) {
		if (transport->is_missing || !is_extension(transport->protocol))
			return true;
		if (!skip_extension(skb, transport))
			return false;
	}
	return transport->is_missing || !is_extension(transport->protocol);
}

static __always_inline bool is_echo(__u8 protocol, __u8 type)
{
	if (protocol == ICMP)
		return type == ICMP_ECHO || type == ICMP_ECHO_REPLY;
	return protocol == ICMPV6 && (type == ICMPV6_ECHO || type == ICMPV6_ECHO_REPLY);
}

static __always_inline bool parse_ports(struct __sk_buff *skb, struct flow_key *flow, __u32 offset)
{
	__be16 ports[2];

	if (bpf_skb_load_bytes(skb, offset, ports, sizeof(ports)))
		return false;
	flow->local_port = bpf_ntohs(ports[flow->direction == OUTBOUND ? 0 : 1]);
	flow->remote_port = bpf_ntohs(ports[flow->direction == OUTBOUND ? 1 : 0]);
	return true;
}

static __always_inline bool is_message_port(__u8 protocol, __u16 port)
{
	return port == DNS || (protocol == UDP && (port == MDNS || port == LLMNR));
}

static __always_inline enum packet_role role_of_icmp(__u8 protocol, __u8 type)
{
	if (type == (protocol == ICMP ? ICMP_ECHO : ICMPV6_ECHO) || (protocol == ICMP && type == ICMP_TIMESTAMP))
		return ROLE_ASKS;
	if (type == (protocol == ICMP ? ICMP_ECHO_REPLY : ICMPV6_ECHO_REPLY) ||
	    (protocol == ICMP && type == ICMP_TIMESTAMP_REPLY))
		return ROLE_ANSWERS;
	return ROLE_NONE;
}

/* ICMP and ICMPv6 put the identifier of an echo in bytes 4 and 5 (RFC 792, RFC 4443 4.1). */
static __always_inline bool parse_icmp(struct __sk_buff *skb, struct flow_key *flow, __u32 offset,
				       enum packet_role *role)
{
	struct {
		__u8 type, code;
		__be16 checksum, identifier;
	} header;

	if (bpf_skb_load_bytes(skb, offset, &header, sizeof(header)))
		return false;
	if (is_echo(flow->protocol, header.type))
		flow->local_port = bpf_ntohs(header.identifier);
	*role = role_of_icmp(flow->protocol, header.type);
	return true;
}

/* False: it is malformed. The caller sets the direction of `flow`, and zeroes the rest, `transport` and `role`. */
__noinline bool parse_packet(struct __sk_buff *skb, struct flow_key *flow, struct transport *transport,
			     enum packet_role *role)
{
	struct ipv4_header header; /* the shorter header: one read tells the version, and is all that IPv4 needs */

	if (!flow || !transport || !role || bpf_skb_load_bytes(skb, 0, &header, sizeof(header)))
		return false;
	if (header.version_and_words >> 4 == 4 ? !parse_v4(skb, &header, flow, transport)
					       : !parse_v6(skb, flow, transport))
		return false;
	flow->protocol = transport->protocol;
	if (transport->is_missing)
		return true;
	if (flow->protocol == ICMP || flow->protocol == ICMPV6)
		return parse_icmp(skb, flow, transport->offset, role);
	if (flow->protocol != TCP) /* whose flags tell; it has no conversations */
		*role = ROLE_ANY;
	return !has_ports(flow->protocol) || parse_ports(skb, flow, transport->offset);
}

#endif
