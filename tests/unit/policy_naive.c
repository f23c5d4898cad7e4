/* SPDX-License-Identifier: Apache-2.0 */
#include "policy_naive.h"

#include <string.h>
#include <time.h>

#include "base/cleanup.h"

/* --- patterns ------------------------------------------------------------------------------------------------------ */

static bool glob(struct str g, struct str s, bool path)
{
	if (!g.n)
		return !s.n;
	if (path && str_has_prefix(g, STR("/**/")) && glob(str_sub(g, 3, g.n), s, path))
		return true; /* no folder in between */
	if (path && str_has_prefix(g, STR("**"))) {
		for (size_t i = 0; i <= s.n; i++)
			if (glob(str_sub(g, 2, g.n), str_sub(s, i, s.n), path))
				return true;
		return false;
	}
	if (g.p[0] == '*') {
		for (size_t i = 0; i <= s.n; i++) {
			if (glob(str_sub(g, 1, g.n), str_sub(s, i, s.n), path))
				return true;
			if (i < s.n && path && s.p[i] == '/')
				break;
		}
		return false;
	}
	if (!s.n || !(g.p[0] == s.p[0] || (g.p[0] == '?' && !(path && s.p[0] == '/'))))
		return false;
	return glob(str_sub(g, 1, g.n), str_sub(s, 1, s.n), path);
}

static bool path_matches(struct str pattern, struct str path)
{
	return path.n && glob(pattern, path, true);
}

/* Slices, then the unit; or one of the slices. */
static bool in_unit(struct str unit, struct str cgroup)
{
	struct str rest = cgroup, part;

	if (!cgroup.n || cgroup.p[0] != '/')
		return false;
	rest = str_sub(rest, 1, rest.n);
	while (str_cut(&rest, '/', &part)) {
		if (glob(unit, part, true))
			return true;
		if (part.n < 6 || !str_eq(str_sub(part, part.n - 6, 6), STR(".slice")))
			return false;
	}
	return false;
}

static bool in_cgroup(struct str pattern, struct str cgroup)
{
	for (size_t i = 1; i <= cgroup.n; i++)
		if ((i == cgroup.n || cgroup.p[i] == '/') &&
		    glob(pattern, str_sub(cgroup, 0, i), true))
			return true;
	return false;
}

/* --- terms --------------------------------------------------------------------------------------------------------- */

static bool part_holds(const struct policy *p, const struct app_part *part,
		       const struct policy_subject *s);

static bool app_holds(const struct policy *p, uint32_t app, const struct policy_subject *s)
{
	for (size_t i = 0; i < p->apps[app].n_parts; i++)
		if (part_holds(p, &p->apps[app].parts[i], s))
			return true;
	return false;
}

static bool part_holds(const struct policy *p, const struct app_part *part,
		       const struct policy_subject *s)
{
	const struct policy_container *c = s->container;

	switch (part->kind) {
	case APP_PART_EXE:
		return path_matches(part->pattern, s->exe) ||
		       path_matches(part->pattern, s->script);
	case APP_PART_TREE:
		for (size_t i = 0; i < s->n_ancestors; i++)
			if (path_matches(part->pattern, s->ancestors[i]))
				return true;
		return path_matches(part->pattern, s->exe) ||
		       path_matches(part->pattern, s->script);
	case APP_PART_UNIT:
		return in_unit(part->pattern, s->cgroup);
	case APP_PART_CGROUP:
		return in_cgroup(part->pattern, s->cgroup);
	case APP_PART_CONTAINER_NAME:
		return c && glob(part->pattern, c->name, false);
	case APP_PART_CONTAINER_IMAGE:
		return c && glob(part->pattern, c->image, false);
	case APP_PART_CONTAINER_LABEL:
		for (size_t i = 0; c && i < c->n_labels; i++)
			if (glob(part->pattern, c->labels[i], false))
				return true;
		return false;
	case APP_PART_APP:
		return app_holds(p, part->app, s);
	}
	return false;
}

static bool is_nat64(const struct addr *a)
{
	static const uint8_t prefix[12] = { 0, 0x64, 0xff, 0x9b };

	return !memcmp(a->b, prefix, 12);
}

static struct addr as_v4(const struct addr *a)
{
	return is_nat64(a) ? addr_from_v4(a->b + 12) : *a;
}

