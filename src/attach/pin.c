/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Enforcement that outlives the daemon: links and maps under /sys/fs/bpf/egret/v<ABI>/<name>/{maps,links}/.
 *
 * Taking over: maps are used on as they are, if their shapes are the same; variables of the old programs (.bss, .rodata) are
 * copied by name, because where they lie may change with each build. A cgroup hook gets the new program by one update of
 * its link; a tracepoint has both for an instant. What does not fit is not touched until the new hooks are in force.
 */
#include "attach/pin.h"

#include <dirent.h>
#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "attach/backstop.h"
#include "attach/gateway.h"
#include "attach/internal.h"
#include "attach/policy.h"
#include "attach/shaper.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "bpf/host.skel.h"

#define TEXT_OF(x) #x
#define ABI_TEXT(abi) TEXT_OF(abi)
#define EGRET_ABI_TEXT ABI_TEXT(EGRET_ABI)

#define BPFFS "/sys/fs/bpf"
#define ROOT BPFFS "/egret"
#define DEPTH_MAX 5

static void closedirp(DIR **d)
{
	if (*d)
		closedir(*d);
}

struct pin {
	char name[64];
	char folder[128];
	bool pinned, took_over;
};

static int is_bpffs(void)
{
	struct statfs fs;

	return !statfs(BPFFS, &fs) && fs.f_type == BPF_FS_MAGIC;
}

static int make(const char *path)
{
	return mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

static int prepare(void)
{
	int r;

	if (!is_bpffs() &&
	    mount("bpf", BPFFS, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") < 0)
		return -errno;
	r = make(ROOT);
	return r ? r : make(ROOT "/v" EGRET_ABI_TEXT);
}

/* bpffs keeps names with dots for itself. */
static void path_of(const struct pin *p, const char *kind, const char *name, const char *suffix,
		    char ret[256])
{
	size_t n = (size_t)snprintf(ret, 256, "%s/%s/", p->folder, kind);

	snprintf(ret + n, 256 - n, "%s%s", name, suffix);
	for (char *c = ret + n; *c; c++)
		if (*c == '.')
			*c = '_';
}

/* --- removing --------------------------------------------------------------------------------------------------- */

/* Everything below, and the folder itself. Number of files, or -errno of the first that did not go. */
static int remove_tree(const char *path, int depth)
{
	_cleanup_(closedirp) DIR *d = opendir(path);
	struct dirent *e;
	int n = 0, bad = 0, r;

	if (!d)
		return errno == ENOENT ? 0 : -errno;
	while ((e = readdir(d))) {
		char below[512];

		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		snprintf(below, sizeof(below), "%s/%s", path, e->d_name);
		if (e->d_type == DT_DIR)
			r = depth ? remove_tree(below, depth - 1) : -ELOOP;
		else
			r = unlink(below) < 0 ? -errno : 1;
		if (r < 0)
			bad = bad ? bad : r;
		else
			n += r;
	}
	if (rmdir(path) < 0 && !bad)
		bad = -errno;
	return bad ? bad : n;
}

int attach_disarm(char error[256])
{
	int r = is_bpffs() ? remove_tree(ROOT, DEPTH_MAX) : 0;
	size_t others = backstop_disarm() + gateway_disarm() + shaper_disarm();

	if (r < 0)
		snprintf(error, 256, "cannot remove all of " ROOT ": %s", strerror(-r));
	return r < 0 ? r : r + (int)others;
}

static bool is_name(const char *name)
{
	return *name && strlen(name) < sizeof(((struct pin *)0)->name) &&
	       !name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_")];
}

int attach_unpin_name(const char *name)
{
	char path[256];

	if (!is_name(name))
		return -EINVAL;
	snprintf(path, sizeof(path), ROOT "/v" EGRET_ABI_TEXT "/%s", name);
	return is_bpffs() ? remove_tree(path, DEPTH_MAX) : 0;
}

int attach_pins(void (*fn)(void *ctx, const char *name), void *ctx)
{
	_cleanup_(closedirp) DIR *d = is_bpffs() ? opendir(ROOT "/v" EGRET_ABI_TEXT) : NULL;
	struct dirent *e;
	int n = 0;

	while (d && (e = readdir(d)))
		if (is_name(e->d_name)) {
			fn(ctx, e->d_name);
			n++;
		}
	return n;
}

/* What an egret of another ABI pinned under this name goes, now that these hooks are in force. */
static void remove_others(const struct pin *p)
{
	_cleanup_(closedirp) DIR *d = opendir(ROOT);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		char path[512];
		int r;

		if (e->d_name[0] != 'v' || !strcmp(e->d_name, "v" EGRET_ABI_TEXT))
			continue;
		snprintf(path, sizeof(path), ROOT "/%s/%s", e->d_name, p->name);
		r = remove_tree(path, DEPTH_MAX);
		if (r > 0)
			log_info("what another version of egret (ABI %s) had in force is replaced",
				 e->d_name + 1);
		else if (r < 0)
			log_errno(r, "cannot remove %s", path);
	}
}

/* --- variables of programs that are in the kernel, by name ------------------------------------------------------- */

struct old_section {
	struct btf *btf;
	const struct btf_type *type;
	char *value;
	size_t size;
};

static void old_section_done(struct old_section *s)
{
	btf__free(s->btf);
	free(s->value);
}

static int old_section_read(const struct pin *p, const char *map, struct old_section *ret)
{
	struct bpf_map_info info = { 0 };
	uint32_t n = sizeof(info), zero = 0;
	_cleanup_close_ int fd = -1;
	char path[256];

	path_of(p, "maps", map, "", path);
	fd = bpf_obj_get(path);
	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &n))
		return -errno;
	ret->btf = btf__load_from_kernel_by_id(info.btf_id);
	ret->value = malloc(info.value_size);
	ret->size = info.value_size;
	if (!ret->btf || !ret->value || bpf_map_lookup_elem(fd, &zero, ret->value))
		return -errno;
	ret->type = btf__type_by_id(ret->btf, info.btf_value_type_id);
	return ret->type && btf_is_datasec(ret->type) ? 0 : -EINVAL;
}

