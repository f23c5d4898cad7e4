/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ports: 443, 8000-8100, https, 53/udp, icmp, 8/icmp, 47/ip. Names are a few that are always there and those of
 * /etc/services.
 */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "policy/parse.h"

#define SERVICES_FILE "/etc/services"
#define SERVICES_MAX (4U << 20)

static const struct {
	const char *name;
	uint16_t port;
} known[] = {
	{ "ssh", 22 },         { "smtp", 25 },    { "domain", 53 }, { "dns", 53 },
	{ "http", 80 },        { "ntp", 123 },    { "imap", 143 },  { "snmp", 161 },
	{ "ldap", 389 },       { "https", 443 },  { "smtps", 465 }, { "syslog", 514 },
	{ "submission", 587 }, { "ldaps", 636 },  { "dot", 853 },   { "imaps", 993 },
	{ "pop3s", 995 },      { "mysql", 3306 }, { "rdp", 3389 },  { "postgresql", 5432 },
	{ "postgres", 5432 },  { "redis", 6379 },
};

static const struct group {
	const char *name;
	uint8_t group;
	uint16_t least, most;
} groups[] = {
	{ "tcp", EG_PORTS_TCP, 1, 65535 }, { "udp", EG_PORTS_UDP, 1, 65535 },
	{ "icmp", EG_PORTS_ICMP, 0, 255 }, { "icmp6", EG_PORTS_ICMP6, 0, 255 },
	{ "ip", EG_PORTS_PROTO, 0, 255 },
};

static void add_port(struct parser *p, uint8_t group, uint64_t lo, uint64_t hi)
{
	*(struct port_range *)vec_add(p, &p->ports, sizeof(struct port_range)) =
		(struct port_range){ .group = group, .lo = (uint16_t)lo, .hi = (uint16_t)hi };
}

/* Without a protocol: every protocol that has ports. */
static void add_all(struct parser *p, uint64_t lo, uint64_t hi)
{
	add_port(p, EG_PORTS_TCP, lo, hi);
	add_port(p, EG_PORTS_UDP, lo, hi);
	add_port(p, EG_PORTS_OTHER, lo, hi);
}

static const struct group *find_group(struct str name)
{
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
		if (str_eq(name, str_of(groups[i].name)))
			return &groups[i];
	return NULL;
}

/* --- names of ports --------------------------------------------------------------------------------------------- */

/* The next word of a line of /etc/services; empty at its end. */
static struct str cut_word(struct str *line)
{
	struct str s = str_trim(*line), word = s;

	for (word.n = 0; word.n < s.n && s.p[word.n] != ' ' && s.p[word.n] != '\t'; word.n++)
		;
	*line = str_sub(s, word.n, s.n);
	return word;
}

/* One line: its port and protocol when it is of that service. */
static bool service_line(struct str line, struct str name, uint64_t *ret_port,
			 const struct group **ret_group)
{
	struct str first = cut_word(&line), port = cut_word(&line), number, alias = first;
	bool found = false;

	if (!first.n || first.p[0] == '#' || !str_cut(&port, '/', &number) ||
	    str_parse_u64(number, ret_port) < 0 || !*ret_port || *ret_port > 65535)
		return false;
	*ret_group = find_group(port);
	while (alias.n && alias.p[0] != '#' && !found) {
		found = str_eq(alias, name);
		alias = cut_word(&line);
	}
	return found && *ret_group;
}

static void add_in(struct parser *p, const struct group *only, uint64_t port)
{
	if (only)
		add_port(p, only->group, port, port);
	else
		add_all(p, port, port);
}

static struct str services(struct parser *p)
{
	_cleanup_buf_ struct buf file = BUF_INIT(SERVICES_MAX);
	char key[FILE_KEY_MAX];

	if (!p->services.p)
		p->services = read_policy_file(SERVICES_FILE, true, &file, key) < 0
				      ? STR("")
				      : arena_take(p, &file);
	return p->services;
}

/* `only`: the protocol that was written behind the name; NULL: none. */
static bool add_service(struct parser *p, struct str name, const struct group *only)
{
	uint64_t port, lo = UINT64_MAX, hi = 0;
	const struct group *group;
	struct str text, line;

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (str_eq(name, str_of(known[i].name))) {
			add_in(p, only, known[i].port);
			return true;
		}
	text = services(p);
	while (str_cut(&text, '\n', &line))
		if (service_line(line, name, &port, &group)) {
			lo = MIN(lo, port);
			hi = MAX(hi, port);
		}
	if (lo == hi)
		add_in(p, only, lo);
	text = lo < hi ? services(p)
		       : STR(""); /* not one number for all: each as the file has it */
	while (str_cut(&text, '\n', &line))
		if (service_line(line, name, &port, &group) && (!only || only == group))
			add_port(p, group->group, port, port);
	return hi;
}

/* --- ports ------------------------------------------------------------------------------------------------------- */