static bool in_range(const struct addr *lo, const struct addr *hi, const struct addr *address)
{
	struct addr l = *lo, h = *hi, a = as_v4(address);

	if (is_nat64(lo) && is_nat64(hi)) {
		l = as_v4(lo);
		h = as_v4(hi);
	}
	if (addr_is_v4(&a) != (addr_is_v4(&l) && addr_is_v4(&h)))
		return false;
	return memcmp(&l, &a, 16) <= 0 && memcmp(&a, &h, 16) <= 0;
}

static bool name_is(enum dest_kind kind, struct str want, struct str name)
{
	bool same = str_eq(want, name);
	bool below = name.n > want.n + 1 && name.p[name.n - want.n - 1] == '.' &&
		     str_eq(str_sub(name, name.n - want.n, want.n), want);

	return (kind != DEST_BELOW && same) || (kind != DEST_NAME && below);
}

/* What is looked for in a list of destinations: an address, or a name. */
struct wanted {
	const struct addr *addr;
	struct str name;
	bool found;
};

static int on_entry(void *ctx, const struct list_entry *e)
{
	struct wanted *w = ctx;

	if (e->kind == LIST_RANGE)
		w->found |= w->addr && in_range(&e->lo, &e->hi, w->addr);
	else
		w->found |= !w->addr && name_is(e->kind == LIST_NAME ? DEST_NAME : DEST_BELOW,
						e->text, w->name);
	return 0;
}

static bool has_dest(const struct policy *p, const struct policy_dest *d, size_t n,
		     struct wanted *w)
{
	struct list_sink sink = { .on_entry = on_entry, .ctx = w };
	struct list_report report;

	for (size_t i = 0; i < n; i++) {
		bool is = false;

		switch (d[i].kind) {
		case DEST_NAME:
		case DEST_BELOW:
		case DEST_TREE:
			is = !w->addr && name_is(d[i].kind, d[i].name, w->name);
			break;
		case DEST_RANGE:
			is = w->addr && in_range(&d[i].lo, &d[i].hi, w->addr);
			break;
		case DEST_INTERNET:
			is = w->addr && addr_class(w->addr) == ADDR_INTERNET;
			break;
		case DEST_PRIVATE:
			is = w->addr && addr_class(w->addr) == ADDR_PRIVATE;
			break;
		case DEST_ANY:
			is = w->addr;
			break;
		case DEST_SEGMENT:
			is = has_dest(p, p->segments[d[i].ref].ranges,
				      p->segments[d[i].ref].n_ranges, w);
			break;
		case DEST_SET:
			is = has_dest(p, p->sets[d[i].ref].members, p->sets[d[i].ref].n_members, w);
			break;
		case DEST_LIST:
			w->found = false;
			random_load_list(NULL, &p->lists[d[i].ref], sink, &report);
			is = w->found;
			break;
		case DEST_COUNTRY:
		case DEST_ASN:
			break;
		}
		if (is)
			return true;
	}
	return false;
}

static bool has_addr(const struct policy *p, const struct policy_dest *d, size_t n,
		     const struct addr *a)
{
	struct addr v4 = as_v4(a);

	return has_dest(p, d, n, &(struct wanted){ .addr = &v4 });
}

static bool has_name(const struct policy *p, const struct policy_dest *d, size_t n, struct str name)
{
	return has_dest(p, d, n, &(struct wanted){ .name = name });
}

static bool has_port(const struct policy_terms *t, const struct policy_subject *s)
{
	uint8_t group = EG_PORTS_PROTO;
	uint32_t port = s->proto;

	if (s->proto == 6 || s->proto == 17 || s->proto == 1 || s->proto == 58 || s->proto == 33 ||
	    s->proto == 132 || s->proto == 136) {
		if (!s->has_ports)
			return false;
		port = s->port;
		group = s->proto == 6    ? EG_PORTS_TCP
			: s->proto == 17 ? EG_PORTS_UDP
			: s->proto == 1  ? EG_PORTS_ICMP
			: s->proto == 58 ? EG_PORTS_ICMP6
					 : EG_PORTS_OTHER;
	}
	for (size_t i = 0; i < t->n_ports; i++)
		if (t->ports[i].group == group && t->ports[i].lo <= port && port <= t->ports[i].hi)
			return true;
	return false;
}

