/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The steps from items to text, each a pass over a sorted array:
 *
 *     who    a program becomes its unit, user or container where that says more in fewer words
 *     where  three names of one registered domain become its wildcard, many nameless addresses `internet`, `private`
 *     ports  of one (who, where) become a list
 *     where  of one (who, ports) become one rule
 *     who    of one (where, ports) become one rule
 *
 * Every rule allows, so their order says nothing and can be that of reading.
 */
#include <errno.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/human.h"
#include "policy/learn_parts.h"

#define NAMES_FOR_WILDCARD 3
#define ADDRESSES_FOR_CLASS 5
#define PROGRAMS_FOR_UNIT 3
#define PORTS_FOR_RANGE 7
#define PORTS_ANYBODYS 1024
#define LINE_WIDTH 96

/* A set of programs that stands in several rules, or is several programs. */
struct definition {
	struct text *paths; /* "\"/a\", \"/b\"" */
	struct text *name;  /* NULL: written out in its only rule */
	size_t uses;
};

static int cmp_text(const struct text *a, const struct text *b)
{
	size_t n;
	int r;

	if (a == b)
		return 0;
	if (!a || !b)
		return a ? 1 : -1;
	n = MIN(a->n, b->n);
	r = memcmp(a->p, b->p, n);
	return r ? r : (a->n > b->n) - (a->n < b->n);
}

static int cmp_int(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

/* --- who --------------------------------------------------------------------------------------------------------- */

/* These run other people's programs: the unit they are in says more than their path. */
static bool is_interpreter(struct str path)
{
	static const char *const names[] = { "python", "perl", "ruby", "node", "java",   "php",
					     "bash",   "dash", "sh",   "lua",  "busybox" };
	const char *slash = memrchr(path.p, '/', path.n);
	struct str base = str_sub(path, slash ? (size_t)(slash + 1 - path.p) : 0, path.n);

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (str_has_prefix(base, str_of(names[i])))
			return true;
	return false;
}

/* Different programs seen in this unit, or of this user. */
static size_t programs_of(const struct learn *l, const struct text *unit, const struct text *user)
{
	const struct text *seen[PROGRAMS_FOR_UNIT];
	size_t n = 0, k;

	for (size_t i = 0; i < l->n_slots && n < PROGRAMS_FOR_UNIT; i++) {
		const struct item *it = &l->items[i];

		if (!it->hash || !it->exe || it->container ||
		    (unit ? it->unit != unit : it->unit || it->user != user))
			continue;
		for (k = 0; k < n && seen[k] != it->exe; k++)
			;
		if (k == n)
			seen[n++] = it->exe;
	}
	return n;
}

/* In quotes; what a pattern cannot say becomes '?', which stands for any one character. */
static struct text *quoted(struct learn *l, struct str s)
{
	_cleanup_buf_ struct buf b = BUF_INIT(8192);

	buf_putc(&b, '"');
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		buf_putc(&b,
			 c < ' ' || c == '"' || c == '\\' || c == '*' || c == 0x7f ? '?' : (char)c);
	}
	buf_putc(&b, '"');
	return b.failed ? NULL : intern_get(l->texts, buf_str(&b));
}

