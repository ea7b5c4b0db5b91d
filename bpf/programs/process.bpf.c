// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which processes run what: every exec makes an image, forks share it, the last exit retires it. It is captured at the
 * exec itself, before the new program runs a single instruction: afterwards that could write its own argv, and even
 * replace /proc/PID/exe (prctl(2), PR_SET_MM_MAP).
 */
#include "identity/grain.bpf.h"
#include "identity/inherited.bpf.h"
#include "include/path.bpf.h"
#include "include/quota.bpf.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "GPL";

#define RETIRE_ATTEMPTS 32

static __always_inline __u64 find_exec_id(__u32 tgid)
{
	struct process_entry *process = bpf_map_lookup_elem(&processes, &tgid);

	return process ? process->exec_id : EXEC_ID_UNKNOWN;
}

/* When the queue is full the oldest image is forgotten. Another CPU may take the room that it leaves: so try again. */
static __always_inline void retire_image(__u64 exec_id)
{
	__u64 oldest;

	for (int attempt = 0; attempt < RETIRE_ATTEMPTS; attempt++) {
		if (!bpf_map_push_elem(&retired, &exec_id, 0))
			return;
		if (!bpf_map_pop_elem(&retired, &oldest))
			bpf_map_delete_elem(&images, &oldest);
	}
	bpf_map_delete_elem(&images, &exec_id);
	count(LOST_IMAGES);
}

/* False: there is no room. Then the process is unknown, and an entry of an earlier process of that tgid is removed. */
static __always_inline bool add_process(__u32 tgid, const struct process_entry *process)
{
	if (count_in(process->user)) {
		if (!bpf_map_update_elem(&processes, &tgid, process, BPF_ANY))
			return true;
		count_out(process->user);
	}
	count(LOST_PROCESSES);
	bpf_map_delete_elem(&processes, &tgid);
	return false;
}

/* One process less runs the image; after the last it is retired. */
static __always_inline void release_image(__u64 exec_id)
{
	struct image *image = bpf_map_lookup_elem(&images, &exec_id);

	if (!image || __sync_fetch_and_sub(&image->users, 1) != 1)
		return;
	if (exec_id < EXEC_ID_BOOTSTRAPPED)
		leave_share(image);
	retire_image(exec_id);
}

/*
 * False: the path leads into the mounts of another process, by /proc/PID/root or a descriptor that was passed. There
 * any file may be at it.
 */
static __always_inline bool is_of_own_mounts(const struct path *path, struct task_struct *task)
{
	return BPF_CORE_READ(find_mount(path), mnt_ns) == BPF_CORE_READ(task, nsproxy, mnt_ns);
}

static __always_inline void read_executable(struct image *image, struct task_struct *task)
{
	struct file *file = BPF_CORE_READ(task, mm, exe_file);
	struct inode *inode = BPF_CORE_READ(file, f_inode);

	image->inode = BPF_CORE_READ(inode, i_ino);
	image->device = BPF_CORE_READ(inode, i_sb, s_dev);
	if (BPF_CORE_READ(inode, i_nlink) == 0)
		image->flags |= IMAGE_DELETED;
	if (!BPF_CORE_READ(file, f_path.dentry, d_hash.pprev)) /* d_unhashed(), include/linux/dcache.h */
		image->flags |= IMAGE_UNLINKED;
	if (!is_of_own_mounts(&file->f_path, task))
		image->flags |= IMAGE_USER_NAMESPACE;
	if (!write_path(image->executable, EXECUTABLE_SIZE, &image->executable_size, &file->f_path))
		image->flags |= IMAGE_PATH_CUT;
}

/*
 * Whether the working directory stays what it is until the interpreter opens its script below it. A process that shares
 * it (clone(2), CLONE_FS) could change it: an exec ends the other threads (de_thread()), but does not unshare the
 * fs_struct. Only the process itself can begin to share it (copy_fs()), so the path that is read after this will stay
 * right. And a directory of other mounts than the process has, by a descriptor that was passed, may show other files at
 * the same path.
 */
static __always_inline bool is_own_directory(struct fs_struct *fs, struct task_struct *task)
{
	return BPF_CORE_READ(fs, users) == 1 && is_of_own_mounts(&fs->pwd, task);
}

static __always_inline void read_directory(struct image *image, struct task_struct *task)
{
	struct fs_struct *fs = BPF_CORE_READ(task, fs);

	if (!is_own_directory(fs, task))
		image->flags |= IMAGE_DIRECTORY_CUT;
	if (!write_path(image->directory, DIRECTORY_SIZE, &image->directory_size, &fs->pwd))
		image->flags |= IMAGE_DIRECTORY_CUT;
}

static __always_inline void read_args(struct image *image, struct task_struct *task)
{
	unsigned long start = BPF_CORE_READ(task, mm, arg_start);
	__u64 size = BPF_CORE_READ(task, mm, arg_end) - start;

	if (size > ARGS_SIZE) {
		size = ARGS_SIZE;
		image->flags |= IMAGE_ARGS_CUT;
	}
	image->args_size = size;
	if (bpf_probe_read_user(image->args, size, (void *)start)) {
		image->args_size = 0;
		image->flags |= IMAGE_ARGS_UNREADABLE;
	}
}

