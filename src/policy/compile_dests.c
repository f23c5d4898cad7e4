/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where to and from where: addresses, names, lists, countries, ports, protocols. Each set, list, segment is one atom,
 * whatever number of rules names it and whatever number of entries it has; what a rule spells out itself is another.
 */
#include "policy/compile.h"

#include <errno.h>
#include <string.h>

#define DEPTH_MAX 64 /* of sets within sets */
#define ADDRESSES_MAX 4000000
#define NAMES_MAX 4000000

enum {
	KEY_SET = 64,
	KEY_SEGMENT,
	KEY_LIST,
	KEY_COUNTRY,
	KEY_ASN,
	KEY_CLASS,
	KEY_LITERAL,
	KEY_PORTS,
};

static u128 number_of(const struct addr *a)
{
	u128 x = 0;

	for (int i = 0; i < 16; i++)
		x = x << 8 | a->b[i];
	return x;
}

/* IPv4, also written as an address of NAT64's prefix, is judged as IPv4 (eg_fact_addr()). */
static void add_range(struct compile *c, uint32_t atom, const struct addr *lo,
		      const struct addr *hi)
{
	u128 a = number_of(lo), b = number_of(hi);
	int r = 0;

	if (a > b)
		return;
	if ((addr_is_v4(lo) && addr_is_v4(hi)) || (addr_is_nat64(lo) && addr_is_nat64(hi)))
		r = ranges_add(&c->v4, atom, (uint32_t)a, (uint32_t)b);
	else
		r = ranges_add(&c->v6, atom, a, b);
	if (r < 0)
		compile_no_memory(c);
	if (++c->n_addresses > ADDRESSES_MAX)
		c->too_many = true;
}

/* -EINVAL: no name. */
static int add_name(struct compile *c, uint32_t atom, struct str name, bool exact, bool below)
{
	int r = policy_name_add(&c->table, name, exact, below, atom);

	if (r == -ENOMEM)
		compile_no_memory(c);
	if (r == 0 && ++c->n_names > NAMES_MAX)
		c->too_many = true;
	return r;
}

/* The atom of something that may be named more than once; *ret_new: its values are still to be put in. */
static uint32_t known_atom(struct compile *c, uint8_t kind, const void *key, size_t n,
			   uint64_t extra, bool *ret_new)
{
	uint32_t *atom = keys_get(&c->keys, kind, key, n);

	*ret_new = false;
	if (!atom) {
		compile_no_memory(c);
		return 0;
	}
	if (*atom == KEYS_NONE) {
		*atom = atoms_new_atom(&c->dest.atoms, extra);
		*ret_new = true;
	}
	return *atom;
}

/* --- what is in an atom ------------------------------------------------------------------------------------------- */

struct gathering {
	struct compile *c;
	uint32_t atom;
	uint64_t used, unusable;
};

static int on_entry(void *ctx, const struct list_entry *e)
{
	struct gathering *g = ctx;
	int r = 0;

	switch (e->kind) {
	case LIST_RANGE:
		add_range(g->c, g->atom, &e->lo, &e->hi);
		break;
	case LIST_NAME:
		/* "name:port" is narrower than a name can be here */
		r = e->port ? -EINVAL : add_name(g->c, g->atom, e->text, true, false);
		break;
	case LIST_BELOW:
		r = add_name(g->c, g->atom, e->text, false, true);
		break;
	case LIST_TREE:
		r = add_name(g->c, g->atom, e->text, true, true);
		break;
	default:
		r = -EINVAL;
	}
	if (r == -EINVAL)
		g->unusable++;
	else
		g->used++;
	return g->c->bad || g->c->too_many ? -E2BIG : 0;
}

static void say_of_list(struct compile *c, const struct policy_list *l,
			const struct list_report *report, const struct gathering *g)
{
	const char *kind = "warning";

	if (report->expired)
		policy_complain(c->p, l->place, kind, c->messages,
				"list '%.*s' has expired: it holds nothing now", STR_FMT(l->name));
	else if (!g->used)
		policy_complain(c->p, l->place, kind, c->messages, "list '%.*s' is empty",
				STR_FMT(l->name));
	if (report->bad)
		policy_complain(
			c->p, l->place, kind, c->messages,
			"list '%.*s': %llu lines could not be understood, the first is line %u: %s",
			STR_FMT(l->name), (unsigned long long)report->bad, report->first_bad_line,
			report->first_bad);
	if (g->unusable)
		policy_complain(c->p, l->place, "note", c->messages,
				"list '%.*s': %llu entries are no addresses or names of hosts "
				"(URLs, hashes): no rule acts on "
				"them",
				STR_FMT(l->name), (unsigned long long)g->unusable);
}

