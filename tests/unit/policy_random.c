/* SPDX-License-Identifier: Apache-2.0 */
#include "policy_random.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"

#define PICK(d, pool) ((pool)[dice_roll(d, ARRAY_SIZE(pool))])

/* Marsaglia's xorshift, multiplied (Vigna, 2016). */
uint32_t dice_roll(struct dice *d, uint32_t sides)
{
	uint64_t x = d->state ? d->state : 88172645463325252ULL;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	d->state = x;
	return (uint32_t)((x * 2685821657736338717ULL >> 32) * sides >> 32);
}

/* --- pools --------------------------------------------------------------------------------------------------------- */

static const char *const domain_texts[] = {
	"a.example.org",     "*.example.org", "**.example.org", "b.a.example.org",
	"*.a.example.org",   "example.org",   "c.example.net",  "**.c.example.net",
	"*.x.c.example.net", "dns.google",
};
static const struct str names[] = {
	STR("a.example.org"),     STR("b.a.example.org"),   STR("c.b.a.example.org"),
	STR("example.org"),       STR("d.example.org"),     STR("c.example.net"),
	STR("x.c.example.net"),   STR("y.x.c.example.net"), STR("aexample.org"),
	STR("unrelated.example"), STR("dns.google"),        STR("l.example.com"),
	STR("m.l.example.com"),
};
static const char *const dest_texts[] = {
	"10.1.0.0/16",     "10.1.2.3",    "10.0.0.0/8",  "198.51.100.0-198.51.100.9",
	"2001:db8::/32",   "internet",    "private",     "any",
	"set s1",          "set s2",      "list l1",     "list l2",
	"segment g1",      "127.0.0.1",   "127.0.0.0/8", "::1",
	"192.0.2.53",      "0.0.0.0/0",   "::/0",        "64:ff9b::10.1.2.3",
	"255.255.255.255", "203.0.113.7", "9.9.9.9",
};
static const char *const from_texts[] = { "10.1.0.0/16", "segment g1", "192.0.2.1", "2001:db8::1",
					  "set s3" };
static const char *const app_texts[] = {
	"a1", "a2", "a3", "a4", "\"/usr/bin/*\"", "\"/usr/**\"", "unit u.service"
};
static const char *const unit_texts[] = { "u.service", "v*", "user-*.slice" };
static const char *const container_texts[] = { "container name \"web*\"",
					       "container image \"reg/shop:?\"",
					       "container label \"env=prod\"" };
static const char *const port_texts[] = { "443",  "53",     "53/udp", "80-90", "8000-9000/tcp",
					  "icmp", "8/icmp", "47/ip",  "853",   "1-65535/udp" };
static const char *const app_proto_texts[] = { "tls",  "quic", "dns", "ssh",
					       "http", "dot",  "doh", "doq" };

static const uint8_t apps[] = { EG_APP_UNKNOWN, EG_APP_DNS,   EG_APP_TLS, EG_APP_QUIC, EG_APP_SSH,
				EG_APP_HTTP,    EG_APP_HTTP2, EG_APP_DOT, EG_APP_DOQ };
static const struct str labels[] = { STR("env=prod"), STR("team=a") };
static const struct policy_container containers[] = {
	{ STR("web1"), STR("reg/shop:1"), labels, 2 },
	{ STR("web2"), STR("reg/other"), labels + 1, 1 },
	{ STR("db"), STR("reg/shop:2"), NULL, 0 },
	{ STR("db"), STR("reg/other"), labels, 1 },
	{ STR("db"), STR("reg/shop:22"), labels, 2 },
	{ STR("x"), STR("x"), NULL, 0 },
	{ STR("web"), STR("reg/shop:3"), NULL, 0 },
	{ STR("web"), STR(""), labels, 1 },
};
static const char *const local_texts[] = { "10.1.2.3",       "10.2.0.1",     "192.0.2.1",
					   "2001:db8::1",    "2001:db8::2",  "198.51.100.5",
					   "198.51.100.200", "203.0.113.200" };