/* A user by number where this host has no such name. */
static struct text *user_text(struct learn *l, const struct text *user)
{
	static const char safe[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

	if (strspn(user->p, safe) != user->n || (!getpwnam(user->p) && user->p[0] > '9'))
		return NULL;
	return intern_get(l->texts, text_str(user));
}

static bool of_unit(struct learn *l, const struct item *it)
{
	return it->unit && (!it->exe || is_interpreter(text_str(it->exe)) ||
			    programs_of(l, it->unit, NULL) >= PROGRAMS_FOR_UNIT);
}

static bool of_user(struct learn *l, const struct item *it)
{
	return it->user && (!it->exe || (it->system_user && !it->unit &&
					 programs_of(l, NULL, it->user) >= PROGRAMS_FOR_UNIT));
}

static void set_who(struct learn *l, struct need *n, const struct item *it)
{
	if (it->container) {
		n->who_kind = it->container_is_image ? WHO_CONTAINER_IMAGE : WHO_CONTAINER_NAME;
		n->who = quoted(l, text_str(it->container));
	} else if (of_unit(l, it)) {
		n->who_kind = WHO_UNIT;
		n->who = intern_get(l->texts, text_str(it->unit));
	} else if (of_user(l, it) && (n->who = user_text(l, it->user))) {
		n->who_kind = WHO_USER;
	} else if (it->exe) {
		n->who_kind = WHO_EXE;
		n->who = quoted(l, text_str(it->exe));
	}
}

/* --- where ------------------------------------------------------------------------------------------------------- */

struct text *learn_class_text(struct learn *l, const struct addr *a)
{
	switch (addr_class(a)) {
	case ADDR_INTERNET:
		return intern_get(l->texts, STR("internet"));
	case ADDR_PRIVATE:
		return intern_get(l->texts, STR("private"));
	case ADDR_MULTICAST:
		return intern_get(l->texts, addr_is_v4(a) ? STR("224.0.0.0/4") : STR("ff00::/8"));
	case ADDR_LINK_LOCAL:
		return intern_get(l->texts,
				  addr_is_v4(a) ? STR("169.254.0.0/16") : STR("fe80::/10"));
	case ADDR_LOOPBACK:
	case ADDR_RESERVED:
		break;
	}
	return NULL;
}

/* What a destination may become when there are enough of its kind: its registered domain, or its class of address. */
struct wider {
	struct need *need;
	struct text *as; /* NULL: stays as it is */
	struct text *to; /* as recorded */
};

static int by_wider(const void *a, const void *b)
{
	const struct wider *x = a, *y = b;
	int r = cmp_int(x->need->who_kind, y->need->who_kind);

	if (!r)
		r = cmp_text(x->need->who, y->need->who);
	if (!r)
		r = cmp_int(x->need->by_sni, y->need->by_sni);
	if (!r)
		r = cmp_text(x->as, y->as);
	return r ? r : cmp_text(x->to, y->to);
}

static bool same_wider(const struct wider *x, const struct wider *y)
{
	return x->need->who_kind == y->need->who_kind && x->need->who == y->need->who &&
	       x->need->by_sni == y->need->by_sni && x->as == y->as;
}

static bool is_domain(const struct wider *w)
{
	return memchr(w->as->p, '.', w->as->n) && !memchr(w->as->p, '/', w->as->n);
}

/* One run of destinations that may become the same. */
static void widen_run(struct learn *l, struct wider *w, size_t n)
{
	size_t different = 0;
	bool apex = false;
	struct text *as = w->as;
	char text[300];

	for (size_t i = 0; i < n; i++) {
		different += !i || w[i].to != w[i - 1].to;
		apex |= w[i].to == as;
	}
	if (is_domain(w)) {
		if (different < NAMES_FOR_WILDCARD)
			return;
		snprintf(text, sizeof(text), "%s.%.*s", apex ? "**" : "*", STR_FMT(text_str(as)));
		as = intern_get(l->texts, str_of(text));
	} else if (different < ADDRESSES_FOR_CLASS) {
		return;
	}
	for (size_t i = 0; i < n; i++)
		w[i].need->to = as;
}

static int widen(struct learn *l, struct needs *needs, const struct item *const *items)
{
	struct wider *w = calloc(needs->n + 1, sizeof(*w));
	size_t n = 0;

	if (!w)
		return -ENOMEM;
	for (size_t i = 0; i < needs->n; i++) {
		struct need *need = &needs->p[i];

		if (need->exact)
			continue;
		w[n] = (struct wider){ .need = need, .to = need->to };
		w[n].as = items[i]->kind == TO_ADDRESS ? learn_class_text(l, &items[i]->addr)
						       : learn_registered_domain(l, need->to);
		n += w[n].as != NULL;
	}
	qsort(w, n, sizeof(*w), by_wider);
	for (size_t i = 0, end; i < n; i = end) {
		for (end = i + 1; end < n && same_wider(&w[i], &w[end]); end++)
			;
		widen_run(l, w + i, end - i);
	}
	free(w);
	return 0;
}

/* --- ports ------------------------------------------------------------------------------------------------------- */

static int by_port(const void *a, const void *b)
{
	const struct need *x = a, *y = b;
	int r = cmp_int(x->who_kind, y->who_kind);

	if (!r)
		r = cmp_text(x->who, y->who);
	if (!r)
		r = cmp_int(x->by_sni, y->by_sni);
	if (!r)
		r = cmp_text(x->to, y->to);
	if (!r)
		r = cmp_int(x->port, y->port);
	return r ? r : cmp_int(x->proto, y->proto);
}

static bool same_to(const struct need *x, const struct need *y)
{
	return x->who_kind == y->who_kind && x->who == y->who && x->by_sni == y->by_sni &&
	       x->to == y->to;
}

static void put_comma(struct buf *b)
{
	if (b->n)
		buf_puts(b, ", ");
}

static bool knows(uint8_t proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP;
}

static void put_port(struct buf *b, const struct need *x, bool both)
{
	put_comma(b);
	if (x->proto == IPPROTO_ICMP || x->proto == IPPROTO_ICMPV6)
		buf_puts(b, x->proto == IPPROTO_ICMP ? "icmp" : "icmp6");
	else if (!x->has_ports)
		buf_printf(b, "%u/ip", x->proto);
	else if (both || !knows(x->proto))
		buf_printf(b, "%u", x->port);
	else
		buf_printf(b, "%u/%s", x->port, x->proto == IPPROTO_TCP ? "tcp" : "udp");
}

static bool in_range(const struct need *x, uint8_t proto)
{
	return x->proto == proto && x->port >= PORTS_ANYBODYS;
}

/* So many ports of one protocol that only a range can be read; well-known ones stay apart. */
static bool put_range(struct buf *b, const struct need *x, size_t n, uint8_t proto)
{
	uint16_t lo = UINT16_MAX, hi = 0;
	size_t different = 0;

	for (size_t i = 0; i < n; i++) {
		if (!in_range(&x[i], proto))
			continue;
		different += x[i].port != hi || !different;
		lo = MIN(lo, x[i].port);
		hi = MAX(hi, x[i].port);
	}
	if (different < PORTS_FOR_RANGE)
		return false;
	put_comma(b);
	buf_printf(b, "%u-%u/%s", lo, hi, proto == IPPROTO_TCP ? "tcp" : "udp");
	return true;
}

static struct text *ports_text(struct learn *l, const struct need *x, size_t n)
{
	_cleanup_buf_ struct buf b = BUF_INIT(65536);
	bool tcp, udp;

