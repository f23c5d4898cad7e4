/* SPDX-License-Identifier: Apache-2.0 */
/* STATE/policy/quotas: what was used, and how far the flows that live were counted. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "attach/policy.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/time.h"
#include "flow/flow.h"
#include "guard/internal.h"

#define NAME "quotas"
#define WORD "egret-quotas 1 "
#define FILE_MAX (128U << 20)

uint64_t quota_flow_key(const struct flow *f)
{
	const struct event_key *k = &f->key;
	struct {
		struct addr src, dst;
		uint64_t ports, zone;
	} all;

	memset(&all, 0, sizeof(all));
	all.src = k->src;
	all.dst = k->dst;
	all.ports = (uint64_t)k->sport << 24 | (uint64_t)k->dport << 8 | k->proto;
	all.zone = k->zone;
	return hash_bytes(&all, sizeof(all), 0) >> 1; /* JSON's numbers have a sign */
}

/* ---- writing ---- */

static void put_quota(struct json *j, const struct quota *q)
{
	const char period[2] = { q->period, 0 };

	json_object_begin(j, NULL);
	json_text(j, "rule", q->text);
	json_text(j, "period", period);
	json_i64(j, "from", q->from_s);
	json_i64(j, "to", q->to_s);
	json_u64(j, "used", MIN(q->used, (uint64_t)INT64_MAX));
	json_u64(j, "told", q->told);
	json_object_end(j);
}

struct marking {
	const struct guard *g;
	struct json *j;
	size_t n;
	uint32_t *place; /* of each quota in the file */
};

static void put_mark(struct marking *m, uint64_t cookie, uint64_t key, uint64_t bytes,
		     uint32_t quota)
{
	if (m->n == QUOTA_MARKS_MAX || m->place[quota] == QUOTA_NONE)
		return;
	m->n++;
	json_array_begin(m->j, NULL);
	json_u64(m->j, NULL, cookie);
	json_u64(m->j, NULL, key);
	json_u64(m->j, NULL, bytes);
	json_u64(m->j, NULL, m->place[quota]);
	json_array_end(m->j);
}

static void on_flow(void *ctx, const struct flow *f)
{
	struct marking *m = ctx;
	const struct quota *q;

	if (!f->live || !f->quoted)
		return;
	q = quota_of(m->g, f);
	if (q)
		put_mark(m, f->cookie, quota_flow_key(f), f->quoted,
			 (uint32_t)(q - m->g->quotas.all));
}

static void put_all(const struct guard *g, struct json *j, uint32_t *place)
{
	struct marking m = { g, j, 0, place };
	uint32_t n = 0;

	json_object_begin(j, NULL);
	json_u64(j, "as_of", (g->cfg.now ? g->cfg.now() : time_now()) - NSEC_PER_SEC);
	json_array_begin(j, "quotas");
	for (size_t i = 0; i < g->quotas.n; i++) {
		const struct quota *q = &g->quotas.all[i];

		place[i] = q->used || q->mapped == g->quotas.n_mapped ? n++ : QUOTA_NONE;
		if (place[i] != QUOTA_NONE)
			put_quota(j, q);
	}
	json_array_end(j);
	json_array_begin(j, "flows");
	if (g->cfg.flows)
		flow_table_each(g->cfg.flows, on_flow, &m);
	for (size_t i = 0; i < g->quotas.n_marks; i++) {
		const struct quota_mark *k = &g->quotas.marks[i];

		if (!k->taken)
			put_mark(&m, k->cookie, k->key, k->bytes, k->quota);
	}
	json_array_end(j);
	json_object_end(j);
}

void quotas_keep(struct guard *g)
{
	_cleanup_free_ uint32_t *place = calloc(g->quotas.n + 1, sizeof(*place));
	_cleanup_buf_ struct buf body = BUF_INIT(FILE_MAX);
	struct json j = JSON_INIT(&body);
	int r = -ENOMEM;

	if (!g->state || !g->quotas.changed)
		return;
	if (place) {
		put_all(g, &j, place);
		r = sealed_write(g->state, NAME, WORD, &body);
	}
	if (r < 0 && !g->quotas.failing)
		log_errno(r,
			  "cannot write %s/" NAME
			  ": after a restart quotas are not what they are now",
			  g->state);
	g->quotas.failing = r < 0;
	g->quotas.changed = r < 0;
}

/* ---- reading ---- */

static bool get_number(const json_t *j, const char *key, int64_t *ret)
{
	const json_t *v = json_object_get(j, key);

	*ret = json_integer_value(v);
	return json_is_integer(v) && *ret >= 0;
}

