/* SPDX-License-Identifier: Apache-2.0 */
/* See who.h. Writes to the kernel's maps of processes and paths, but never while the kernel could be half-way through. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "attach/policy.h"
#include "attach/who.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/time.h"
#include "bpf/host.skel.h"

#define CLEAN_EVERY_NS (60 * NSEC_PER_SEC)
#define PATHS_CLEAN 8192 /* fewer paths than this are not worth the look */
#define PATH_KEEP_S 60   /* a program that began so lately may not be written down yet */
#define DEEPEST 128      /* generations followed upwards */

struct who {
	struct mounts *mounts;
	uint64_t cleaned_ns;
	uint64_t lost[EG_WHO_LOST_COUNT];
};

static void ignore(void *ctx, const void *rec)
{
}

static int walk_tasks(struct attach *a)
{
	struct bpf_link *link = bpf_program__attach_iter(a->skel->progs.eg_who_walk, NULL);
	int r;

	if (libbpf_get_error(link))
		return -errno;
	r = attach_walk(link, 1, ignore, NULL);
	bpf_link__destroy(link);
	return r;
}

int who_start(struct attach *a)
{
	struct who *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return -ENOMEM;
	a->who = w;
	r = mounts_new(&w->mounts, a);
	if (r)
		return r;
	a->skel->bss->who_reference = !mounts_of_self(w->mounts);
	r = walk_tasks(a);
	a->skel->bss->who_seeded = 1;
	return r;
}

void who_stop(struct attach *a)
{
	if (!a->who)
		return;
	mounts_free(a->who->mounts);
	free(TAKE_PTR(a->who));
}

/* --- what was lost ---------------------------------------------------------------------------------------------- */

static void tell_lost(struct attach *a)
{
	static const char *const words[] = {
#define X(id, text) text,
		EG_WHO_LOST(X)
#undef X
	};
	int n_cpus = libbpf_num_possible_cpus();
	_cleanup_free_ uint64_t *per_cpu = calloc(MAX(n_cpus, 1), sizeof(*per_cpu));
	struct event e = { .type = EVENT_LOSS, .time_ns = time_now() };

	if (!per_cpu || n_cpus < 1)
		return;
	for (uint32_t i = 0; i < EG_WHO_LOST_COUNT; i++) {
		uint64_t now = 0;

		if (bpf_map_lookup_elem(bpf_map__fd(a->skel->maps.eg_who_lost), &i, per_cpu))
			continue;
		for (int cpu = 0; cpu < n_cpus; cpu++)
			now += per_cpu[cpu];
		if (now == a->who->lost[i])
			continue;
		if (!a->who->lost[i])
			log_warn("%s", words[i]);
		e.loss.count += now - a->who->lost[i];
		a->who->lost[i] = now;
	}
	e.loss.reason = LOSS_MAP_WHO;
	if (e.loss.count)
		attach_emit(a, &e);
}

/* --- paths that nothing needs any more --------------------------------------------------------------------------- */

struct keys {
	uint64_t *items;
	size_t n, room;
};

static int keys_add(struct keys *k, uint64_t key)
{
	if (!key)
		return 0;
	if (k->n == k->room) {
		size_t room = k->room ? 2 * k->room : 1024;
		uint64_t *items = realloc(k->items, room * sizeof(*items));

		if (!items)
			return -ENOMEM;
		k->items = items;
		k->room = room;
	}
	k->items[k->n++] = key;
	return 0;
}

static int by_number(const void *x, const void *y)
{
	const uint64_t *a = x, *b = y;

	return *a < *b ? -1 : *a > *b;
}

static int keys_in_use(struct attach *a, struct keys *ret)
{
	int fd = bpf_map__fd(a->skel->maps.eg_processes), r = 0;
	uint32_t pid, next;
	bool more = !bpf_map_get_next_key(fd, NULL, &pid);

	for (; !r && more; pid = next) {
		struct eg_process p;

		more = !bpf_map_get_next_key(fd, &pid, &next);
		if (bpf_map_lookup_elem(fd, &pid, &p))
			continue;
		r = keys_add(ret, p.exe);
		if (!r)
			r = keys_add(ret, p.script);
	}
	for (size_t i = 0; !r && i < EG_SLOTS; i++) {
		if (!a->slots[i].cookie)
			continue;
		r = keys_add(ret, a->slots[i].sock.who.exe);
		if (!r)
			r = keys_add(ret, a->slots[i].sock.who.script);
	}
	if (ret->n)
		qsort(ret->items, ret->n, sizeof(*ret->items), by_number);
	return r;
}

static void drop_paths(struct attach *a, const struct keys *all, const struct keys *used)
{
	int fd = bpf_map__fd(a->skel->maps.eg_paths);
	uint32_t now_s = attach_mono_ns() / NSEC_PER_SEC;

	for (size_t i = 0; i < all->n; i++) {
		struct eg_path p;

		if (used->n &&
		    bsearch(&all->items[i], used->items, used->n, sizeof(uint64_t), by_number))
			continue;
		if (!bpf_map_lookup_elem(fd, &all->items[i], &p) && now_s - p.used_s > PATH_KEEP_S)
			bpf_map_delete_elem(fd, &all->items[i]);
	}
}

