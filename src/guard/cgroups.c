/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Containers: only user space knows what a runtime calls them. Each cgroup that a process was seen in is looked at once,
 * and the kernel is told its class in the image in force, again after each swap.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "flow/proc.h"
#include "guard/internal.h"

#define SLOTS (2 * CGROUPS_MAX)

static struct guard_cgroup *slot_of(const struct guard *g, uint64_t id)
{
	size_t at = hash_bytes(&id, sizeof(id), 0) % SLOTS;

	while (g->cgroups[at].id && g->cgroups[at].id != id)
		at = (at + 1) % SLOTS;
	return &g->cgroups[at];
}

static void forget(struct guard_cgroup *c)
{
	free(c->name);
	free(c->image);
	*c = (struct guard_cgroup){ 0 };
}

static void forget_all(struct guard *g)
{
	for (size_t i = 0; g->cgroups && i < SLOTS; i++)
		if (g->cgroups[i].id)
			forget(&g->cgroups[i]);
	g->n_cgroups = 0;
}

void cgroups_done(struct guard *g)
{
	forget_all(g);
	free(TAKE_PTR(g->cgroups));
}

static void tell(const struct guard *g, const struct guard_cgroup *c)
{
	struct policy_container container = { str_of(c->name), str_of(c->image), NULL, 0 };
	uint16_t class;

	if (!g->cfg.attach || !g->built.image || !g->built.names_containers)
		return;
	class = policy_container_class(g->built.image, c->is_container ? &container : NULL);
	attach_container_class(g->cfg.attach, c->id, g->gen, class);
}

static char *copy_text(const struct text *t)
{
	return strndup(t ? t->p : "", t ? t->n : 0);
}

static void learn(struct guard *g, uint64_t id, const struct workload *w)
{
	struct guard_cgroup *c;

	if (g->n_cgroups == CGROUPS_MAX) {
		/* Those that still run are told again as soon as they do something. */
		forget_all(g);
		g->cgroups_forgotten += CGROUPS_MAX;
	}
	c = slot_of(g, id);
	c->id = id;
	c->is_container = w->container_id;
	c->name = copy_text(w->container_name ? w->container_name : w->container_id);
	c->image = copy_text(w->container_image);
	g->n_cgroups++;
	tell(g, c);
}

void guard_event(struct guard *g, const struct event *e)
{
	struct event_open open = { 0 };
	const struct proc *p;

	if (e->type == EVENT_PROC && e->proc.change != PROC_EXIT)
		open = (struct event_open){ .pid = e->proc.pid,
					    .proc_start_ns = e->proc.start_ns,
					    .uid = e->proc.uid,
					    .gid = e->proc.gid,
					    .cgroup_id = e->proc.cgroup_id,
					    .comm = e->proc.comm };
	else if (e->type == EVENT_OPEN && !e->open.owner_unknown)
		open = e->open;
	if (!open.cgroup_id || !open.pid || !g->cfg.procs)
		return;
	if (!g->cgroups)
		g->cgroups = calloc(SLOTS, sizeof(*g->cgroups));
	if (!g->cgroups || slot_of(g, open.cgroup_id)->id)
		return;
	p = proc_table_find(g->cfg.procs, &open, e->time_ns);
	if (p && p->workload)
		learn(g, open.cgroup_id, p->workload);
}

void cgroups_told(struct guard *g)
{
	for (size_t i = 0; g->cgroups && i < SLOTS; i++)
		if (g->cgroups[i].id)
			tell(g, &g->cgroups[i]);
}
