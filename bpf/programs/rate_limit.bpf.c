// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * All held packets wait in one queue of limited length: a program or a remote machine that sends a hundred thousand a
 * second would leave no place there for the packets of others. So while user space does not keep up, each program and
 * each user has a share of the packets that it can judge in a moment. What comes in is counted apart from what is sent,
 * since a program cannot choose it. Asked last, of packets that would be held; and likewise of messages that would be
 * read, which have a queue of their own.
 */
#include "include/packet.bpf.h"
#include "include/quota.bpf.h"

char LICENSE[] SEC("license") = "GPL";

#define PROGRAMS_TO_A_USER 4 /* a program may have this part of its user's share: a quarter */
#define LINK_NAMES 64        /* in a moment: some hundred machines of a link answer within a second */
#define IS_MESSAGE 4         /* added to the direction */
#define NO_DIRECTION 2       /* that no packet has */
#define PEOPLE_FROM 1000     /* lower uids are of services (login.defs(5), SYS_UID_MAX) */

/*
 * Whose share the packet takes: that of the owner whom the verdict program noted for the flow, just now, or when the
 * conversation began: an answer counts for the program that asked. `key` is left as it is if the packet is malformed,
 * or nothing is noted.
 */
static __always_inline void name_quota(struct __sk_buff *skb, __u8 direction, __u8 noted_direction,
				       struct quota_key *key)
{
	struct flow_key flow_key = {.direction = direction};
	enum packet_role role = ROLE_NONE;
	struct transport transport = {};
	struct flow_entry *flow;

	if (!parse_packet(skb, &flow_key, &transport, &role))
		return;
	flow_key.direction = noted_direction;
	flow = bpf_map_lookup_elem(&flows, &flow_key);
	if (!flow)
		return;
	key->exec_id = flow->owner.exec_id;
	key->uid = share_of(flow->owner.uid);
}

/* The program is asked first: its packets beyond its own share take nothing from its user's. */
static __always_inline bool has_room(struct quota_key *key, __u32 most)
{
	if (!has_place(key, (most + PROGRAMS_TO_A_USER - 1) / PROGRAMS_TO_A_USER))
		return false;
	key->exec_id = ANY_PROGRAM;
	return has_place(key, most);
}

static __always_inline int is_over_quota(struct __sk_buff *skb, __u8 direction)
{
	struct quota_key key = {.direction = direction};
	struct settings *settings = find_settings();

	if (!settings || !settings->packet_limit)
		return 0;
	name_quota(skb, direction, direction, &key);
	if (has_room(&key, settings->packet_limit))
		return 0;
	count(LOST_OVER_QUOTA);
	return 1;
}

/*
 * A resolver on this machine asks for all programs: a service may have twice as many messages read as any other user,
 * and all of them by one program. An unknown program is taken for no service.
 */
static __always_inline bool has_room_to_be_read(struct quota_key *key, __u32 most)
{
	if (key->exec_id == EXEC_ID_UNKNOWN)
		key->uid = USERS_APART;
	if (key->uid >= PEOPLE_FROM)
		return has_room(key, (most + 1) / 2);
	key->exec_id = ANY_PROGRAM;
	return has_place(key, most);
}

/*
 * Several DNS messages in one packet, of which user space would read only the first: sent by one call (UDP_SEGMENT), or
 * put together as they came (UDP_GRO, udp(7)). No honest client or resolver has them so. By gso_size, which is 0 for a
 * single datagram: gso_segs is 0 in what another virtual machine put together (virtio_net_hdr_to_skb()).
 */
static __always_inline bool is_several(struct __sk_buff *skb, __u8 direction)
{
	struct flow_key flow_key = {.direction = direction};
	enum packet_role role = ROLE_NONE;
	struct transport transport = {};

	return skb->gso_size && parse_packet(skb, &flow_key, &transport, &role) && flow_key.protocol == UDP &&
	       is_message_port(UDP, flow_key.remote_port);
}

/* Whether a DNS message is to be dropped. None goes on unread: the address in it would have no name. */
static __always_inline int is_unread(struct __sk_buff *skb, __u8 direction)
{
	struct quota_key key = {.direction = IS_MESSAGE + direction};
	struct settings *settings = find_settings();

	if (is_several(skb, direction)) {
		count(LOST_MESSAGES);
		return 1;
	}
	if (!settings || !settings->message_limit)
		return 0;
	name_quota(skb, direction, OUTBOUND, &key);
	if (has_room_to_be_read(&key, settings->message_limit))
		return 0;
	count(LOST_MESSAGES);
	return 1;
}

SEC("socket")
int out_over_quota(struct __sk_buff *skb)
{
	return is_over_quota(skb, OUTBOUND);
}

SEC("socket")
int in_over_quota(struct __sk_buff *skb)
{
	return is_over_quota(skb, INBOUND);
}

SEC("socket")
int out_unread(struct __sk_buff *skb)
{
	return is_unread(skb, OUTBOUND);
}

SEC("socket")
int in_unread(struct __sk_buff *skb)
{
	return is_unread(skb, INBOUND);
}

/*
 * Whether there is room to read an answer of mDNS or LLMNR. Any machine of the link may send them to an open port, and
 * they must leave room for those of resolvers, which wait in the same queue.
 */
SEC("socket")
int in_told(struct __sk_buff *skb)
{
	struct quota_key key = {.exec_id = ANY_PROGRAM, .direction = NO_DIRECTION};

	return has_place(&key, LINK_NAMES);
}