/* A program that runs, or has a socket, keeps its path; others are found again when they begin. */
static void clean_paths(struct attach *a)
{
	int fd = bpf_map__fd(a->skel->maps.eg_paths), r = 0;
	struct keys all = { 0 }, used = { 0 };
	uint64_t key, next;
	bool more = !bpf_map_get_next_key(fd, NULL, &key);

	for (; !r && more; key = next) {
		r = keys_add(&all, key);
		more = !bpf_map_get_next_key(fd, &key, &next);
	}
	if (!r && all.n > PATHS_CLEAN)
		r = keys_in_use(a, &used);
	if (!r && all.n > PATHS_CLEAN)
		drop_paths(a, &all, &used);
	free(all.items);
	free(used.items);
}

void who_tick(struct attach *a)
{
	uint64_t now = attach_mono_ns();

	if (!a->who)
		return;
	mounts_tick(a->who->mounts);
	tell_lost(a);
	if (now - a->who->cleaned_ns > CLEAN_EVERY_NS) {
		a->who->cleaned_ns = now;
		clean_paths(a);
	}
}

/* --- trees -------------------------------------------------------------------------------------------------------- */

struct member {
	uint32_t pid;
	struct eg_process p;
	uint64_t begins; /* trees that its own program begins */
};

struct members {
	struct member *items; /* by pid */
	size_t n, room;
};

static int by_pid(const void *x, const void *y)
{
	const struct member *a = x, *b = y;

	return a->pid < b->pid ? -1 : a->pid > b->pid;
}

static int read_members(struct attach *a, struct members *ret)
{
	int fd = bpf_map__fd(a->skel->maps.eg_processes);
	uint32_t pid, next;
	bool more = !bpf_map_get_next_key(fd, NULL, &pid);

	for (; more; pid = next) {
		struct member m = { .pid = pid };

		more = !bpf_map_get_next_key(fd, &pid, &next);
		if (bpf_map_lookup_elem(fd, &pid, &m.p))
			continue;
		if (ret->n == ret->room) {
			size_t room = ret->room ? 2 * ret->room : 1024;
			struct member *items = realloc(ret->items, room * sizeof(*items));

			if (!items)
				return -ENOMEM;
			ret->items = items;
			ret->room = room;
		}
		ret->items[ret->n++] = m;
	}
	if (ret->n)
		qsort(ret->items, ret->n, sizeof(*ret->items), by_pid);
	return 0;
}

static uint64_t begun_by(struct attach *a, uint64_t key,
			 uint64_t (*trees_of)(void *ctx, struct str exe), void *ctx)
{
	char buf[2 * EG_PATH_MAX];
	struct eg_path path;
	struct str text;

	if (!key || bpf_map_lookup_elem(bpf_map__fd(a->skel->maps.eg_paths), &key, &path))
		return 0;
	text = mounts_path(a->who->mounts, &path, buf);
	return text.n ? trees_of(ctx, text) : 0;
}

/* What its ancestors began, as far up as they live. */
static uint64_t inherited(const struct members *all, const struct member *m)
{
	uint64_t trees = 0;

	for (int i = 0; m && i < DEEPEST; i++) {
		struct member want = { .pid = m->p.ppid }, *up;

		trees |= m->begins | m->p.trees;
		up = bsearch(&want, all->items, all->n, sizeof(want), by_pid);
		/* a parent is older: else the number has another owner by now */
		m = up && up != m && up->p.start_ns <= m->p.start_ns ? up : NULL;
	}
	return trees;
}

static int tag(struct attach *a, const struct member *m, uint64_t trees)
{
	struct eg_tag t = { .start_ns = m->p.start_ns, .trees = trees, .pid = m->pid };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &t, .ctx_size_in = sizeof(t));

	if (bpf_prog_test_run_opts(bpf_program__fd(a->skel->progs.eg_who_tag), &opts))
		return -errno;
	return 0;
}

int attach_trees(struct attach *a, uint64_t (*trees_of)(void *ctx, struct str exe), void *ctx)
{
	struct members all = { 0 };
	int r = read_members(a, &all);

	for (size_t i = 0; !r && i < all.n; i++) {
		struct member *m = &all.items[i];

		m->begins = begun_by(a, m->p.exe, trees_of, ctx) |
			    begun_by(a, m->p.script, trees_of, ctx);
	}
	for (size_t i = 0; !r && i < all.n; i++) {
		uint64_t trees = inherited(&all, &all.items[i]);

		if (trees & ~all.items[i].p.trees)
			r = tag(a, &all.items[i], trees);
	}
	free(all.items);
	return r;
}

/* --- containers --------------------------------------------------------------------------------------------------- */

/* Cgroups that were told of for no policy of now: they are gone, or are told of again. */
static void drop_containers(int fd, uint32_t gen)
{
	uint64_t id, next;
	bool more = !bpf_map_get_next_key(fd, NULL, &id);

	for (; more; id = next) {
		struct eg_container c;

		more = !bpf_map_get_next_key(fd, &id, &next);
		if (!bpf_map_lookup_elem(fd, &id, &c) && c.judged[0] >> 16 < gen &&
		    c.judged[1] >> 16 < gen)
			bpf_map_delete_elem(fd, &id);
	}
}

int attach_container_class(struct attach *a, uint64_t cgroup_id, uint32_t gen, uint16_t class)
{
	int fd = bpf_map__fd(a->skel->maps.eg_containers);
	struct eg_container c = { { 0 } };

	bpf_map_lookup_elem(fd, &cgroup_id, &c); /* absent: zeroes */
	c.judged[gen & 1] = (uint64_t)gen << 16 | class;
	if (!bpf_map_update_elem(fd, &cgroup_id, &c, BPF_ANY))
		return 0;
	if (errno == E2BIG)
		drop_containers(fd, gen);
	return bpf_map_update_elem(fd, &cgroup_id, &c, BPF_ANY) ? -errno : 0;
}
