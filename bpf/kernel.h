/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The few kernel structs we read, with the few fields we read of them; CO-RE finds where they are in the running
 * kernel. No generated vmlinux.h: the build must not depend on the builder's kernel. Where kernels differ, the other
 * form is a ___flavour with the version that brought or removed it.
 */
#pragma once

#include <linux/types.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
	int counter;
} atomic_t;

struct user_namespace {
	int level;
};

struct net {
	__u64 net_cookie;
	struct user_namespace *user_ns;
};

typedef struct {
	struct net *net;
} possible_net_t;

struct in6_addr {
	union {
		__u8 u6_addr8[16];
	} in6_u;
};

struct kernfs_node {
	const char *name;
	__u64 id;
	struct kernfs_node *__parent; /* since 6.15 (633488947ef6), before: parent */
};

struct kernfs_node___parent {
	struct kernfs_node *parent;
};

struct cgroup {
	int level;
	struct kernfs_node *kn;
	struct cgroup *ancestors[]; /* since 6.1 (7f203bc89eb6) */
};

struct sock_cgroup_data {
	struct cgroup *cgroup;
};

struct net_device {
	__u64 features;
	unsigned int mtu;
	int ifindex;
	possible_net_t nd_net;
};

struct dst_entry {
	unsigned long _metrics;
};

typedef struct {
	__s64 counter;
} atomic64_t;

struct sock_common {
	atomic64_t skc_cookie;
	__be32 skc_daddr, skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	volatile unsigned char skc_state;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr, skc_v6_rcv_saddr;
	int skc_bound_dev_if;
};

struct file;
struct socket {
	struct file *file;
	struct sock *sk;
	short type;
};

struct sock {
	struct sock_common __sk_common;
	struct socket *sk_socket;
	__u16 sk_protocol, sk_type;
	__u8 sk_kern_sock : 1;
	struct sock_cgroup_data sk_cgrp_data;
};

struct unix_sock {
	struct sock *peer;
};

struct packet_sock {
	__be16 num;
};

struct tcp_options_received {
	__u32 ts_recent;
};

struct tcp_sock {
	struct tcp_options_received rx_opt;
	__u64 bytes_sent, bytes_retrans, bytes_received;
	__u32 write_seq, snd_una, rcv_nxt, srtt_us, total_retrans;
};

struct sk_buff {
	struct net_device *dev;
	struct sock *sk;
	char cb[48];
	unsigned long _skb_refdst;
	unsigned int len;
	__be16 protocol;
	__u16 transport_header, network_header;
	__u8 ip_summed : 2;
	unsigned char *head;
	unsigned char *data;
};

struct ip_options;
struct inet_skb_parm {
	__u16 frag_max_size;
};

struct inet6_skb_parm {
	__u16 frag_max_size;
};

struct qstr {
	__u32 len;
	const unsigned char *name;
};

struct dentry;
struct super_block {
	__u32 s_dev;
	unsigned long s_magic;
	struct dentry *s_root;
};

struct inode {
	unsigned short i_mode;
	__u32 i_rdev;
	struct super_block *i_sb;
	unsigned long i_ino;
	unsigned int i_nlink;
};

struct hlist_bl_node {
	struct hlist_bl_node **pprev;
};

struct dentry {
	struct hlist_bl_node d_hash;
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
};

struct vfsmount {
	struct dentry *mnt_root;
};

struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
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

struct fs_struct {
	struct path root;
};

struct mm_struct {
	unsigned long arg_start, arg_end;
	struct file *exe_file;
};

typedef struct {
	__u32 val;
} kuid_t;

typedef struct {
	__u32 val;
} kgid_t;

struct group_info {
	int ngroups;
	kgid_t gid[];
};

struct cred {
	kuid_t uid;
	kgid_t gid;
	struct group_info *group_info;
};

struct css_set {
	struct cgroup *dfl_cgrp;
};

struct signal_struct {
	atomic_t live;
};

struct ns_common {
	unsigned int inum;
};

struct mnt_namespace {
	struct ns_common ns;
};

struct nsproxy {
	struct mnt_namespace *mnt_ns;
	struct net *net_ns;
};

struct task_struct {
	unsigned int flags;
	int pid, tgid;
	__u64 start_boottime;
	struct task_struct *group_leader, *real_parent;
	struct mm_struct *mm;
	struct fs_struct *fs;
	struct files_struct *files;
	struct css_set *cgroups;
	struct signal_struct *signal;
	struct nsproxy *nsproxy;
	const struct cred *cred;
	char comm[16];
};

struct linux_binprm {
	struct file *file;
	const char *filename, *interp;
};

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_map;
struct bpf_iter__bpf_sk_storage_map {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
	struct sock *sk;
	void *value;
};

struct bpf_iter__bpf_map_elem {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
	void *key;
	void *value;
};

struct bpf_iter__tcp {
	struct bpf_iter_meta *meta;
	struct sock_common *sk_common;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	__u32 fd;
	struct file *file;
};

/* What a system call was called with; only the registers read in packet sockets' case. */
struct pt_regs___x86 {
	unsigned long di, dx, orig_ax;
};

struct user_pt_regs___arm64 {
	__u64 regs[31];
};

#pragma clang attribute pop

#define PF_KTHREAD 0x00200000

#ifndef AF_INET
#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define AF_PACKET 17
#endif

#define EG_TCP_ESTABLISHED 1
#define EG_TCP_TIME_WAIT 6
#define EG_TCP_CLOSE 7
#define EG_TCP_LISTEN 10
#define EG_TCP_NEW_SYN_RECV 12

/* netdev_features: 1 << (16 + SKB_GSO_* bit), as skb_gso_ok() relies on; the enum has no name that CO-RE could find. */
#define EG_FEATURE_TSO (1ULL << 16)
#define EG_FEATURE_TSO6 (1ULL << 20)
#define EG_FEATURE_GSO_UDP_L4 (1ULL << 33)
