/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A bound socket gets another owner. No hook tells when it is passed on, but hooks tell of a program that is executed
 * with it (inherited.bpf.h), and of one that accepts a connection from it (accept.bpf.c). After all other ways
 * (SCM_RIGHTS, unix(7); setuid(2)) user space looks for the owner on a miss.
 */
#ifndef PASSED_ON_BPF_H
#define PASSED_ON_BPF_H

#include "identity/owner.bpf.h"

#define S_IFMT 00170000 /* inode(7) */
#define S_IFSOCK 0140000

/* The cookie of the socket that this descriptor is of; 0: it is of none, or of one without a cookie of its own. */
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
 * What the socket sends is not the new owner's until that uses it: a SYN of the earlier owner may be held, and others
 * may still have it open. So is_given is written before the owner, which copy_sender() reads first.
 */
static __always_inline void give_socket(struct owned_socket *socket, const struct owner *owner)
{
	socket->is_given = 1;
	barrier();
	socket->owner = *owner;
}

/*
 * The owner is written word by word, and read so: for a moment it may be half of the old one and half of the new. No
 * verdict is remembered for that, so it is a miss.
 */
static __always_inline void hand_over_listener(__u64 cookie, struct listener *listener, const struct owner *owner)
{
	/* The other sockets at this port may stay with the earlier owner. */
	if (listener->is_shared || (listener->members > 1 && !is_same_program(&listener->owner, owner)))
		note_change(listener);
	if (listener->cookie == cookie || listener->members == 1) { /* the first socket, or the only one left */
		listener->cookie = cookie;
		listener->owner = *owner;
	}
}

/*
 * The process that uses a bound socket has its port. Were this not noted, and the binder had another socket on the
 * port, the tables and user space would name different processes for what that takes, and the packet would go round for
 * ever.
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