/* -ENOENT: there is no such variable of this size. */
static int old_variable(const struct old_section *s, const char *name, void *to, size_t size)
{
	const struct btf_var_secinfo *v = btf_var_secinfos(s->type);

	for (int i = 0; i < btf_vlen(s->type); i++, v++) {
		const struct btf_type *t = btf__type_by_id(s->btf, v->type);

		if (strcmp(btf__name_by_offset(s->btf, t->name_off), name))
			continue;
		if (v->size != size || v->offset + v->size > s->size)
			return -ENOENT;
		memcpy(to, s->value + v->offset, size);
		return 0;
	}
	return -ENOENT;
}

#define OLD_VARIABLE(section, in, name) \
	old_variable(section, #name, &(in)->name, sizeof((in)->name))

/* --- taking over ------------------------------------------------------------------------------------------------- */

static bool is_variables(const struct bpf_map *map)
{
	return strchr(bpf_map__name(map), '.') != NULL;
}

static int open_old(const struct pin *p, const struct bpf_map *map)
{
	char path[256];

	path_of(p, "maps", bpf_map__name(map), "", path);
	return bpf_obj_get(path);
}

/* All maps are there with the shapes that these programs need. */
static int check_maps(const struct pin *p, struct bpf_object *o)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, o)
	{
		struct bpf_map_info info = { 0 };
		uint32_t n = sizeof(info);
		_cleanup_close_ int fd = -1;

		if (is_variables(map))
			continue;
		fd = open_old(p, map);
		if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &n))
			return -errno;
		if (info.type != bpf_map__type(map) || info.key_size != bpf_map__key_size(map) ||
		    info.value_size != bpf_map__value_size(map))
			return -EPROTO;
	}
	return 0;
}

