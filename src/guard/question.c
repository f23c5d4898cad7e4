/* SPDX-License-Identifier: Apache-2.0 */
#include "guard/question.h"

#include <errno.h>
#include <grp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/time.h"
#include "flow/names.h"
#include "guard/guard.h"

#define ASSUMED_MAX 2048

struct asked {
	const struct question *q;
	struct policy_subject s;
	gid_t gids[EG_GIDS_MAX * 4];
	uint32_t gids_32[EG_GIDS_MAX * 4];
	char name[256], cgroup[320];
	struct name *known[NAMES_PER_ADDR];
	struct name_table *table;
	struct buf assumed; /* sentences, a line each */
};

static int wrong(char error[256], const char *fmt, const char *what)
{
	snprintf(error, 256, fmt, what);
	return -EINVAL;
}

static void assume(struct asked *a, const char *fmt, ...)
{
	va_list ap;
	char text[512];

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	buf_puts(&a->assumed, text);
	buf_putc(&a->assumed, '\n');
}

/* ---- who ---- */

static int set_user(struct asked *a, char error[256])
{
	const char *word = a->q->user;
	const struct passwd *pw;
	uint64_t uid;
	int n = ARRAY_SIZE(a->gids);

	if (!word[0]) {
		assume(a, "user: not given; no rule that names a user or group matches");
		return 0;
	}
	if (str_parse_u64(str_of(word), &uid) == 0 && uid < UINT32_MAX)
		pw = getpwuid((uid_t)uid);
	else
		pw = getpwnam(word);
	if (!pw && str_parse_u64(str_of(word), &uid) < 0)
		return wrong(error, "no user '%.100s' here", word);
	a->s.uid_known = true;
	a->s.uid = pw ? pw->pw_uid : (uint32_t)uid;
	if (!pw || getgrouplist(pw->pw_name, pw->pw_gid, a->gids, &n) < 0) {
		assume(a, "groups: none");
		return 0;
	}
	for (int i = 0; i < n; i++)
		a->gids_32[i] = a->gids[i];
	a->s.gids = a->gids_32;
	a->s.n_gids = (size_t)n;
	return 0;
}

static int set_who(struct asked *a, char error[256])
{
	const struct question *q = a->q;

	if (q->app[0] && q->app[0] != '/')
		return wrong(error, "'%.100s' is no path of a program: it begins with '/'", q->app);
	a->s.exe = str_of(q->app);
	a->s.ancestors[0] = a->s.exe;
	a->s.n_ancestors = q->app[0] ? 1 : 0;
	if (!q->app[0])
		assume(a, "program: not given; no rule that names one matches");
	else
		assume(a, "started by: nobody whose tree a rule names");
	if (q->unit[0]) {
		snprintf(a->cgroup, sizeof(a->cgroup), "/system.slice/%s%s", q->unit,
			 strchr(q->unit, '.') ? "" : ".service");
		a->s.cgroup = str_of(a->cgroup);
		assume(a, "cgroup: %s", a->cgroup);
	}
	assume(a, "container: in none");
	return set_user(a, error);
}

/* ---- where to ---- */

static void lower(char *ret, size_t size, struct str name)
{
	size_t n = MIN(name.n, size - 1);

	if (n && name.p[n - 1] == '.')
		n--;
	for (size_t i = 0; i < n; i++)
		ret[i] =
			(char)(name.p[i] >= 'A' && name.p[i] <= 'Z' ? name.p[i] | 0x20 : name.p[i]);
	ret[n] = 0;
}

/* For a name whose address nobody gave: on the internet, of no known server. */
#define ORDINARY_ADDRESS "5.5.5.5"

static int set_address(struct asked *a, char error[256])
{
	struct str given = str_of(a->q->address[0] ? a->q->address : a->q->to);

	if (addr_parse(given, &a->s.remote) == 0)
		return 0;
	if (a->q->address[0])
		return wrong(error, "'%.60s' is no address", a->q->address);
	addr_parse(str_of(ORDINARY_ADDRESS), &a->s.remote);
	assume(a, "address: not known; an ordinary one on the internet (" ORDINARY_ADDRESS
		  "), which a trusted answer called so");
	return 0;
}

