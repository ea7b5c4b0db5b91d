/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who gets a bound socket from its owner. No hook tells of that, but of what is executed with it, and of what accepts a
 * connection from it. What else there is (unix(7), SCM_RIGHTS; setuid(2)), user space looks for on a miss.
 */
#ifndef HANDOVER_BPF_H
#define HANDOVER_BPF_H

#include "owner.bpf.h"

#define S_IFMT 00170000 /* inode(7) */
#define S_IFSOCK 0140000

/* Of the socket that is open there; 0: none, or it never had one, or has another's. */
static __always_inline __u64 read_cookie(struct file **files, __u32 index)
{
	struct file *file = NULL;
	struct socket *socket;
	struct sock *sk;
	__u64 cookie;

	bpf_probe_read_kernel(&file, sizeof(file), &files[index]);
	if (!file || (BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return 0;
	socket = BPF_CORE_READ(file, private_data);
	sk = BPF_CORE_READ(socket, sk);
	cookie = BPF_CORE_READ(sk, __sk_common.skc_cookie.counter);
	return is_of_another(bpf_map_lookup_elem(&sockets, &cookie), sk) ? 0 : cookie;
}

static __always_inline struct listener *find_bound(__u64 cookie)
{
	struct listener_key *key = bpf_map_lookup_elem(&bindings, &cookie);

	return key ? bpf_map_lookup_elem(&listeners, key) : NULL;
}

/*
 * What it sends is not its heir's before that uses it: a SYN may be held, and others may have it still. Seen before the
 * owner is, which is read first (copy_sender()).
 */
static __always_inline void give_socket(struct owned_socket *socket, const struct owner *owner)
{
	socket->is_given = 1;
	barrier();
	socket->owner = *owner;
}

/* Word by word, as it is read: for a moment an owner may be two halves, which is nobody's, and so a miss. */
static __always_inline void hand_over_listener(__u64 cookie, struct listener *listener, const struct owner *owner)
{
	/* The others of the group may stay with whoever had this one. */
	if (listener->is_shared || (listener->members > 1 && !is_same_program(&listener->owner, owner)))
		note_change(listener);
	if (listener->cookie == cookie || listener->members == 1) { /* the first one, or what is left of all */
		listener->cookie = cookie;
		listener->owner = *owner;
	}
}

/*
 * Whoever uses a bound socket has its port. Else, beside another socket of the binder on the same port, the tables would
 * name this one's user for what the other takes, user space the binder, and the packet go round between them for ever.
 */
static __always_inline void hand_over_port(__u64 cookie, const struct owner *owner)
{
	struct listener *listener = find_bound(cookie);

	if (listener)
		hand_over_listener(cookie, listener, owner);
}

static __always_inline void hand_over(__u64 cookie, struct listener *listener, const struct owner *owner)
{
	struct owned_socket *socket = bpf_map_lookup_elem(&sockets, &cookie);

	hand_over_listener(cookie, listener, owner);
	if (socket)
		give_socket(socket, owner);
}

#endif
