/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workloads are cached by their cgroup's path (and by the path in cgroup v1 where systemd keeps its units there), and
 * the path by the cgroup's id. A workload stays while somebody refers to it; of the others the CACHE_MAX last used.
 */
#include "flow/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/list.h"
#include "flow/proc.h"
#include "flow/runtime.h"

#define CACHE_MAX 4096
#define BUCKETS 1024
#define USERS 256
#define PATH_TEXT 4096
#define STATE_TRIES 4
#define HANDLE_KERNFS 0xfe /* FILEID_KERNFS of linux/exportfs.h: eight bytes, the cgroup's id */

struct entry {
	struct workload w; /* first: a const struct workload of ours is an entry */
	uint32_t refs;
	uint8_t state_tries; /* left, to find out how a container is called */
	uint64_t hash;
	struct entry *next;
	struct list by_use;
	struct text *unit_path; /* where unit and container come from, when not from w.cgroup */
};

struct user {
	bool known;
	uint32_t uid;
	struct text *name;
};

struct identity {
	struct intern *texts;
	char *root;
	int cgroup2_fd;
	size_t mount_n; /* length of the mount's own path, cut off what the kernel says */
	struct user users[USERS];
	struct entry *buckets[BUCKETS];
	struct list by_use; /* oldest first */
	size_t n;
};

static ssize_t fd_path(int fd, char path[PATH_TEXT])
{
	char link[32];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, PATH_TEXT);
	return n < 0 ? -errno : n;
}

int identity_new(struct identity **ret, struct intern *texts, const char *root, int cgroup2_fd)
{
	struct identity *id = calloc(1, sizeof(*id));
	char path[PATH_TEXT];
	ssize_t n;

	if (!id)
		return -ENOMEM;
	id->texts = texts;
	id->root = strdup(root && strcmp(root, "/") ? root : "");
	if (!id->root) {
		free(id);
		return -ENOMEM;
	}
	id->cgroup2_fd = cgroup2_fd;
	n = cgroup2_fd >= 0 ? fd_path(cgroup2_fd, path) : 0;
	id->mount_n = n > 0 ? (size_t)n : 0;
	list_init(&id->by_use);
	*ret = id;
	return 0;
}

static void entry_del(struct identity *id, struct entry *e)
{
	struct entry **at = &id->buckets[e->hash % BUCKETS];

	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	list_del(&e->by_use);
	id->n--;
	intern_put(id->texts, e->w.cgroup);
	intern_put(id->texts, e->w.unit);
	intern_put(id->texts, e->w.container_id);
	intern_put(id->texts, e->w.container_runtime);
	intern_put(id->texts, e->w.container_name);
	intern_put(id->texts, e->w.container_image);
	intern_put(id->texts, e->unit_path);
	free(e);
}

struct identity *identity_free(struct identity *id)
{
	if (!id)
		return NULL;
	while (!list_empty(&id->by_use))
		entry_del(id, container_of(id->by_use.next, struct entry, by_use));
	for (int i = 0; i < USERS; i++)
		intern_put(id->texts, id->users[i].name);
	free(id->root);
	free(id);
	return NULL;
}

/* --- users -------------------------------------------------------------------------------------------------------- */

static struct text *find_user(struct identity *id, uint32_t uid)
{
	_cleanup_fclose_ FILE *f = NULL;
	struct passwd pw, *found = NULL;
	char text[4096], path[PATH_TEXT];

	if (!id->root[0]) {
		if (getpwuid_r(uid, &pw, text, sizeof(text), &found) != 0 || !found)
			return NULL;
		return intern_get(id->texts, str_of(pw.pw_name));
	}
	snprintf(path, sizeof(path), "%s/etc/passwd", id->root);
	f = fopen(path, "re");
	while (f && fgetpwent_r(f, &pw, text, sizeof(text), &found) == 0)
		if (found->pw_uid == uid)
			return intern_get(id->texts, str_of(found->pw_name));
	return NULL;
}

struct text *identity_user(struct identity *id, uint32_t uid)
{
	struct user *u = &id->users[uid % USERS];

	if (!u->known || u->uid != uid) {
		struct text *name = find_user(id, uid);

		intern_put(id->texts, u->name);
		*u = (struct user){ true, uid, name };
	}
	return u->name;
}

/* --- cgroups ------------------------------------------------------------------------------------------------------ */

/* The path of a cgroup by its id; empty when it is gone or nobody may ask. */
static struct str path_by_id(const struct identity *id, uint64_t cgroup_id, char path[PATH_TEXT])
{
	union {
		struct file_handle handle;
		char room[sizeof(struct file_handle) + sizeof(uint64_t)];
	} h = { .handle = { .handle_bytes = sizeof(uint64_t), .handle_type = HANDLE_KERNFS } };
	_cleanup_close_ int fd = -1;
	ssize_t n;

	if (id->cgroup2_fd < 0 || !cgroup_id)
		return STR_NONE;
	memcpy(h.handle.f_handle, &cgroup_id, sizeof(cgroup_id));
	fd = open_by_handle_at(id->cgroup2_fd, &h.handle, O_PATH | O_CLOEXEC);
	n = fd < 0 ? -errno : fd_path(fd, path);
	if (n < 0 || (size_t)n < id->mount_n)
		return STR_NONE;
	if ((size_t)n == id->mount_n)
		return STR("/");
	return (struct str){ path + id->mount_n, (size_t)n - id->mount_n };
}

