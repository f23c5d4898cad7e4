/* SPDX-License-Identifier: Apache-2.0 */
/* "who": all that is kept of one address, or of a name and what lies below it. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/time.h"
#include "flow/flow.h"
#include "history/verbs.h"

#define RECENT 20
#define LISTED 50
#define FINDINGS 50
#define POINTS 60

enum { NAMES, ADDRESSES, APPS, PORTS, RULES, KINDS };

struct who {
	struct answering *a;
	struct str what;
	bool is_address;
	struct groups *groups[KINDS];
	struct moved total;
	uint64_t start_ns, step_ns;
	uint64_t up[POINTS], down[POINTS];
	struct buf recent; /* the newest records, oldest piece last, with commas */
	size_t n_recent;
	char country[3], as_org[256], domain[256], segment[256];
	uint32_t asn;
};

static bool is_or_below(struct str name, struct str what)
{
	if (name.n < what.n || !str_eq_nocase(str_sub(name, name.n - what.n, what.n), what))
		return false;
	return name.n == what.n || name.p[name.n - what.n - 1] == '.';
}

static bool is_meant(const struct who *w, const struct store_row *row, const struct addr *peer)
{
	struct addr a;

	if (w->is_address)
		return addr_parse(w->what, &a) == 0 && addr_eq(&a, peer);
	if (is_or_below(row->peer.name, w->what))
		return true;
	for (size_t i = 0; i < row->peer.n_names; i++)
		if (is_or_below(row->peer.names[i], w->what))
			return true;
	return false;
}

static int add(struct who *w, int kind, const struct str *keys, const struct moved *sum)
{
	struct group *g = groups_get(w->groups[kind], keys);

	if (!g)
		return -ENOMEM;
	moved_add(&g->sum, sum);
	return 0;
}

static void take_place(struct who *w, const struct store_peer *p)
{
	memcpy(w->country, p->country, sizeof(w->country));
	w->asn = p->asn;
	snprintf(w->as_org, sizeof(w->as_org), "%.*s", STR_FMT(p->as_org));
	snprintf(w->domain, sizeof(w->domain), "%.*s", STR_FMT(p->domain));
	snprintf(w->segment, sizeof(w->segment), "%.*s", STR_FMT(p->segment));
}

static int take_recent(struct who *w, const struct store_row *row)
{
	struct answering *a = w->a;
	int r;

	if (w->n_recent == RECENT)
		return 0;
	r = put_record(a, row);
	if (r == 0) {
		if (w->n_recent++)
			buf_putc(&w->recent, ',');
		buf_put(&w->recent, a->line.p, a->line.n - 1);
	}
	buf_clear(&a->line);
	return r;
}

static void take_point(struct who *w, uint64_t time_ns, const struct moved *s)
{
	size_t at = time_ns > w->start_ns ? (time_ns - w->start_ns) / w->step_ns : 0;

	at = MIN(at, (size_t)POINTS - 1);
	w->up[at] += s->up;
	w->down[at] += s->down;
}

static int take(void *ctx, const struct store_row *row)
{
	struct who *w = ctx;
	const struct addr *peer = row->key_is_ours_dst ? &row->key.src : &row->key.dst;
	char address[ADDR_TEXT_MAX], port[8], proto[8];
	struct store_key_scratch scratch;
	struct store_key key;
	struct moved sum = moved_of_row(row);
	const char *source = name_source_name((enum name_source)row->peer.name_source);
	int r;

	if (!is_meant(w, row, peer))
		return 0;
	store_row_key(row, &scratch, &key);
	if (!w->total.last_ns)
		take_place(w, &row->peer);
	moved_add(&w->total, &sum);
	take_point(w, row->to_ns, &sum);
	snprintf(port, sizeof(port), "%u", row->key.dport);
	r = add(w, ADDRESSES, &(struct str){ addr_format(peer, address), strlen(address) }, &sum);
	if (r == 0 && row->peer.name.n)
		r = add(w, NAMES, (struct str[]){ row->peer.name, str_of(source) }, &sum);
	for (size_t i = 0; r == 0 && i < row->peer.n_names; i++)
		if (!str_eq(row->peer.names[i], row->peer.name))
			r = add(w, NAMES, (struct str[]){ row->peer.names[i], STR("dns") },
				&(struct moved){ .first_ns = row->from_ns, .last_ns = row->to_ns });
	if (r == 0)
		r = add(w, APPS, (struct str[]){ key.dim[STORE_DIM_APP], key.dim[STORE_DIM_USER] },
			&sum);
	if (r == 0)
		r = add(w, PORTS,
			(struct str[]){ flow_proto_has_ports(row->key.proto) ? str_of(port)
									     : STR_NONE,
					str_of(flow_proto_name(row->key.proto, proto)),
					key.dim[STORE_DIM_PROTOCOL] },
			&sum);
	if (r == 0 && key.dim[STORE_DIM_RULE].n)
		r = add(w, RULES,
			(struct str[]){ key.dim[STORE_DIM_RULE], key.dim[STORE_DIM_VERDICT] },
			&sum);
	return r == 0 ? take_recent(w, row) : r;
}

static uint64_t by_last(const struct group *g)
{
	return g->sum.last_ns;
}

static uint64_t by_bytes(const struct group *g)
{
	return g->sum.up + g->sum.down + g->sum.flows;
}

static int put_groups(struct who *w, int kind, const char *key, const char *const *words,
		      uint64_t (*sort)(const struct group *))
{
	struct json *j = &w->a->j;
	size_t n;
	struct group **rows = groups_sorted(w->groups[kind], sort, &n);

	if (!rows)
		return -ENOMEM;
	json_array_begin(j, key);
	for (size_t i = 0; i < n && i < LISTED; i++) {
		json_object_begin(j, NULL);
		for (size_t k = 0; words[k]; k++)
			if (rows[i]->key[k].n)
				json_str(j, words[k], rows[i]->key[k]);
		put_moved(j, &rows[i]->sum);
		json_object_end(j);
	}
	json_array_end(j);
	return 0;
}

