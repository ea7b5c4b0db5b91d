/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Connections that were allowed though their remote has no name: what they send is shown to user space until it has
 * read the remote's name in it (TLS, QUIC), or seen that there is none. A packet that user space has read and let go
 * has a mark.
 */
#ifndef WATCH_BPF_H
#define WATCH_BPF_H

#include "verdict/conntrack.bpf.h"
#include "verdict/handshake.bpf.h"

#define DATA_OFFSET 12 /* in the TCP header, RFC 9293 3.1 */

/* An empty datagram counts as well: it tells that this is no QUIC. */
static __always_inline bool has_payload(struct __sk_buff *skb, const struct question *question)
{
	__u8 words;

	if (question->flow.protocol != TCP)
		return true;
	if (bpf_skb_load_bytes(skb, question->transport + DATA_OFFSET, &words, 1))
		return false;
	return question->transport + (words >> 4) * 4 < skb->len;
}

/* Whether a TCP segment has no data. Told by three reads; false for one behind an extension header. */
static __always_inline bool is_bare_segment(struct __sk_buff *skb)
{
	__u32 at = sizeof(struct ipv6_header);
	__u8 words, next_header;

	if (bpf_skb_load_bytes(skb, 0, &words, 1))
		return false;
	if (words >> 4 == 4)
		at = (words & 15) * 4;
	else if (bpf_skb_load_bytes(skb, offsetof(struct ipv6_header, next_header), &next_header, 1) ||
		 next_header != TCP)
		return false;
	if (bpf_skb_load_bytes(skb, at + DATA_OFFSET, &words, 1))
		return false;
	return at + (words >> 4) * 4 >= skb->len;
}

static __always_inline void name_watch(const struct question *question, struct watch_key *key)
{
	key->cookie = question->whose.cookie;
	__builtin_memcpy(key->remote, question->flow.remote, sizeof(key->remote));
	key->local_port = question->flow.local_port;
	key->remote_port = question->flow.remote_port;
}

static __always_inline struct watch *find_watch(const struct question *question)
{
	struct watch_key key = {};

	name_watch(question, &key);
	return bpf_map_lookup_elem(&watched, &key);
}

/* Whether user space has ended the connection, since a rule denies the name that it read. */
static __always_inline bool is_cut(const struct question *question)
{
	struct watch *watch;

	if (question->flow.direction != OUTBOUND)
		return false;
	watch = find_watch(question);
	return watch && watch->state == WATCH_CUT;
}

/* False: there was no room, so nothing of it will be read. */
static __always_inline bool write_watch(const struct question *question, enum watch_state state)
{
	struct watch watch = {.state = state};
	struct watch_key key = {};

	name_watch(question, &key);
	if (!bpf_map_update_elem(&watched, &key, &watch, BPF_ANY))
		return true;
	count(LOST_WATCHES);
	return false;
}

/* A new connection is let go: its stream is read from the start, even if an earlier one of its socket was read. */
static __always_inline void begin_stream(struct __sk_buff *skb, const struct question *question, enum watch_state state)
{
	struct owned_socket *socket = bpf_map_lookup_elem(&sockets, &question->whose.cookie);
	struct watch_key key = {};

	if (!socket) {
		if (!is_closed(skb->sk)) /* a closed one sends no more: nothing is lost */
			count(LOST_WATCHES);
		return;
	}
	if (socket->watch) {
		name_watch(question, &key);
		bpf_map_delete_elem(&watched, &key);
	}
	socket->watch = state;
}

/*
 * Whether the packet may go on at once: a SYN without data, or what belongs to a connection that is read no more. A SYN
 * with data (RFC 7413) comes here again once that was read, and then begins no stream (`is_first` is false).
 */
static __always_inline bool begin_watch(struct __sk_buff *skb, struct question *question, enum verdict verdict,
					bool is_first)
{
	enum watch_state state = verdict == VERDICT_ALLOW_GUARDED ? WATCH_GUARDED : WATCH_NOTED;
	bool has_said = has_payload(skb, question);
	struct watch *known;

	if (!question->whose.cookie)
		return true;
	if (is_first || !has_said)
		begin_stream(skb, question, state);
	if (!has_said)
		return true;
	known = find_watch(question);
	question->is_watched = known ? known->state != WATCH_OVER : write_watch(question, state);
	return !question->is_watched;
}

/*
 * Whether a packet of a stream is to be shown. The entry in `watched` outlives the socket. A packet that was held may
 * be of an earlier stream of the socket, so only one to the remote of the last SYN ends the watch at the socket.
 */
static __always_inline bool is_stream_watched(const struct question *question, struct owned_socket *socket)
{
	struct watch *watch = find_watch(question);

	if (socket && watch && watch->state == WATCH_OVER && is_let_go(socket, &question->flow))
		socket->watch = WATCH_OVER;
	if (socket && !watch)
		return write_watch(question, socket->watch);
	return watch && watch->state != WATCH_OVER;
}

#endif