static void load_list(struct compile *c, uint32_t list, uint32_t atom)
{
	const struct policy_list *l = &c->p->lists[list];
	struct list_report *report = &c->img->lists[list];
	struct gathering g = { .c = c, .atom = atom };
	struct list_sink sink = { .on_entry = on_entry, .ctx = &g, .now_s = c->cfg->from_s };
	struct str from = l->path.n ? l->path : l->url;
	int r;

	if (c->cfg->load_list)
		r = c->cfg->load_list(c->cfg->load_ctx, l, sink, report);
	else
		r = list_load(l, c->cfg->list_cache, c->cfg->from_s, sink, report);
	if (c->bad || c->too_many)
		return;
	if (r == -ENOENT && l->optional)
		return;
	if (r == -ENOENT && l->url.n)
		policy_complain(c->p, l->place, "warning", c->messages,
				"list '%.*s' was not fetched yet: it holds nothing until it is",
				STR_FMT(l->name));
	else if (r == -ENOENT)
		compile_error(c, l->place,
			      "list '%.*s': there is no file '%.*s'\nwrite 'optional' behind it "
			      "when it may be absent",
			      STR_FMT(l->name), STR_FMT(from));
	else if (r < 0)
		compile_error(c, l->place, "list '%.*s': '%.*s' cannot be read: %s",
			      STR_FMT(l->name), STR_FMT(from),
			      report->first_bad[0] ? report->first_bad : strerror(-r));
	else
		say_of_list(c, l, report, &g);
}

static int on_geo_range(void *ctx, const struct addr *lo, const struct addr *hi)
{
	struct gathering *g = ctx;

	add_range(g->c, g->atom, lo, hi);
	return g->c->bad || g->c->too_many ? -E2BIG : 0;
}

static void load_geo(struct compile *c, const struct policy_dest *d, uint32_t atom)
{
	struct gathering g = { .c = c, .atom = atom };
	bool country = d->kind == DEST_COUNTRY;
	char what[32];
	int r = -ENOENT;

	if (country)
		snprintf(what, sizeof(what), "country %.2s", d->country);
	else
		snprintf(what, sizeof(what), "asn %u", d->ref);
	if (c->cfg->geo && country)
		r = geo_country(c->cfg->geo, d->country, on_geo_range, &g);
	else if (c->cfg->geo)
		r = geo_asn(c->cfg->geo, d->ref, on_geo_range, &g);
	if (c->bad || c->too_many)
		return;
	if (r == -ENOENT)
		compile_error(c, d->place,
			      "'%s' needs a database of %s\nname an .mmdb file in egret.conf", what,
			      country ? "countries" : "autonomous systems");
	else if (r == -ESRCH)
		compile_error(c, d->place, "'%s' is not in the database", what);
	else if (r < 0)
		compile_error(c, d->place, "'%s': the database cannot be read: %s", what,
			      strerror(-r));
}

/* All addresses whose addr_class() is this one. */
static void add_class(struct compile *c, uint32_t atom, enum addr_class class)
{
	static const uint8_t zero[16],
		ones[16] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
			     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	struct addr block_lo, block_hi, at, end, last;

	for (int v4 = 0; v4 < 2; v4++) {
		last = v4 ? addr_from_v4(ones) : addr_from_v6(ones);
		at = v4 ? addr_from_v4(zero) : addr_from_v6(zero);
		for (;;) {
			/* The stretch from `at` to the next end of any block is of one class. */
			end = last;
			for (size_t i = 0; addr_block(i, &block_lo, &block_hi) == 0; i++) {
				if (addr_is_v4(&block_lo) != v4)
					continue;
				if (memcmp(&block_lo, &at, 16) > 0 &&
				    memcmp(&block_lo, &end, 16) <= 0) {
					end = block_lo;
					for (int b = 15; b >= 0 && end.b[b]-- == 0; b--)
						;
				}
				if (memcmp(&block_hi, &at, 16) >= 0 &&
				    memcmp(&block_hi, &end, 16) < 0)
					end = block_hi;
			}
			if (addr_class(&at) == class)
				add_range(c, atom, &at, &end);
			if (!memcmp(&end, &last, 16))
				break;
			at = end;
			for (int b = 15; b >= 0 && ++at.b[b] == 0; b--)
				;
		}
	}
}

