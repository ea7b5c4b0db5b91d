/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bound sockets that a program is executed with, as systemd hands them to a service: sd_listen_fds(3). Descriptors that
 * an exec closes are closed by now (begin_new_exec()).
 */
#ifndef INHERITED_BPF_H
#define INHERITED_BPF_H

#include "identity/passed_on.bpf.h"

struct heir {
	struct owner owner;
	struct file **files;
};

/*
 * Of the processes that have a socket the newest is its owner, as in kernel/attribution/bootstrap.py. An exec makes no process newer
 * (de_thread() in fs/exec.c): one that executes itself anew may only keep the socket for others, which have it already.
 */
static __always_inline bool is_younger(const struct owner *known, const struct owner *owner)
{
	return known->started_ns > owner->started_ns;
}

static __always_inline void inherit(__u64 cookie, const struct owner *owner)
{
	struct listener *listener = find_bound(cookie);
	struct owned_socket *socket = bpf_map_lookup_elem(&sockets, &cookie);

	if (listener && !is_younger(socket ? &socket->owner : &listener->owner, owner))
		hand_over(cookie, listener, owner);
}

static long look_at_inherited(__u32 index, struct heir *heir)
{
	__u64 cookie = read_cookie(heir->files, index);

	if (cookie)
		inherit(cookie, &heir->owner);
	return 0;
}

static __always_inline void inherit_sockets(struct task_struct *task, const struct image *image)
{
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	__u32 count = BPF_CORE_READ(table, max_fds);
	struct heir heir = {
		.owner = {image->exec_id, image->started_ns, image->pid, image->uid},
		.files = BPF_CORE_READ(table, fd),
	};

	bpf_loop(count < DESCRIPTORS ? count : DESCRIPTORS, look_at_inherited, &heir, 0);
}

#endif