static int reuse_maps(const struct pin *p, struct bpf_object *o)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, o)
	{
		_cleanup_close_ int fd = -1;

		if (is_variables(map))
			continue;
		fd = open_old(p, map);
		if (fd < 0 || bpf_map__reuse_fd(map, fd))
			return -errno;
	}
	return 0;
}

/* -ESTALE: it watches another cgroup. */
static int take_variables(const struct pin *p, struct host_bpf *s)
{
	struct old_section bss = { 0 }, rodata = { 0 };
	uint64_t cgroup;
	int r = old_section_read(p, "host_bpf.bss", &bss);

	if (!r)
		r = old_section_read(p, "host_bpf.rodata", &rodata);
	if (!r)
		r = old_variable(&rodata, "watch_cgroup_id", &cgroup, sizeof(cgroup));
	if (!r && cgroup != s->rodata->watch_cgroup_id)
		r = -ESTALE;
	if (!r)
		r = OLD_VARIABLE(&rodata, s->rodata, hash_seed);
	if (!r)
		r = OLD_VARIABLE(&rodata, s->rodata, name_key);
	if (!r)
		r = OLD_VARIABLE(&bss, s->bss, policy_gen);
	if (!r)
		r = OLD_VARIABLE(&bss, s->bss, policy_epoch);
	if (!r)
		r = OLD_VARIABLE(&bss, s->bss, policy_gens);
	if (!r)
		r = OLD_VARIABLE(&bss, s->bss, policy_epochs);
	if (!r)
		r = OLD_VARIABLE(&bss, s->bss, policy_refuses);
	if (!r)
		r = OLD_VARIABLE(&bss, s->bss, policy_limits);
	if (!r)
		r = OLD_VARIABLE(&bss, s->bss, policy_unix_ns);
	if (!r)
		r = OLD_VARIABLE(&bss, s->bss, gate_since_ns);
	old_section_done(&bss);
	old_section_done(&rodata);
	return r;
}

int pin_begin(struct attach *a, const struct attach_config *cfg, char error[256])
{
	struct pin *p;
	int r;

	if (!cfg->pin)
		return 0;
	if (!is_name(cfg->pin)) {
		snprintf(error, 256, "'%s' is no name for pins", cfg->pin);
		return -EINVAL;
	}
	p = a->pin = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	snprintf(p->name, sizeof(p->name), "%s", cfg->pin);
	snprintf(p->folder, sizeof(p->folder), ROOT "/v" EGRET_ABI_TEXT "/%s", cfg->pin);
	r = prepare();
	if (r < 0) {
		snprintf(error, 256, "no BPF file system at " BPFFS " can be had: %s",
			 strerror(-r));
		return r;
	}
	if (access(p->folder, F_OK) < 0)
		return 0;
	r = check_maps(p, a->skel->obj);
	if (!r)
		r = take_variables(p, a->skel);
	if (r) {
		log_warn("what is pinned in %s %s: it is replaced, not taken over", p->folder,
			 r == -ESTALE ? "watches another cgroup"
				      : "is of another build, or damaged");
		return 0;
	}
	r = reuse_maps(p, a->skel->obj);
	if (r) {
		snprintf(error, 256, "cannot take over %s: %s", p->folder, strerror(-r));
		return r;
	}
	p->took_over = p->pinned = true;
	return 0;
}

void pin_free(struct pin *p)
{
	free(p);
}

struct bpf_link *pin_update(struct attach *a, const struct bpf_program *prog)
{
	struct bpf_link *link;
	char path[256];

	if (!a->pin || !a->pin->took_over)
		return NULL;
	path_of(a->pin, "links", bpf_program__name(prog), "", path);
	link = bpf_link__open(path);
	if (libbpf_get_error(link))
		return NULL;
	if (bpf_link_update(bpf_link__fd(link), bpf_program__fd(prog), NULL)) {
		log_errno(errno, "cannot give the hook %s its new program, attaching another",
			  bpf_program__name(prog));
		bpf_link__destroy(link);
		return NULL;
	}
	return link;
}