static uint32_t class_atom(struct compile *c, enum addr_class class, uint64_t extra)
{
	uint8_t key = (uint8_t) class;
	bool new;
	uint32_t atom = known_atom(c, KEY_CLASS, &key, 1, extra, &new);

	if (new)
		add_class(c, atom, class);
	return atom;
}

/* --- what rules say ------------------------------------------------------------------------------------------------ */

struct use {
	struct compile *c;
	uint32_t row;
	enum effect what;
	bool any; /* `any` was among them */
};

static bool is_literal(const struct policy_dest *d)
{
	return d->kind == DEST_NAME || d->kind == DEST_BELOW || d->kind == DEST_TREE ||
	       d->kind == DEST_RANGE;
}

static void put_literals(struct compile *c, uint32_t atom, const struct policy_dest *d, size_t n)
{
	for (size_t i = 0; i < n && !c->bad && !c->too_many; i++) {
		int r = 0;

		if (!is_literal(&d[i]))
			continue;
		if (d[i].kind == DEST_RANGE)
			add_range(c, atom, &d[i].lo, &d[i].hi);
		else
			r = add_name(c, atom, d[i].name, d[i].kind != DEST_BELOW,
				     d[i].kind != DEST_NAME);
		if (r == -EINVAL)
			compile_error(c, d[i].place,
				      "'%.*s' has too many labels for a wildcard: at most %u",
				      STR_FMT(d[i].name), EG_LABELS_MAX - 1);
	}
}

static void use_dests(struct use *u, uint8_t kind, const void *key, size_t n_key,
		      const struct policy_dest *d, size_t n, unsigned depth);

/* One that is not spelt out. */
static void use_named(struct use *u, const struct policy_dest *d, unsigned depth)
{
	struct compile *c = u->c;
	const struct policy *p = c->p;
	uint32_t atom = 0;
	bool new = false;

	switch (d->kind) {
	case DEST_ANY:
		u->any = true;
		return;
	case DEST_SET:
		/* Sets may share others many times over: each is gone through once a term. */
		if (c->set_seen[d->ref] == c->term_now)
			return;
		c->set_seen[d->ref] = c->term_now;
		use_dests(u, KEY_SET, &d->ref, sizeof(d->ref), p->sets[d->ref].members,
			  p->sets[d->ref].n_members, depth + 1);
		return;
	case DEST_SEGMENT:
		use_dests(u, KEY_SEGMENT, &d->ref, sizeof(d->ref), p->segments[d->ref].ranges,
			  p->segments[d->ref].n_ranges, depth + 1);
		return;
	case DEST_INTERNET:
		atom = class_atom(c, ADDR_INTERNET, EG_IS_INTERNET);
		break;
	case DEST_PRIVATE:
		atom = class_atom(c, ADDR_PRIVATE, 0);
		break;
	case DEST_LIST:
		atom = known_atom(c, KEY_LIST, &d->ref, sizeof(d->ref), 0, &new);
		if (new)
			load_list(c, d->ref, atom);
		break;
	case DEST_COUNTRY:
		atom = known_atom(c, KEY_COUNTRY, d->country, 2, 0, &new);
		if (new)
			load_geo(c, d, atom);
		break;
	case DEST_ASN:
		atom = known_atom(c, KEY_ASN, &d->ref, sizeof(d->ref), 0, &new);
		if (new)
			load_geo(c, d, atom);
		break;
	case DEST_NAME:
	case DEST_BELOW:
	case DEST_TREE:
	case DEST_RANGE:
		return;
	}
	atoms_effect(&c->dest.atoms, atom, u->row, u->what);
}

