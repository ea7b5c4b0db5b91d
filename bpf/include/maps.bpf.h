/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The maps, the same in each object: libbpf pins each by its name in the instance's folder, and every object after the
 * first uses what it finds there. Each map is bounded; a write that fails is counted by the program that tried.
 * While a program reads an entry, another CPU may delete it and give its memory to another key: an LRU map waits for no
 * reader (htab_lru_push_free()). So what tells whose an entry is, is read after what depends on that.
 */
#ifndef MAPS_BPF_H
#define MAPS_BPF_H

#include "include/kernel_types.h"

#include <bpf/bpf_helpers.h>

#include "include/tinysnitch.h"

/* exec id: its image, of all that run and of the last 4096 that ended */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, __u64);
	__type(value, struct image);
} images SEC(".maps");

/* uid: how many images and processes this user has; at USERS_APART: all users from there on together */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, USERS_APART + 1);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, __u32);
	__type(value, struct share);
} shares SEC(".maps");

/* exec ids that no process runs any more, the oldest first: their images stay known as long as they are here */
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
	__type(value, struct process_entry);
} processes SEC(".maps");

/* socket cookie: whose it is */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, __u64);
	__type(value, struct owned_socket);
} sockets SEC(".maps");

/* The owners of sockets that were released while packets of theirs may be held or on their way; scoped, of all. */
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

/* port: changes whenever a socket that takes it finds no room in the two tables above; 0: none has */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 65536);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, __u32);
	__type(value, __u32);
} lost_ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, struct flow_key);
	__type(value, struct flow_entry);
} flows SEC(".maps");

/* Entries of `flows` with a verdict whose place there another socket between the same ends has taken */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, struct displaced_key);
	__type(value, struct flow_entry);
} displaced SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, struct flow_key);
	__type(value, struct conversation);
} conversations SEC(".maps");

/* Conversations of programs that begin so many that `conversations` would have no room for those of others */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 32768);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, struct flow_key);
	__type(value, struct conversation);
} crowded SEC(".maps");

/* Addresses of this machine, but for those of loopback and of the link: the epoch in which each was written last */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, struct own_key);
	__type(value, __u32);
} own_addresses SEC(".maps");

/* Connections without a name that sent something: whether what they send is still read */
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

/* How many packets of a program or a user were held or read in this moment, or conversations begun (quota.bpf.h) */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, struct quota_key);
	__type(value, struct quota_use);
} quotas SEC(".maps");

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

/* User space gives each rule that decides an index, and reads what is counted there through a memory map. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, RULES_COUNTED);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, __u32);
	__type(value, struct rule_use);
} rule_uses SEC(".maps");

/* Rows of what was decided and carried, in turns of two: user space reads one while the other is filled */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, TRAFFIC_ROWS);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, struct traffic_key);
	__type(value, struct traffic);
} traffic_even SEC(".maps"), traffic_odd SEC(".maps");

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
		__sync_fetch_and_add(number, 1); /* one program may interrupt another on the same CPU */
}

static __always_inline void count_use(__u32 rule)
{
	struct rule_use *use = rule ? bpf_map_lookup_elem(&rule_uses, &rule) : NULL;

	if (!use)
		return;
	__sync_fetch_and_add(&use->count, 1);
	use->last_ns = bpf_ktime_get_boot_ns();
}

static __always_inline struct settings *find_settings(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&settings, &zero);
}

/* Not inlined: its type brings `struct trace_event` into the BTF, for the test of the layouts. */
static __noinline __attribute__((unused)) void write_trace(struct trace_event *event)
{
	event->time_ns = bpf_ktime_get_boot_ns();
	if (bpf_ringbuf_output(&traces, event, sizeof(*event), 0))
		count(LOST_TRACES);
}

static __always_inline void trace(__u8 kind, __u64 cookie, const struct owner *owner, const __u8 *address, __u16 port,
				  __u8 protocol)
{
	struct trace_event event = {
		.cookie = cookie, .owner = *owner, .port = port, .protocol = protocol, .kind = kind};

	__builtin_memcpy(event.address, address, sizeof(event.address));
	write_trace(&event);
}

#endif
