/* SPDX-License-Identifier: Apache-2.0 */
#include "attach/gateway.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "attach/internal.h"
#include "attach/policy.h"
#include "attach/tc.h"
#include "base/log.h"
#include "base/time.h"
#include "bpf/host.skel.h"
#include "bpf/sweep.h"

#define TCP_IDLE_NS (24 * 3600 * (uint64_t)NSEC_PER_SEC)
#define TCP_OVER_NS \
	(2 * (uint64_t)NSEC_PER_SEC) /* after FINs or a reset: for what is still under way */

struct gateway_over {
	struct eg_key key;
	enum event_end end;
};

#define HANDLE 0xe67e8

static const struct tc_filter in = { BPF_TC_INGRESS, HANDLE, "eg_gate_in" },
			      out = { BPF_TC_EGRESS, HANDLE, "eg_gate_out" };

static int take_up(struct attach *a, struct attach_inside *inside, uint32_t ifindex)
{
	int map = bpf_map__fd(a->skel->maps.eg_gate_inside);
	uint8_t one = 1;
	int r = bpf_map_update_elem(map, &ifindex, &one, BPF_ANY) ? -errno : 0;

	if (!r)
		r = tc_attach(&in, (int)ifindex, bpf_program__fd(a->skel->progs.eg_gate_in));
	if (!r)
		r = tc_attach(&out, (int)ifindex, bpf_program__fd(a->skel->progs.eg_gate_out));
	if (!r)
		inside->ifindex = ifindex;
	return r;
}

/* Somebody may have taken them away, with clsact and all. */
static bool is_there(const struct attach *a, uint32_t ifindex)
{
	return tc_is_attached(&in, (int)ifindex, bpf_program__fd(a->skel->progs.eg_gate_in)) &&
	       tc_is_attached(&out, (int)ifindex, bpf_program__fd(a->skel->progs.eg_gate_out));
}

/* Names against indices: a name that now means another interface, or none, is seen by its index. */
static void look(struct attach *a)
{
	libbpf_print_fn_t before = tc_hush();
	int map = bpf_map__fd(a->skel->maps.eg_gate_inside), r;

	for (size_t i = 0; i < a->n_inside; i++) {
		struct attach_inside *inside = &a->inside[i];
		uint32_t ifindex = if_nametoindex(inside->name);

		if (ifindex == inside->ifindex && ifindex && !is_there(a, ifindex))
			log_warn("gateway: somebody took our filters from %s; they are put back",
				 inside->name);
		else if (ifindex == inside->ifindex && (ifindex || inside->told))
			continue;
		if (inside->ifindex)
			bpf_map_delete_elem(map, &inside->ifindex);
		inside->ifindex = 0;
		r = ifindex ? take_up(a, inside, ifindex) : -ENODEV;
		if (!r)
			log_info("gateway: watching %s", inside->name);
		else if (inside->told != r)
			log_warn("gateway: not on %s: %s; it is tried again each second",
				 inside->name,
				 r == -ENODEV ? "there is no such interface" : strerror(-r));
		inside->told = r;
	}
	tc_unhush(before);
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

/* What a map that was taken over still says of interfaces that are not inside any more. */
static void forget_interfaces(const struct attach *a)
{
	int map = bpf_map__fd(a->skel->maps.eg_gate_inside);
	uint32_t key, next;
	const void *from = NULL;

	while (!bpf_map_get_next_key(map, from, &next)) {
		bool wanted = false;

		for (size_t i = 0; i < a->n_inside; i++)
			wanted |= a->inside[i].ifindex == next;
		if (wanted) {
			key = next;
			from = &key;
		} else if (bpf_map_delete_elem(map, &next)) {
			return;
		}
	}
}

static bool is_inside(const struct attach *a, uint32_t ifindex)
{
	for (size_t i = 0; a && i < a->n_inside; i++)
		if (a->inside[i].ifindex == ifindex)
			return true;
	return false;
}

/* From all interfaces, or all that are not inside. */
static size_t take_away(const struct attach *but)
{
	libbpf_print_fn_t before = tc_hush();
	struct if_nameindex *list = if_nameindex();
	size_t n = 0;

	for (size_t i = 0; list && list[i].if_index; i++)
		if (!is_inside(but, list[i].if_index))
			n += tc_detach(&in, (int)list[i].if_index, 0) +
			     tc_detach(&out, (int)list[i].if_index, 0);
	if (list)
		if_freenameindex(list);
	tc_unhush(before);
	return n;
}

size_t gateway_disarm(void)
{
	return take_away(NULL);
}

int gateway_start(struct attach *a)
{
	int r;

	if (!a->n_inside) {
		if (attach_took_over(a))
			gateway_disarm(); /* there was one before */
		return 0;
	}
	if (!a->skel->bss->gate_since_ns)
		a->skel->bss->gate_since_ns = attach_mono_ns();
	r = attach_iter(&a->iter_gate, a->skel->progs.eg_sweep_gate, a->skel->maps.eg_gate_flows);
	if (r)
		return r;
	look(a);
	forget_interfaces(a);
	if (attach_took_over(a))
		take_away(a); /* interfaces that are not inside any more */
	return 0;
}

/* A walk over a hash skips entries when others are deleted meanwhile: what is over is only remembered here. */
static void on_flow(void *ctx, const void *rec)
{
	const struct eg_close *c = rec;
	struct attach *a = ctx;
	struct gateway_over *grown;

	if ((c->rec.flags & EG_KEYED) && !(c->rec.flags & EG_OPEN_SENT))
		attach_open_from(a, c);
	if (!c->idle) {
		attach_verdict_of(a, c);
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

		if (bpf_map_lookup_and_delete_elem(fd, &a->gate_over[i].key, &f) ||
		    !(f.sock.hot.flags & EG_KEYED))
			continue;
		eg_fill_close(&c, &f.sock, &f.sock.hot.n, f.cookie);
		c.rec.time_ns = now_ns;
		c.idle = 1;
		attach_verdict_of(a, &c);
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

/* By the programs' ids: another egretd may have taken the place since. What is pinned goes on without us. */
void gateway_stop(struct attach *a)
{
	libbpf_print_fn_t before = tc_hush();

	for (size_t i = 0; i < a->n_inside && a->skel && !attach_is_pinned(a); i++) {
		uint32_t in_id = tc_program_id(bpf_program__fd(a->skel->progs.eg_gate_in));
		uint32_t out_id = tc_program_id(bpf_program__fd(a->skel->progs.eg_gate_out));

		if (a->inside[i].ifindex && in_id)
			tc_detach(&in, (int)a->inside[i].ifindex, in_id);
		if (a->inside[i].ifindex && out_id)
			tc_detach(&out, (int)a->inside[i].ifindex, out_id);
	}
	tc_unhush(before);
	bpf_link__destroy(a->iter_gate);
	free(a->gate_over);
}
