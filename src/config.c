/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/human.h"
#include "base/lex.h"
#include "base/time.h"
#include "config_block.h"
#include "config_clickhouse.h"
#include "config_collector.h"
#include "config_follow.h"
#include "store/ipfix.h"

#define MAX_FILE (1U << 20)
#define DAY_NS (86400 * NSEC_PER_SEC)
#define LEARN_MAX_NS (30 * DAY_NS)
#define KEEP_MIN_BYTES (10 * 1000 * 1000)

struct parser {
	struct lex lex;
	struct config *config;
	struct lex_token watch_at, gateway_at; /* of these statements, for what they say together */
	bool gateway_given;
};

static void config_defaults(struct config *c)
{
	*c = (struct config){
		.cgroup = "/",
		.run = "/run/egret",
		.state = "/var/lib/egret",
		.eve = "/var/log/egret/eve.json",
		.policy = "/etc/egret/policy.egret",
		.page = { .on = true,
			  .addr = addr_from_v4((const uint8_t[]){ 127, 0, 0, 1 }),
			  .port = PAGE_PORT },
		.findings = true,
		.learn_ns = 24 * 3600 * NSEC_PER_SEC,
		.store = store_kinds[0],
		.keep_flows_ns = 30 * DAY_NS,
		.keep_rollups_ns = 400 * DAY_NS,
		.keep_bytes = 20 * 1000 * 1000 * 1000ULL,
		.ipfix_domain = 1,
	};
}

static bool at_end(const struct lex_token *t)
{
	return t->kind == LEX_NEWLINE || t->kind == LEX_END;
}

static bool is_word(const struct lex_token *t, const char *word)
{
	return t->kind == LEX_WORD && str_eq(t->text, str_of(word));
}

/* A path in quotes. */
static void take_path(struct parser *p, char *ret, size_t size)
{
	struct lex_token t = lex_next(&p->lex);

	if (t.kind == LEX_BAD)
		lex_complain(&p->lex, &t, "error", "the string does not end on its line");
	else if (t.kind != LEX_STRING)
		lex_complain(&p->lex, &t, "error", "a path in quotes is expected here");
	else if (!t.text.n || t.text.n >= size || t.text.p[0] != '/' ||
		 memchr(t.text.p, 0, t.text.n))
		lex_complain(&p->lex, &t, "error",
			     "a path that begins with '/' and is shorter than %zu", size);
	else
		snprintf(ret, size, "%.*s", STR_FMT(t.text));
}

/* One of `words`; its index, or -1 with a message. */
static int take_choice(struct parser *p, const char *const *words)
{
	struct lex_token t = lex_next(&p->lex);
	const char *near;

	for (int i = 0; t.kind == LEX_WORD && words[i]; i++)
		if (is_word(&t, words[i]))
			return i;
	near = lex_nearest(t.text, words);
	lex_complain(&p->lex, &t, "error",
		     near ? "unknown word; did you mean '%s'?"
			  : "unknown word; '%s' is one that is known",
		     near ? near : words[0]);
	return -1;
}

static void parse_watch(struct parser *p)
{
	static const char *const roles[] = { "host", "gateway", "console", "collector", NULL };
	struct lex_token at = lex_peek(&p->lex);
	int role = take_choice(p, roles);

	p->watch_at = at;
	p->config->gateway = role == 1;
	if (role > 1)
		lex_complain(&p->lex, &at, "error",
			     "this egret can only watch a host or a gateway yet");
}

static void parse_cgroup(struct parser *p)
{
	struct lex_token at = lex_peek(&p->lex);

	take_path(p, p->config->cgroup, sizeof(p->config->cgroup));
	if (strstr(p->config->cgroup, "/../") || strstr(p->config->cgroup, "//"))
		lex_complain(&p->lex, &at, "error",
			     "a plain path below the cgroup2 mount is expected");
}

static void parse_run(struct parser *p)
{
	take_path(p, p->config->run, sizeof(p->config->run));
}

static void parse_state(struct parser *p)
{
	take_path(p, p->config->state, sizeof(p->config->state));
}

static void parse_eve(struct parser *p)
{
	struct lex_token t = lex_peek(&p->lex);

	if (is_word(&t, "off")) {
		lex_next(&p->lex);
		p->config->eve[0] = 0;
	} else {
		take_path(p, p->config->eve, sizeof(p->config->eve));
	}
}

