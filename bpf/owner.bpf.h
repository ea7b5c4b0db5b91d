/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who runs now, as the owner of what it uses. */
#ifndef OWNER_BPF_H
#define OWNER_BPF_H

#include "maps.bpf.h"

#include <bpf/bpf_core_read.h>

#define CLOCK_TICK_NS 10000000
#define TCP_TIME_WAIT 6
#define TCP_CLOSE 7
#define TCP_NEW_SYN_RECV 12

/* Of a process from before our start /proc told only the clock tick it started in: proc_pid_stat(5), 100 a second. */
static __always_inline bool is_started_at(struct process *process, __u64 started_ns)
{
	if (process->exec_id >= EXEC_ID_SEEDED && process->started_ns == started_ns / CLOCK_TICK_NS * CLOCK_TICK_NS)
		process->started_ns = started_ns;
	return process->started_ns == started_ns;
}

/*
 * Without the helpers that tell pid and uid: before Linux 6.10 a socket filter may not call the first, and the second
 * never (bpf_base_func_proto()).
 */
static __always_inline __u32 read_current_pid(void)
{
	return bpf_get_current_task_btf()->tgid;
}

static __always_inline void read_current(struct owner *owner)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u32 pid = task->tgid;
	struct process *process = bpf_map_lookup_elem(&processes, &pid);

	owner->started_ns = task->group_leader->start_boottime;
	owner->pid = pid;
	owner->uid = task->cred->uid.val;
	owner->exec_id = EXEC_ID_UNKNOWN;
	if (process && is_started_at(process, owner->started_ns))
		owner->exec_id = process->exec_id;
}

static __always_inline bool is_same_process(const struct owner *a, const struct owner *b)
{
	return a->pid == b->pid && a->started_ns == b->started_ns;
}

/* Whatever process of it. */
static __always_inline bool is_same_program(const struct owner *a, const struct owner *b)
{
	return a->exec_id == b->exec_id && a->uid == b->uid;
}

static __always_inline bool is_same_owner(const struct owner *a, const struct owner *b)
{
	return is_same_program(a, b) && is_same_process(a, b);
}

/* Odd, so that whoever comes and goes four billion times does not make it 0. */
static __always_inline void note_change(struct listener *listener)
{
	__sync_fetch_and_add(&listener->is_shared, 2);
	__sync_fetch_and_or(&listener->is_shared, 1);
}

/* Shorter than struct sock, and no program's to use. */
static __always_inline bool is_short(const struct bpf_sock *sk)
{
	return sk->state == TCP_TIME_WAIT || sk->state == TCP_NEW_SYN_RECV;
}

/*
 * A socket that the kernel made for itself: nobody owns it, whoever it was made for. Read past the verifier, which shows
 * no sk_kern_sock in the context. It is not to be short.
 */
static __always_inline bool is_kernel_socket(struct sock *sk)
{
	return BPF_CORE_READ_BITFIELD_PROBED(sk, sk_kern_sock);
}

/*
 * The program's socket whose subflow this one of TCP is, a socket of the kernel's own (mptcp_subflow_create_socket());
 * NULL: it is no subflow.
 */
static __always_inline struct sock *find_mptcp_socket(struct sock *sk)
{
	struct tcp_sock *tcp = (struct tcp_sock *)sk;
	struct mptcp_subflow_context *subflow;

	if (!bpf_core_field_exists(tcp->is_mptcp) || !BPF_CORE_READ(tcp, is_mptcp))
		return NULL;
	subflow = BPF_CORE_READ(tcp, inet_conn.icsk_ulp_data);
	return BPF_CORE_READ(subflow, conn);
}

#endif
