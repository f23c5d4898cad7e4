/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a process has at its descriptors 0, 1 and 2. A shell that somebody talks to from afar has a socket there, or a pipe,
 * a pair of sockets or a terminal whose other end another process holds.
 */
#pragma once

#include "state.h"

#define SOCKFS_MAGIC 0x534f434b
#define S_IFMT_ 0170000
#define S_IFSOCK_ 0140000
#define S_IFCHR_ 0020000
#define S_IFIFO_ 0010000

/* MAJOR and MINOR of a device as the kernel holds it, include/uapi/linux/major.h. */
#define EG_DEV(major, minor) ((__u32)(major) << 20 | (minor))
#define EG_MAJOR(dev) ((dev) >> 20)
#define MAJOR_TTY 4
#define MAJOR_TTYAUX 5
#define MAJOR_PTS_FIRST 136 /* Unix98 terminals, the ends that a shell gets */
#define MAJOR_PTS_LAST 143

static __always_inline __u32 eg_inode_of(struct sock *sk)
{
	return BPF_CORE_READ(sk, sk_socket, file, f_inode, i_ino);
}

/* The peer may close at any time: all is read by probing. */
static __always_inline void eg_stdio_unix(struct eg_stdio *to, struct sock *sk, struct inode *inode)
{
	struct sock *peer = NULL;

	to->kind = EG_STDIO_UNIX;
	to->id = (__u64)BPF_CORE_READ(inode, i_ino) << 32;
	if (!bpf_core_field_exists(struct unix_sock, peer))
		return;
	peer = BPF_CORE_READ((struct unix_sock *)sk, peer);
	if (peer)
		to->id |= eg_inode_of(peer);
}

static __always_inline void eg_stdio_inet(struct eg_stdio *to, struct sock *sk, int family)
{
	__be32 remote;

	to->kind = EG_STDIO_INET;
	to->id = BPF_CORE_READ(sk, __sk_common.skc_cookie.counter);
	to->proto = BPF_CORE_READ(sk, sk_protocol);
	to->lport = BPF_CORE_READ(sk, __sk_common.skc_num);
	to->rport = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
	if (!to->rport)
		return;
	if (family == AF_INET6) {
		BPF_CORE_READ_INTO((struct in6_addr *)to->remote, sk, __sk_common.skc_v6_daddr);
		return;
	}
	remote = BPF_CORE_READ(sk, __sk_common.skc_daddr);
	to->remote[10] = to->remote[11] = 0xff;
	__builtin_memcpy(&to->remote[12], &remote, 4);
}

static __always_inline void eg_stdio_socket(struct eg_stdio *to, struct file *file,
					    struct inode *inode)
{
	struct socket *sock = BPF_CORE_READ(file, private_data);
	struct sock *sk = BPF_CORE_READ(sock, sk);
	int family = sk ? BPF_CORE_READ(sk, __sk_common.skc_family) : 0;

	if (family == AF_INET || family == AF_INET6)
		eg_stdio_inet(to, sk, family);
	else if (family == AF_UNIX)
		eg_stdio_unix(to, sk, inode);
}

static __always_inline void eg_stdio_device(struct eg_stdio *to, __u32 dev)
{
	__u32 major = EG_MAJOR(dev);

	if (dev == EG_DEV(1, 3)) {
		to->kind = EG_STDIO_NULL;
	} else if (major == MAJOR_TTY || major == MAJOR_TTYAUX ||
		   (major >= MAJOR_PTS_FIRST && major <= MAJOR_PTS_LAST)) {
		to->kind = EG_STDIO_TTY;
		to->id = dev;
	}
}

static __noinline int eg_stdio_of(struct eg_stdio *to, struct file *file)
{
	struct inode *inode;
	__u32 mode;

	if (!to)
		return 0;
	inode = BPF_CORE_READ(file, f_inode);
	if (!inode) {
		to->kind = EG_STDIO_CLOSED;
		return 0;
	}
	mode = BPF_CORE_READ(inode, i_mode) & S_IFMT_;
	to->kind = EG_STDIO_FILE;
	if (mode == S_IFIFO_) {
		to->kind = EG_STDIO_PIPE;
		to->id = (__u64)BPF_CORE_READ(inode, i_sb, s_dev) << 32 ^
			 BPF_CORE_READ(inode, i_ino);
	} else if (mode == S_IFCHR_) {
		eg_stdio_device(to, BPF_CORE_READ(inode, i_rdev));
	} else if (mode == S_IFSOCK_ && BPF_CORE_READ(inode, i_sb, s_magic) == SOCKFS_MAGIC) {
		/* what O_PATH opened in a folder is a file */
		to->kind = EG_STDIO_UNKNOWN;
		eg_stdio_socket(to, file, inode);
	}
	return 0;
}

static __always_inline void eg_stdio_fill(struct eg_exec *e, struct task_struct *task)
{
	struct fdtable *fdt = BPF_CORE_READ(task, files, fdt);
	struct file **fd = BPF_CORE_READ(fdt, fd);
	__u32 room = BPF_CORE_READ(fdt, max_fds);

	__builtin_memset(e->stdio, 0, sizeof(e->stdio));
	if (!fd)
		return;
#pragma unroll
	for (__u32 i = 0; i < EG_STDIO; i++) {
		struct file *file = NULL;

		if (i < room && bpf_probe_read_kernel(&file, sizeof(file), &fd[i]))
			continue;
		eg_stdio_of(&e->stdio[i], file);
	}
}
