/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which program a process runs, so that nobody can pass for another:
 *
 *     file at exec -> its path in its own file system (dentries only, never mounts) + device
 *                  -> the host's mount of that device -> text -> the image's automaton -> class
 *
 * A copy, another name, a hard link has its own path. A bind mount, a chroot, another mount namespace change nothing, for
 * mounts are not looked at; a file system that only a sandbox has mounted is no mount of the host's. What has no name any
 * more (deleted, memfd) has no path. The text is kept once a path, its class once a path and policy.
 */
#pragma once

#include "names.h"

#include "who_abi.h"

#define EG_PATH_DEPTH 64

__u32 who_mounts = 0; /* moves on when the host's mounts change; 16 bits of it count */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 32768);
	__type(key, __u64);
	__type(value, struct eg_path);
} eg_paths SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 8192);
	__type(key, struct eg_mount_key);
	__type(value, struct eg_mount);
} eg_mounts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, EG_WHO_LOST_COUNT);
	__type(key, __u32);
	__type(value, __u64);
} eg_who_lost SEC(".maps");

enum {
#define X(id, text) EG_WHO_LOST_##id,
	EG_WHO_LOST(X)
#undef X
};

static __noinline void eg_who_lose(__u32 what)
{
	__u64 *n = bpf_map_lookup_elem(&eg_who_lost, &what);

	if (n)
		__sync_fetch_and_add(n, 1);
}

/* A path is put together from its end; the slack lets any component be read behind any place. */
struct eg_path_room {
	char text[EG_PATH_MAX + 256];
};

/* One for hooks, which nothing of their kind interrupts, and one for the iterator. */
#define EG_ROOM_HOOK 0
#define EG_ROOM_WALK 1
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct eg_path_room);
} eg_path_rooms SEC(".maps");

static const struct eg_path eg_no_path; /* too large for the stack */

struct eg_file_walk {
	struct eg_path_room *room;
	struct dentry *dentry, *top;
	__u32 pos;
};

/* One component, towards the root of the file system. */
static int eg_file_step(__u32 i, struct eg_file_walk *w)
{
	struct dentry *dentry = w->dentry, *parent = BPF_CORE_READ(dentry, d_parent);
	struct eg_path_room *room = w->room;
	__u32 pos = w->pos, len;

	(void)i;
	if (parent == dentry) {
		w->top = dentry;
		return 1;
	}
	len = BPF_CORE_READ(dentry, d_name.len);
	if (!len || len > 255 || pos < len + 1 || pos > EG_PATH_MAX)
		return 1;
	pos -= len + 1;
	pos &= EG_PATH_MAX - 1;
	room->text[pos] = '/';
	if (bpf_probe_read_kernel(&room->text[pos + 1], len & 255,
				  BPF_CORE_READ(dentry, d_name.name)))
		return 1;
	w->pos = pos;
	w->dentry = parent;
	return 0;
}

struct eg_text_hash {
	const struct eg_path_room *room;
	__u64 hash;
	__u32 at, part, dots, bad;
};

static int eg_hash_step(__u32 i, struct eg_text_hash *h)
{
	__u8 c = h->room->text[(h->at + i) & (EG_PATH_MAX - 1)];

	h->hash = eg_name_hash_byte(h->hash, name_key, c);
	if (c == '/') {
		h->bad |= i && (!h->part || (h->part == h->dots && h->part <= 2));
		h->part = h->dots = 0;
	} else {
		h->part++;
		h->dots += c == '.';
	}
	return 0;
}

/* The text in the room, from `at` on, becomes an entry; its key, 0: no path. */
static __noinline __u64 eg_path_keep(struct eg_path_room *room, __u32 at, __u32 len, __u32 dev)
{
	struct eg_text_hash h = { .room = room, .hash = eg_hash_start, .at = at };
	struct eg_path *p;
	__u64 key;

	if (!room || !len || len > EG_PATH_MAX - 1 || at >= EG_PATH_MAX)
		return 0;
	bpf_loop(len, eg_hash_step, &h, 0);
	/* a script's path is only as good as its words: "/opt/../home" is not below /opt */
	if (h.bad || !h.part || (h.part == h.dots && h.part <= 2))
		return 0;
	key = eg_mod61(eg_mul61(h.hash, name_key) + dev + 1);
	p = bpf_map_lookup_elem(&eg_paths, &key);
	if (!p) {
		bpf_map_update_elem(&eg_paths, &key, &eg_no_path, BPF_NOEXIST);
		p = bpf_map_lookup_elem(&eg_paths, &key);
		if (!p) {
			eg_who_lose(EG_WHO_LOST_PATHS);
			return 0;
		}
	}
	p->used_s = bpf_ktime_get_ns() / 1000000000ULL;
	if (p->len)
		return key;
	p->dev = dev;
	at &= EG_PATH_MAX - 1;
	len &= EG_PATH_MAX - 1;
	if (at + len > sizeof(room->text) || bpf_probe_read_kernel(p->text, len, &room->text[at]))
		return 0;
	__sync_lock_test_and_set(&p->len, len); /* last: who sees it sees the text */
	return key;
}

