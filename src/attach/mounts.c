/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's mounts: device and folder of its file system -> where the host sees it. From /proc/1/mountinfo; where that
 * is not ours to read, or is the same, from our own. Of several mounts of one folder the first in the list counts, of
 * several folders above a file the highest (that is bpf/path.h's): a bind mount adds no second name to what had one.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "attach/who.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "bpf/host.skel.h"
#include "bpf/name_hash.h"

#define MOUNTS_MAX 8192 /* as many as the kernel's map holds */

struct mount_entry {
	struct eg_mount_key key;
	char *root, *point; /* without '/' at the end */
};

struct mounts {
	struct attach *a;
	struct mount_entry *items; /* by key */
	size_t n, room;
	int fd; /* of the mountinfo: poll says when it changed */
	bool self;
};

static uint64_t hash_text(uint64_t key, const char *text, size_t n)
{
	uint64_t h = 0;

	for (size_t i = 0; i < n; i++)
		h = eg_name_hash_byte(h, key, text[i]);
	return h;
}

static int by_key(const void *x, const void *y)
{
	const struct mount_entry *a = x, *b = y;

	if (a->key.dev != b->key.dev)
		return a->key.dev < b->key.dev ? -1 : 1;
	return a->key.root < b->key.root ? -1 : a->key.root > b->key.root;
}

static void drop(struct mount_entry *e)
{
	free(e->root);
	free(e->point);
}

static void drop_all(struct mount_entry *items, size_t n)
{
	for (size_t i = 0; i < n; i++)
		drop(&items[i]);
	free(items);
}

struct mounts *mounts_free(struct mounts *m)
{
	if (!m)
		return NULL;
	drop_all(m->items, m->n);
	if (m->fd >= 0)
		close(m->fd);
	free(m);
	return NULL;
}

/* Blanks and such are written as \040. The slash at the end of "/" goes. */
static char *plain(struct str s)
{
	char *to = malloc(s.n + 1);
	size_t n = 0;

	if (!to)
		return NULL;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\\' && i + 3 < s.n && s.p[i + 1] >= '0' && s.p[i + 1] <= '3') {
			to[n++] = (char)((s.p[i + 1] - '0') << 6 | (s.p[i + 2] - '0') << 3 |
					 (s.p[i + 3] - '0'));
			i += 3;
		} else {
			to[n++] = s.p[i];
		}
	}
	if (n && to[n - 1] == '/')
		n--;
	to[n] = 0;
	return to;
}

/* "36 35 98:0 /mnt1 /mnt2 rw,noatime …": 1 when it is one for us. */
static int parse_line(struct mounts *m, struct str line, struct mount_entry *ret)
{
	struct str part[5], device;
	uint64_t major, minor;

	for (size_t i = 0; i < ARRAY_SIZE(part); i++)
		if (!str_cut(&line, ' ', &part[i]))
			return 0;
	if (!str_cut(&part[2], ':', &device) || str_parse_u64(device, &major) ||
	    str_parse_u64(part[2], &minor) || !str_has_prefix(part[3], STR("/")) ||
	    !str_has_prefix(part[4], STR("/")))
		return 0;
	*ret = (struct mount_entry){ .root = plain(part[3]), .point = plain(part[4]) };
	if (!ret->root || !ret->point)
		return -ENOMEM;
	if (strlen(ret->point) >= EG_PATH_MAX)
		return 0;
	ret->key.dev = major << 20 | minor;
	ret->key.root = hash_text(m->a->skel->rodata->name_key, ret->root, strlen(ret->root));
	return 1;
}

static int add(struct mounts *to, const struct mount_entry *e)
{
	for (size_t i = 0; i < to->n; i++)
		if (!by_key(&to->items[i], e))
			return 0; /* an older mount of the same folder */
	if (to->n == MOUNTS_MAX) {
		log_warn("more than %d mounts: programs on the last ones match no path",
			 MOUNTS_MAX);
		return 0;
	}
	if (to->n == to->room) {
		size_t room = to->room ? 2 * to->room : 64;
		struct mount_entry *items = realloc(to->items, room * sizeof(*items));

		if (!items)
			return -ENOMEM;
		to->items = items;
		to->room = room;
	}
	to->items[to->n++] = *e;
	return 1;
}

