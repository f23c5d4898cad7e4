/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/origin.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "flow/proc.h"

#define PATHS_MAX 2000000
#define LISTS_MAX 65536
#define PATH_TEXT 4096
#define DPKG "/var/lib/dpkg"

struct origin {
	char *root;
	uint64_t seed;
	uint64_t *paths; /* hashes, sorted */
	size_t n, room;
	struct timespec changed; /* dpkg's folder, when it was read */
	bool read;
	uint64_t read_ns, lost;
};

/* What the file system says; of the process's own file where it is known. */
struct found {
	bool there, roots, temp, same;
};

int origin_new(struct origin **ret, const char *root)
{
	struct origin *o = calloc(1, sizeof(*o));

	if (!o)
		return -ENOMEM;
	o->root = strdup(root && strcmp(root, "/") ? root : "");
	if (!o->root) {
		free(o);
		return -ENOMEM;
	}
	o->seed = hash_random_seed();
	*ret = o;
	return 0;
}

struct origin *origin_free(struct origin *o)
{
	if (!o)
		return NULL;
	free(o->root);
	free(o->paths);
	free(o);
	return NULL;
}

/* --- dpkg --------------------------------------------------------------------------------------------------------- */

static bool below(struct str path, const char *folder)
{
	struct str f = str_of(folder);

	return path.n > f.n && path.p[f.n] == '/' && !memcmp(path.p, f.p, f.n);
}

/* /bin and its like are links into /usr today, and lists name both. */
static uint64_t hash_path(const struct origin *o, struct str path)
{
	static const char *const moved[] = {
		"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"
	};
	char text[PATH_TEXT];

	for (size_t i = 0; i < ARRAY_SIZE(moved); i++)
		if (below(path, moved[i]) && path.n + 4 <= sizeof(text)) {
			memcpy(text, "/usr", 4);
			memcpy(text + 4, path.p, path.n);
			return hash_bytes(text, path.n + 4, o->seed);
		}
	return hash_bytes(path.p, path.n, o->seed);
}

/* Two thirds of what packages bring, and nothing that runs. */
static bool never_runs(struct str path)
{
	return below(path, "/usr/share/doc") || below(path, "/usr/share/man") ||
	       below(path, "/usr/share/locale") || below(path, "/usr/share/icons") ||
	       below(path, "/usr/include");
}

static int put_path(struct origin *o, struct str path)
{
	if (!path.n || path.p[0] != '/' || never_runs(path))
		return 0;
	if (o->n == PATHS_MAX) {
		o->lost++;
		return 0;
	}
	if (o->n == o->room) {
		size_t room = o->room ? o->room * 2 : 16384;
		uint64_t *paths = realloc(o->paths, room * sizeof(*paths));

		if (!paths)
			return -ENOMEM;
		o->paths = paths;
		o->room = room;
	}
	o->paths[o->n++] = hash_path(o, path);
	return 0;
}

/* Every line, or of three lines the second: "from, to, package" of dpkg's diversions. */
static int read_list(struct origin *o, int dir, const char *name, bool diversions)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), r = 0;
	_cleanup_fclose_ FILE *f = fd >= 0 ? fdopen(fd, "re") : NULL;
	char line[PATH_TEXT];

	if (!f) {
		if (fd >= 0)
			close(fd);
		o->lost += errno != ENOENT;
		return 0;
	}
	for (size_t i = 0; !r && fgets(line, sizeof(line), f); i++)
		if (!diversions || i % 3 == 1)
			r = put_path(o, (struct str){ line, strcspn(line, "\n") });
	return r;
}

static int by_value(const void *x, const void *y)
{
	uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;

	return a < b ? -1 : a > b;
}

static int open_below(const struct origin *o, const char *path, int flags)
{
	char text[PATH_TEXT];

	if ((size_t)snprintf(text, sizeof(text), "%s%s", o->root, path) >= sizeof(text))
		return -ENAMETOOLONG;
	return open(text, flags | O_CLOEXEC);
}

static bool is_list(const char *name)
{
	size_t n = strlen(name);

	return n > 5 && !strcmp(name + n - 5, ".list");
}

static void read_lists(struct origin *o, DIR *info)
{
	_cleanup_close_ int dpkg = open_below(o, DPKG, O_RDONLY | O_DIRECTORY);
	struct dirent *d;
	int r = 0;

	o->n = 0;
	for (size_t lists = 0; !r && (d = readdir(info));) {
		if (!is_list(d->d_name))
			continue;
		if (lists++ == LISTS_MAX) {
			o->lost++;
			break;
		}
		r = read_list(o, dirfd(info), d->d_name, false);
	}
	if (!r && dpkg >= 0)
		r = read_list(o, dpkg, "diversions", true);
	if (r)
		o->lost++; /* no memory: what was read so far is known */
	if (o->n)
		qsort(o->paths, o->n, sizeof(*o->paths), by_value);
}

/* Reads the lists when they were never read, or have changed since. */
static void refresh(struct origin *o, uint64_t now_ns)
{
	int fd;
	struct stat st;
	DIR *info;

	if (o->read && now_ns < o->read_ns + ORIGIN_REREAD_NS)
		return;
	o->read_ns = now_ns;
	fd = open_below(o, DPKG "/info", O_RDONLY | O_DIRECTORY);
	if (fd < 0 || fstat(fd, &st) ||
	    (o->read && !memcmp(&st.st_mtim, &o->changed, sizeof(o->changed))) ||
	    !(info = fdopendir(fd))) {
		o->read = true;
		if (fd >= 0)
			close(fd);
		return;
	}
	o->read = true;
	o->changed = st.st_mtim;
	read_lists(o, info);
	closedir(info);
}