/* By way of another name, so that at no moment there is none. */
static int put(const char *path, const char *path_new, int fd)
{
	unlink(path_new);
	if (bpf_obj_pin(fd, path_new) || rename(path_new, path) < 0)
		return -errno;
	return 0;
}

static int put_link(const struct pin *p, const struct bpf_program *prog,
		    const struct bpf_link *link)
{
	char path[256], path_new[256];

	path_of(p, "links", bpf_program__name(prog), "", path);
	path_of(p, "links", bpf_program__name(prog), "_new", path_new);
	return put(path, path_new, bpf_link__fd(link));
}

int pin_replace(struct attach *a, const struct bpf_program *prog, struct bpf_link *link)
{
	return a->pin && a->pin->took_over ? put_link(a->pin, prog, link) : 0;
}

static bool is_hook(const struct attach *a, const char *name)
{
	for (size_t i = 0; i < a->n_links; i++)
		if (!strcmp(bpf_program__name(a->link_progs[i]), name))
			return true;
	return false;
}

/* Links of hooks that these programs have not. */
static void remove_stray(const struct attach *a)
{
	char folder[256], path[600];
	_cleanup_(closedirp) DIR *d = NULL;
	struct dirent *e;

	path_of(a->pin, "links", "", "", folder);
	d = opendir(folder);
	while (d && (e = readdir(d))) {
		snprintf(path, sizeof(path), "%s%s", folder, e->d_name);
		if (e->d_type != DT_DIR && !is_hook(a, e->d_name))
			unlink(path);
	}
}

static int put_maps(const struct pin *p, struct bpf_object *o)
{
	struct bpf_map *map;
	int r = 0;

	bpf_object__for_each_map(map, o)
	{
		char path[256], path_new[256];

		path_of(p, "maps", bpf_map__name(map), "", path);
		path_of(p, "maps", bpf_map__name(map), "_new", path_new);
		if (!r && (!p->took_over || is_variables(map)))
			r = put(path, path_new, bpf_map__fd(map));
	}
	return r;
}

void pin_end(struct attach *a)
{
	int r;

	if (!a->pin || !a->pin->took_over)
		return;
	r = put_maps(a->pin, a->skel->obj);
	if (r)
		log_errno(r, "cannot pin the variables of the new programs");
	remove_stray(a);
	remove_others(a->pin);
}

int attach_pin(struct attach *a, char error[256])
{
	struct pin *p = a->pin;
	char path[256];
	int r;

	if (!p) {
		snprintf(error, 256, "nothing can be pinned: no name was given for it");
		return -EINVAL;
	}
	if (p->pinned)
		return 0;
	/* What lies there is not ours (another cgroup or build); ours is in force already. */
	r = remove_tree(p->folder, DEPTH_MAX);
	if (r >= 0)
		r = prepare(); /* `egret disarm` takes all folders away */
	if (!r)
		r = make(p->folder);
	path_of(p, "maps", "", "", path);
	if (!r)
		r = make(path);
	path_of(p, "links", "", "", path);
	if (!r)
		r = make(path);
	if (!r)
		r = put_maps(p, a->skel->obj);
	for (size_t i = 0; !r && i < a->n_links; i++)
		r = put_link(p, a->link_progs[i], a->links[i]);
	if (r < 0) {
		snprintf(error, 256, "cannot pin in %s: %s", p->folder, strerror(-r));
		remove_tree(p->folder, DEPTH_MAX);
		return r;
	}
	p->pinned = true;
	remove_others(p);
	return 0;
}

int attach_unpin(struct attach *a)
{
	int r = a->pin ? remove_tree(a->pin->folder, DEPTH_MAX) : 0;

	if (a->pin && r >= 0)
		a->pin->pinned = false;
	return r < 0 ? r : 0;
}

bool attach_is_pinned(const struct attach *a)
{
	return a->pin && a->pin->pinned;
}

bool attach_took_over(const struct attach *a)
{
	return a->pin && a->pin->took_over;
}
