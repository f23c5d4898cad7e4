/* SPDX-License-Identifier: Apache-2.0 */
/* What is right as a policy and yet not what was meant: see policy_check() in image.h. */
#include "policy/check.h"

#include <time.h>

static void check_until(const struct policy *p, int64_t now_s, struct buf *messages)
{
	for (size_t i = 0; i < p->n_rules; i++) {
		time_t until = (time_t)p->rules[i].until_s;
		char text[32];
		struct tm tm;

		if (!until || until > now_s || !localtime_r(&until, &tm) ||
		    !strftime(text, sizeof(text), "%Y-%m-%d %H:%M", &tm))
			continue;
		policy_complain(p, p->rules[i].place, "warning", messages,
				"this rule matches nothing any more: its 'until' ended %s", text);
	}
}

/* The first domain of a list of destinations, through sets; `seen`, by set: looked into before. */
static const struct policy_dest *first_name(const struct policy *p, const struct policy_dest *d,
					    size_t n, bool *seen)
{
	for (size_t i = 0; i < n; i++) {
		const struct policy_dest *found = NULL;

		if (d[i].kind == DEST_NAME || d[i].kind == DEST_BELOW || d[i].kind == DEST_TREE)
			return &d[i];
		if (d[i].kind != DEST_SET || seen[d[i].ref])
			continue;
		seen[d[i].ref] = true;
		found = first_name(p, p->sets[d[i].ref].members, p->sets[d[i].ref].n_members, seen);
		if (found)
			return found;
	}
	return NULL;
}

/* Without a trusted resolver no address has a name, and what lets pass by name needs one. */
static void check_names(const struct policy *p, struct buf *messages)
{
	for (size_t i = 0;
	     i < p->n_rules && (p->resolver_mode == RESOLVERS_NONE || !p->n_resolvers); i++) {
		const struct policy_rule *r = &p->rules[i];
		_cleanup_free_ bool *seen = calloc(p->n_sets + 1, sizeof(*seen));
		const struct policy_dest *d =
			seen ? first_name(p, r->match.to, r->match.n_to, seen) : NULL;

		if (d && r->action == EG_ALLOW && !r->match.by_sni)
			policy_complain(
				p, r->place, "warning", messages,
				"no resolver is trusted, so no address is known to be '%.*s'\n"
				"only 'by sni' could satisfy this rule",
				STR_FMT(d->name));
	}
}

unsigned policy_check(const struct policy *p, const struct policy_image *img, int64_t now_s,
		      struct buf *messages)
{
	struct regions *r = NULL;
	unsigned failed = 0;

	check_until(p, now_s, messages);
	check_names(p, messages);
	check_writable(p, messages);
	if (regions_new(&r, img) < 0) {
		policy_complain(p, (struct policy_place){ 0 }, p->n_expects ? "error" : "note",
				messages,
				"this policy is too large to look for rules that can never match, "
				"and to work out 'expect'");
		return (unsigned)p->n_expects;
	}
	check_shadowed(p, img, r, now_s, messages);
	failed = check_expects(p, img, r, now_s, messages);
	regions_free(r);
	return failed;
}