	/* Port 0, and fragments without ports: no rule can name these, so this one names none. */
	for (size_t i = 0; i < n; i++)
		if (flow_proto_has_ports(x[i].proto) && !x[i].port)
			return intern_get(l->texts, STR(""));
	tcp = put_range(&b, x, n, IPPROTO_TCP);
	udp = put_range(&b, x, n, IPPROTO_UDP);
	for (size_t i = 0; i < n; i++) {
		bool both = false,
		     again = i && x[i].port == x[i - 1].port && x[i].proto == x[i - 1].proto;

		if (again || (tcp && in_range(&x[i], IPPROTO_TCP)) ||
		    (udp && in_range(&x[i], IPPROTO_UDP)))
			continue;
		for (size_t k = 0; knows(x[i].proto) && k < n; k++)
			both |= k != i && x[k].port == x[i].port && knows(x[k].proto) &&
				x[k].proto != x[i].proto;
		both &= !((tcp || udp) && x[i].port >= PORTS_ANYBODYS);
		/* Once for the two of them. */
		if (!both || x[i].proto == IPPROTO_TCP)
			put_port(&b, &x[i], both);
	}
	return b.failed ? NULL : intern_get(l->texts, buf_str(&b));
}

int learn_join_ports(struct learn *l, struct needs *needs)
{
	size_t n = 0;

	qsort(needs->p, needs->n, sizeof(*needs->p), by_port);
	for (size_t i = 0, end; i < needs->n; i = end) {
		struct need sum = needs->p[i];

		sum.flows = sum.bytes = 0;
		for (end = i; end < needs->n && same_to(&needs->p[i], &needs->p[end]); end++) {
			sum.flows += needs->p[end].flows;
			sum.bytes += needs->p[end].bytes;
		}
		sum.ports = ports_text(l, needs->p + i, end - i);
		if (!sum.ports)
			return -E2BIG;
		needs->p[n++] = sum;
	}
	needs->n = n;
	return 0;
}

/* --- joining destinations, then programs ------------------------------------------------------------------------- */

static int by_ports_of_who(const void *a, const void *b)
{
	const struct need *x = a, *y = b;
	int r = cmp_int(x->who_kind, y->who_kind);

	if (!r)
		r = cmp_text(x->who, y->who);
	if (!r)
		r = cmp_int(x->by_sni, y->by_sni);
	if (!r)
		r = cmp_text(x->ports, y->ports);
	return r ? r : cmp_text(x->to, y->to);
}

static bool same_who_ports(const struct need *x, const struct need *y)
{
	return x->who_kind == y->who_kind && x->who == y->who && x->by_sni == y->by_sni &&
	       x->ports == y->ports;
}

static int by_to_ports(const void *a, const void *b)
{
	const struct need *x = a, *y = b;
	int r = cmp_int(x->who_kind, y->who_kind);

	if (!r)
		r = cmp_int(x->by_sni, y->by_sni);
	if (!r)
		r = cmp_text(x->to, y->to);
	if (!r)
		r = cmp_text(x->ports, y->ports);
	return r ? r : cmp_text(x->who, y->who);
}

static bool same_to_ports(const struct need *x, const struct need *y)
{
	/* Whoever it is, is nobody that could be listed. */
	return x->who_kind == y->who_kind && x->who_kind != WHO_ANY && x->by_sni == y->by_sni &&
	       x->to == y->to && x->ports == y->ports;
}

/* Runs that are the same become one, their `to` or `who` a list. */
static int join(struct learn *l, struct needs *needs, int (*order)(const void *, const void *),
		bool (*same)(const struct need *, const struct need *), bool destinations)
{
	_cleanup_buf_ struct buf list = BUF_INIT(RULE_MAX);
	size_t n = 0;

	qsort(needs->p, needs->n, sizeof(*needs->p), order);
	for (size_t i = 0, end; i < needs->n; i = end) {
		struct need sum = needs->p[i];

		sum.flows = sum.bytes = 0;
		buf_clear(&list);
		for (end = i; end < needs->n && (end == i || same(&needs->p[i], &needs->p[end]));
		     end++) {
			const struct text *t = destinations ? needs->p[end].to : needs->p[end].who;

			sum.flows += needs->p[end].flows;
			sum.bytes += needs->p[end].bytes;
			if (t) {
				put_comma(&list);
				buf_put_str(&list, text_str(t));
			}
		}
		if (list.failed)
			return -E2BIG;
		if (list.n &&
		    !(*(destinations ? &sum.to : &sum.who) = intern_get(l->texts, buf_str(&list))))
			return -E2BIG;
		needs->p[n++] = sum;
	}
	needs->n = n;
	return 0;
}

/* --- writing ----------------------------------------------------------------------------------------------------- */

static void put_base_name(struct buf *b, struct str path)
{
	const char *slash;

	path = str_sub(path, 1, path.n - 2); /* quotes */
	slash = memrchr(path.p, '/', path.n);
	path = str_sub(path, slash ? (size_t)(slash + 1 - path.p) : 0, path.n);
	for (size_t i = 0; i < path.n && i < 20; i++) {
		char c = path.p[i];

		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
			buf_putc(b, c);
		else if (c >= 'A' && c <= 'Z')
			buf_putc(b, (char)(c | 0x20));
		else if (b->n && b->p[b->n - 1] != '-')
			buf_putc(b, '-');
	}
}

static bool is_taken(const struct definition *defs, size_t n, struct str name)
{
	for (size_t i = 0; i < n; i++)
		if (defs[i].name && str_eq(text_str(defs[i].name), name))
			return true;
	return false;
}

/* "curl-app", "curl-wget", "curl-wget-and-7-more", never twice the same. */
static struct text *make_name(struct learn *l, const struct definition *defs, size_t which)
{
	_cleanup_buf_ struct buf b = BUF_INIT(256);
	struct str rest = text_str(defs[which].paths), part;
	size_t n = 0, base;

