/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/refusals.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/hash.h"
#include "base/human.h"
#include "cli/table.h"
#include "flow/record.h"

#define BUCKETS 4096
#define KEY_MAX 16384
#define CELLS 5 /* program, to, port, verdict, rule */

struct row {
	struct row *next;
	uint64_t hash, times;
	size_t n;
	char cells[]; /* NUL-ended, one after the other */
};

struct refusals {
	size_t count, max;
	uint64_t others;
	struct row *buckets[BUCKETS];
	struct buf key;
};

int refusals_new(struct refusals **ret, size_t max_rows)
{
	struct refusals *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->max = max_rows;
	r->key = BUF_INIT(KEY_MAX);
	*ret = r;
	return 0;
}

struct refusals *refusals_free(struct refusals *r)
{
	if (!r)
		return NULL;
	for (size_t i = 0; i < BUCKETS; i++) {
		for (struct row *at = r->buckets[i], *next; at; at = next) {
			next = at->next;
			free(at);
		}
	}
	buf_done(&r->key);
	free(r);
	return NULL;
}

static void put_cell(struct buf *key, struct str s)
{
	const char *nul = s.n ? memchr(s.p, 0, s.n) : NULL;

	buf_put_str(key, nul ? str_sub(s, 0, (size_t)(nul - s.p)) : s);
	buf_putc(key, 0);
}

static void put_port(struct buf *key, const struct event_key *k)
{
	char text[8];

	if (flow_proto_has_ports(k->proto))
		buf_printf(key, "%u/", k->dport);
	for (const char *p = flow_proto_name(k->proto, text); *p; p++)
		buf_putc(key, *p >= 'A' && *p <= 'Z' ? (char)(*p | 0x20) : *p);
	buf_putc(key, 0);
}

static void put_rule(struct buf *key, const struct verdict_rule *rule)
{
	if (rule && rule->line)
		buf_printf(key, "%.*s:%u  ", STR_FMT(rule->file), rule->line);
	put_cell(key, rule ? rule->text : STR("(a policy of before)"));
}

static void add(struct refusals *r, uint64_t times)
{
	uint64_t hash = hash_bytes(r->key.p, r->key.n, 0);
	struct row **bucket = &r->buckets[hash % BUCKETS], *at;

	for (at = *bucket; at; at = at->next)
		if (at->hash == hash && at->n == r->key.n && !memcmp(at->cells, r->key.p, at->n))
			break;
	if (!at && !r->key.failed && r->count < r->max &&
	    (at = calloc(1, sizeof(*at) + r->key.n))) {
		at->hash = hash;
		at->n = r->key.n;
		memcpy(at->cells, r->key.p, at->n);
		at->next = *bucket;
		*bucket = at;
		r->count++;
	}
	*(at ? &at->times : &r->others) += times;
}

static void put_who(struct refusals *r, const struct proc *p)
{
	buf_clear(&r->key);
	put_cell(&r->key, p ? proc_name(p) : STR("(unknown)"));
}

void refusals_drop(struct refusals *r, const struct record *record)
{
	const struct record_drop *d = record->drop;
	const struct flow *f = record->flow;
	const struct text *name = f ? f->name : d->n_names ? d->names[0]->asked : NULL;
	char text[ADDR_TEXT_MAX];

	put_who(r, d->proc);
	if (d->summary) {
		put_cell(&r->key, STR("(more)"));
		put_cell(&r->key, STR("-"));
	} else {
		addr_format(&d->key.dst, text);
		put_cell(&r->key, f && name           ? text_str(name)
				  : d->visible_name.n ? d->visible_name
				  : name              ? text_str(name)
						      : str_of(text));
		put_port(&r->key, &d->key);
	}
	put_cell(&r->key, str_of(verdict_action_name(d->action)));
	put_rule(&r->key, d->rule);
	add(r, d->calls + d->packets);
}

void refusals_flow(struct refusals *r, const struct flow *f)
{
	char text[ADDR_TEXT_MAX];

	if (!f->verdict.would_refuse)
		return;
	put_who(r, f->proc);
	addr_format(&f->key.dst, text);
	put_cell(&r->key, f->name ? text_str(f->name) : str_of(text));
	put_port(&r->key, &f->key);
	put_cell(&r->key, str_of(flow_verdict_word(&f->verdict)));
	put_rule(&r->key, f->verdict.rule);
	add(r, 1);
}

bool refusals_any(const struct refusals *r)
{
	return r->count || r->others;
}

static int by_times(const void *a, const void *b)
{
	const struct row *x = *(struct row *const *)a, *y = *(struct row *const *)b;

	if (x->times != y->times)
		return x->times < y->times ? 1 : -1;
	return strcmp(x->cells, y->cells);
}

void refusals_print(struct refusals *r, FILE *to, unsigned width)
{
	static const struct table_column columns[] = {
		{ "PROGRAM", .elastic = true },
		{ "TO", .elastic = true },
		{ "PORT", .right = true },
		{ "TIMES", .right = true },
		{ "VERDICT" },
		{ "RULE", .elastic = true },
	};
	_cleanup_free_ struct row **rows = calloc(r->count + 1, sizeof(*rows));
	char text[HUMAN_TEXT_MAX];
	struct table *t;
	size_t n = 0;

	if (!r->count && !r->others)
		return;
	if (!rows || table_new(&t, columns, ARRAY_SIZE(columns)) < 0) {
		fputs("not enough memory for the table of refusals\n", to);
		return;
	}
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct row *at = r->buckets[i]; at; at = at->next)
			rows[n++] = at;
	qsort(rows, n, sizeof(*rows), by_times);
	for (size_t i = 0; i < n; i++) {
		const char *cell = rows[i]->cells;

		for (int k = 0; k < CELLS; k++, cell += strlen(cell) + 1) {
			if (k == 3)
				table_cell(t, str_of(human_count(rows[i]->times, text)));
			table_cell(t, str_of(cell));
		}
	}
	if (r->others) {
		for (size_t k = 0; k < ARRAY_SIZE(columns); k++)
			table_cell(t, k == 3 ? str_of(human_count(r->others, text))
				      : k    ? STR("-")
					     : STR("(others)"));
	}
	table_print(t, to, width);
	table_free(t);
}