static int get_quota(struct quota *q, const json_t *j)
{
	const char *text = json_string_value(json_object_get(j, "rule"));
	const char *period = json_string_value(json_object_get(j, "period"));
	int64_t used, told;

	if (!text || !period || !period[0] || period[1] || !strchr("hdwm", period[0]) ||
	    !get_number(j, "from", &q->from_s) || !get_number(j, "to", &q->to_s) ||
	    q->from_s >= q->to_s || !get_number(j, "used", &used) ||
	    !get_number(j, "told", &told) || told > QUOTA_TOLD_SPENT)
		return -EBADMSG;
	q->text = strdup(text);
	if (!q->text)
		return -ENOMEM;
	q->hash = hash_bytes(text, strlen(text), 0);
	q->period = period[0];
	q->used = (uint64_t)used;
	q->told = (enum quota_told)told;
	return 0;
}

static int get_mark(struct quota_mark *m, const json_t *j, size_t n_quotas)
{
	int64_t v[4];

	if (json_array_size(j) != ARRAY_SIZE(v))
		return -EBADMSG;
	for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
		v[i] = json_integer_value(json_array_get(j, i));
		if (!json_is_integer(json_array_get(j, i)) || v[i] < 0)
			return -EBADMSG;
	}
	if ((size_t)v[3] >= n_quotas)
		return -EBADMSG;
	*m = (struct quota_mark){ (uint64_t)v[0], (uint64_t)v[1], (uint64_t)v[2], (uint32_t)v[3],
				  false };
	return 0;
}

static int get_all(struct quotas *ret, const json_t *j)
{
	const json_t *quotas = json_object_get(j, "quotas"), *flows = json_object_get(j, "flows");
	size_t n = json_array_size(quotas), n_marks = json_array_size(flows);
	int64_t as_of;
	int r = 0;

	if (!json_is_array(quotas) || !json_is_array(flows) || n > QUOTAS_MAX ||
	    n_marks > QUOTA_MARKS_MAX || !get_number(j, "as_of", &as_of))
		return -EBADMSG;
	ret->as_of_ns = (uint64_t)as_of;
	ret->all = calloc(n + 1, sizeof(*ret->all));
	ret->marks = calloc(n_marks + 1, sizeof(*ret->marks));
	if (!ret->all || !ret->marks)
		return -ENOMEM;
	for (; r == 0 && ret->n < n; ret->n++)
		r = get_quota(&ret->all[ret->n], json_array_get(quotas, ret->n));
	for (; r == 0 && ret->n_marks < n_marks; ret->n_marks++)
		r = get_mark(&ret->marks[ret->n_marks], json_array_get(flows, ret->n_marks), n);
	return r;
}

static int read_all(struct guard *g)
{
	_cleanup_buf_ struct buf text = BUF_INIT(FILE_MAX);
	_cleanup_close_ int dir = file_open_folder(g->state);
	_cleanup_(json_decrefp) json_t *j = NULL;
	int r = dir < 0 ? dir : file_read(dir, NAME, &text);
	struct str rest = buf_str(&text);

	if (r == 0)
		r = sealed_open(WORD, &rest);
	if (r == 0)
		j = json_loadb(rest.p, rest.n, 0, NULL);
	if (r == 0)
		r = j ? get_all(&g->quotas, j) : -EBADMSG;
	if (r == -EBADMSG)
		file_set_aside(dir, NAME);
	return r;
}

void quotas_read(struct guard *g)
{
	bool goes_on = !g->cfg.attach || attach_took_over(g->cfg.attach);
	int r = g->state ? read_all(g) : -ENOENT;

	if (r < 0)
		quotas_done(g);
	if (r == -EBADMSG)
		log_warn("%s/" NAME " is damaged and was set aside as " NAME
			 ".damaged: quotas begin anew",
			 g->state);
	else if (r < 0 && r != -ENOENT)
		log_errno(r, "cannot read %s/" NAME ": quotas begin anew", g->state);
	if (!goes_on) { /* the kernel's counters begin anew */
		g->quotas.n_marks = 0;
		g->quotas.as_of_ns = 0;
	} else if (r < 0 && g->cfg.attach) {
		g->quotas.as_of_ns = g->cfg.now ? g->cfg.now() : time_now();
	}
	if (g->quotas.n_marks)
		qsort(g->quotas.marks, g->quotas.n_marks, sizeof(*g->quotas.marks),
		      quota_mark_order);
}
