// SPDX-License-Identifier: GPL-2.0-or-later
/* Forks, exits and accepts, for tinysnitch-trace. No daemon loads these. */
#include "identity/port.bpf.h"

#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "GPL";

/* Attached after on_fork, which has noted the child. */
SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_traced_fork, struct task_struct *parent, struct task_struct *child)
{
	__u32 tgid = child->tgid;
	struct process_entry *process = bpf_map_lookup_elem(&processes, &tgid);
	struct trace_event event = {
		.kind = TRACE_FORK,
		.owner = {process ? process->exec_id : EXEC_ID_UNKNOWN, child->start_boottime, tgid,
			  child->cred->uid.val},
		.detail = parent->tgid,
	};

	if (child->pid == child->tgid) /* no thread */
		write_trace(&event);
	return 0;
}

/* Of a process with threads the last two may both see 0. on_exit has forgotten what it ran: user space knows. */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_traced_exit, struct task_struct *task)
{
	struct trace_event event = {
		.kind = TRACE_EXIT,
		.owner = {EXEC_ID_UNKNOWN, task->group_leader->start_boottime, task->tgid, task->cred->uid.val},
		.detail = task->exit_code,
	};

	if (task->signal->live.counter == 0)
		write_trace(&event);
	return 0;
}

/* Not inlined, nor the next: the compiler would read both at one computed place, and the verifier refuses that. */
static __noinline void read_v4(struct bpf_sock_ops *ctx, struct flow_key *flow)
{
	map_v4(flow->local, ctx->local_ip4);
	map_v4(flow->remote, ctx->remote_ip4);
}

static __noinline void read_v6(struct bpf_sock_ops *ctx, struct flow_key *flow)
{
	copy_v6(flow->local, ctx->local_ip6[0], ctx->local_ip6[1], ctx->local_ip6[2], ctx->local_ip6[3]);
	copy_v6(flow->remote, ctx->remote_ip6[0], ctx->remote_ip6[1], ctx->remote_ip6[2], ctx->remote_ip6[3]);
}

/*
 * The kernel accepts a connection for the program that listens, which takes it by accept(2): that has no hook on every
 * kernel. Not told where several programs have the port, and it is not known which of them it is.
 */
SEC("sockops")
int on_traced_accept(struct bpf_sock_ops *ctx)
{
	struct settings *settings = find_settings();
	struct flow_key flow = {.protocol = TCP};
	struct owned_socket *socket;
	struct listener *listener;
	__u64 group = 0;

	if (ctx->op != BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB || !settings ||
	    bpf_get_netns_cookie(ctx) != settings->netns_cookie)
		return 1;
	flow.local_port = ctx->local_port; /* in host order, the remote one in network order: linux/bpf.h */
	flow.remote_port = bpf_ntohl(ctx->remote_port);
	if (ctx->family == AF_INET)
		read_v4(ctx, &flow);
	else
		read_v6(ctx, &flow);
	listener = find_listener(&flow, &group);
	if (!listener || group)
		return 1;
	socket = bpf_map_lookup_elem(&sockets, &listener->cookie);
	trace(TRACE_ACCEPT, bpf_get_socket_cookie(ctx), socket ? &socket->owner : &listener->owner, flow.remote,
	      flow.remote_port, TCP);
	return 1;
}