static bool packaged(struct origin *o, struct str path, uint64_t now_ns)
{
	uint64_t h = hash_path(o, path);

	if (o->read && o->n && bsearch(&h, o->paths, o->n, sizeof(h), by_value))
		return true;
	refresh(o, now_ns);
	return o->n && bsearch(&h, o->paths, o->n, sizeof(h), by_value);
}

/* --- the file ----------------------------------------------------------------------------------------------------- */

static bool only_root_writes(const struct stat *st)
{
	return st->st_uid == 0 && !(st->st_mode & (S_IWGRP | S_IWOTH));
}

/* Device numbers without a device behind them (btrfs, overlayfs) are not those that the kernel itself uses. */
static bool is_file_of(const struct stat *st, const struct proc *p)
{
	if (!p || !p->exe_inode)
		return true;
	return st->st_ino == p->exe_inode &&
	       (!major(st->st_dev) ||
		(major(st->st_dev) == p->exe_dev_major && minor(st->st_dev) == p->exe_dev_minor));
}

static struct found look_at(const struct origin *o, struct str path, const struct proc *p)
{
	struct found f = { 0 };
	char text[PATH_TEXT], *slash;
	struct stat st;

	if ((size_t)snprintf(text, sizeof(text), "%s%.*s", o->root, STR_FMT(path)) >= sizeof(text))
		return f;
	if (!stat(text, &st) && S_ISREG(st.st_mode)) {
		f.there = true;
		f.roots = only_root_writes(&st);
		f.same = is_file_of(&st, p);
	}
	slash = strrchr(text, '/');
	if (slash)
		slash[slash == text] = 0;
	f.temp = slash && !stat(text, &st) && (st.st_mode & S_IWOTH);
	return f;
}

static enum exe_origin by_text(struct str path)
{
	static const char *const temp[] = { "/tmp",     "/var/tmp",  "/dev/shm",  "/run/user",
					    "/run/shm", "/run/lock", "/var/lock", "/var/crash" };

	for (size_t i = 0; i < ARRAY_SIZE(temp); i++)
		if (below(path, temp[i]))
			return ORIGIN_TEMP;
	if (below(path, "/home") || below(path, "/root"))
		return ORIGIN_HOME;
	return ORIGIN_UNKNOWN;
}

static bool is_systems(struct str path)
{
	static const char *const folders[] = { "/usr",   "/bin",   "/sbin", "/lib",
					       "/lib32", "/lib64", "/opt",  "/libx32" };

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		if (below(path, folders[i]))
			return !below(path, "/usr/local");
	return false;
}

/* Brought by a package manager of their own, into a tree that nothing else writes to. */
static bool is_store(struct str path)
{
	return below(path, "/snap") || below(path, "/var/lib/snapd/snap") ||
	       below(path, "/nix/store") || below(path, "/gnu/store");
}

static enum exe_origin judge(struct origin *o, struct str path, const struct proc *p,
			     uint64_t now_ns)
{
	enum exe_origin v = by_text(path);
	struct found f;

	if (v != ORIGIN_UNKNOWN || !path.n || path.p[0] != '/')
		return v;
	f = look_at(o, path, p);
	if (!f.there || !f.same)
		return ORIGIN_UNKNOWN;
	if (f.temp)
		return ORIGIN_TEMP;
	if (!f.roots)
		return ORIGIN_LOCAL;
	if (is_store(path))
		return ORIGIN_SYSTEM;
	if (packaged(o, path, now_ns))
		return ORIGIN_PACKAGE;
	return !o->n && is_systems(path) ? ORIGIN_SYSTEM : ORIGIN_LOCAL;
}

enum exe_origin origin_of_path(struct origin *o, struct str path, uint64_t now_ns)
{
	return judge(o, path, NULL, now_ns);
}

/* An update takes the name of a running program's file away and gives it to the new one. */
static enum exe_origin of_deleted(struct origin *o, struct str path, uint64_t now_ns)
{
	enum exe_origin v =
		by_text(path) == ORIGIN_UNKNOWN ? judge(o, path, NULL, now_ns) : ORIGIN_DELETED;

	return v == ORIGIN_PACKAGE || v == ORIGIN_SYSTEM ? v : ORIGIN_DELETED;
}

enum exe_origin origin_of_proc(struct origin *o, const struct proc *p, uint64_t now_ns)
{
	struct str path = text_str(p->exe);
	bool contained = p->workload && p->workload->container_id;
	enum exe_origin v;

	switch (p->exe_state) {
	case EXE_MEMFD:
		return ORIGIN_MEMFD;
	case EXE_DELETED:
		return contained ? ORIGIN_DELETED : of_deleted(o, path, now_ns);
	case EXE_FILE:
		break;
	case EXE_KERNEL:
	case EXE_UNKNOWN:
		return ORIGIN_UNKNOWN;
	}
	if (!contained)
		return judge(o, path, p, now_ns);
	v = by_text(path);
	return v == ORIGIN_UNKNOWN ? ORIGIN_CONTAINER : v;
}

const char *exe_origin_name(enum exe_origin v)
{
	static const char *const names[] = {
		[ORIGIN_UNKNOWN] = "unknown",     [ORIGIN_PACKAGE] = "package",
		[ORIGIN_SYSTEM] = "system",       [ORIGIN_LOCAL] = "local",
		[ORIGIN_HOME] = "home",           [ORIGIN_TEMP] = "temp",
		[ORIGIN_MEMFD] = "memfd",         [ORIGIN_DELETED] = "deleted",
		[ORIGIN_CONTAINER] = "container",
	};

	return names[v];
}

size_t origin_paths(const struct origin *o)
{
	return o->n;
}

uint64_t origin_lost(const struct origin *o)
{
	return o->lost;
}