/* The key of an open file's path; 0: it has none that policy could know. */
static __noinline __u64 eg_file_key(struct file *file, __u32 which)
{
	struct eg_path_room *room = bpf_map_lookup_elem(&eg_path_rooms, &which);
	struct eg_file_walk w = { .room = room, .pos = EG_PATH_MAX };
	struct super_block *sb;
	struct dentry *leaf;
	struct inode *inode;

	if (!room || !file)
		return 0;
	inode = BPF_CORE_READ(file, f_inode);
	leaf = BPF_CORE_READ(file, f_path.dentry);
	if (!inode || !leaf || !BPF_CORE_READ(inode, i_nlink) || !BPF_CORE_READ(leaf, d_hash.pprev))
		return 0; /* its name is gone, or it never had one */
	w.dentry = leaf;
	sb = BPF_CORE_READ(inode, i_sb);
	bpf_loop(EG_PATH_DEPTH, eg_file_step, &w, 0);
	if (!w.top) {
		eg_who_lose(EG_WHO_LOST_LONG);
		return 0;
	}
	/* a network file system may have several roots, each that of a mount */
	if (w.top != BPF_CORE_READ(sb, s_root) &&
	    w.top != BPF_CORE_READ(file, f_path.mnt, mnt_root))
		return 0;
	return eg_path_keep(room, w.pos, EG_PATH_MAX - w.pos, BPF_CORE_READ(sb, s_dev));
}

/* The key of a path as it was given to exec, when it is absolute and says what it means. */
static __noinline __u64 eg_given_key(const char *text, __u32 which)
{
	struct eg_path_room *room = bpf_map_lookup_elem(&eg_path_rooms, &which);
	long n;

	if (!room || !text)
		return 0;
	n = bpf_probe_read_kernel_str(room->text, EG_PATH_MAX, text);
	if (n < 3 || n >= EG_PATH_MAX || room->text[0] != '/')
		return 0;
	return eg_path_keep(room, 0, n - 1, EG_DEV_GIVEN);
}

/* --- classes --------------------------------------------------------------------------------------------------- */
struct eg_mount_walk {
	const struct eg_path *path;
	const struct eg_mount *mount;
	__u64 hash;
	__u32 at;
};

/* Looks for the mount whose root is the highest folder above the file. */
static int eg_mount_step(__u32 i, struct eg_mount_walk *w)
{
	const struct eg_path *path = w->path;
	__u8 c = path->text[i & (EG_PATH_MAX - 1)];
	struct eg_mount_key k = {};

	if (i == path->len || c == '/') {
		k.root = w->hash;
		k.dev = path->dev;
		w->mount = bpf_map_lookup_elem(&eg_mounts, &k);
		if (w->mount) {
			w->at = i;
			return 1;
		}
	}
	w->hash = eg_name_hash_byte(w->hash, name_key, c);
	return 0;
}

struct eg_dfa_walk {
	EG_IMAGE image;
	const char *text;
	__u32 at, state, cgroup;
};

static int eg_dfa_walk_step(__u32 i, struct eg_dfa_walk *w)
{
	const struct eg_image *head = eg_image_head(w->image);
	__u8 c = w->text[(w->at + i) & (EG_PATH_MAX - 1)];

	if (!head)
		return 1;
	w->state = eg_dfa_step(w->image, &head->path, w->state, c);
	return !w->state;
}

static __noinline __u16 eg_path_judge(EG_IMAGE image, __u32 gen, struct eg_path *path)
{
	const struct eg_image *head = eg_image_head(image);
	struct eg_mount_walk m = { .path = path, .hash = eg_hash_start };
	struct eg_dfa_walk d = { .image = image, .state = 1 };
	__u32 mounts = who_mounts & 0xffff, class = EG_CLASS_NONE, given;

	if (!head || !path)
		return class;
	given = path->dev == EG_DEV_GIVEN;
	if (!given)
		bpf_loop(path->len + 1, eg_mount_step, &m, 0);
	if (head->path.n_states && (given || m.mount)) {
		if (m.mount) {
			d.text = m.mount->point;
			bpf_loop(m.mount->len, eg_dfa_walk_step, &d, 0);
		}
		d.text = path->text;
		d.at = m.at;
		if (d.state && path->len > m.at)
			bpf_loop(path->len - m.at, eg_dfa_walk_step, &d, 0);
		if (d.state)
			class = eg_read___u16(image, head->path.accept + 2ULL * d.state);
	}
	path->judged = (__u64)gen << 32 | mounts << 16 | (class & 0xffff);
	return class;
}

static __always_inline __u16 eg_path_class(EG_IMAGE image, __u32 gen, __u64 key)
{
	struct eg_path *path = key ? bpf_map_lookup_elem(&eg_paths, &key) : NULL;
	__u64 judged;

	if (!path || !path->len)
		return EG_CLASS_NONE;
	judged = path->judged;
	if (judged >> 16 == ((__u64)gen << 16 | (who_mounts & 0xffff)))
		return judged;
	return eg_path_judge(image, gen, path);
}