	while (str_cut(&rest, ',', &part)) {
		if (++n > 2)
			continue;
		if (n == 2)
			buf_putc(&b, '-');
		put_base_name(&b, str_trim(part));
	}
	if (n > 2)
		buf_printf(&b, "-and-%zu-more", n - 2);
	/* A word of the language, or a number, cannot be a name. */
	buf_puts(&b, n == 1 ? "-app" : "");
	base = b.n;
	for (size_t again = 2; is_taken(defs, which, buf_str(&b)); again++) {
		b.n = base;
		buf_printf(&b, "-%zu", again);
	}
	return b.failed ? NULL : intern_get(l->texts, buf_str(&b));
}

static struct definition *define(struct definition *defs, size_t *n, struct text *paths)
{
	for (size_t i = 0; i < *n; i++)
		if (defs[i].paths == paths)
			return &defs[i];
	defs[*n] = (struct definition){ .paths = paths };
	return &defs[(*n)++];
}

void learn_put_wrapped(struct buf *out, struct str s)
{
	while (s.n > LINE_WIDTH) {
		size_t at = LINE_WIDTH;
		bool in_quotes = false;
		size_t fits = 0;

		for (size_t i = 0; i < s.n && (i < at || !fits); i++) {
			in_quotes ^= s.p[i] == '"';
			if (s.p[i] == ' ' && !in_quotes)
				fits = i;
		}
		if (!fits)
			break;
		buf_put_str(out, str_sub(s, 0, fits));
		buf_puts(out, " \\\n        ");
		s = str_sub(s, fits + 1, s.n);
	}
	buf_put_str(out, s);
}

static void put_rule(struct buf *out, const struct need *n, const struct definition *def)
{
	static const char *const kinds[] = {
		"", "app ", "unit ", "user ", "container image ", "container name "
	};
	_cleanup_buf_ struct buf rule = BUF_INIT(RULE_MAX);
	char flows[HUMAN_TEXT_MAX], bytes[HUMAN_TEXT_MAX];

	buf_puts(&rule, "allow ");
	if (n->who) {
		buf_puts(&rule, kinds[n->who_kind]);
		buf_put_str(&rule, text_str(def && def->name ? def->name : n->who));
		buf_putc(&rule, ' ');
	}
	buf_puts(&rule, "to ");
	buf_put_str(&rule, text_str(n->to));
	if (n->by_sni)
		buf_puts(&rule, " by sni");
	if (n->ports->n) {
		buf_puts(&rule, " port ");
		buf_put_str(&rule, text_str(n->ports));
	}
	learn_put_wrapped(out, buf_str(&rule));
	buf_printf(out, "   # %s flows, %s\n", human_count(n->flows, flows),
		   human_bytes(n->bytes, bytes));
	out->failed |= rule.failed;
}

void learn_put_resolvers(const struct learn *l, struct buf *out)
{
	char text[ADDR_TEXT_MAX];

	if (!l->n_resolvers || l->n_resolvers == ARRAY_SIZE(l->resolvers)) {
		buf_puts(out, "resolvers system\n");
		return;
	}
	buf_puts(out, "resolvers ");
	for (size_t i = 0; i < l->n_resolvers; i++)
		buf_printf(out, "%s%s", i ? ", " : "", addr_format(&l->resolvers[i], text));
	buf_puts(out, "   # whose answers were used\n");
}

static int write_text(struct learn *l, const struct needs *needs, struct buf *out)
{
	_cleanup_free_ struct definition *defs = calloc(needs->n + 1, sizeof(*defs));
	size_t n = 0, named = 0;

	if (!defs)
		return -ENOMEM;
	for (size_t i = 0; i < needs->n; i++)
		if (needs->p[i].who_kind == WHO_EXE)
			define(defs, &n, needs->p[i].who)->uses++;
	learn_put_resolvers(l, out);
	for (size_t i = 0; i < n; i++) {
		_cleanup_buf_ struct buf line = BUF_INIT(RULE_MAX);

		if (defs[i].uses < 2)
			continue;
		defs[i].name = make_name(l, defs, i);
		if (!defs[i].name)
			return -E2BIG;
		buf_printf(&line, "app %s = ", defs[i].name->p);
		buf_put_str(&line, text_str(defs[i].paths));
		learn_put_wrapped(out, buf_str(&line));
		buf_putc(out, '\n');
		named++;
	}
	buf_putc(out, '\n');
	for (size_t i = 0; i < needs->n; i++)
		put_rule(out, &needs->p[i],
			 needs->p[i].who_kind == WHO_EXE ? define(defs, &n, needs->p[i].who)
							 : NULL);
	l->counts.statements = 1 + named + needs->n + !l->only_app;
	if (!l->only_app)
		buf_puts(out, "\ndefault deny\n");
	return out->failed ? -E2BIG : 0;
}

static bool goes_without_saying(const struct learn *l, const struct item *it)
{
	/* Look-ups at the resolvers that the policy names. */
	if (it->port != 53 || !l->n_resolvers || l->n_resolvers == ARRAY_SIZE(l->resolvers))
		return false;
	for (size_t i = 0; i < l->n_resolvers; i++)
		if (addr_eq(&l->resolvers[i], &it->addr))
			return true;
	return false;
}

static int gather(struct learn *l, struct needs *needs, const struct item **items)
{
	for (size_t i = 0; i < l->n_slots; i++) {
		const struct item *it = &l->items[i];
		struct need *n = &needs->p[needs->n];

		if (!it->hash || goes_without_saying(l, it))
			continue;
		*n = (struct need){ .to = it->to,
				    .flows = it->flows,
				    .bytes = it->bytes,
				    .port = it->port,
				    .proto = it->proto,
				    .has_ports = it->has_ports,
				    .exact = it->exact,
				    .by_sni = it->kind == TO_NAME_BY_SNI };
		set_who(l, n, it);
		if (n->who_kind != WHO_ANY && !n->who)
			return -E2BIG;
		items[needs->n++] = it;
	}
	return 0;
}

int learn_text(struct learn *l, struct str head, struct buf *out)
{
	_cleanup_free_ const struct item **items = calloc(l->n_items + 1, sizeof(*items));
	_cleanup_free_ struct need *array = calloc(l->n_items + 1, sizeof(*array));
	struct needs needs = { .p = array };
	int r;

	if (l->failed)
		return l->failed;
	if (l->zones)
		return learn_segments_text(l, head, out);
	if (!items || !array)
		return -ENOMEM;
	r = gather(l, &needs, items);
	if (r == 0)
		r = widen(l, &needs, items);
	if (r == 0)
		r = learn_join_ports(l, &needs);
	if (r == 0)
		r = join(l, &needs, by_ports_of_who, same_who_ports, true);
	if (r == 0)
		r = join(l, &needs, by_to_ports, same_to_ports, false);
	buf_put_str(out, head);
	return r < 0 ? r : write_text(l, &needs, out);
}
