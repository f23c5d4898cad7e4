/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading, attaching and taking away. Nothing is pinned: when the links are closed, or the process dies, the kernel
 * removes every hook. What the kernel lacks and we can do without is left out before loading (see features.c for
 * what is lost then).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "attach/backstop.h"
#include "attach/cgroup2.h"
#include "attach/gateway.h"
#include "attach/internal.h"
#include "attach/policy.h"
#include "attach/pin.h"
#include "attach/shaper.h"
#include "attach/who.h"
#include "base/cleanup.h"
#include "base/hash.h"
#include "base/log.h"
#include "bpf/host.skel.h"

#define RING_DEFAULT (8U << 20)
#define RING_LEAST (64U << 10)
#define PEERS_DEFAULT 65536

static int on_libbpf(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	char text[1024];

	if (level == LIBBPF_DEBUG)
		return 0;
	vsnprintf(text, sizeof(text), fmt, ap);
	text[strcspn(text, "\n")] = 0;
	log_debug("%s", text);
	return 0;
}

static bool btf_has(const struct btf *btf, const char *name, uint32_t kind)
{
	return btf__find_by_name_kind(btf, name, kind) > 0;
}

static int configure(struct attach *a, const struct attach_config *cfg)
{
	uint32_t ring = cfg->ring_bytes ? cfg->ring_bytes : RING_DEFAULT;
	struct btf *btf = btf__load_vmlinux_btf();
	struct host_bpf *s = a->skel;
	struct stat st;

	if (libbpf_get_error(btf))
		return -ENOENT;
	s->rodata->has_kern_ctx = btf_has(btf, "bpf_cast_to_kern_ctx", BTF_KIND_FUNC);
	a->cap_hook = btf_has(btf, "btf_trace_cap_capable", BTF_KIND_TYPEDEF);
	a->can_end = btf_has(btf, "bpf_sock_destroy", BTF_KIND_FUNC);
	btf__free(btf);
	bpf_program__set_autoload(s->progs.eg_cap, a->cap_hook);
	s->rodata->with_policy = !cfg->watch_only;
	bpf_program__set_autoload(s->progs.eg_backstop, cfg->backstop && s->rodata->has_kern_ctx);
	bpf_program__set_autoload(s->progs.eg_link, !cfg->watch_only);
	bpf_program__set_autoload(s->progs.eg_condemn, a->can_end);
	if (cfg->n_inside && !s->rodata->has_kern_ctx)
		return -EOPNOTSUPP; /* gateway: before kernel 6.2 */
	gateway_configure(a, cfg);

	if (fstat(cfg->cgroup_fd, &st))
		return -errno;
	if (ring < RING_LEAST || (ring & (ring - 1)))
		return -EINVAL;
	s->rodata->watch_cgroup_id = st.st_ino;
	s->rodata->watch_level = cgroup2_level(cfg->cgroup_fd);
	s->rodata->trace_all_processes = cfg->trace_all_processes;
	s->rodata->hash_seed = hash_random_seed();
	s->rodata->name_key = policy_new_name_key();
	s->rodata->ring_wake_bytes = ring / 4;
	bpf_map__set_max_entries(s->maps.eg_ring, ring);
	bpf_map__set_max_entries(s->maps.eg_peers, cfg->max_peers ? cfg->max_peers : PEERS_DEFAULT);
	return 0;
}

static int add_link(struct attach *a, struct bpf_program *prog, struct bpf_link *link)
{
	int r = libbpf_get_error(link) ? -errno : 0;

	if (r) {
		log_debug("cannot attach %s: %s", bpf_program__name(prog), strerror(-r));
		return r;
	}
	a->link_progs[a->n_links] = prog;
	a->links[a->n_links++] = link;
	return pin_replace(a, prog, link);
}

static int add_cgroup(struct attach *a, struct bpf_program *prog, int cgroup_fd)
{
	struct bpf_link *old = pin_update(a, prog);

	if (!old)
		return add_link(a, prog, bpf_program__attach_cgroup(prog, cgroup_fd));
	a->link_progs[a->n_links] = prog;
	a->links[a->n_links++] = old;
	return 0;
}