/* The path given to execve(2), which may lead over links: it tells by which of a file's names it was started. */
static __always_inline void read_started_as(struct image *image, struct linux_binprm *binprm)
{
	long size = bpf_probe_read_kernel_str(image->started_as, STARTED_AS_SIZE, BPF_CORE_READ(binprm, filename));

	image->started_as_size = size < 0 ? 0 : size;
}

/*
 * In a user namespace of one's own anybody can mount any file over any other, and chroot(): user_namespaces(7). The
 * daemon is in the initial one, whose level is 0: bpf(2) asks for capabilities in that (bpf_capable()).
 */
static __always_inline void read_namespace(struct image *image, struct task_struct *task)
{
	if (BPF_CORE_READ(task, cred, user_ns, level))
		image->flags |= IMAGE_USER_NAMESPACE;
}

/* Fills in all but the exec ids. Behind the texts is what was there before: Python reads by their sizes. */
static __always_inline void read_image(struct image *image, struct task_struct *task)
{
	image->flags = 0;
	image->users = 1;
	image->pid = BPF_CORE_READ(task, tgid);
	image->parent_pid = BPF_CORE_READ(task, real_parent, tgid);
	image->uid = BPF_CORE_READ(task, cred, uid.val);
	image->started_ns = BPF_CORE_READ(task, group_leader, start_boottime);
	image->executed_ns = bpf_ktime_get_boot_ns();
	image->cgroup_id = bpf_get_current_cgroup_id();
	read_namespace(image, task);
	read_executable(image, task);
	read_directory(image, task);
	read_args(image, task);
}

/* If there is no room for the new image the process becomes unknown: it must not go on under the old one. */
static __always_inline void store_image(struct image *image)
{
	struct process_entry process = {
		.exec_id = image->exec_id,
		.started_ns = image->started_ns,
		.user = share_of(image->uid),
	};
	__u32 tgid = image->pid;
	bool has_room = enter_share(image);

	if (!has_room || bpf_map_update_elem(&images, &image->exec_id, image, BPF_NOEXIST)) {
		count(LOST_IMAGES);
		bpf_map_delete_elem(&processes, &tgid);
	} else if (add_process(tgid, &process)) {
		return;
	} else {
		bpf_map_delete_elem(&images, &image->exec_id);
	}
	if (has_room)
		leave_share(image);
}

static __always_inline void trace_exec(const struct image *image)
{
	struct trace_event event = {
		.kind = TRACE_EXEC,
		.owner = {image->exec_id, image->started_ns, image->pid, image->uid},
	};

	write_trace(&event);
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task, int old_pid, struct linux_binprm *binprm)
{
	__u32 zero = 0;
	struct image *image = bpf_map_lookup_elem(&scratch, &zero);
	struct settings *settings = find_settings();
	struct process_entry *known;
	__u64 previous;

	if (!image || !settings)
		return 0;
	read_image(image, task);
	read_started_as(image, binprm);
	known = bpf_map_lookup_elem(&processes, &image->pid);
	previous = known ? known->exec_id : EXEC_ID_UNKNOWN;
	if (known)
		count_out(known->user);
	image->exec_id = __sync_fetch_and_add(&settings->next_exec_id, 1);
	image->parent_exec_id = find_exec_id(image->parent_pid);
	if (image->parent_exec_id == EXEC_ID_UNKNOWN)
		image->parent_exec_id = previous;
	note_grains(settings, image);
	store_image(image);
	inherit_sockets(task, image);
	release_image(previous);
	if (settings->is_tracing)
		trace_exec(image);
	return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child)
{
	__u32 tgid = child->tgid;
	struct process_entry process = {
		.exec_id = find_exec_id(parent->tgid),
		.started_ns = child->start_boottime,
		.user = share_of(child->cred->uid.val), /* not of the image, which root may have started */
	};
	struct image *image;

	if (child->pid != child->tgid) /* a thread */
		return 0;
	if (process.exec_id == EXEC_ID_UNKNOWN) {
		bpf_map_delete_elem(&processes, &tgid); /* written at our start for a process that had just ended */
		return 0;
	}
	image = bpf_map_lookup_elem(&images, &process.exec_id);
	if (image)
		__sync_fetch_and_add(&image->users, 1);
	if (!add_process(tgid, &process))
		release_image(process.exec_id);
	return 0;
}

/* do_exit() has counted this thread off `live` before. The last two may both see 0, but only one deletes the entry. */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *task)
{
	struct process_entry *known, process;
	__u32 tgid = task->tgid;

	if (task->signal->live.counter != 0)
		return 0;
	known = bpf_map_lookup_elem(&processes, &tgid);
	if (!known)
		return 0;
	process = *known;
	if (!bpf_map_delete_elem(&processes, &tgid)) {
		count_out(process.user);
		release_image(process.exec_id);
	}
	return 0;
}