/* The protocol as rules see it: which words after `speaking` mean it. */
static bool speaks(const struct policy_terms *t, const struct policy_subject *s)
{
	static const uint8_t doh_addresses[][4] = { { 8, 8, 8, 8 },
						    { 9, 9, 9, 9 } }; /* of those that are drawn */
	bool doh = false, tls = s->app == EG_APP_TLS, quic = s->app == EG_APP_QUIC;
	struct addr remote = as_v4(&s->remote);

	if ((tls || quic) && !(s->has_ports && s->port == 853)) {
		for (size_t i = 0; i < ARRAY_SIZE(doh_addresses); i++)
			doh |= addr_is_v4(&remote) && !memcmp(remote.b + 12, doh_addresses[i], 4);
		if (s->visible == EG_VISIBLE_NAME)
			doh |= name_is(DEST_TREE, STR("dns.google"), s->visible_name);
		for (size_t i = 0; i < s->n_names && s->visible != EG_VISIBLE_NAME; i++)
			doh |= name_is(DEST_TREE, STR("dns.google"), s->names[i]);
	}
	for (size_t i = 0; i < t->n_speaking; i++) {
		bool is = t->speaking[i] == s->app;

		if (t->speaking[i] == EG_APP_TLS)
			is |= s->app == EG_APP_DOT;
		if (t->speaking[i] == EG_APP_QUIC)
			is |= s->app == EG_APP_DOQ;
		if (t->speaking[i] == EG_APP_HTTP)
			is |= s->app == EG_APP_HTTP2;
		if (t->speaking[i] == EG_APP_DOH)
			is |= doh;
		if (t->speaking[i] == EG_APP_DOT)
			is |= tls && s->has_ports && s->port == 853;
		if (t->speaking[i] == EG_APP_DOQ)
			is |= quic && s->has_ports && s->port == 853;
		if (is)
			return true;
	}
	return false;
}

static bool during(const struct policy *p, const struct policy_terms *t, int64_t unix_s)
{
	static struct tm tm;
	static time_t known;
	time_t at = (time_t)unix_s;

	if (at != known)
		gmtime_r(&at, &tm); /* the test's zone */
	known = at;
	for (size_t i = 0; i < t->n_during; i++) {
		const struct policy_schedule *s = &p->schedules[t->during[i]];

		for (size_t k = 0; k < s->n_parts; k++) {
			const struct schedule_part *part = &s->parts[k];
			int now = tm.tm_hour * 60 + tm.tm_min, today = (tm.tm_wday + 6) % 7,
			    yesterday = (today + 6) % 7;
			bool night = part->to_min <= part->from_min;

			if (!night && (part->days >> today & 1) && now >= part->from_min &&
			    now < part->to_min)
				return true;
			if (night && (part->days >> today & 1) && now >= part->from_min)
				return true;
			if (night && (part->days >> yesterday & 1) && now < part->to_min)
				return true;
		}
	}
	return false;
}

/* All but `to`. */
static bool term_holds(const struct policy *p, const struct policy_terms *t, unsigned term,
		       const struct policy_subject *s)
{
	bool holds = false;

	switch (term) {
	case 0:
		for (size_t i = 0; i < t->n_apps && !holds; i++)
			holds = app_holds(p, t->apps[i], s);
		return holds;
	case 1:
		for (size_t i = 0; i < t->n_users; i++)
			holds |= s->uid_known && t->users[i] == s->uid;
		return holds;
	case 2:
		for (size_t i = 0; i < t->n_groups; i++)
			for (size_t k = 0; k < s->n_gids; k++)
				holds |= t->groups[i] == s->gids[k];
		return holds;
	case 3:
		for (size_t i = 0; i < t->n_units && !holds; i++)
			holds = part_holds(p, &t->units[i], s);
		return holds;
	case 4:
		for (size_t i = 0; i < t->n_containers && !holds; i++)
			holds = part_holds(p, &t->containers[i], s);
		return holds;
	case 5:
		return has_addr(p, t->from, t->n_from, &s->local);
	case 6:
		return has_port(t, s);
	case 7:
		return speaks(t, s);
	case 8:
		return during(p, t, s->unix_s);
	}
	return false;
}

#define TERM_TO 9
#define TERMS 10

static bool has_term(const struct policy_terms *t, unsigned term)
{
	const size_t n[TERMS] = { t->n_apps,       t->n_users, t->n_groups, t->n_units,
				  t->n_containers, t->n_from,  t->n_ports,  t->n_speaking,
				  t->n_during,     t->n_to };

	return n[term];
}

/* --- names --------------------------------------------------------------------------------------------------------- */

static bool dns_named(const struct policy *p, const struct policy_terms *t,
		      const struct policy_subject *s)
{
	for (size_t i = 0; i < s->n_names; i++)
		if (has_name(p, t->to, t->n_to, s->names[i]))
			return true;
	return false;
}

static bool shows_named(const struct policy *p, const struct policy_terms *t,
			const struct policy_subject *s)
{
	return s->visible == EG_VISIBLE_NAME && has_name(p, t->to, t->n_to, s->visible_name);
}