static void parse_inside(struct parser *p)
{
	struct config *c = p->config;
	struct lex_token t = lex_peek(&p->lex);

	c->n_inside = 0;
	if (is_word(&t, "private")) {
		lex_next(&p->lex);
		return;
	}
	do {
		t = lex_next(&p->lex);
		if (t.kind != LEX_WORD || c->n_inside == CONFIG_MAX_INSIDE ||
		    cidr_parse(t.text, &c->inside[c->n_inside]) < 0)
			lex_complain(&p->lex, &t, "error",
				     "an address or network is expected here, as 10.0.0.0/8 (at "
				     "most %d)",
				     CONFIG_MAX_INSIDE);
		else
			c->n_inside++;
		t = lex_peek(&p->lex);
	} while (t.kind == LEX_COMMA && (lex_next(&p->lex), true));
}

/* ADDRESS:PORT [tls "CERT" "KEY" [client-ca "CA"]]; or off. */
static void parse_page(struct parser *p)
{
	struct lex_token at = lex_next(&p->lex), t = lex_peek(&p->lex);
	struct page_settings *page = &p->config->page;

	*page = (struct page_settings){ .on = !is_word(&at, "off") };
	if (!page->on)
		return;
	if (at.kind != LEX_WORD || !config_parse_endpoint(at.text, &page->addr, &page->port)) {
		lex_complain(&p->lex, &at, "error",
			     "an address and a port are expected here, as 127.0.0.1:8710 or "
			     "[::1]:8710; or off");
		return;
	}
	if (is_word(&t, "tls")) {
		lex_next(&p->lex);
		take_path(p, page->cert, sizeof(page->cert));
		take_path(p, page->key, sizeof(page->key));
		t = lex_peek(&p->lex);
		if (is_word(&t, "client-ca")) {
			lex_next(&p->lex);
			take_path(p, page->client_ca, sizeof(page->client_ca));
		}
	} else if (addr_class(&page->addr) != ADDR_LOOPBACK) {
		lex_complain(&p->lex, &at, "error",
			     "off loopback the page needs tls \"CERT.pem\" \"KEY.pem\"");
	}
}

/* "PATH" watch | enforce; from "URL or PATH" { … }; or off. */
static void parse_policy(struct parser *p)
{
	static const char *const modes[] = { "watch", "enforce", NULL };
	struct lex_token t = lex_peek(&p->lex);
	struct config *c = p->config;

	if (is_word(&t, "off")) {
		lex_next(&p->lex);
		c->policy[0] = 0;
		return;
	}
	if (is_word(&t, "from")) {
		lex_next(&p->lex);
		config_parse_follow(&p->lex, &c->follow);
	} else {
		take_path(p, c->policy, sizeof(c->policy));
		c->policy_given = true;
	}
	if (c->policy_given && c->follow.from[0])
		lex_complain(&p->lex, &t, "error",
			     "a host takes its policy from one place: a file, or who "
			     "publishes it");
	if (c->follow.from[0])
		return;
	t = lex_peek(&p->lex);
	c->enforce = !at_end(&t) && take_choice(p, modes) == 1;
}

static void parse_findings(struct parser *p)
{
	static const char *const words[] = { "off", "on", NULL };

	p->config->findings = take_choice(p, words) == 1;
}

/* 24h, 0s, 7d */
static void parse_learn(struct parser *p)
{
	struct lex_token t = lex_next(&p->lex);

	if (t.kind != LEX_WORD || duration_parse(t.text, &p->config->learn_ns) < 0 ||
	    p->config->learn_ns > LEARN_MAX_NS)
		lex_complain(&p->lex, &t, "error",
			     "a time of at most 30d is expected here, as 24h");
}

/* Behind a "tls://…": ca "FILE". */
static void parse_ca(struct parser *p, struct alert_config *a)
{
	struct lex_token t = lex_peek(&p->lex);

	if (!is_word(&t, "ca"))
		return;
	if (!str_has_prefix(str_of(a->to), STR("tls://")))
		lex_complain(&p->lex, &t, "error", "'ca' belongs to tls://ADDRESS:PORT");
	lex_next(&p->lex);
	take_path(p, a->ca, sizeof(a->ca));
}

