/* SPDX-License-Identifier: Apache-2.0 */
/* Links of the policy in force, and what became of them. In watch mode nothing that leaves is changed, its order included. */
#include <stdio.h>
#include <string.h>

#include "attach/shaper.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "guard/internal.h"

_Static_assert(POLICY_LINKS_MAX == SHAPER_LINKS, "as many as the shaper takes");

static size_t wanted(const struct guard *g, const struct policy *p,
		     struct shaper_link ret[SHAPER_LINKS])
{
	size_t n = p && g->kernel_mode == GUARD_ENFORCE ? p->n_links : 0;

	memset(ret, 0, SHAPER_LINKS * sizeof(*ret));
	for (size_t i = 0; i < n; i++) {
		snprintf(ret[i].name, sizeof(ret[i].name), "%.*s", STR_FMT(p->links[i].interface));
		ret[i].bits = p->links[i].bits;
	}
	return n;
}

void links_told(struct guard *g, const struct policy *p, struct buf *messages)
{
	struct shaper_link links[SHAPER_LINKS];
	const struct shaper_link *is;
	size_t n = wanted(g, p, links);
	int r;

	if (!g->cfg.attach)
		return;
	if (!g->cfg.shapes) {
		if (n)
			policy_complain(
				p, p->links[0].place, "warning", messages,
				"links are egretd's business: there are no priorities here");
		return;
	}
	r = attach_set_links(g->cfg.attach, links, n);
	if (r < 0)
		buf_printf(messages, "warning: the queues of links cannot be asked about: %s\n",
			   strerror(-r));
	is = attach_links(g->cfg.attach, &n);
	for (size_t i = 0; r == 0 && i < n; i++)
		if (is[i].state != SHAPER_ON)
			policy_complain(p, p->links[i].place, "warning", messages,
					"link '%s' is without priorities for now: %s", is[i].name,
					is[i].why);
}

void links_show(const struct guard *g, struct json *j)
{
	const struct shaper_link *links;
	size_t n = 0;

	if (g->cfg.attach && g->cfg.shapes)
		links = attach_links(g->cfg.attach, &n);
	if (!n)
		return;
	json_array_begin(j, "links");
	for (size_t i = 0; i < n; i++) {
		json_object_begin(j, NULL);
		json_text(j, "interface", links[i].name);
		json_u64(j, "bits_per_second", links[i].bits);
		json_bool(j, "in_force", links[i].state == SHAPER_ON);
		if (links[i].state != SHAPER_ON)
			json_text(j, "problem", links[i].why);
		json_object_end(j);
	}
	json_array_end(j);
}