static const char *const remote_texts[] = {
	"10.1.2.3",
	"10.1.2.4",
	"10.9.9.9",
	"198.51.100.0",
	"198.51.100.9",
	"198.51.100.10",
	"8.8.8.8",
	"9.9.9.9",
	"1.2.3.4",
	"127.0.0.1",
	"127.0.0.53",
	"192.0.2.53",
	"192.0.2.54",
	"203.0.113.7",
	"255.255.255.255",
	"0.0.0.0",
	"2001:db8::7",
	"2001:db9::7",
	"::1",
	"2606:4700::1",
	"2001:db8::53",
	"fd00::1",
	"ff02::1",
	"64:ff9b::10.1.2.3",
	"64:ff9b::8.8.8.8",
	"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
	"172.16.5.5",
	"100.64.0.9",
};
static const struct str exes[] = {
	STR("/usr/bin/curl"),  STR("/usr/bin/apt-get"), STR("/usr/lib/apt/methods/http"),
	STR("/opt/agent/run"), STR("/opt/agent/x/run"), STR("/bin/sh"),
	STR("/srv/job.py"),    STR("/usr/bin"),         STR(""),
};
static const struct str cgroups[] = {
	STR("/system.slice/u.service"),
	STR("/system.slice/u.service/a"),
	STR("/user.slice/user-7.slice/session-1.scope"),
	STR("/user.slice/user-7.slice/user@7.service/u.service"),
	STR("/vx"),
	STR("/grp/sub"),
	STR(""),
};
/* Minutes of the day at which schedules begin or end. */
static const int moments[] = { 0, 8 * 60, 18 * 60, 22 * 60 + 30, 4 * 60, 24 * 60 };
static const uint16_t ports[] = { 443, 53, 80, 85, 91, 8000, 9000, 9001, 853, 22, 8 };
static const uint8_t protos[] = { 6, 6, 6, 17, 17, 1, 58, 132, 47 };

/* What is in the lists of all these policies. */
static const struct {
	const char *list, *entry;
} list_entries[] = {
	{ "l1", "10.1.2.3" },        { "l1", "198.51.100.4/30" }, { "l1", "l.example.com" },
	{ "l1", "2001:db8::7" },     { "l1", "*.c.example.net" }, { "l1", "203.0.113.0/24" },
	{ "l2", "*.l.example.com" }, { "l2", "127.0.0.1" },       { "l2", "9.9.9.9" },
	{ "l2", "a.example.org" },
};