/* journal | (syslog | cef) local|"udp://…"|"tcp://…"|"tls://…" [ca "FILE"] [from LEVEL] */
static void parse_alerts(struct parser *p)
{
	static const char *const forms[] = { "syslog", "cef", "journal", NULL };
	struct lex_token at = lex_peek(&p->lex), t;
	struct config *c = p->config;
	struct alert_config a = { .to = "local", .least = SEVERITY_MEDIUM };
	int form = take_choice(p, forms);
	char why[128];

	if (form < 0)
		return;
	a.form = (enum alert_form)form;
	t = lex_peek(&p->lex);
	if (a.form != ALERT_JOURNAL && (t.kind == LEX_STRING || is_word(&t, "local"))) {
		lex_next(&p->lex);
		snprintf(a.to, sizeof(a.to), "%.*s", STR_FMT(t.text));
		if (t.text.n >= sizeof(a.to) || alert_target_check(a.to, why) < 0) {
			lex_complain(&p->lex, &t, "error", "%s", why);
			return;
		}
		parse_ca(p, &a);
		t = lex_peek(&p->lex);
	}
	if (is_word(&t, "from")) {
		lex_next(&p->lex);
		t = lex_next(&p->lex);
		if (t.kind != LEX_WORD || severity_parse(t.text, &a.least) < 0) {
			lex_complain(&p->lex, &t, "error",
				     "low, medium, high or critical is expected here");
			return;
		}
	}
	if (c->n_alerts == CONFIG_MAX_ALERTS)
		lex_complain(&p->lex, &at, "error", "at most %d logs for alerts",
			     CONFIG_MAX_ALERTS);
	else
		c->alerts[c->n_alerts++] = a;
}

/* off | "udp://…" | "tcp://…" [domain NUMBER] */
static void parse_ipfix(struct parser *p)
{
	struct lex_token t = lex_next(&p->lex);
	struct config *c = p->config;
	uint64_t domain;

	c->ipfix[0] = 0;
	if (is_word(&t, "off"))
		return;
	snprintf(c->ipfix, sizeof(c->ipfix), "%.*s", STR_FMT(t.text));
	if (t.kind != LEX_STRING || t.text.n >= sizeof(c->ipfix) || !ipfix_target_ok(c->ipfix)) {
		lex_complain(
			&p->lex, &t, "error",
			"\"udp://ADDRESS:PORT\", \"tcp://ADDRESS:PORT\" or off is expected here");
		return;
	}
	t = lex_peek(&p->lex);
	if (!is_word(&t, "domain"))
		return;
	lex_next(&p->lex);
	t = lex_next(&p->lex);
	if (t.kind != LEX_WORD || str_parse_u64(t.text, &domain) < 0 || domain > UINT32_MAX)
		lex_complain(&p->lex, &t, "error",
			     "the number of an observation domain is expected here");
	else
		c->ipfix_domain = (uint32_t)domain;
}

static void parse_backstop(struct parser *p)
{
	static const char *const words[] = { "off", "on", NULL };

	p->config->backstop = take_choice(p, words) == 1;
}

static void parse_geo(struct parser *p)
{
	static const char *const kinds[] = { "country", "asn", NULL };
	struct config *c = p->config;
	int kind = take_choice(p, kinds);

	if (kind == 0)
		take_path(p, c->geo_country, sizeof(c->geo_country));
	else if (kind == 1)
		take_path(p, c->geo_asn, sizeof(c->geo_asn));
}

/* sqlite | off: the history of this host; clickhouse { … }: beside it */
static void parse_store(struct parser *p)
{
	const char *words[8] = { "off" };
	int n = 1, word;

	for (; store_kinds[n - 1] && n + 2 < (int)ARRAY_SIZE(words); n++)
		words[n] = store_kind_name(store_kinds[n - 1]);
	words[n] = "clickhouse";
	word = take_choice(p, words);
	if (word == n)
		config_parse_clickhouse(&p->lex, &p->config->clickhouse);
	else if (word >= 0)
		p->config->store = word ? store_kinds[word - 1] : NULL;
}

static void parse_collector(struct parser *p)
{
	config_parse_collector(&p->lex, &p->config->collector);
}