static bool parse_range(struct str s, uint64_t *lo, uint64_t *hi)
{
	const char *dash = memchr(s.p, '-', s.n);

	if (!dash) {
		*hi = 0;
		if (str_parse_u64(s, lo) < 0)
			return false;
		*hi = *lo;
		return true;
	}
	return str_parse_u64(str_sub(s, 0, (size_t)(dash - s.p)), lo) == 0 &&
	       str_parse_u64(str_sub(s, (size_t)(dash - s.p) + 1, s.n), hi) == 0;
}

static void told_port(struct parser *p, const struct lex_token *t)
{
	static const char *names[ARRAY_SIZE(known) + 1];
	const char *colon = memchr(t->text.p, ':', t->text.n),
		   *slash = memchr(t->text.p, '/', t->text.n);
	struct str head = slash ? str_sub(t->text, 0, (size_t)(slash - t->text.p)) : t->text;
	struct str tail = slash ? str_sub(t->text, head.n + 1, t->text.n) : STR("");
	struct advice a;
	uint64_t lo, hi;

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		names[i] = known[i].name;
	if (slash && find_group(head))
		mistake(p, t, "the protocol stands behind the port\nwrite '%.*s/%.*s'",
			QUOTED(tail), QUOTED(head));
	else if (slash && parse_range(head, &lo, &hi))
		mistake(p, t,
			"'%.*s' is no protocol of ports\nas 443/tcp, 53/udp, 8/icmp, 128/icmp6 or "
			"47/ip",
			QUOTED(tail));
	else if (t->text.n > 1 && t->text.p[t->text.n - 1] == ';')
		mistake(p, t, "a statement ends with its line, not with ';'");
	else if (colon)
		mistake(p, t, "a range of ports is written with '-'\nas 8000-8100");
	else if (find_group(t->text))
		mistake(p, t,
			"a protocol stands behind a port\nwrite '443/%.*s'; every port: "
			"'1-65535/%.*s'",
			QUOTED(t->text), QUOTED(t->text));
	else if (is_word(t, "any") || is_word(t, "all") || is_word(t, "*"))
		mistake(p, t, "every port is meant when 'port' is left out");
	else if (t->text.n && (t->text.p[0] == '<' || t->text.p[0] == '>' || t->text.p[0] == '!'))
		mistake(p, t,
			"ports are not compared\na range is written 1024-65535; what is left out: "
			"'except port 22'");
	else
		mistake(p, t, "'%.*s' is no port%s", QUOTED(t->text),
			advise(&a, t->text, names)[0]
				? a.text
				: "\nas 443, 8000-8100, https, 53/udp or icmp");
}

static void take_port(struct parser *p)
{
	struct lex_token t = p->tok;
	const char *slash = t.kind == LEX_WORD ? memchr(t.text.p, '/', t.text.n) : NULL;
	struct str number = slash ? str_sub(t.text, 0, (size_t)(slash - t.text.p)) : t.text;
	const struct group *g = slash ? find_group(str_sub(t.text, number.n + 1, t.text.n)) : NULL;
	uint64_t lo = 0, hi = 0, least = g ? g->least : 1, most = g ? g->most : 65535;

	if (t.kind != LEX_WORD) {
		mistake(p, &t, "a port is expected here\nas 443, 8000-8100, https, 53/udp or icmp");
		if (!at_end(&t))
			next(p);
		return;
	}
	next(p);
	if (is_word(&t, "icmp") || is_word(&t, "icmp6")) {
		add_port(p, find_group(t.text)->group, 0, 65535);
	} else if ((slash && !g) || !parse_range(number, &lo, &hi)) {
		if ((slash && (!g || g->most != 65535)) || number.n > 40 ||
		    !add_service(p, number, g))
			told_port(p, &t);
	} else if (lo > hi) {
		mistake(p, &t, "this range goes backwards\nwrite %u-%u", (unsigned)hi,
			(unsigned)lo);
	} else if (lo < least || hi > most) {
		mistake(p, &t,
			g && most == 255 ? "numbers go from %u to %u here"
					 : "ports go from %u to %u",
			(unsigned)least, (unsigned)most);
	} else if (g) {
		add_port(p, g->group, lo, hi);
	} else {
		add_all(p, lo, hi);
	}
	if (is_word(&p->tok, "-"))
		mistake(p, &p->tok, "a range is written without blanks\nas 8000-8100");
	if (p->ports.n > 3 * PARSE_VALUES_MAX)
		mistake(p, &t, "more than %d values", PARSE_VALUES_MAX);
}

void take_ports(struct parser *p, struct policy_terms *terms)
{
	p->ports.n = 0;
	do {
		unsigned errors = p->errors;

		take_port(p);
		if (p->errors - errors > 1)
			break;
	} while (!p->failed && p->ports.n <= 3 * PARSE_VALUES_MAX && more_values(p));
	terms->ports = vec_take(p, &p->ports, sizeof(struct port_range), &terms->n_ports);
}
