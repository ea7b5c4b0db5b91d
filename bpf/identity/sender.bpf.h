/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who sends this packet, where no hook told: send() on a connected UDP socket, or on a raw or ping socket, runs none.
 * LOCAL_OUT runs within the very call that sends, so the sender is the current process. But a packet also comes here
 * from a softirq, or with the verdict of any NFQUEUE, and then any process may be the current one. So a process other
 * than the noted owner counts only if it has the socket open. The reader of our own queues sends nothing by others'
 * sockets.
 */
#ifndef SENDER_BPF_H
#define SENDER_BPF_H

#include "identity/current.bpf.h"
#include "identity/passed_on.bpf.h"

#define SOCK_DGRAM 2
#define SOCK_RAW 3

struct search {
	struct file **files;
	struct socket *wanted;
	bool is_found;
};

static long look_at_descriptor(__u32 index, struct search *search)
{
	struct file *file = NULL;

	bpf_probe_read_kernel(&file, sizeof(file), &search->files[index]);
	search->is_found = file && BPF_CORE_READ(file, private_data) == search->wanted;
	return search->is_found;
}

/*
 * Whether the current process has the socket among its first descriptors: private_data of a file (sock_alloc_file()).
 */
static __noinline bool has_open(struct socket *wanted)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct search search = {.files = BPF_CORE_READ(table, fd), .wanted = wanted};
	__u32 count = BPF_CORE_READ(table, max_fds);

	if (wanted)
		bpf_loop(count < DESCRIPTORS ? count : DESCRIPTORS, look_at_descriptor, &search, 0);
	return search.is_found;
}

/*
 * A process that was handed a socket and has not used it yet is not the sender: that is unknown. The order of the reads
 * is that of give_socket(). Without a branch, after which the verifier would check most of a program twice.
 */
static __always_inline void copy_sender(const struct owned_socket *socket, struct owner *owner)
{
	*owner = socket->owner;
	barrier();
	owner->exec_id &= socket->is_given - 1ULL;
}

/*
 * Sockets of other types also send when a timer or an acknowledgement says so, maybe in a tunnel of another protocol.
 */
static __always_inline bool sends_within_the_call(__u32 type)
{
	return type == SOCK_DGRAM || type == SOCK_RAW;
}

/*
 * `owner`: as noted, zeroed if none is. If the current process sends, it becomes the owner here and in the table. The
 * search among its descriptors takes microseconds, once for each change.
 */
static __always_inline void correct_sender(struct __sk_buff *skb, __u64 cookie, struct owner *owner)
{
	struct owned_socket socket = {.boundness = BOUND}, *known;
	struct settings *settings = find_settings();
	struct owner current = {};
	struct sock *sk;

	read_current(&current);
	if (is_same_owner(owner, &current) || (settings && is_same_process(&settings->reader, &current)))
		return;
	sk = BPF_CORE_READ((struct sk_buff *)skb, sk);
	if (!sends_within_the_call(BPF_CORE_READ(sk, sk_type)))
		return;
	if (!is_same_process(owner, &current) && !has_open(BPF_CORE_READ(sk, sk_socket)))
		return;
	if (!is_same_program(owner, &current))
		hand_over_port(cookie, &current);
	*owner = current;
	known = bpf_map_lookup_elem(&sockets, &cookie);
	if (known) /* all else stays as it is: has_left() needs the protocol to know whose the port is */
		socket = *known;
	socket.owner = current;
	socket.is_given = 0;
	socket.sk = (__u64)sk;
	if (bpf_map_update_elem(&sockets, &cookie, &socket, BPF_ANY))
		count(LOST_SOCKETS);
}

#endif
