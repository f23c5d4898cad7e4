/* SPDX-License-Identifier: Apache-2.0 */
#include "inside.h"

#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "attach/conntrack.h"
#include "attach/neighbours.h"
#include "attach/route.h"
#include "base/json.h"
#include "base/log.h"
#include "flow/machines.h"
#include "lease_files.h"

struct inside {
	struct inside_config cfg;
	struct conntrack *conntrack;
	struct route *route;           /* NULL: cannot be asked */
	struct neighbours *neighbours; /* NULL: the same */
	struct lease_files *leases;
};

static bool is_inside_interface(const struct inside *in, uint32_t ifindex)
{
	char name[IF_NAMESIZE] = "";

	if (!if_indextoname(ifindex, name))
		return false;
	for (size_t i = 0; i < in->cfg.n_interfaces; i++)
		if (!strcmp(in->cfg.interfaces[i], name))
			return true;
	return false;
}

/* Does the way to this address lead out of an interface that is inside? *ret_own: it is an address of this host. */
static bool is_inside(const struct inside *in, const struct addr *a, bool *ret_own)
{
	uint32_t ifindex = 0;

	*ret_own = false;
	return route_find(in->route, a, &ifindex, ret_own) == 0 && !*ret_own &&
	       is_inside_interface(in, ifindex);
}

/*
 * From inside to an address of this host, and from there back inside: of that the gateway's programs see no more than a
 * half, because the way of one half ends here.
 */
static bool is_hairpin(const struct inside *in, const struct event *e)
{
	bool own;

	if (!in->route || e->nat.change != NAT_BEGINS || addr_eq(&e->key.dst, &e->nat.after.dst))
		return false;
	is_inside(in, &e->key.dst, &own);
	return own && is_inside(in, &e->key.src, &own) && is_inside(in, &e->nat.after.dst, &own);
}

static void on_event(void *ctx, const struct event *e)
{
	const struct inside *in = ctx;

	in->cfg.out.on_event(in->cfg.out.ctx, e);
	if (e->type == EVENT_NAT && is_hairpin(in, e))
		in->cfg.out.on_event(
			in->cfg.out.ctx,
			&(struct event){ .type = EVENT_LOSS,
					 .time_ns = e->time_ns,
					 .loss = { .reason = LOSS_HAIRPIN, .count = 1 } });
}

static void on_neighbour(void *ctx, uint32_t ifindex, const struct addr *addr, const uint8_t *mac)
{
	const struct inside *in = ctx;

	if (is_inside_interface(in, ifindex))
		machine_table_neighbour(in->cfg.machines, addr, mac);
}

int inside_new(struct inside **ret, const struct inside_config *cfg)
{
	struct inside *in = calloc(1, sizeof(*in));
	int r;

	if (!in)
		return -ENOMEM;
	in->cfg = *cfg;
	r = route_new(&in->route);
	if (r < 0)
		log_errno(r, "cannot ask for routes, ignoring");
	r = neighbours_new(&in->neighbours, on_neighbour, in);
	if (r < 0)
		log_errno(r, "cannot ask for neighbours: MAC addresses are not known, ignoring");
	r = lease_files_new(&in->leases, cfg->leases, cfg->n_leases, cfg->machines);
	if (r >= 0)
		r = conntrack_new(&in->conntrack, (struct event_out){ on_event, in });
	if (r < 0) {
		inside_free(in);
		return r;
	}
	*ret = in;
	return 0;
}

struct inside *inside_free(struct inside *in)
{
	if (!in)
		return NULL;
	conntrack_free(in->conntrack);
	neighbours_free(in->neighbours);
	lease_files_free(in->leases);
	route_free(in->route);
	free(in);
	return NULL;
}

void inside_read(struct inside *in)
{
	if (!in)
		return;
	conntrack_read(in->conntrack);
	if (in->neighbours)
		neighbours_read(in->neighbours);
}

void inside_tick(struct inside *in)
{
	if (in)
		lease_files_tick(in->leases);
}

void inside_status(const struct inside *in, struct json *j)
{
	const char *problem = conntrack_problem(in->conntrack);

	json_object_begin(j, "nat");
	json_u64(j, "connections", conntrack_translated(in->conntrack));
	json_text(j, "problem", problem);
	json_object_end(j);
	json_object_begin(j, "machines");
	json_u64(j, "addresses", machine_table_count(in->cfg.machines));
	json_u64(j, "leases", machine_table_leases(in->cfg.machines));
	json_text(j, "problem", lease_files_problem(in->leases));
	json_object_end(j);
}