static void use_dests(struct use *u, uint8_t kind, const void *key, size_t n_key,
		      const struct policy_dest *d, size_t n, unsigned depth)
{
	struct compile *c = u->c;
	bool literal = false, new;
	uint32_t atom;

	if (depth > DEPTH_MAX) {
		compile_error(c, d->place, "sets within sets, more than %u deep", DEPTH_MAX);
		return;
	}
	for (size_t i = 0; i < n && !c->bad; i++) {
		literal |= is_literal(&d[i]);
		use_named(u, &d[i], depth);
	}
	if (!literal || c->bad)
		return;
	atom = known_atom(c, kind, key, n_key, 0, &new);
	if (new)
		put_literals(c, atom, d, n);
	atoms_effect(&c->dest.atoms, atom, u->row, u->what);
}

static void to_term(struct compile *c, uint32_t row, const struct policy_terms *t, bool no)
{
	struct use u = { .c = c, .row = row, .what = no ? EFFECT_NOT : EFFECT_OR };

	use_dests(&u, KEY_LITERAL, &t->to, sizeof(t->to), t->to, t->n_to, 0);
	if (u.any && no)
		source_wants(&c->dest.source, row); /* nothing meets it */
	else if (u.any)
		source_always(&c->dest.source, row);
}

static void from_term(struct compile *c, uint32_t row, const struct policy_terms *t, bool no)
{
	struct use u = { .c = c, .row = row, .what = no ? EFFECT_NOT2 : EFFECT_AND2 };

	use_dests(&u, KEY_LITERAL, &t->from, sizeof(t->from), t->from, t->n_from, 0);
	if (u.any == no) /* a condition; or, with `except from any`, one that nothing meets */
		source_wants2(&c->dest.source, row);
}

static void port_term(struct compile *c, uint32_t row, const struct policy_terms *t, bool no)
{
	uint32_t *atom = keys_get(&c->keys, KEY_PORTS, &t->ports, sizeof(t->ports));
	int r = 0;

	if (!atom) {
		compile_no_memory(c);
		return;
	}
	if (!no)
		source_wants(&c->port.source, row);
	if (*atom == KEYS_NONE) {
		*atom = atoms_new_atom(&c->port.atoms, 0);
		for (size_t i = 0; i < t->n_ports && r == 0; i++)
			r = ranges_add(&c->ports, *atom,
				       EG_PORT_KEY(t->ports[i].group, t->ports[i].lo),
				       EG_PORT_KEY(t->ports[i].group, t->ports[i].hi));
		if (r < 0)
			compile_no_memory(c);
	}
	atoms_effect(&c->port.atoms, *atom, row, no ? EFFECT_NOT : EFFECT_AND);
}

bool app_covers(uint8_t said, unsigned index)
{
	switch (said) {
	case EG_APP_TLS:
		return index == EG_APP_TLS || index == EG_APP_DOT || index == EG_APP_DOH;
	case EG_APP_QUIC:
		return index == EG_APP_QUIC || index == EG_APP_DOQ || index == EG_APP_DOH_QUIC;
	case EG_APP_HTTP:
		return index == EG_APP_HTTP || index == EG_APP_HTTP2;
	case EG_APP_DOH:
		return index == EG_APP_DOH || index == EG_APP_DOH_QUIC;
	}
	return said == index;
}

static void speaking_term(struct compile *c, uint32_t row, const struct policy_terms *t, bool no)
{
	if (!no)
		source_wants(&c->app.source, row);
	for (size_t i = 0; i < t->n_speaking; i++) {
		c->says_doh |= t->speaking[i] == EG_APP_DOH;
		for (uint32_t app = 0; app < EG_APP_MAX; app++)
			if (app_covers(t->speaking[i], app))
				atoms_effect(&c->app.atoms, app, row, no ? EFFECT_NOT : EFFECT_AND);
	}
}

void compile_dest_term(struct compile *c, uint32_t row, const struct policy_terms *t,
		       enum term term, bool no)
{
	c->term_now++;
	if (term == TERM_TO)
		to_term(c, row, t, no);
	if (term == TERM_FROM)
		from_term(c, row, t, no);
	if (term == TERM_PORT)
		port_term(c, row, t, no);
	if (term == TERM_SPEAKING)
		speaking_term(c, row, t, no);
}

/* --- loopback and resolvers ----------------------------------------------------------------------------------------- */

typedef bool is_such(const struct policy *p, const struct policy_dest *d);

