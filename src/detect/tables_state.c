/* SPDX-License-Identifier: Apache-2.0 */
/* Entities, peers and pairs in the state file. */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "detect/state.h"
#include "flow/identity.h"

void tables_save(struct detect *d, struct state_out *o)
{
	uint32_t n = 0;

	state_u64(o, d->started_ns);
	state_u64(o, d->entities.used);
	list_for_each(it, &d->entity_lru) {
		struct entity *e = container_of(it, struct entity, lru);

		e->number = n++;
		state_u64(o, e->is_program);
		state_text(o, e->exe);
		state_text(o, e->user);
		state_text(o, e->container);
		state_u64(o, e->uid);
		state_addr(o, &e->addr);
		state_u64(o, e->is_resolver);
		state_u64(o, e->first_ns);
		state_u64(o, e->last_ns);
		for (int i = 0; i < 24; i++)
			state_f64(o, (double)e->hours[i]);
	}
	n = 0;
	state_u64(o, d->peers.used);
	list_for_each(it, &d->peer_lru) {
		struct peer *p = container_of(it, struct peer, lru);

		p->number = n++;
		state_text(o, p->domain);
		state_addr(o, &p->addr);
		state_u64(o, p->port);
		state_u64(o, p->proto);
		state_u64(o, p->entities);
		state_u64(o, p->first_ns);
		state_u64(o, p->last_ns);
	}
	n = 0;
	state_u64(o, d->pairs.used);
	list_for_each(it, &d->pair_lru) {
		struct pair *p = container_of(it, struct pair, lru);

		p->number = n++;
		state_u64(o, p->entity->number);
		state_u64(o, p->peer->number);
		state_text(o, p->name);
		state_addr(o, &p->addr);
		state_u64(o, p->port);
		state_u64(o, p->proto);
		state_u64(o, p->app);
		state_u64(o, p->direction);
		state_u64(o, p->first_ns);
		state_u64(o, p->last_ns);
		state_u64(o, p->flows);
		state_u64(o, p->up);
		state_u64(o, p->down);
		state_u64(o, p->is_new_peer);
		state_u64(o, p->learned);
	}
}

static void load_entity(struct detect *d, struct state_in *in, struct entity **ret)
{
	struct entity like = { 0 };
	struct proc proc = { 0 };
	struct workload workload = { 0 };

	like.is_program = state_get_most(in, 1);
	proc.exe = state_get_text(in);
	proc.user = state_get_text(in);
	workload.container_id = state_get_text(in);
	proc.uid = (uint32_t)state_get_most(in, UINT32_MAX);
	state_get_addr(in, &like.addr);
	like.is_resolver = state_get_most(in, 1);
	like.first_ns = state_get_u64(in);
	like.last_ns = state_get_u64(in);
	proc.workload = &workload;
	*ret = in->bad           ? NULL
	       : like.is_program ? entity_of_proc(d, &proc)
				 : entity_of_addr(d, &like.addr);
	for (int i = 0; i < 24; i++) {
		double v = state_get_f64(in);

		if (*ret)
			(*ret)->hours[i] = (float)v;
	}
	if (*ret) {
		(*ret)->is_resolver |= like.is_resolver;
		(*ret)->first_ns = like.first_ns;
		(*ret)->last_ns = like.last_ns;
		(*ret)->refs++; /* until all is read: nothing read pushes out what was read before */
	}
	intern_put(d->cfg.texts, proc.exe);
	intern_put(d->cfg.texts, proc.user);
	intern_put(d->cfg.texts, workload.container_id);
}

static struct peer *load_peer(struct detect *d, struct state_in *in)
{
	struct str domain = state_get_str(in);
	struct addr addr = { 0 };
	uint16_t port;
	uint8_t proto;
	struct peer *p;

