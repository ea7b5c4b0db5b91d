/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The maps, the same in each object: libbpf pins each by its name in the instance's folder and every object
 * after the first uses what it finds there. Each is bounded; whoever fails to write counts it.
 */
#ifndef MAPS_BPF_H
#define MAPS_BPF_H

#include "kernel_types.h"

#include <bpf/bpf_helpers.h>

#include "tinysnitch.h"

/* exec id: what runs, and the last 4096 that ended */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, __u64);
	__type(value, struct image);
} images SEC(".maps");

/* uid: how much of what runs is this user's; the last: all users from USERS_APART on */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, USERS_APART + 1);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, __u32);
	__type(value, struct share);
} shares SEC(".maps");

/* exec ids without a process, the oldest first; the room here is how many stay known */
struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 4096);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(value, __u64);
} retired SEC(".maps");

/* tgid: its image */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, __u32);
	__type(value, struct process);
} processes SEC(".maps");

/* socket cookie: whose it is */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, __u64);
	__type(value, struct owned_socket);
} sockets SEC(".maps");

/* The same for sockets that were released while packets of them were held, or may yet be sent; scoped, for each. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, __u64);
	__type(value, struct owner);
} released SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, struct listener_key);
	__type(value, struct listener);
} listeners SEC(".maps");

/* socket cookie: its key in `listeners`, to take it away again */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, __u64);
	__type(value, struct listener_key);
} bindings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, struct flow_key);
	__type(value, struct flow);
} flows SEC(".maps");

/* What was decided of a flow, and had to make room there for another socket between the same ends */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, struct displaced_key);
	__type(value, struct flow);
} displaced SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, struct flow_key);
	__type(value, struct conversation);
} conversations SEC(".maps");

/* Likewise, of those who begin so many that they would leave nobody else room there */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 32768);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, struct flow_key);
	__type(value, struct conversation);
} crowded SEC(".maps");

/* Addresses of this machine but for those of loopback and of the link: in which epoch they were written last */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, struct own_key);
	__type(value, __u32);
} own_addresses SEC(".maps");

/* What connections without a name say is read, or was: each that sent something. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, struct watch_key);
	__type(value, struct watch);
} watched SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, struct verdict_key);
	__type(value, struct verdict_value);
} verdicts SEC(".maps");

/* How much of what is held is whose, while it is too much (crowd.bpf.c) */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, struct crowd_key);
	__type(value, struct crowd);
} crowds SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, __u32);
	__type(value, struct settings);
} settings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, STATISTICS);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, __u32);
	__type(value, __u64);
} statistics SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} traces SEC(".maps");

/* An image is too large for the 512 bytes of a BPF stack. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, __u32);
	__type(value, struct image);
} scratch SEC(".maps");

static __always_inline void count(enum statistic statistic)
{
	__u32 index = statistic;
	__u64 *number = bpf_map_lookup_elem(&statistics, &index);

	if (number)
		__sync_fetch_and_add(number, 1); /* cgroup hooks can be preempted by each other */
}

static __always_inline struct settings *find_settings(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&settings, &zero);
}

/* A function of its own: its type brings `struct trace_event` into the BTF, for the test of the layouts. */
static __noinline __attribute__((unused)) void write_trace(struct trace_event *event)
{
	event->time_ns = bpf_ktime_get_boot_ns();
	if (bpf_ringbuf_output(&traces, event, sizeof(*event), 0))
		count(LOST_TRACES);
}

#endif
