/* SPDX-License-Identifier: Apache-2.0 */
#include "attach/gateway.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "attach/internal.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/time.h"
#include "bpf/host.skel.h"
#include "bpf/sweep.h"

#define HANDLE 0xe67e8
#define PRIORITIES 8
#define TCP_IDLE_NS (3600 * (uint64_t)NSEC_PER_SEC)
#define TCP_OVER_NS \
	(2 * (uint64_t)NSEC_PER_SEC) /* after FINs or a reset: for what is still under way */

struct gateway_over {
	struct eg_key key;
	enum event_end end;
};

/* What libbpf says of filters that are not there is no news. */
static int say_nothing(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	(void)level;
	(void)fmt;
	(void)ap;
	return 0;
}

static struct bpf_tc_hook hook_of(int ifindex, enum bpf_tc_attach_point where)
{
	return (struct bpf_tc_hook){ .sz = sizeof(struct bpf_tc_hook),
				     .ifindex = ifindex,
				     .attach_point = where };
}

static uint32_t id_of(int prog_fd)
{
	struct bpf_prog_info info = { 0 };
	uint32_t n = sizeof(info);

	return bpf_obj_get_info_by_fd(prog_fd, &info, &n) ? 0 : info.id;
}

/* The priority at which a filter with our handle and of this program stands; 0: none. */
static uint32_t find(int ifindex, enum bpf_tc_attach_point where, uint32_t prog_id)
{
	for (uint32_t i = 1; i <= PRIORITIES; i++) {
		struct bpf_tc_hook hook = hook_of(ifindex, where);
		struct bpf_tc_opts filter = { .sz = sizeof(filter),
					      .handle = HANDLE,
					      .priority = i };

		if (!bpf_tc_query(&hook, &filter) && filter.prog_id == prog_id)
			return i;
	}
	return 0;
}

/* Of a daemon that was killed. To ask for a program's name takes a right that the daemon has given up by the first sweep. */
static bool is_left_over(uint32_t prog_id, const struct bpf_program *prog)
{
	struct bpf_prog_info info = { 0 };
	uint32_t n = sizeof(info);
	_cleanup_close_ int fd = bpf_prog_get_fd_by_id(prog_id);

	if (fd < 0)
		return errno == EPERM;
	return !bpf_obj_get_info_by_fd(fd, &info, &n) &&
	       !strcmp(info.name, bpf_program__name(prog));
}

static int put(int ifindex, enum bpf_tc_attach_point where, const struct bpf_program *prog)
{
	struct bpf_tc_hook hook = hook_of(ifindex, where);
	int fd = bpf_program__fd(prog), r;

	if (find(ifindex, where, id_of(fd)))
		return 0;
	r = bpf_tc_hook_create(&hook);
	if (r && r != -EEXIST)
		return r;
	for (uint32_t i = 1; i <= PRIORITIES; i++) {
		struct bpf_tc_opts filter = { .sz = sizeof(filter),
					      .handle = HANDLE,
					      .priority = i };

		if (bpf_tc_query(&hook, &filter) || !is_left_over(filter.prog_id, prog))
			continue;
		filter = (struct bpf_tc_opts){ .sz = sizeof(filter),
					       .handle = HANDLE,
					       .priority = i,
					       .prog_fd = fd,
					       .flags = BPF_TC_F_REPLACE };
		return bpf_tc_attach(&hook, &filter);
	}
	r = -EBUSY;
	for (uint32_t i = 1; r && i <= PRIORITIES; i++) {
		struct bpf_tc_opts filter = {
			.sz = sizeof(filter), .handle = HANDLE, .priority = i, .prog_fd = fd
		};

		r = bpf_tc_attach(&hook, &filter);
	}
	return r;
}

static void take_away(int ifindex, enum bpf_tc_attach_point where, const struct bpf_program *prog)
{
	uint32_t id = id_of(bpf_program__fd(prog));
	struct bpf_tc_hook hook = hook_of(ifindex, where);
	struct bpf_tc_opts filter = { .sz = sizeof(filter), .handle = HANDLE };

	filter.priority = id ? find(ifindex, where, id) : 0;
	if (filter.priority)
		bpf_tc_detach(&hook, &filter);
}

static int take_up(struct attach *a, struct attach_inside *in, uint32_t ifindex)
{
	int map = bpf_map__fd(a->skel->maps.eg_gate_inside);
	uint8_t one = 1;
	int r = bpf_map_update_elem(map, &ifindex, &one, BPF_ANY) ? -errno : 0;

	if (!r)
		r = put((int)ifindex, BPF_TC_INGRESS, a->skel->progs.eg_gate_in);
	if (!r)
		r = put((int)ifindex, BPF_TC_EGRESS, a->skel->progs.eg_gate_out);
	if (!r)
		in->ifindex = ifindex;
	return r;
}