	state_get_addr(in, &addr);
	port = (uint16_t)state_get_most(in, UINT16_MAX);
	proto = (uint8_t)state_get_most(in, UINT8_MAX);
	p = in->bad    ? NULL
	    : domain.n ? peer_of_domain(d, domain)
		       : peer_of_addr(d, &addr, port, proto);
	if (!p)
		return NULL;
	p->entities = (uint32_t)state_get_most(in, UINT32_MAX);
	p->first_ns = state_get_u64(in);
	p->last_ns = state_get_u64(in);
	p->pairs++; /* as refs above */
	return p;
}

static struct pair *load_pair(struct detect *d, struct state_in *in, bool over)
{
	struct entity *e = state_get_entity(in);
	uint64_t at = state_get_most(in, in->n_peers ? in->n_peers - 1 : 0);
	struct peer *peer = in->n_peers ? in->peers[at] : NULL;
	uint32_t entities = peer ? peer->entities : 0;
	struct pair *p = e && peer && !in->bad && !over ? pair_of(d, e, peer) : NULL;
	struct pair none = { 0 }, *to = p ? p : &none;

	intern_put(d->cfg.texts, to->name); /* written twice: the second holds */
	to->name = state_get_text(in);
	state_get_addr(in, &to->addr);
	to->port = (uint16_t)state_get_most(in, UINT16_MAX);
	to->proto = (uint8_t)state_get_most(in, UINT8_MAX);
	to->app = (enum app_proto)state_get_most(in, APP_PROTO_COUNT - 1);
	to->direction = (enum flow_direction)state_get_most(in, FLOW_INGRESS);
	to->first_ns = state_get_u64(in);
	to->last_ns = state_get_u64(in);
	to->flows = state_get_u64(in);
	to->up = state_get_u64(in);
	to->down = state_get_u64(in);
	to->is_new_peer = state_get_most(in, 1);
	to->learned = state_get_most(in, 1);
	if (!p) {
		intern_put(d->cfg.texts, none.name);
		return NULL;
	}
	peer->entities = entities; /* it was counted when it was made */
	p->watching++;             /* as refs above */
	return p;
}

/* A count of what follows, each of at least `least` bytes: no more is made room for than can be there. */
static size_t get_count(struct state_in *in, size_t least)
{
	return (size_t)state_get_most(in, in->rest.n / least);
}

int tables_load(struct detect *d, struct state_in *in)
{
	size_t n_pairs, n_over;

	if (in->entities) { /* a second time: what came between points into the first */
		in->bad = true;
		return 0;
	}
	d->started_ns = state_get_u64(in);
	in->n_entities = get_count(in, 16);
	in->entities = calloc(in->n_entities + 1, sizeof(*in->entities));
	for (size_t i = 0; in->entities && i < in->n_entities; i++)
		load_entity(d, in, &in->entities[i]);
	in->n_peers = get_count(in, 16);
	in->peers = calloc(in->n_peers + 1, sizeof(*in->peers));
	for (size_t i = 0; in->peers && i < in->n_peers; i++)
		in->peers[i] = load_peer(d, in);
	n_pairs = get_count(in, 16);
	in->pairs = calloc(n_pairs + 1, sizeof(*in->pairs));
	/* Idlest first: where there is less room than there was, it is they that stay behind. */
	n_over = n_pairs > d->pairs.max ? n_pairs - d->pairs.max : 0;
	for (; in->entities && in->peers && in->pairs && in->n_pairs < n_pairs; in->n_pairs++)
		in->pairs[in->n_pairs] = load_pair(d, in, in->n_pairs < n_over);
	d->stats.evicted_pairs += in->bad ? 0 : n_over;
	return in->entities && in->peers && in->pairs ? 0 : -ENOMEM;
}

void tables_loaded(struct state_in *in)
{
	for (size_t i = 0; in->pairs && i < in->n_pairs; i++)
		if (in->pairs[i])
			in->pairs[i]->watching--;
	for (size_t i = 0; in->entities && i < in->n_entities; i++)
		if (in->entities[i])
			in->entities[i]->refs--;
	for (size_t i = 0; in->peers && i < in->n_peers; i++)
		if (in->peers[i])
			in->peers[i]->pairs--;
	free(in->entities);
	free(in->peers);
	free(in->pairs);
}