static int read_table(struct mounts *m, struct mounts *ret)
{
	_cleanup_free_ char *line = NULL;
	_cleanup_fclose_ FILE *f = NULL;
	int fd = fcntl(m->fd, F_DUPFD_CLOEXEC, 0), r = 0;
	size_t room = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	f = fdopen(fd, "r");
	if (!f) {
		close(fd);
		return -ENOMEM;
	}
	rewind(f);
	while (r >= 0 && (n = getline(&line, &room, f)) > 0) {
		struct mount_entry e = { 0 };

		r = parse_line(m, (struct str){ line, (size_t)n }, &e);
		if (r > 0)
			r = add(ret, &e);
		if (r <= 0)
			drop(&e);
	}
	return r < 0 ? r : 0;
}

static int put(int fd, const struct mount_entry *e)
{
	struct eg_mount v = { .len = (uint32_t)strlen(e->point) };

	memcpy(v.point, e->point, v.len);
	return bpf_map_update_elem(fd, &e->key, &v, BPF_ANY) ? -errno : 0;
}

/* What is gone goes first: between the two a program matches nothing rather than what it is not. */
static int tell(struct mounts *m, const struct mounts *now)
{
	int fd = bpf_map__fd(m->a->skel->maps.eg_mounts), r = 0;
	struct eg_mount_key key, next;
	bool more = !bpf_map_get_next_key(fd, NULL, &key);

	while (more) {
		struct mount_entry want = { .key = key };

		more = !bpf_map_get_next_key(fd, &key, &next);
		if (!bsearch(&want, now->items, now->n, sizeof(want), by_key))
			bpf_map_delete_elem(fd, &key);
		key = next;
	}
	for (size_t i = 0; !r && i < now->n; i++)
		r = put(fd, &now->items[i]);
	__atomic_add_fetch(&m->a->skel->bss->who_mounts, 1, __ATOMIC_SEQ_CST);
	return r;
}

static int refresh(struct mounts *m)
{
	struct mounts now = { .a = m->a };
	int r = read_table(m, &now);

	if (r) {
		drop_all(now.items, now.n);
		return r;
	}
	qsort(now.items, now.n, sizeof(*now.items), by_key);
	r = tell(m, &now);
	drop_all(m->items, m->n);
	m->items = now.items;
	m->n = now.n;
	m->room = now.room;
	return r;
}

static bool same_namespace(void)
{
	char own[64], first[64];
	ssize_t n = readlink("/proc/self/ns/mnt", own, sizeof(own)),
		k = readlink("/proc/1/ns/mnt", first, sizeof(first));

	return k < 0 || (n == k && !memcmp(own, first, n));
}

DEFINE_CLEANUP(struct mounts, mounts_free);

int mounts_new(struct mounts **ret, struct attach *a)
{
	_cleanup_(mounts_freep) struct mounts *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return -ENOMEM;
	m->a = a;
	m->self = same_namespace();
	m->fd = open(m->self ? "/proc/self/mountinfo" : "/proc/1/mountinfo", O_RDONLY | O_CLOEXEC);
	if (m->fd < 0)
		return -errno;
	r = refresh(m);
	if (r)
		return r;
	*ret = TAKE_PTR(m);
	return 0;
}

void mounts_tick(struct mounts *m)
{
	struct pollfd p = { .fd = m->fd, .events = POLLPRI };

	if (poll(&p, 1, 0) > 0) {
		int r = refresh(m);

		if (r)
			log_errno(r, "cannot read the mounts");
	}
}

bool mounts_of_self(const struct mounts *m)
{
	return m->self;
}

struct str mounts_path(const struct mounts *m, const struct eg_path *path,
		       char buf[2 * EG_PATH_MAX])
{
	uint64_t key = m->a->skel->rodata->name_key;
	size_t len = MIN(path->len, (uint32_t)EG_PATH_MAX);

	if (path->dev == EG_DEV_GIVEN)
		return (struct str){ memcpy(buf, path->text, len), len };
	for (size_t i = 0; i <= len; i++) {
		struct mount_entry want = { .key = { .dev = path->dev } }, *e;
		size_t n;

		if (i < len && path->text[i] != '/')
			continue;
		want.key.root = hash_text(key, path->text, i);
		e = bsearch(&want, m->items, m->n, sizeof(want), by_key);
		if (!e)
			continue;
		n = strlen(e->point);
		memcpy(buf, e->point, n);
		memcpy(buf + n, path->text + i, len - i);
		return (struct str){ buf, n + len - i };
	}
	return STR_NONE;
}