static bool to_holds(const struct policy *p, const struct policy_rule *r,
		     const struct policy_subject *s)
{
	const struct policy_terms *t = &r->match;
	bool dns = dns_named(p, t, s), shows = shows_named(p, t, s),
	     lets_pass = r->action == EG_ALLOW;

	if (has_addr(p, t->to, t->n_to, &s->remote))
		return true;
	if (t->by_sni)
		return shows;
	if (s->visible == EG_VISIBLE_NAME)
		return shows && (dns || !lets_pass);
	if (s->visible == EG_VISIBLE_UNREADABLE)
		return dns && !lets_pass;
	return dns;
}

/* The destinations of several `except` are one list. An exception is to a rule that refuses what a rule is that allows. */
static bool to_excepted(const struct policy *p, const struct policy_rule *r, const bool *picked,
			const struct policy_subject *s)
{
	bool dns = false, shows = false, refuses = r->action != EG_ALLOW;

	for (size_t i = 0; i < r->n_except; i++) {
		if (!picked[i])
			continue;
		if (has_addr(p, r->except[i].to, r->except[i].n_to, &s->remote))
			return true;
		dns |= dns_named(p, &r->except[i], s);
		shows |= shows_named(p, &r->except[i], s);
	}
	if (s->visible == EG_VISIBLE_NAME)
		return shows && (dns || !refuses);
	if (s->visible == EG_VISIBLE_UNREADABLE)
		return dns && !refuses;
	return dns;
}

/* --- rules --------------------------------------------------------------------------------------------------------- */

static bool names_port_53(const struct policy_terms *t)
{
	for (size_t i = 0; i < t->n_ports; i++)
		if (t->ports[i].lo == 53 && t->ports[i].hi == 53 &&
		    (t->ports[i].group == EG_PORTS_TCP || t->ports[i].group == EG_PORTS_UDP ||
		     t->ports[i].group == EG_PORTS_OTHER))
			return true;
	for (size_t i = 0; i < t->n_speaking; i++)
		if (t->speaking[i] == EG_APP_DNS)
			return true;
	return false;
}

static bool is_resolver(const struct policy *p, const struct addr *a)
{
	for (size_t i = 0; p->resolver_mode != RESOLVERS_NONE && i < p->n_resolvers; i++)
		if (addr_eq(a, &p->resolvers[i].lo))
			return true;
	return false;
}

/* Whether a range that is written out lies in loopback, or is one resolver. */
static bool names_place(const struct policy *p, const struct policy_dest *d, size_t n,
			bool resolver)
{
	for (size_t i = 0; i < n; i++) {
		if (d[i].kind == DEST_SET && names_place(p, p->sets[d[i].ref].members,
							 p->sets[d[i].ref].n_members, resolver))
			return true;
		if (d[i].kind == DEST_SEGMENT &&
		    names_place(p, p->segments[d[i].ref].ranges, p->segments[d[i].ref].n_ranges,
				resolver))
			return true;
		if (d[i].kind != DEST_RANGE)
			continue;
		if (resolver ? addr_eq(&d[i].lo, &d[i].hi) && is_resolver(p, &d[i].lo)
			     : addr_class(&d[i].lo) == ADDR_LOOPBACK &&
				       addr_class(&d[i].hi) == ADDR_LOOPBACK)
			return true;
	}
	return false;
}

enum place { PLACE_ANY, PLACE_LOOPBACK, PLACE_RESOLVER };

static enum place place_of(const struct policy *p, const struct policy_subject *s)
{
	struct addr a = as_v4(&s->remote);

	if (is_resolver(p, &a) && s->has_ports && s->port == 53 &&
	    (s->proto == 6 || s->proto == 17))
		return PLACE_RESOLVER;
	return addr_class(&a) == ADDR_LOOPBACK ? PLACE_LOOPBACK : PLACE_ANY;
}

/* Whether every `except` fails to take it away: the choices of one term each that do not hold, tried in turn. */
static bool survives(const struct policy *p, const struct policy_rule *r, size_t i, bool *picked,
		     const struct policy_subject *s)
{
	if (i == r->n_except)
		return !to_excepted(p, r, picked, s);
	for (unsigned term = 0; term < TERMS; term++) {
		if (!has_term(&r->except[i], term) ||
		    (term != TERM_TO && term_holds(p, &r->except[i], term, s)))
			continue;
		picked[i] = term == TERM_TO;
		if (survives(p, r, i + 1, picked, s))
			return true;
		picked[i] = false;
	}
	return false;
}