static void take_time(struct parser *p, uint64_t *ret)
{
	struct lex_token t = lex_next(&p->lex);

	if (t.kind == LEX_WORD && duration_parse(t.text, ret) == 0 && *ret >= DAY_NS)
		return;
	lex_complain(&p->lex, &t, "error", "a time of at least 1d is expected here, as 30d");
}

static void take_size(struct parser *p, uint64_t *ret)
{
	struct lex_token t = lex_next(&p->lex);

	if (t.kind == LEX_WORD && size_parse(t.text, ret) == 0 && *ret >= KEEP_MIN_BYTES)
		return;
	lex_complain(&p->lex, &t, "error", "a size of at least 10mb is expected here, as 20gb");
}

/* { flows TIME  rollups TIME  max_size SIZE }, on one line or several, each at most once and none a must */
static void parse_retention(struct parser *p)
{
	static const char *const words[] = { "flows", "rollups", "max_size", NULL };
	struct lex_token at = lex_next(&p->lex), t;
	struct config *c = p->config;
	unsigned errors = p->lex.n_errors;

	if (at.kind != LEX_OPEN) {
		lex_complain(&p->lex, &at, "error", "'{' is expected here");
		return;
	}
	for (;;) {
		t = lex_peek(&p->lex);
		if (t.kind == LEX_END || p->lex.n_errors > errors)
			break;
		if (t.kind == LEX_CLOSE || t.kind == LEX_NEWLINE || t.kind == LEX_COMMA) {
			lex_next(&p->lex);
			if (t.kind == LEX_CLOSE)
				return;
			continue;
		}
		switch (take_choice(p, words)) {
		case 0:
			take_time(p, &c->keep_flows_ns);
			break;
		case 1:
			take_time(p, &c->keep_rollups_ns);
			break;
		case 2:
			take_size(p, &c->keep_bytes);
			break;
		}
	}
	if (p->lex.n_errors == errors)
		lex_complain(&p->lex, &at, "error", "the '{' of this statement is never closed");
}

static bool has_interface(const char list[][16], size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(list[i], name))
			return true;
	return false;
}

/* NAME, NAME …: added to `list`, unless one is named already. */
static void take_interfaces(struct parser *p, char list[][16], size_t *n)
{
	struct config *c = p->config;
	struct lex_token t;
	char name[16];

	do {
		t = lex_next(&p->lex);
		if ((t.kind != LEX_WORD && t.kind != LEX_STRING) || !t.text.n ||
		    t.text.n >= sizeof(name) || memchr(t.text.p, '/', t.text.n)) {
			lex_complain(&p->lex, &t, "error",
				     "the name of an interface is expected here, as lan0");
			return;
		}
		snprintf(name, sizeof(name), "%.*s", STR_FMT(t.text));
		if (has_interface(c->gate_inside, c->n_gate_inside, name) ||
		    has_interface(c->gate_outside, c->n_gate_outside, name))
			lex_complain(&p->lex, &t, "error", "this interface is named twice");
		else if (*n == CONFIG_MAX_GATE)
			lex_complain(&p->lex, &t, "error", "at most %d interfaces",
				     CONFIG_MAX_GATE);
		else
			memcpy(list[(*n)++], name, sizeof(name));
		t = lex_peek(&p->lex);
	} while (t.kind == LEX_COMMA && (lex_next(&p->lex), true));
}

/* "PATH", "PATH" … */
static void take_leases(struct parser *p)
{
	struct config *c = p->config;
	struct lex_token t;

	do {
		t = lex_peek(&p->lex);
		if (c->n_gate_leases == CONFIG_MAX_LEASES) {
			lex_complain(&p->lex, &t, "error", "at most %d files of leases",
				     CONFIG_MAX_LEASES);
			return;
		}
		take_path(p, c->gate_leases[c->n_gate_leases], sizeof(c->gate_leases[0]));
		c->n_gate_leases++;
		t = lex_peek(&p->lex);
	} while (t.kind == LEX_COMMA && (lex_next(&p->lex), true));
}

