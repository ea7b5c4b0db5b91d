/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The current process, as the owner of what it uses. */
#ifndef CURRENT_BPF_H
#define CURRENT_BPF_H

#include "identity/owner.bpf.h"

#define CLOCK_TICK_NS 10000000

/*
 * Of a process from before the daemon's start /proc told only in which clock tick it started, 100 of them a second
 * (proc_pid_stat(5)): the exact time is filled in here.
 */
static __always_inline bool is_started_at(struct process_entry *process, __u64 started_ns)
{
	if (process->exec_id >= EXEC_ID_BOOTSTRAPPED &&
	    process->started_ns == started_ns / CLOCK_TICK_NS * CLOCK_TICK_NS)
		process->started_ns = started_ns;
	return process->started_ns == started_ns;
}

/*
 * Read from the task, since a socket filter may not call the helpers: that for the pid not before Linux 6.10, that for
 * the uid never (bpf_base_func_proto()).
 */
static __always_inline __u32 read_current_pid(void)
{
	return bpf_get_current_task_btf()->tgid;
}

/*
 * Not static, so that the verifier checks it once for each program: wherever a trusted pointer is followed it searches
 * all types of the kernel by name (btf_nested_type_is_trusted()), three times. Inlined, that was a fifth of the time of
 * loading. Returns whether `owner` was filled in: a function that is not static cannot return nothing.
 */
__noinline bool read_current(struct owner *owner)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u32 pid = task->tgid;
	struct process_entry *process;

	if (!owner)
		return false;
	process = bpf_map_lookup_elem(&processes, &pid);
	owner->started_ns = task->group_leader->start_boottime;
	owner->pid = pid;
	owner->uid = task->cred->uid.val;
	owner->exec_id = EXEC_ID_UNKNOWN;
	if (process && is_started_at(process, owner->started_ns))
		owner->exec_id = process->exec_id;
	return true;
}

#endif