/* What answers that were seen said of an address that was given without a name. */
static void set_known_names(struct asked *a, uint64_t now_ns)
{
	size_t n = a->table ? name_table_find(a->table, NULL, &a->s.remote, now_ns, a->known) : 0;

	for (size_t i = 0; i < n; i++) {
		a->s.names[a->s.n_names++] = text_str(a->known[i]->asked);
		assume(a, "the address is called %.*s: an answer that was seen says so",
		       STR_FMT(text_str(a->known[i]->asked)));
	}
	if (!n)
		assume(a, "the address has no name");
}

static int set_destination(struct asked *a, uint64_t now_ns, char error[256])
{
	struct addr addr;
	int r = set_address(a, error);

	if (r < 0)
		return r;
	if (addr_parse(str_of(a->q->to), &addr) == 0) {
		set_known_names(a, now_ns);
		return 0;
	}
	lower(a->name, sizeof(a->name), str_of(a->q->to));
	a->s.names[a->s.n_names++] = str_of(a->name);
	if (a->q->address[0])
		assume(a, "a trusted answer called %s so", a->q->address);
	return 0;
}

static int set_local(struct asked *a, char error[256])
{
	if (!a->q->from[0]) {
		assume(a, "from: not given; a rule with 'from' may match");
		return 0;
	}
	return addr_parse(str_of(a->q->from), &a->s.local) < 0
		       ? wrong(error, "'%.60s' is no address", a->q->from)
		       : 0;
}

/* ---- what is spoken ---- */

static int app_by_name(const char *word)
{
	for (int i = 0; i < APP_PROTO_COUNT; i++)
		if (app_name((enum app_proto)i) && !strcmp(app_name((enum app_proto)i), word))
			return i;
	if (!strcmp(word, "dot"))
		return EG_APP_DOT;
	if (!strcmp(word, "doq"))
		return EG_APP_DOQ;
	return strcmp(word, "doh") ? -1 : EG_APP_DOH;
}

static uint8_t app_by_port(uint8_t proto, uint16_t port)
{
	static const struct {
		uint8_t proto;
		uint16_t port;
		uint8_t app;
	} usual[] = {
		{ IPPROTO_TCP, 443, EG_APP_TLS },  { IPPROTO_UDP, 443, EG_APP_QUIC },
		{ IPPROTO_TCP, 80, EG_APP_HTTP },  { IPPROTO_TCP, 853, EG_APP_DOT },
		{ IPPROTO_UDP, 853, EG_APP_DOQ },  { IPPROTO_TCP, 53, EG_APP_DNS },
		{ IPPROTO_UDP, 53, EG_APP_DNS },   { IPPROTO_TCP, 22, EG_APP_SSH },
		{ IPPROTO_UDP, 123, EG_APP_NTP },  { IPPROTO_TCP, 25, EG_APP_SMTP },
		{ IPPROTO_TCP, 587, EG_APP_SMTP }, { IPPROTO_TCP, 21, EG_APP_FTP },
	};

	for (size_t i = 0; i < ARRAY_SIZE(usual); i++)
		if (usual[i].proto == proto && usual[i].port == port)
			return usual[i].app;
	return EG_APP_UNKNOWN;
}

static bool shows_names(uint8_t app)
{
	return app == EG_APP_TLS || app == EG_APP_QUIC || app == EG_APP_HTTP || app == EG_APP_DOT ||
	       app == EG_APP_DOQ || app == EG_APP_DOH;
}

static const char *word_of(uint8_t app)
{
	switch (app) {
	case EG_APP_UNKNOWN:
		return "no protocol that is known";
	case EG_APP_DOT:
		return "dot";
	case EG_APP_DOQ:
		return "doq";
	case EG_APP_DOH:
		return "doh";
	default:
		return app_name((enum app_proto)app);
	}
}