/* { inside NAME, NAME …  outside NAME …  leases "PATH" … }, on one line or several */
static void parse_gateway(struct parser *p)
{
	static const char *const words[] = { "inside", "outside", "leases", NULL };
	struct lex_token at = lex_next(&p->lex), t;
	struct config *c = p->config;
	unsigned errors = p->lex.n_errors;
	int word;

	if (!p->gateway_given)
		p->gateway_at = at;
	p->gateway_given = true;
	if (at.kind != LEX_OPEN) {
		lex_complain(&p->lex, &at, "error", "'{' is expected here");
		return;
	}
	for (;;) {
		t = lex_peek(&p->lex);
		if (t.kind == LEX_END || p->lex.n_errors > errors)
			break;
		if (t.kind == LEX_CLOSE || t.kind == LEX_NEWLINE) {
			lex_next(&p->lex);
			if (t.kind == LEX_NEWLINE)
				continue;
			if (!c->n_gate_inside)
				lex_complain(&p->lex, &at, "error",
					     "a gateway needs an interface that is inside");
			return;
		}
		word = take_choice(p, words);
		if (word == 0)
			take_interfaces(p, c->gate_inside, &c->n_gate_inside);
		else if (word == 1)
			take_interfaces(p, c->gate_outside, &c->n_gate_outside);
		else if (word == 2)
			take_leases(p);
	}
	if (p->lex.n_errors == errors)
		lex_complain(&p->lex, &at, "error", "the '{' of this statement is never closed");
}

/* `watch gateway` and `gateway { … }` need each other. */
static void check_gateway(struct parser *p)
{
	if (p->config->gateway && !p->gateway_given)
		lex_complain(&p->lex, &p->watch_at, "error",
			     "a gateway needs the statement gateway { inside … outside … }");
	if (!p->config->gateway && p->gateway_given)
		lex_complain(&p->lex, &p->gateway_at, "error",
			     "this has no effect without 'watch gateway'");
}

static const struct statement {
	const char *word;
	void (*parse)(struct parser *p);
} statements[] = {
	{ "watch", parse_watch },     { "cgroup", parse_cgroup },
	{ "run", parse_run },         { "state", parse_state },
	{ "eve", parse_eve },         { "inside", parse_inside },
	{ "page", parse_page },       { "policy", parse_policy },
	{ "store", parse_store },     { "retention", parse_retention },
	{ "gateway", parse_gateway }, { "backstop", parse_backstop },
	{ "geo", parse_geo },         { "findings", parse_findings },
	{ "alerts", parse_alerts },   { "learn", parse_learn },
	{ "ipfix", parse_ipfix },     { "collector", parse_collector },
};

static void unknown_statement(struct parser *p, const struct lex_token *t)
{
	const char *words[ARRAY_SIZE(statements) + 1] = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(statements); i++)
		words[i] = statements[i].word;
	lex_unknown_statement(&p->lex, t, words);
	lex_skip_line(&p->lex);
}

static void parse_statement(struct parser *p)
{
	struct lex_token t = lex_next(&p->lex);
	unsigned errors = p->lex.n_errors;

	if (at_end(&t))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(statements); i++) {
		if (!is_word(&t, statements[i].word))
			continue;
		statements[i].parse(p);
		t = lex_peek(&p->lex);
		if (!at_end(&t) && errors == p->lex.n_errors)
			lex_complain(&p->lex, &t, "error", "the statement should end here");
		lex_skip_line(&p->lex);
		return;
	}
	unknown_statement(p, &t);
}

int config_parse(struct config *ret, const char *file, struct str text, struct buf *messages)
{
	struct config config;
	struct parser p = { .config = &config };

	config_defaults(&config);
	lex_init(&p.lex, file, text, messages);
	while (lex_peek(&p.lex).kind != LEX_END)
		parse_statement(&p);
	if (!p.lex.n_errors)
		check_gateway(&p);
	if (p.lex.n_errors)
		return -EINVAL;
	*ret = config;
	return 0;
}

int config_read(struct config *ret, const char *path, bool optional, struct buf *messages)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	_cleanup_buf_ struct buf text = BUF_INIT(MAX_FILE);
	char block[4096];
	size_t n;

	if (!f && errno == ENOENT && optional)
		return config_parse(ret, path, STR(""), messages);
	if (!f)
		return -errno;
	while ((n = fread(block, 1, sizeof(block), f)))
		buf_put(&text, block, n);
	if (ferror(f))
		return -EIO;
	if (text.failed)
		return -EFBIG;
	return config_parse(ret, path, buf_str(&text), messages);
}

bool config_has_policy(const struct config *c)
{
	return c->policy[0] && !c->follow.from[0] &&
	       (c->policy_given || access(c->policy, F_OK) == 0);
}