int attach_iter(struct bpf_link **ret, struct bpf_program *prog, struct bpf_map *map)
{
	union bpf_iter_link_info info = { 0 };
	LIBBPF_OPTS(bpf_iter_attach_opts, opts);
	struct bpf_link *link;

	if (map) {
		info.map.map_fd = bpf_map__fd(map);
		opts.link_info = &info;
		opts.link_info_len = sizeof(info);
	}
	link = bpf_program__attach_iter(prog, &opts);
	if (libbpf_get_error(link))
		return -errno;
	*ret = link;
	return 0;
}

static int attach_iters(struct attach *a)
{
	struct host_bpf *s = a->skel;
	int r = attach_iter(&a->iter_socks, s->progs.eg_sweep_socks, s->maps.eg_socks);

	if (!r)
		r = attach_iter(&a->iter_peers, s->progs.eg_sweep_peers, s->maps.eg_peers);
	if (!r)
		r = attach_iter(&a->iter_files, s->progs.eg_seed, NULL);
	if (!r)
		r = attach_iter(&a->iter_tasks, s->progs.eg_tasks, NULL);
	if (!r)
		r = attach_iter(&a->iter_refused, s->progs.eg_sweep_refused, s->maps.eg_refused);
	if (!r)
		r = attach_iter(&a->iter_refused_rest, s->progs.eg_sweep_refused,
				s->maps.eg_refused_rest);
	if (!r && a->can_end)
		r = attach_iter(&a->iter_tcp, s->progs.eg_condemn, NULL);
	return r;
}

/* Ends of flows and processes first, packets last: no flow is counted whose end would go unseen. */
static int attach_hooks(struct attach *a, int cgroup_fd)
{
	struct host_bpf *s = a->skel;
	struct bpf_program *const tracing[] = {
		s->progs.eg_fork,
		s->progs.eg_exec,
		s->progs.eg_exit,
		s->progs.eg_tcp_destroy,
		s->progs.eg_kfree_skb,
		s->progs.eg_send_reset,
		a->cap_hook ? s->progs.eg_cap : NULL,
	};
	struct bpf_program *const cgroup[] = {
		s->progs.eg_release,  s->progs.eg_bind4,    s->progs.eg_bind6,
		s->progs.eg_connect4, s->progs.eg_connect6, s->progs.eg_sendmsg4,
		s->progs.eg_sendmsg6, s->progs.eg_pace,     s->progs.eg_egress,
		s->progs.eg_ingress,
	};
	int r = 0;

	for (size_t i = 0; !r && i < ARRAY_SIZE(tracing); i++)
		if (tracing[i])
			r = add_link(a, tracing[i], bpf_program__attach(tracing[i]));
	for (size_t i = 0; !r && i < ARRAY_SIZE(cgroup); i++)
		r = add_cgroup(a, cgroup[i], cgroup_fd);
	return r;
}

static int map_map(const struct bpf_map *map, size_t size, off_t at, int prot, void *ret)
{
	void *p = mmap(NULL, size, prot, MAP_SHARED, bpf_map__fd(map), at);

	if (p == MAP_FAILED)
		return -errno;
	*(void **)ret = p;
	return 0;
}

static int map_maps(struct attach *a)
{
	const struct host_bpf *s = a->skel;
	const int rw = PROT_READ | PROT_WRITE;
	size_t page = sysconf(_SC_PAGESIZE);
	int r = map_map(s->maps.eg_slots, EG_SLOTS * sizeof(*a->slots), 0, rw, &a->slots);

	if (!r)
		r = map_map(s->maps.eg_handshakes, EG_HANDSHAKES * sizeof(*a->handshakes), 0, rw,
			    &a->handshakes);
	if (!r)
		r = map_map(s->maps.eg_ring, page, 0, PROT_READ, &a->ring_consumed);
	if (!r)
		r = map_map(s->maps.eg_ring, page, page, PROT_READ, &a->ring_produced);
	return r;
}