/* `seen`, by set: looked into before. */
static bool any_literal(const struct policy *p, const struct policy_dest *d, size_t n, bool *seen,
			is_such *is)
{
	for (size_t i = 0; i < n; i++) {
		const struct policy_set *set = d[i].kind == DEST_SET ? &p->sets[d[i].ref] : NULL;
		const struct policy_segment *seg =
			d[i].kind == DEST_SEGMENT ? &p->segments[d[i].ref] : NULL;

		if (is_literal(&d[i]) && is(p, &d[i]))
			return true;
		if (set && !seen[d[i].ref]) {
			seen[d[i].ref] = true;
			if (any_literal(p, set->members, set->n_members, seen, is))
				return true;
		}
		if (seg && any_literal(p, seg->ranges, seg->n_ranges, seen, is))
			return true;
	}
	return false;
}

/* Whether any range or name that is spelt out, here or in a set or segment, is such a one. */
static bool names_such(const struct policy *p, const struct policy_dest *d, size_t n, is_such *is)
{
	_cleanup_free_ bool *seen = n ? calloc(p->n_sets + 1, sizeof(*seen)) : NULL;

	return seen && any_literal(p, d, n, seen, is);
}

static bool is_loopback(const struct policy *p, const struct policy_dest *d)
{
	struct str name = STR("localhost");

	if (d->kind == DEST_RANGE)
		return addr_class(&d->lo) == ADDR_LOOPBACK && addr_class(&d->hi) == ADDR_LOOPBACK;
	return str_eq(d->name, name) ||
	       (d->name.n > name.n && d->name.p[d->name.n - name.n - 1] == '.' &&
		str_eq(str_sub(d->name, d->name.n - name.n, name.n), name));
}

static bool is_resolver(const struct policy *p, const struct policy_dest *d)
{
	if (d->kind != DEST_RANGE || !addr_eq(&d->lo, &d->hi) || p->resolver_mode == RESOLVERS_NONE)
		return false;
	for (size_t i = 0; i < p->n_resolvers; i++)
		if (addr_eq(&d->lo, &p->resolvers[i].lo))
			return true;
	return false;
}

bool dests_name_loopback(const struct policy *p, const struct policy_dest *d, size_t n)
{
	return names_such(p, d, n, is_loopback);
}

bool dests_name_resolver(const struct policy *p, const struct policy_dest *d, size_t n)
{
	return names_such(p, d, n, is_resolver);
}

/* --- classes --------------------------------------------------------------------------------------------------------- */

static void add_doh(struct compile *c)
{
	uint32_t atom = atoms_new_atom(&c->dest.atoms, EG_IS_DOH);
	struct addr a;

	for (const struct doh_server *s = doh_servers; s->name.n; s++) {
		add_name(c, atom, s->name, true, true);
		for (const char *const *text = s->addresses; text && *text; text++)
			if (addr_parse(str_of(*text), &a) == 0)
				add_range(c, atom, &a, &a);
	}
}

/* What flags of addresses tell, whether rules name it or not. */
static void add_flags(struct compile *c)
{
	uint32_t resolver = atoms_new_atom(&c->dest.atoms, EG_IS_RESOLVER);

	class_atom(c, ADDR_INTERNET, EG_IS_INTERNET);
	class_atom(c, ADDR_LOOPBACK, EG_IS_LOOPBACK);
	if (c->p->resolver_mode != RESOLVERS_NONE)
		for (size_t i = 0; i < c->p->n_resolvers; i++)
			add_range(c, resolver, &c->p->resolvers[i].lo, &c->p->resolvers[i].lo);
	if (c->says_doh)
		add_doh(c);
}

static int line_add(struct line *l, u128 from, uint16_t class)
{
	if (l->n && l->class[l->n - 1] == class)
		return 0;
	if (l->n == l->cap) {
		size_t cap = l->cap ? l->cap + l->cap / 2 : 64;
		uint16_t *to = realloc(l->class, cap * sizeof(*to));
		void *start;

		if (!to)
			return -ENOMEM;
		l->class = to;
		start = realloc(l->narrow, cap * (l->wide ? 16 : 4));
		if (!start)
			return -ENOMEM;
		l->narrow = start;
		l->cap = cap;
	}
	if (l->wide) {
		l->wide_start[l->n][0] = (uint64_t)(from >> 64);
		l->wide_start[l->n][1] = (uint64_t)from;
	} else {
		l->narrow[l->n] = (uint32_t)from;
	}
	l->class[l->n++] = class;
	return 0;
}

