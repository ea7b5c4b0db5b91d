/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's structs with only those fields that we read. preserve_access_index makes libbpf move each access to
 * where the running kernel's BTF has the field (CO-RE), so their order and offsets do not matter here.
 */
#ifndef KERNEL_TYPES_H
#define KERNEL_TYPES_H

#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>

#define AF_INET 2
#define EEXIST 17
#define ECONNREFUSED 111

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct qstr {
	const unsigned char *name;
};

struct super_block {
	__u32 s_dev;
};

struct inode {
	unsigned short i_mode;
	unsigned long i_ino;
	unsigned int i_nlink;
	struct super_block *i_sb;
};

struct hlist_bl_node {
	struct hlist_bl_node *next, **pprev;
};

struct dentry {
	struct hlist_bl_node d_hash;
	struct dentry *d_parent;
	struct qstr d_name;
};

struct vfsmount {
	struct dentry *mnt_root;
};

struct mnt_namespace;

struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
	struct mnt_namespace *mnt_ns;
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

struct file {
	struct path f_path;
	struct inode *f_inode;
	void *private_data;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct mm_struct {
	struct file *exe_file;
	unsigned long arg_start;
	unsigned long arg_end;
};

struct fs_struct {
	int users;
	struct path pwd;
};

struct nsproxy {
	struct mnt_namespace *mnt_ns;
};

struct signal_struct {
	struct {
		int counter;
	} live;
};

typedef struct {
	__u32 val;
} kuid_t;

struct user_namespace {
	int level;
};

struct cred {
	kuid_t uid, euid;
	struct user_namespace *user_ns;
};

struct task_struct {
	int pid;
	int tgid;
	__u64 start_boottime;
	struct mm_struct *mm;
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	const struct cred *cred;
	struct fs_struct *fs;
	struct files_struct *files;
	struct nsproxy *nsproxy;
	struct signal_struct *signal;
	int exit_code;
};

struct linux_binprm {
	const char *filename;
};

struct net {
	__u64 net_cookie;
};

typedef struct {
	struct net *net;
} possible_net_t;

struct in6_addr {
	__u8 bytes[16];
};

struct sock_common {
	unsigned short skc_family;
	__u32 skc_daddr, skc_rcv_saddr;
	struct in6_addr skc_v6_daddr, skc_v6_rcv_saddr;
	__u16 skc_num; /* the local port */
	__be16 skc_dport;
	unsigned long skc_flags; /* bits of enum sock_flags */
	volatile unsigned char skc_state;
	unsigned char skc_reuse : 4;
	unsigned char skc_reuseport : 1;
	unsigned char skc_ipv6only : 1;
	int skc_bound_dev_if;
	possible_net_t skc_net;
	struct {
		__s64 counter;
	} skc_cookie;
};

struct sock;

struct socket {
	struct file *file;
	struct sock *sk;
};

struct refcount_struct {
	struct {
		int counter;
	} refs;
};

struct sock {
	struct sock_common __sk_common;
	struct socket *sk_socket;
	int sk_rx_dst_ifindex;
	struct refcount_struct sk_wmem_alloc;
	__u16 sk_type, sk_protocol;
	__u8 sk_kern_sock : 1;
	__u8 sk_shutdown;
};

struct bpf_sock_addr_kern {
	struct sock *sk;
};

struct net_device {
	unsigned int flags;
	int ifindex;
	unsigned long priv_flags : 32;
};

struct dst_entry {
	struct net_device *dev;
};

struct sk_buff {
	struct net_device *dev;
	struct sock *sk;
	unsigned long _skb_refdst;
	__u16 inner_transport_header;
};

struct inet_sock {
	__be16 inet_sport;
};

struct inet_connection_sock {
	void *icsk_ulp_data;
};

struct tcp_sock {
	struct inet_connection_sock inet_conn;
	__u8 syn_smc : 1;
	bool is_mptcp;
	__u64 bytes_received, bytes_acked; /* of the payload, and one for each SYN and FIN */
	__u32 write_seq, snd_una;
};

struct list_head {
	struct list_head *next;
};

struct mptcp_sock {
	struct list_head conn_list;
};

struct mptcp_subflow_context {
	struct list_head node;
	struct sock *tcp_sock, *conn;
};

struct udp_sock;

struct bpf_iter__udp {
	struct udp_sock *udp_sk;
};

struct bpf_iter__tcp {
	struct sock_common *sk_common;
};

#pragma clang attribute pop

#endif