/* systemd's own hierarchy on hosts that keep cgroup v1 beside v2: the name=systemd line of /proc/PID/cgroup. */
static struct str v1_path(const struct identity *id, uint32_t pid, char text[PATH_TEXT])
{
	_cleanup_fclose_ FILE *f = NULL;
	char name[PATH_MAX];
	struct str rest, line;
	size_t n;

	snprintf(name, sizeof(name), "%s/proc/%u/cgroup", id->root, pid);
	f = fopen(name, "re");
	if (!f)
		return STR_NONE;
	n = fread(text, 1, PATH_TEXT, f);
	rest = (struct str){ text, n };
	while (str_cut(&rest, '\n', &line)) {
		struct str number, controllers;

		if (str_cut(&line, ':', &number) && str_cut(&line, ':', &controllers) &&
		    str_eq(controllers, STR("name=systemd")))
			return line;
	}
	return STR_NONE;
}

static bool is_unit(struct str part)
{
	static const struct str kinds[] = { STR(".service"), STR(".scope"), STR(".mount"),
					    STR(".socket"), STR(".swap") };

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (part.n > kinds[i].n &&
		    str_eq(str_sub(part, part.n - kinds[i].n, kinds[i].n), kinds[i]))
			return true;
	return false;
}

/* The innermost unit: of a user's own manager it is his unit, not user@1000.service. */
static struct str unit_of_path(struct str path)
{
	struct str part, unit = STR_NONE;

	while (str_cut(&path, '/', &part))
		if (is_unit(part))
			unit = part;
	return unit;
}

static struct text *keep(struct identity *id, struct str s)
{
	return s.n ? intern_get(id->texts, s) : NULL;
}

static void read_state(struct identity *id, struct entry *e, struct container *c)
{
	e->state_tries--;
	if (!container_read_state(id->root, c))
		return;
	e->state_tries = 0;
	e->w.container_name = keep(id, str_of(c->name));
	e->w.container_image = keep(id, str_of(c->image));
}

static void fill(struct identity *id, struct entry *e, struct str from)
{
	struct container c;
	struct str unit = unit_of_path(from);

	if (!container_of_path(from, &c)) {
		e->w.unit = keep(id, unit);
		return;
	}
	if (!c.own_unit || (unit.n && c.id.p > unit.p + unit.n) || (unit.n && unit.p > c.id.p))
		e->w.unit = keep(id, unit);
	e->w.container_id = keep(id, c.id);
	e->w.container_runtime = keep(id, str_of(c.runtime));
	if (c.name[0]) {
		e->w.container_name = keep(id, str_of(c.name));
		return;
	}
	e->state_tries = STATE_TRIES;
	read_state(id, e, &c);
}

/* A container's state may be written a moment after its first process: asked again a few times. */
static void retry(struct identity *id, struct entry *e)
{
	struct container c;

	if (e->state_tries &&
	    container_of_path(text_str(e->unit_path ? e->unit_path : e->w.cgroup), &c))
		read_state(id, e, &c);
}

static struct entry *find(struct identity *id, struct str path, struct str unit_path, uint64_t hash)
{
	for (struct entry *e = id->buckets[hash % BUCKETS]; e; e = e->next)
		if (e->hash == hash && str_eq(text_str(e->w.cgroup), path) &&
		    str_eq(text_str(e->unit_path), unit_path))
			return e;
	return NULL;
}

static void drop_unused(struct identity *id)
{
	for (struct list *it = id->by_use.next, *next; it != &id->by_use && id->n > CACHE_MAX;
	     it = next) {
		struct entry *e = container_of(it, struct entry, by_use);

		next = it->next;
		if (!e->refs)
			entry_del(id, e);
	}
}

static struct entry *entry_new(struct identity *id, struct str path, struct str unit_path,
			       uint64_t hash)
{
	struct entry *e;

	if (id->n >= CACHE_MAX)
		drop_unused(id);
	e = calloc(1, sizeof(*e));
	if (!e)
		return NULL;
	e->hash = hash;
	e->w.cgroup = keep(id, path);
	e->unit_path = keep(id, unit_path);
	e->next = id->buckets[hash % BUCKETS];
	id->buckets[hash % BUCKETS] = e;
	list_push_back(&id->by_use, &e->by_use);
	id->n++;
	fill(id, e, unit_path.n ? unit_path : path);
	return e;
}

const struct workload *identity_workload(struct identity *id, struct str path, uint64_t cgroup_id,
					 uint32_t pid)
{
	char by_id[PATH_TEXT], v1[PATH_TEXT];
	struct str unit_path = STR_NONE;
	struct entry *e;
	uint64_t hash;

	if (!path.n)
		path = path_by_id(id, cgroup_id, by_id);
	if (pid && (!path.n || str_eq(path, STR("/"))))
		unit_path = v1_path(id, pid, v1);
	hash = hash_bytes(path.p, path.n, 0) ^ hash_bytes(unit_path.p, unit_path.n, 1);
	e = find(id, path, unit_path, hash);
	if (!e)
		return (e = entry_new(id, path, unit_path, hash)) ? &e->w : NULL;
	list_del(&e->by_use);
	list_push_back(&id->by_use, &e->by_use);
	retry(id, e);
	return &e->w;
}

void workload_ref(const struct workload *w)
{
	if (w)
		((struct entry *)w)->refs++;
}

void workload_put(struct identity *id, const struct workload *w)
{
	(void)id;
	if (w)
		((struct entry *)w)->refs--;
}