static bool rule_holds(const struct policy *p, const struct policy_rule *r, enum place place,
		       const struct policy_subject *s)
{
	bool picked[64] = { false };

	if (r->until_s && s->unix_s >= r->until_s)
		return false;
	if (place == PLACE_LOOPBACK && !names_place(p, r->match.to, r->match.n_to, false))
		return false;
	if (place == PLACE_RESOLVER && !names_place(p, r->match.to, r->match.n_to, true) &&
	    !names_port_53(&r->match))
		return false;
	for (unsigned term = 0; term < TERM_TO; term++)
		if (has_term(&r->match, term) && !term_holds(p, &r->match, term, s))
			return false;
	if (r->match.n_to && !to_holds(p, r, s))
		return false;
	return r->n_except <= ARRAY_SIZE(picked) && survives(p, r, 0, picked, s);
}

/* Everything is known. */
static void judge_known(const struct policy *p, const struct policy_subject *s,
			struct naive_answer *ret)
{
	enum place place = place_of(p, s);
	size_t rule = 0;
	enum eg_action action = p->fallback;

	while (rule < p->n_rules && !rule_holds(p, &p->rules[rule], place, s))
		rule++;
	if (rule < p->n_rules) {
		action = p->rules[rule].action;
	} else if (place != PLACE_ANY) {
		rule = p->n_rules + 1;
		action = EG_ALLOW;
	}
	if (!ret->ways++) {
		ret->rule = rule;
		ret->action = action;
		ret->final = true;
	}
	ret->final &= ret->rule == rule;
	if (action == EG_ALLOW || action == EG_AUDIT)
		ret->could_pass = true;
	else
		ret->could_drop = true;
}

/* One unknown fact after the other; the subject is as it was, at the end. */
static void try_all(const struct policy *p, struct policy_subject *s, struct naive_answer *ret)
{
	const struct random_world *w = random_world();

	if (s->app == EG_APP_UNDECIDED) {
		for (size_t i = 0; i < w->n_apps; i++) {
			s->app = w->apps[i];
			try_all(p, s, ret);
		}
		s->app = EG_APP_UNDECIDED;
	} else if (s->visible == EG_VISIBLE_UNKNOWN) {
		for (s->visible = EG_VISIBLE_NONE; s->visible <= EG_VISIBLE_UNREADABLE;
		     s->visible++)
			for (size_t i = 0; i < (s->visible == EG_VISIBLE_NAME ? w->n_names : 1);
			     i++) {
				s->visible_name = w->names[i];
				try_all(p, s, ret);
			}
		s->visible = EG_VISIBLE_UNKNOWN;
	} else if (s->container_unknown) {
		s->container_unknown = false;
		s->container = NULL;
		try_all(p, s, ret);
		for (size_t i = 0; i < w->n_containers; i++) {
			s->container = &w->containers[i];
			try_all(p, s, ret);
		}
		s->container_unknown = true;
	} else if (addr_is_unset(&s->local)) {
		for (size_t i = 0; i < w->n_locals; i++) {
			s->local = w->locals[i];
			try_all(p, s, ret);
		}
		s->local = (struct addr){ { 0 } };
	} else {
		judge_known(p, s, ret);
	}
}

void naive_judge(const struct policy *p, const struct policy_subject *s, struct naive_answer *ret)
{
	struct policy_subject copy = *s;

	*ret = (struct naive_answer){ 0 };
	try_all(p, &copy, ret);
}

bool naive_expected(const struct policy *p, const struct policy_expect *e,
		    const struct policy_subject *s)
{
	const struct policy_terms *t = &e->match;
	enum place place = place_of(p, s);
	bool unnamed = !s->n_names && s->visible == EG_VISIBLE_NONE;
	bool named = s->n_names == 1 && s->visible == EG_VISIBLE_NAME &&
		     str_eq(s->names[0], s->visible_name);

	if (!unnamed && !named)
		return false;
	if (s->app == EG_APP_UNDECIDED || s->container_unknown || addr_is_unset(&s->local))
		return false;
	if (place != PLACE_ANY && !names_place(p, t->to, t->n_to, place == PLACE_RESOLVER))
		return false;
	for (unsigned term = 0; term < TERM_TO; term++)
		if (has_term(t, term) && !term_holds(p, t, term, s))
			return false;
	if (!t->n_to)
		return true;
	return unnamed ? has_addr(p, t->to, t->n_to, &s->remote)
		       : has_name(p, t->to, t->n_to, s->names[0]);
}
