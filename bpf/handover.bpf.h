/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who gets a bound socket from its owner. No hook tells of that; but of who is executed with it, and of who accepts a
 * connection from it. What else there is (unix(7), SCM_RIGHTS; setuid(2)), user space looks for on a miss.
 */
#ifndef HANDOVER_BPF_H
#define HANDOVER_BPF_H

#include "owner.bpf.h"

/* Word by word, as it is read: for a moment an owner may be two halves, which is nobody's, and so a miss. */
static __always_inline void hand_over(__u64 cookie, struct listener *listener, const struct owner *owner)
{
	struct owned_socket *socket = bpf_map_lookup_elem(&sockets, &cookie);

	/* The others of the group may stay with who had this one. */
	if (listener->is_shared || (listener->members > 1 && !is_same_program(&listener->owner, owner)))
		__sync_fetch_and_add(&listener->is_shared, 1);
	if (listener->cookie == cookie)
		listener->owner = *owner;
	if (socket)
		socket->owner = *owner;
}

#endif