/* For what is nobody's fault in particular. */
static struct policy_place first_place(const struct compile *c)
{
	return c->p->n_rules ? c->p->rules[0].place : (struct policy_place){ 0 };
}

struct sweeping {
	struct line *line;
	struct source *source;
};

static int on_stretch(void *ctx, u128 from, uint32_t set)
{
	struct sweeping *s = ctx;

	return line_add(s->line, from, source_class(s->source, set));
}

static void sweep(struct compile *c, struct ranges *r, struct sets *sets, struct line *line,
		  struct source *source, const char *what)
{
	struct sweeping s = { line, source };
	int e = ranges_sweep(r, sets, on_stretch, &s);

	ranges_done(r);
	if (e == -E2BIG || source->full)
		compile_error(c, first_place(c),
			      "rules tell too many kinds of %s apart: more than %u", what,
			      CLASS_LIMIT);
	else if (e < 0)
		compile_no_memory(c);
}

/* `each segment` tells addresses apart by all segments that they are in, whatever rules name of them. */
static void add_segments(struct compile *c)
{
	const struct policy *p = c->p;

	for (uint32_t i = 0; i < p->n_segments; i++) {
		bool new;
		uint32_t atom = known_atom(c, KEY_SEGMENT, &i, sizeof(i),
					   1ULL << (SEGMENT_BIT + MIN(i, 63U - SEGMENT_BIT)), &new);

		if (new)
			put_literals(c, atom, p->segments[i].ranges, p->segments[i].n_ranges);
	}
}

int compile_dests_init(struct compile *c)
{
	c->v6.wide = true;
	c->line6.wide = true;
	c->table.key = c->cfg->name_key;
	if (space_init(&c->dest, c->words) < 0 || space_init(&c->port, c->words) < 0 ||
	    space_init(&c->app, c->words) < 0)
		return -ENOMEM;
	c->set_seen = calloc(c->p->n_sets + 1, sizeof(*c->set_seen));
	if (!c->set_seen)
		return -ENOMEM;
	c->table.sets = c->dest.sets;
	if (source_init(&c->names, &c->dest.atoms, c->dest.sets, c->words) < 0)
		return -ENOMEM;
	for (uint32_t i = 0; i < EG_APP_MAX; i++)
		atoms_new_atom(&c->app.atoms, 0);
	for (uint32_t i = 0; i < c->n_rows; i++)
		if (!c->rows[i].match->n_to)
			source_always(&c->dest.source, i);
	if (c->each_segment)
		add_segments(c);
	return 0;
}

void compile_dests_classes(struct compile *c)
{
	int r;

	add_flags(c);
	if (c->too_many)
		compile_error(c, first_place(c),
			      "too many addresses or names, lists included: at most %u and %u",
			      ADDRESSES_MAX, NAMES_MAX);
	if (c->bad)
		return;
	if (atoms_seal(&c->dest.atoms) < 0 || atoms_seal(&c->port.atoms) < 0 ||
	    atoms_seal(&c->app.atoms) < 0 || source_begin(&c->dest.source) < 0 ||
	    source_begin(&c->names) < 0 || source_begin(&c->port.source) < 0 ||
	    source_begin(&c->app.source) < 0) {
		compile_no_memory(c);
		return;
	}
	sweep(c, &c->v4, c->dest.sets, &c->line4, &c->dest.source, "addresses");
	sweep(c, &c->v6, c->dest.sets, &c->line6, &c->dest.source, "addresses");
	sweep(c, &c->ports, c->port.sets, &c->line_port, &c->port.source, "ports");
	r = name_table_place(&c->slots, &c->table, &c->names);
	if (c->names.full)
		compile_error(c, first_place(c),
			      "rules tell too many kinds of names apart: more than %u",
			      CLASS_LIMIT);
	else if (r < 0)
		compile_no_memory(c);
	for (uint32_t app = 0; app < EG_APP_MAX; app++)
		source_class(&c->app.source, sets_add(c->app.sets, SETS_EMPTY, app));
	source_finish(&c->dest.source);
	source_finish(&c->names);
	source_finish(&c->port.source);
	source_finish(&c->app.source);
}