/* Read once. */
static const struct list_entry *read_entries(void)
{
	static struct list_entry entries[ARRAY_SIZE(list_entries)];
	static bool done;

	for (size_t i = 0; i < ARRAY_SIZE(list_entries) && !done; i++) {
		struct str text = str_of(list_entries[i].entry);
		struct list_entry *e = &entries[i];
		struct cidr c;

		*e = (struct list_entry){ .kind = LIST_NAME, .text = text };
		if (cidr_parse(text, &c) == 0) {
			*e = (struct list_entry){ .kind = LIST_RANGE, .lo = c.addr, .hi = c.addr };
			for (unsigned bit = c.bits; bit < 128; bit++) {
				e->lo.b[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
				e->hi.b[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
			}
		} else if (text.p[0] == '*') {
			e->kind = LIST_BELOW;
			e->text = str_sub(text, 2, text.n);
		}
	}
	done = true;
	return entries;
}

int random_load_list(void *ctx, const struct policy_list *l, struct list_sink sink,
		     struct list_report *report)
{
	const struct list_entry *entries = read_entries();

	for (size_t i = 0; i < ARRAY_SIZE(list_entries); i++) {
		int r;

		if (!str_eq(l->name, str_of(list_entries[i].list)))
			continue;
		report->entries++;
		r = sink.on_entry(sink.ctx, &entries[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

const struct random_world *random_world(void)
{
	static struct addr locals[ARRAY_SIZE(local_texts)];
	static bool done;
	static const struct random_world world = {
		.names = names,
		.n_names = ARRAY_SIZE(names),
		.apps = apps,
		.n_apps = ARRAY_SIZE(apps),
		.containers = containers,
		.n_containers = ARRAY_SIZE(containers),
		.locals = locals,
		.n_locals = ARRAY_SIZE(locals),
	};

	for (size_t i = 0; i < ARRAY_SIZE(local_texts) && !done; i++)
		if (addr_parse(str_of(local_texts[i]), &locals[i]) < 0)
			abort();
	done = true;
	return &world;
}

/* --- policies ------------------------------------------------------------------------------------------------------ */

static void put_list(struct dice *d, struct buf *b, const char *word, const char *const *pool,
		     uint32_t n)
{
	uint32_t many = 1 + dice_roll(d, 3);

	buf_printf(b, " %s ", word);
	for (uint32_t i = 0; i < many; i++)
		buf_printf(b, "%s%s", i ? ", " : "", pool[dice_roll(d, n)]);
}

static void put_dests(struct dice *d, struct buf *b)
{
	uint32_t many = 1 + dice_roll(d, 3);

	buf_puts(b, " to ");
	for (uint32_t i = 0; i < many; i++)
		buf_printf(b, "%s%s", i ? ", " : "",
			   dice_roll(d, 2) ? PICK(d, domain_texts) : PICK(d, dest_texts));
}

#define PUT_LIST(d, b, word, pool) put_list(d, b, word, pool, ARRAY_SIZE(pool))

/* Some selectors, none or a few; returns how many. */
static unsigned put_terms(struct dice *d, struct buf *b, uint32_t chance)
{
	unsigned n = 0;

	if (!dice_roll(d, chance) && ++n)
		PUT_LIST(d, b, "app", app_texts);
	if (!dice_roll(d, 2 * chance) && ++n)
		buf_printf(b, " user %u%s", 7 + dice_roll(d, 3), dice_roll(d, 2) ? "" : ", 9");
	if (!dice_roll(d, 3 * chance) && ++n)
		buf_printf(b, " group %u%s", 70 + dice_roll(d, 3), dice_roll(d, 2) ? "" : ", 72");
	if (!dice_roll(d, 4 * chance) && ++n)
		PUT_LIST(d, b, "unit", unit_texts);
	if (!dice_roll(d, 4 * chance) && ++n)
		buf_printf(b, " %s", PICK(d, container_texts));
	if (!dice_roll(d, 4 * chance) && ++n)
		PUT_LIST(d, b, "from", from_texts);
	if (dice_roll(d, 3) && ++n)
		put_dests(d, b);
	if (!dice_roll(d, chance) && ++n)
		PUT_LIST(d, b, "port", port_texts);
	if (!dice_roll(d, 2 * chance) && ++n)
		PUT_LIST(d, b, "speaking", app_proto_texts);
	if (!dice_roll(d, 5 * chance) && ++n)
		buf_printf(b, " during t%u", 1 + dice_roll(d, 2));
	return n;
}

static void put_rule(struct dice *d, struct buf *b)
{
	static const char *const actions[] = { "allow", "allow",  "allow", "deny",
					       "deny",  "reject", "audit" };
	size_t begin = b->n;

	buf_puts(b, PICK(d, actions));
	put_terms(d, b, 3);
	/* `by sni` stands behind names. */
	if (!dice_roll(d, 12)) {
		b->n = begin;
		buf_printf(b, "%s to %s by sni", PICK(d, actions), PICK(d, domain_texts));
	}
	while (!dice_roll(d, 3)) {
		begin = b->n;
		buf_puts(b, " except");
		if (!put_terms(d, b, 4))
			b->n = begin;
	}
	if (!dice_roll(d, 12))
		buf_puts(b, dice_roll(d, 2) ? " until 2026-09-20" : " until 2026-09-25");
	buf_putc(b, '\n');
}

static void put_expect(struct dice *d, struct buf *b)
{
	static const char *const actions[] = { "deny", "deny", "reject", "allow", "audit" };
	size_t during;

	buf_printf(b, "expect %s", PICK(d, actions));
	during = b->n;
	put_terms(d, b, 2);
	/* An expectation is of one moment. */
	for (size_t i = during; i + 8 < b->n; i++)
		if (!memcmp(b->p + i, " during ", 8))
			b->n = i;
	if (dice_roll(d, 3) && !strstr(b->p + during, " user "))
		buf_puts(b, " user 10"); /* no rule names it, so that some expectations hold */
	buf_puts(b, b->n == during ? " user 7\n" : "\n");
}

void random_policy(struct dice *d, struct buf *text)
{
	static const char *const defaults[] = { "default deny\n", "default allow\n",
						"default reject\n", "default audit\n", "" };
	uint32_t many = 1 + dice_roll(d, dice_roll(d, 8) ? 8 : 90);

	buf_clear(text);
	buf_puts(text, dice_roll(d, 4) ? "resolvers 192.0.2.53, 127.0.0.53, 2001:db8::53\n"
				       : "resolvers none\n");
	buf_puts(text, "segment g1 = 10.2.0.0/16, 2001:db8::/64, 198.51.100.128/25\n"
		       "set s1 = 10.1.2.0/24, *.a.example.org, 172.16.0.0/12, set s2\n"
		       "set s2 = 203.0.113.7, d.example.org, 64:ff9b::808:808\n"
		       "set s3 = 198.51.100.0/24, 10.1.2.3\n"
		       "list l1 = file \"l1\"\n"
		       "list l2 = file \"l2\"\n"
		       "app a1 = \"/usr/bin/apt*\", \"/usr/lib/**/methods/?ttp\"\n"
		       "app a2 = tree of \"/opt/**/run\", \"/srv/*.py\"\n"
		       "app a3 = unit u.service, container name \"web*\"\n"
		       "app a4 = app a1, cgroup \"/grp\", container label \"team=*\"\n"
		       "schedule t1 = mon-fri 08:00-18:00\n"
		       "schedule t2 = sat, sun 22:30-04:00, wed 00:00-24:00\n");
	for (uint32_t i = 0; i < many; i++)
		put_rule(d, text);
	buf_puts(text, PICK(d, defaults));
	while (!dice_roll(d, 3))
		put_expect(d, text);
}

/* --- flows --------------------------------------------------------------------------------------------------------- */

static void random_addr(struct dice *d, struct addr *ret)
{
	if (!dice_roll(d, 8)) {
		for (int i = 0; i < 16; i++)
			ret->b[i] = (uint8_t)dice_roll(d, 256);
		if (dice_roll(d, 2))
			*ret = addr_from_v4(ret->b);
	} else {
		static struct addr remotes[ARRAY_SIZE(remote_texts)];
		static bool done;

		for (size_t i = 0; i < ARRAY_SIZE(remote_texts) && !done; i++)
			if (addr_parse(str_of(remote_texts[i]), &remotes[i]) < 0)
				abort();
		done = true;
		*ret = PICK(d, remotes);
	}
}

static void random_unknowns(struct dice *d, struct policy_subject *s)
{
	uint32_t which = 1U << dice_roll(d, 4);

	/* Each more multiplies the ways to try. */
	if (!dice_roll(d, 4))
		which |= 1U << dice_roll(d, 4);
	if (!dice_roll(d, 64))
		which = 15;
	if (which & 1)
		s->visible = EG_VISIBLE_UNKNOWN;
	if (which & 2)
		s->app = EG_APP_UNDECIDED;
	if (which & 4)
		s->container_unknown = true;
	if (which & 8)
		s->local = (struct addr){ { 0 } };
}

void random_subject(struct dice *d, struct policy_subject *ret)
{
	static const uint32_t gids[] = { 70, 71, 72, 73, 70 };
	const struct random_world *w = random_world();
	struct policy_subject s = {
		.exe = PICK(d, exes),
		.cgroup = PICK(d, cgroups),
		.uid_known = dice_roll(d, 12),
		.uid = 6 + dice_roll(d, 5),
		.gids = gids + dice_roll(d, 4),
		.proto = PICK(d, protos),
		.port = PICK(d, ports),
		.has_ports = dice_roll(d, 30),
		.visible = (enum eg_visible)(1 + dice_roll(d, 3)),
		.visible_name = PICK(d, names),
		.app = PICK(d, apps),
		.unix_s = RANDOM_NOW + dice_roll(d, RANDOM_SPAN - 2 * 86400),
	};

	if (!dice_roll(d, 3))
		s.unix_s += PICK(d, moments) * 60 - s.unix_s % 86400 - dice_roll(d, 2);
	s.n_gids = dice_roll(d, 3) ? 1 : dice_roll(d, 2) ? 2 : 0;
	if (s.gids == gids + 4)
		s.n_gids = MIN(s.n_gids, (size_t)1);
	if (!dice_roll(d, 6))
		s.script = PICK(d, exes);
	if (!dice_roll(d, 4))
		while (s.n_ancestors < dice_roll(d, 4))
			s.ancestors[s.n_ancestors++] = PICK(d, exes);
	if (!dice_roll(d, 3))
		s.container = &containers[dice_roll(d, ARRAY_SIZE(containers))];
	s.local = w->locals[dice_roll(d, (uint32_t)w->n_locals)];
	random_addr(d, &s.remote);
	while (s.n_names < EG_FACT_NAMES && dice_roll(d, 5) < 2)
		s.names[s.n_names++] = PICK(d, names);
	if (s.n_names && !dice_roll(d, 3))
		s.visible_name = s.names[0];
	if (!dice_roll(d, 8))
		random_unknowns(d, &s);
	*ret = s;
}