/* Names against indices: a name that now means another interface, or none, is seen by its index. */
static void look(struct attach *a)
{
	libbpf_print_fn_t before = libbpf_set_print(say_nothing);
	int map = bpf_map__fd(a->skel->maps.eg_gate_inside), r;

	for (size_t i = 0; i < a->n_inside; i++) {
		struct attach_inside *in = &a->inside[i];
		uint32_t ifindex = if_nametoindex(in->name);

		if (ifindex == in->ifindex && (ifindex || in->told))
			continue;
		if (in->ifindex)
			bpf_map_delete_elem(map, &in->ifindex);
		in->ifindex = 0;
		r = ifindex ? take_up(a, in, ifindex) : -ENODEV;
		if (!r)
			log_info("gateway: watching %s", in->name);
		else if (in->told != r)
			log_warn("gateway: not on %s: %s; it is tried again each second", in->name,
				 r == -ENODEV ? "there is no such interface" : strerror(-r));
		in->told = r;
	}
	libbpf_set_print(before);
}

void gateway_configure(struct attach *a, const struct attach_config *cfg)
{
	struct host_bpf *s = a->skel;
	bool on = cfg->n_inside;

	bpf_program__set_autoload(s->progs.eg_gate_in, on);
	bpf_program__set_autoload(s->progs.eg_gate_out, on);
	bpf_program__set_autoload(s->progs.eg_sweep_gate, on);
	for (size_t i = 0; i < cfg->n_inside && i < EG_GATE_INSIDE; i++) {
		strncat(a->inside[i].name, cfg->inside[i], IF_NAMESIZE - 1);
		a->n_inside++;
	}
}

/* What a map that was taken over still says of the last daemon's interfaces. */
static void forget_interfaces(const struct attach *a)
{
	int map = bpf_map__fd(a->skel->maps.eg_gate_inside);
	uint32_t ifindex;

	while (!bpf_map_get_next_key(map, NULL, &ifindex) && !bpf_map_delete_elem(map, &ifindex))
		;
}

int gateway_start(struct attach *a)
{
	union bpf_iter_link_info info = { 0 };
	struct bpf_iter_attach_opts opts = { .sz = sizeof(opts),
					     .link_info = &info,
					     .link_info_len = sizeof(info) };
	struct bpf_link *link;

	if (!a->n_inside)
		return 0;
	info.map.map_fd = bpf_map__fd(a->skel->maps.eg_gate_flows);
	link = bpf_program__attach_iter(a->skel->progs.eg_sweep_gate, &opts);
	if (libbpf_get_error(link))
		return -errno;
	a->iter_gate = link;
	forget_interfaces(a);
	look(a);
	return 0;
}

/* A walk over a hash skips entries when others are deleted meanwhile: what is over is only remembered here. */
static void on_flow(void *ctx, const void *rec)
{
	const struct eg_close *c = rec;
	struct attach *a = ctx;
	struct gateway_over *grown;

	if (!(c->rec.flags & EG_OPEN_SENT))
		attach_open_from(a, c);
	if (!c->idle) {
		attach_emit_count(a, c);
		return;
	}
	if (a->n_gate_over == a->room_gate_over) {
		size_t room = a->room_gate_over ? 2 * a->room_gate_over : 256;

		grown = realloc(a->gate_over, room * sizeof(*grown));
		if (!grown)
			return; /* over again at the next sweep */
		a->gate_over = grown;
		a->room_gate_over = room;
	}
	a->gate_over[a->n_gate_over++] = (struct gateway_over){
		.key = c->key,
		.end = c->key.proto == IPPROTO_TCP ? attach_end_of(c) : END_TIMEOUT,
	};
}

static void close_flows(struct attach *a, uint64_t now_ns)
{
	int fd = bpf_map__fd(a->skel->maps.eg_gate_flows);

	for (size_t i = 0; i < a->n_gate_over; i++) {
		struct eg_close c = { 0 };
		struct eg_gate_flow f;

		if (bpf_map_lookup_and_delete_elem(fd, &a->gate_over[i].key, &f))
			continue;
		eg_fill_close(&c, &f.sock, &f.sock.hot.n, 0);
		c.rec.time_ns = now_ns;
		attach_emit_close(a, &c, a->gate_over[i].end);
	}
	a->n_gate_over = 0;
}

int gateway_tick(struct attach *a, uint64_t now_ns)
{
	int r;

	if (!a->n_inside)
		return 0;
	look(a);
	a->skel->bss->sweep_idle_tcp =
		now_ns > TCP_IDLE_NS ? attach_tick(a, now_ns - TCP_IDLE_NS) : 0;
	a->skel->bss->sweep_over = attach_tick(a, now_ns - TCP_OVER_NS);
	r = attach_walk(a->iter_gate, sizeof(struct eg_close), on_flow, a);
	close_flows(a, now_ns);
	return r;
}

void gateway_stop(struct attach *a)
{
	libbpf_print_fn_t before = libbpf_set_print(say_nothing);

	for (size_t i = 0; i < a->n_inside && a->skel; i++) {
		if (!a->inside[i].ifindex)
			continue;
		take_away((int)a->inside[i].ifindex, BPF_TC_INGRESS, a->skel->progs.eg_gate_in);
		take_away((int)a->inside[i].ifindex, BPF_TC_EGRESS, a->skel->progs.eg_gate_out);
	}
	libbpf_set_print(before);
	bpf_link__destroy(a->iter_gate);
	free(a->gate_over);
}
