/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The path of a file up to the root of its mount namespace, whatever the process has chosen as its own root: what
 * d_path() would print (fs/d_path.c, prepend_path), but with the components from the last to the first.
 */
#ifndef PATH_BPF_H
#define PATH_BPF_H

#include "include/kernel_types.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#define PATH_STEPS 64 /* components and mounts together */
#define NAME_SIZE 256 /* NAME_MAX and its NUL */

static __always_inline struct mount *find_mount(const struct path *path)
{
	struct vfsmount *vfsmount = BPF_CORE_READ(path, mnt);

	return (void *)vfsmount - bpf_core_field_offset(struct mount, mnt);
}

/* Goes from the root of a mount to where it is mounted. False: it is the topmost mount of its namespace. */
static __always_inline bool leave_mount(struct mount **mount, struct dentry **dentry)
{
	struct mount *inner = *mount;
	struct mount *outer = BPF_CORE_READ(inner, mnt_parent);

	if (outer == inner)
		return false;
	*dentry = BPF_CORE_READ(inner, mnt_mountpoint);
	*mount = outer;
	return true;
}

/*
 * False: the path is cut. `room` must be a constant. `size` must be in a map: of a number there the verifier knows
 * nothing, so that all steps of the loop are alike to it.
 */
static __always_inline bool write_path(char *out, const __u16 room, __u16 *size, const struct path *path)
{
	struct dentry *parent, *dentry = BPF_CORE_READ(path, dentry);
	struct mount *mount = find_mount(path);
	long length;

	*size = 0;
	for (int step = 0; step < PATH_STEPS; step++) {
		if (dentry == BPF_CORE_READ(mount, mnt.mnt_root)) {
			if (!leave_mount(&mount, &dentry))
				return true;
			continue;
		}
		if (*size > room - NAME_SIZE)
			break;
		length = bpf_probe_read_kernel_str(out + *size, NAME_SIZE, BPF_CORE_READ(dentry, d_name.name));
		if (length <= 0)
			break;
		*size += length;
		parent = BPF_CORE_READ(dentry, d_parent);
		if (parent == dentry) /* in no tree at all: a memfd (d_alloc_pseudo) */
			return true;
		dentry = parent;
	}
	return false;
}

#endif