/* A finding is about it when its peer, name or address is. */
struct findings {
	struct who *who;
	size_t n;
};

static bool text_is_meant(const struct who *w, const json_t *v)
{
	struct str s = str_of(json_string_value(v)), host = s;
	const char *colon = s.n ? memrchr(s.p, ':', s.n) : NULL;

	if (colon)
		host.n = (size_t)(colon - s.p);
	if (w->is_address)
		return str_eq(s, w->what) || str_eq(host, w->what);
	return is_or_below(s, w->what) || is_or_below(host, w->what);
}

static int take_finding(void *ctx, uint64_t time_ns, struct str id, struct str record)
{
	struct findings *f = ctx;
	json_t *root = json_loadb(record.p, record.n, 0, NULL), *finding;
	bool meant;

	finding = json_object_get(json_object_get(root, "egret"), "finding");
	meant = text_is_meant(f->who, json_object_get(finding, "peer")) ||
		text_is_meant(f->who, json_object_get(finding, "name")) ||
		text_is_meant(f->who, json_object_get(root, "dest_ip"));
	json_decref(root);
	while (record.n && record.p[record.n - 1] == '\n')
		record.n--;
	if (meant && f->n++ < FINDINGS)
		json_raw(&f->who->a->j, NULL, record);
	return 0;
}

static int put_findings(struct who *w)
{
	struct scan *s = &w->a->scan;
	struct findings f = { w, 0 };
	int r = 0;

	json_array_begin(&w->a->j, "findings");
	if (s->fleet)
		r = fleet_findings(w->a, take_finding, &f);
	else if (s->reader)
		r = store_read_findings(s->reader, s->question->span, take_finding, &f);
	json_array_end(&w->a->j);
	return r;
}

static void put_timeline(struct who *w)
{
	struct json *j = &w->a->j;

	json_object_begin(j, "timeline");
	json_u64(j, "start", w->start_ns / NSEC_PER_SEC);
	json_u64(j, "step", w->step_ns / NSEC_PER_SEC);
	json_array_begin(j, "up");
	for (size_t i = 0; i < POINTS; i++)
		json_u64(j, NULL, w->up[i]);
	json_array_end(j);
	json_array_begin(j, "down");
	for (size_t i = 0; i < POINTS; i++)
		json_u64(j, NULL, w->down[i]);
	json_array_end(j);
	json_object_end(j);
}

static const char *or_null(const char *s)
{
	return s[0] ? s : NULL;
}

static int put_all(struct who *w)
{
	struct answering *a = w->a;
	struct json *j = &a->j;
	int r;

	line_begin(a);
	json_str(j, "what", w->what);
	json_text(j, "kind", w->is_address ? "address" : "name");
	json_text(j, "domain", or_null(w->domain));
	json_text(j, "segment", or_null(w->segment));
	json_text(j, "country", or_null(w->country));
	if (w->asn)
		json_u64(j, "asn", w->asn);
	json_text(j, "as_org", or_null(w->as_org));
	put_moved(j, &w->total);
	r = put_groups(w, NAMES, "names", (const char *[]){ "name", "source", NULL }, by_last);
	if (r == 0)
		r = put_groups(w, ADDRESSES, "addresses", (const char *[]){ "address", NULL },
			       by_last);
	if (r == 0)
		r = put_groups(w, APPS, "apps", (const char *[]){ "app", "user", NULL }, by_bytes);
	if (r == 0)
		r = put_groups(w, PORTS, "ports",
			       (const char *[]){ "port", "proto", "protocol", NULL }, by_bytes);
	if (r == 0)
		r = put_groups(w, RULES, "rules", (const char *[]){ "rule", "verdict", NULL },
			       by_bytes);
	if (r == 0)
		r = put_findings(w);
	if (r < 0)
		return r;
	put_timeline(w);
	json_array_begin(j, "flows_recent");
	if (w->n_recent)
		json_raw(j, NULL, buf_str(&w->recent));
	json_array_end(j);
	end_common(a);
	return line_end(a);
}

int answer_who(struct answering *a)
{
	static const size_t keys[KINDS] = {
		[NAMES] = 2, [ADDRESSES] = 1, [APPS] = 2, [PORTS] = 3, [RULES] = 2
	};
	const struct store_span *span = &a->question->span;
	struct who w = { .a = a, .what = str_of(a->question->what), .recent = BUF_INIT(4U << 20) };
	struct store_hint hint = { 0 };
	struct addr addr;
	uint64_t now, length;
	int r = 0;

	w.is_address = addr_parse(w.what, &addr) == 0;
	if (w.is_address)
		hint.peer = &addr;
	else
		hint.name_below = w.what;
	now = a->scan.source->now_ns;
	w.start_ns = span->from_ns;
	length = span->from_ns < now ? MIN(span->to_ns, now + 1) - span->from_ns : 0;
	w.step_ns = (length / POINTS / NSEC_PER_SEC + 1) *
		    NSEC_PER_SEC; /* whole seconds, and all of it fits */
	for (int i = 0; r == 0 && i < KINDS; i++)
		r = groups_new(&w.groups[i], keys[i]);
	if (r == 0)
		r = scan_rows(&a->scan, *span, &hint, true, take, &w);
	if (r == 0)
		r = put_all(&w);
	for (int i = 0; i < KINDS; i++)
		groups_free(w.groups[i]);
	buf_done(&w.recent);
	return r;
}