static int set_speech(struct asked *a, char error[256])
{
	const struct question *q = a->q;
	int app;

	a->s.proto = q->proto ? q->proto : IPPROTO_TCP;
	a->s.has_ports = a->s.proto == IPPROTO_TCP || a->s.proto == IPPROTO_UDP ||
			 a->s.proto == IPPROTO_SCTP || a->s.proto == IPPROTO_UDPLITE;
	a->s.port = q->port;
	if (a->s.has_ports && !q->has_port) {
		a->s.port = 443;
		assume(a, "port: 443");
	}
	if (!q->proto)
		assume(a, "protocol: tcp");
	a->s.app = app_by_port(a->s.proto, a->s.port);
	if (q->speaking[0]) {
		app = app_by_name(q->speaking);
		if (app < 0)
			return wrong(error, "no protocol '%.30s' is known", q->speaking);
		a->s.app = (uint8_t)app;
	} else {
		assume(a, "it speaks %s", word_of(a->s.app));
	}
	a->s.visible = EG_VISIBLE_NONE;
	if (a->name[0] && shows_names(a->s.app)) {
		a->s.visible = EG_VISIBLE_NAME;
		a->s.visible_name = str_of(a->name);
		assume(a, "its first payload names %s", a->name);
	}
	return 0;
}

/* ---- the answer ---- */

static void put_rule(struct json *j, const struct policy *p, size_t rule)
{
	struct guard_rule r;

	if (!guard_rule_of(p, rule, &r))
		return;
	json_str(j, "file", r.file);
	if (r.line)
		json_u64(j, "line", r.line);
	json_str(j, "text", r.text);
	if (r.note.n)
		json_str(j, "note", r.note);
	if (r.is_block)
		json_bool(j, "block", true);
}

struct steps {
	struct json *j;
	const struct policy *p;
};

static void on_step(void *ctx, const struct policy_step *step)
{
	struct steps *s = ctx;

	if (step->decides)
		return;
	json_object_begin(s->j, NULL);
	put_rule(s->j, s->p, step->rule);
	if (step->possible)
		json_bool(s->j, "possible", true);
	json_text(s->j, "why", step->why);
	json_object_end(s->j);
}

static void put_answer(const struct asked *a, const struct policy *p,
		       const struct policy_image *img, const struct eg_verdict *v, struct json *j)
{
	struct steps steps = { j, p };
	struct str rest = buf_str(&a->assumed), line;
	char text[ADDR_TEXT_MAX];
	bool refuses = v->action == EG_DENY || v->action == EG_REJECT;

	json_text(j, "verdict", policy_action_name((enum eg_action)v->action));
	json_bool(j, "refused", refuses && v->enforce);
	json_bool(j, "would_refuse", (refuses && !v->enforce) || v->action == EG_AUDIT);
	json_bool(j, "final", v->final);
	json_text(j, "to", a->q->to);
	json_text(j, "address", addr_format(&a->s.remote, text));
	if (a->s.has_ports)
		json_u64(j, "port", a->s.port);
	json_u64(j, "proto", a->s.proto);
	json_object_begin(j, "rule");
	put_rule(j, p,
		 v->flags & EG_ROW_IMPLIED && v->rule != p->n_rules ? p->n_rules + 1 : v->rule);
	json_object_end(j);
	json_array_begin(j, "passed_over");
	policy_explain(p, img, &a->s, on_step, &steps);
	json_array_end(j);
	json_array_begin(j, "assumed");
	while (str_cut(&rest, '\n', &line))
		json_str(j, NULL, line);
	json_array_end(j);
}

static int ask(struct asked *a, uint64_t now_ns, char error[256])
{
	int r = set_who(a, error);

	if (r == 0)
		r = set_destination(a, now_ns, error);
	if (r == 0)
		r = set_local(a, error);
	if (r == 0)
		r = set_speech(a, error);
	a->s.unix_s = (int64_t)(now_ns / NSEC_PER_SEC);
	return r;
}

int question_answer(const struct question *q, const struct policy *p,
		    const struct policy_image *img, struct name_table *names, uint64_t now_ns,
		    struct json *j, char error[256])
{
	struct asked a = { .q = q, .table = names, .assumed = BUF_INIT(ASSUMED_MAX) };
	struct eg_verdict v;
	int r = ask(&a, now_ns, error);

	if (r == 0) {
		r = policy_judge(img, &a.s, &v);
		if (r < 0)
			snprintf(error, 256, "the image makes no sense");
		else
			put_answer(&a, p, img, &v, j);
	}
	for (size_t i = 0; i < ARRAY_SIZE(a.known); i++)
		if (a.known[i])
			name_put(names, a.known[i]);
	buf_done(&a.assumed);
	return r;
}
