// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is held waits in one queue of one length, whoever sent it: a machine out there that sends a hundred thousand packets
 * a second, or a program that does, would leave no place there for anybody else's. So while user space does not keep up,
 * each program and each user has a share of what it can judge in a moment; what comes in apart from what is sent, since
 * that is not theirs to choose. Asked last, of what would be held. The same goes for what is read, and its queue.
 */
#include "packet.bpf.h"
#include "share.bpf.h"

char LICENSE[] SEC("license") = "GPL";

#define PROGRAMS_TO_A_USER 4
#define LINK_NAMES 64    /* some hundred machines of a link answer within a second */
#define IS_MESSAGE 4     /* added to the direction */
#define PEOPLE_FROM 1000 /* uids; those below are of services (login.defs(5), SYS_UID_MAX) */

/*
 * As the verdict program noted it just now, or when the conversation began: an answer is whose the question was. What
 * makes no sense is nobody's.
 */
static __always_inline void name_crowd(struct __sk_buff *skb, __u8 direction, __u8 noted_direction,
				       struct crowd_key *key)
{
	struct flow_key flow_key = {.direction = direction};
	enum packet_role role = ROLE_NONE;
	struct transport transport = {};
	struct flow *flow;

	if (!parse_packet(skb, &flow_key, &transport, &role))
		return;
	flow_key.direction = noted_direction;
	flow = bpf_map_lookup_elem(&flows, &flow_key);
	if (!flow)
		return;
	key->exec_id = flow->owner.exec_id;
	key->uid = share_of(flow->owner.uid);
}

/* The program first: what that has too much of takes nothing from what its user has. */
static __always_inline bool has_room(struct crowd_key *key, __u32 most)
{
	if (!has_place(key, (most + PROGRAMS_TO_A_USER - 1) / PROGRAMS_TO_A_USER))
		return false;
	key->exec_id = ANY_PROGRAM;
	return has_place(key, most);
}

static __always_inline int is_crowded(struct __sk_buff *skb, __u8 direction)
{
	struct crowd_key key = {.direction = direction};
	struct settings *settings = find_settings();

	if (!settings || !settings->crowd_limit)
		return 0;
	name_crowd(skb, direction, direction, &key);
	if (has_room(&key, settings->crowd_limit))
		return 0;
	count(LOST_CROWD);
	return 1;
}

/*
 * A resolver on this machine asks for all others: a service has twice as much as whoever may ask it, in one program or in
 * several. Of whom nothing is noted is no service.
 */
static __always_inline bool has_room_to_be_read(struct crowd_key *key, __u32 most)
{
	if (key->exec_id == EXEC_ID_UNKNOWN)
		key->uid = USERS_APART;
	if (key->uid >= PEOPLE_FROM)
		return has_room(key, (most + 1) / 2);
	key->exec_id = ANY_PROGRAM;
	return has_place(key, most);
}

/*
 * Several DNS messages in one packet, of which user space would read only the first: sent by one call (UDP_SEGMENT), or put
 * together as they came (UDP_GRO, udp(7)). No honest program has them so. By gso_size, which is 0 in a packet of a single
 * datagram: gso_segs is 0 in what another virtual machine put together (virtio_net_hdr_to_skb()).
 */
static __always_inline bool is_several(struct __sk_buff *skb, __u8 direction)
{
	struct flow_key flow_key = {.direction = direction};
	enum packet_role role = ROLE_NONE;
	struct transport transport = {};

	return skb->gso_size && parse_packet(skb, &flow_key, &transport, &role) && flow_key.protocol == UDP &&
	       is_message_port(UDP, flow_key.remote_port);
}

/* Unread nothing goes on: what is not learned would have no name. */
static __always_inline int is_unread(struct __sk_buff *skb, __u8 direction)
{
	struct crowd_key key = {.direction = IS_MESSAGE + direction};
	struct settings *settings = find_settings();

	if (is_several(skb, direction)) {
		count(LOST_MESSAGES);
		return 1;
	}
	if (!settings || !settings->message_limit)
		return 0;
	name_crowd(skb, direction, OUTBOUND, &key);
	if (has_room_to_be_read(&key, settings->message_limit))
		return 0;
	count(LOST_MESSAGES);
	return 1;
}

SEC("socket")
int out_crowded(struct __sk_buff *skb)
{
	return is_crowded(skb, OUTBOUND);
}

SEC("socket")
int in_crowded(struct __sk_buff *skb)
{
	return is_crowded(skb, INBOUND);
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
 * What claims to tell of names of the link is read, and any machine out there may send it to a port that is open to it. Names
 * of resolvers are read by the same reader.
 */
SEC("socket")
int in_told(struct __sk_buff *skb)
{
	struct crowd_key key = {.exec_id = ANY_PROGRAM, .direction = ANY_REMOTE}; /* which no packet's own has */

	return has_place(&key, LINK_NAMES);
}
