/* SPDX-License-Identifier: Apache-2.0 */
/* From words (paths, addresses, names) to the classes of an image, as the kernel's side does it from its own. */
#include "policy/compile.h"

#include <string.h>

static uint16_t run_dfa(const struct policy_image *img, const struct eg_dfa *dfa, struct str s)
{
	uint32_t state = 1;

	if (!s.n || s.n > EG_PATH_STEPS)
		return EG_CLASS_NONE;
	for (size_t i = 0; i < s.n; i++)
		state = eg_dfa_step(&img->pages, dfa, state, (uint8_t)s.p[i]);
	return eg_read___u16(&img->pages, dfa->accept + 2ULL * state);
}

static uint64_t trees_of_class(const struct policy_image *img, uint16_t class)
{
	return eg_read___u64(&img->pages, eg_image_head(&img->pages)->exe_trees + 8ULL * class);
}

uint64_t policy_trees_of(const struct policy_image *img, struct str exe)
{
	return trees_of_class(img, run_dfa(img, &eg_image_head(&img->pages)->path, exe));
}

bool policy_names_containers(const struct policy_image *img)
{
	return eg_image_head(&img->pages)->has_container;
}

uint16_t policy_container_class(const struct policy_image *img, const struct policy_container *c)
{
	uint32_t mix, labels = 0;

	if (!c)
		return EG_CLASS_NONE;
	mix = automaton_run(img->name, c->name) * img->n_images +
	      automaton_run(img->image, c->image);
	for (size_t i = 0; i < c->n_labels; i++)
		labels |= automaton_run(img->label, c->labels[i]);
	return img->container_class[mix << img->n_labels | labels];
}

static uint16_t name_class(const struct policy_image *img, struct str name)
{
	uint64_t hash[EG_LABELS_MAX];
	unsigned n = name_hashes(name, eg_image_head(&img->pages)->name_key, hash);

	return n ? eg_fact_name(&img->pages, (const __u64 *)hash, n) : EG_CLASS_NONE;
}

static void classify_who(const struct policy_image *img, const struct policy_subject *s,
			 struct eg_facts *f)
{
	const struct eg_image *head = eg_image_head(&img->pages);

	f->exe = run_dfa(img, &head->path, s->exe);
	f->script = run_dfa(img, &head->path, s->script);
	f->cgroup = run_dfa(img, &head->cgroup, s->cgroup);
	f->container = s->container_unknown ? EG_CONTAINER_UNKNOWN
					    : policy_container_class(img, s->container);
	f->user = s->uid_known ? eg_fact_user(&img->pages, s->uid) : EG_CLASS_NONE;
	for (size_t i = 0; i < s->n_gids; i++)
		f->groups |= eg_fact_gid(&img->pages, s->gids[i]);
	f->trees = trees_of_class(img, f->exe) | trees_of_class(img, f->script);
	for (size_t i = 0; i < s->n_ancestors && i < POLICY_ANCESTORS_MAX; i++)
		f->trees |= policy_trees_of(img, s->ancestors[i]);
}

void policy_classify(const struct policy_image *img, const struct policy_subject *s,
		     struct eg_facts *ret)
{
	struct eg_facts f = { .unix_s = s->unix_s, .visible = (uint8_t)s->visible };

	classify_who(img, s, &f);
	f.from = addr_is_unset(&s->local) ? EG_CLASS_ANY : eg_fact_addr(&img->pages, s->local.b);
	f.addr = eg_fact_addr(&img->pages, s->remote.b);
	f.port = eg_fact_port(&img->pages, s->proto, s->port, s->has_ports);
	f.port_53 = (s->proto == 6 || s->proto == 17) && s->has_ports && s->port == 53;
	f.app = eg_app_on_port(s->app, s->has_ports ? s->port : 0);
	for (size_t i = 0; i < s->n_names && i < EG_FACT_NAMES; i++)
		f.names[f.n_names++] = name_class(img, s->names[i]);
	f.visible_name =
		s->visible == EG_VISIBLE_NAME ? name_class(img, s->visible_name) : EG_CLASS_NONE;
	*ret = f;
}