static void unmap_maps(struct attach *a)
{
	size_t page = sysconf(_SC_PAGESIZE);

	if (a->slots)
		munmap(a->slots, EG_SLOTS * sizeof(*a->slots));
	if (a->handshakes)
		munmap(a->handshakes, EG_HANDSHAKES * sizeof(*a->handshakes));
	if (a->ring_consumed)
		munmap(a->ring_consumed, page);
	if (a->ring_produced)
		munmap(a->ring_produced, page);
}

static int explain(char error[256], int r, const char *what)
{
	const char *why = strerror(-r);

	if (r == -EPERM || r == -EACCES)
		why = "not permitted: run as root, or with CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN";
	else if (r == -ENOENT)
		why = "this kernel has no BTF (/sys/kernel/btf/vmlinux)";
	snprintf(error, 256, "%s: %s; see egret doctor", what, why);
	return r;
}

DEFINE_CLEANUP(struct attach, attach_free);

int attach_new(struct attach **ret, const struct attach_config *cfg, struct event_out out,
	       char error[256])
{
	_cleanup_(attach_freep) struct attach *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return explain(error, -ENOMEM, "cannot watch");
	a->out = out;
	libbpf_set_print(on_libbpf);
	attach_clock(a);
	a->names = calloc(ATTACH_NAMES, sizeof(*a->names));
	r = a->names ? held_init(a) : -ENOMEM;
	if (r)
		return explain(error, r, "cannot watch");
	a->skel = host_bpf__open();
	if (!a->skel)
		return explain(error, -errno, "cannot read the kernel programs");
	r = configure(a, cfg);
	if (r)
		return explain(error, r, "cannot prepare the kernel programs");
	r = pin_begin(a, cfg, error);
	if (r)
		return r;
	r = host_bpf__load(a->skel);
	if (r)
		return explain(error, r, "cannot load the kernel programs");
	a->ring = ring_buffer__new(bpf_map__fd(a->skel->maps.eg_ring), attach_on_record, a, NULL);
	if (!a->ring)
		return explain(error, -errno, "cannot read the ring buffer");
	r = map_maps(a);
	if (!r)
		r = attach_iters(a);
	if (!r)
		r = attach_sync_clocks(a);
	if (!r)
		r = policy_find(a);
	if (!r)
		r = attach_hooks(a, cfg->cgroup_fd);
	if (!r)
		r = who_start(a);
	if (r)
		return explain(error, r, "cannot attach to the kernel");
	pin_end(a);
	r = backstop_start(a);
	if (r)
		return explain(error, r, "cannot attach the backstop");
	r = gateway_start(a);
	if (r)
		return explain(error, r, "cannot attach the gateway");
	a->ready = true;
	*ret = TAKE_PTR(a);
	return 0;
}

struct attach *attach_free(struct attach *a)
{
	if (!a)
		return NULL;
	if (!attach_is_pinned(a)) {
		backstop_stop(a);
		shaper_stop(a);
	}
	gateway_stop(a);
	while (a->n_links)
		bpf_link__destroy(a->links[--a->n_links]);
	if (a->ready) {
		ring_buffer__consume(a->ring);
		held_expire(a, UINT64_MAX);
		if (!attach_is_pinned(a))
			attach_sweep_rests(a, UINT64_MAX);
	}
	bpf_link__destroy(a->iter_socks);
	bpf_link__destroy(a->iter_peers);
	bpf_link__destroy(a->iter_files);
	bpf_link__destroy(a->iter_tasks);
	bpf_link__destroy(a->iter_refused);
	bpf_link__destroy(a->iter_refused_rest);
	bpf_link__destroy(a->iter_tcp);
	ring_buffer__free(a->ring);
	unmap_maps(a);
	policy_done(a);
	who_stop(a);
	host_bpf__destroy(a->skel);
	held_done(a);
	for (size_t i = 0; i < ATTACH_CGROUPS; i++)
		free(a->cgroups[i].path);
	free(a->names);
	free(a->over);
	pin_free(a->pin);
	free(a);
	return NULL;
}
