/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/contacts.h"

#include <errno.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/hash.h"
#include "base/human.h"
#include "base/time.h"
#include "cli/table.h"
#include "flow/flow.h"

#define BUCKETS 16384
#define KEY_MAX 4096
#define KEY_CELLS 6 /* without the verdict */

/* The cells of one row in the order of the columns below; NUL-ended, one after the other. */
struct contact {
	struct contact *next;
	uint64_t hash, flows, up, down, start_ns, last_ns;
	size_t n;
	char cells[];
};

struct contacts {
	bool by_program, verdicts;
	size_t count, max;
	struct contact *buckets[BUCKETS];
	struct contact others; /* sums of what found no row */
	struct buf key;
};

int contacts_new(struct contacts **ret, bool by_program, bool verdicts, size_t max_rows)
{
	struct contacts *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->by_program = by_program;
	c->verdicts = verdicts;
	c->max = max_rows;
	c->key = BUF_INIT(KEY_MAX);
	*ret = c;
	return 0;
}

struct contacts *contacts_free(struct contacts *c)
{
	if (!c)
		return NULL;
	for (size_t i = 0; i < BUCKETS; i++) {
		for (struct contact *at = c->buckets[i], *next; at; at = next) {
			next = at->next;
			free(at);
		}
	}
	buf_done(&c->key);
	free(c);
	return NULL;
}

static void put_who(struct buf *key, const struct flow *f, bool by_program)
{
	char text[ADDR_TEXT_MAX];

	if (!by_program) {
		buf_puts(key, addr_format(&f->key.src, text));
	} else if (f->proc) {
		buf_put_str(key, proc_name(f->proc));
		if (proc_exe_note(f->proc))
			buf_printf(key, " (%s)", proc_exe_note(f->proc));
	} else {
		buf_puts(key, "(unknown)");
	}
	buf_putc(key, 0);
}

/* What the responder was reached as: "tcp/tls", "udp/dns", "icmp". */
static void put_proto(struct buf *key, const struct flow *f)
{
	char text[8];
	const char *app = app_name(f->app);

	for (const char *p = flow_proto_name(f->key.proto, text); *p; p++)
		buf_putc(key, *p >= 'A' && *p <= 'Z' ? (char)(*p | 0x20) : *p);
	if (app && flow_proto_has_ports(f->key.proto))
		buf_printf(key, "/%s", app);
	buf_putc(key, 0);
}

/* "allow 12": what was said, and by which line. */
static void put_verdict(struct buf *key, const struct flow_verdict *v)
{
	const char *word = flow_verdict_word(v);

	buf_puts(key, word ? word : "-");
	if (v->rule && v->rule->line)
		buf_printf(key, " %u", v->rule->line);
	buf_putc(key, 0);
}

static void make_key(struct contacts *c, const struct flow *f)
{
	const char *source = name_source_name(f->name_source);
	char text[ADDR_TEXT_MAX];

	buf_clear(&c->key);
	put_who(&c->key, f, c->by_program);
	if (f->name)
		buf_put_str(&c->key, text_str(f->name));
	else
		buf_putc(&c->key, '-');
	buf_putc(&c->key, 0);
	buf_puts(&c->key, f->name && source ? source : "-");
	buf_putc(&c->key, 0);
	buf_puts(&c->key, addr_format(&f->key.dst, text));
	buf_putc(&c->key, 0);
	if (flow_proto_has_ports(f->key.proto))
		buf_printf(&c->key, "%u", f->key.dport);
	else
		buf_putc(&c->key, '-');
	buf_putc(&c->key, 0);
	put_proto(&c->key, f);
	if (c->verdicts)
		put_verdict(&c->key, &f->verdict);
}

/* The row of the key, made when there is room for it. */
static struct contact *find(struct contacts *c)
{
	uint64_t hash = hash_bytes(c->key.p, c->key.n, 0);
	struct contact **bucket = &c->buckets[hash % BUCKETS], *at;

	for (at = *bucket; at; at = at->next)
		if (at->hash == hash && at->n == c->key.n && !memcmp(at->cells, c->key.p, at->n))
			return at;
	if (c->key.failed || c->count >= c->max)
		return &c->others;
	at = calloc(1, sizeof(*at) + c->key.n);
	if (!at)
		return &c->others;
	at->hash = hash;
	at->n = c->key.n;
	memcpy(at->cells, c->key.p, c->key.n);
	at->next = *bucket;
	*bucket = at;
	c->count++;
	return at;
}

void contacts_add(struct contacts *c, const struct flow *f)
{
	struct contact *row;

	make_key(c, f);
	row = find(c);
	row->start_ns = row->flows ? MIN(row->start_ns, f->start_ns) : f->start_ns;
	row->last_ns = MAX(row->last_ns, f->last_ns);
	row->flows++;
	row->up += flow_up(f)->bytes;
	row->down += flow_down(f)->bytes;
}

static int by_bytes(const void *a, const void *b)
{
	const struct contact *x = *(struct contact *const *)a, *y = *(struct contact *const *)b;
	uint64_t bx = x->up + x->down, by = y->up + y->down;

	if (bx != by)
		return bx < by ? 1 : -1;
	return x->start_ns < y->start_ns ? -1 : x->start_ns > y->start_ns;
}

static void put_sums(struct table *t, const struct contact *row)
{
	char text[TIME_TEXT_MAX];

	table_cell(t, str_of(human_count(row->flows, text)));
	table_cell(t, str_of(human_bytes(row->up, text)));
	table_cell(t, str_of(human_bytes(row->down, text)));
	table_cell(t, str_of(duration_format(row->last_ns - row->start_ns, text)));
}

static void put_others(struct table *t, const struct contact *sum, bool verdicts)
{
	table_cell(t, STR("(others)"));
	for (int i = 1; i < KEY_CELLS + verdicts; i++)
		table_cell(t, STR("-"));
	put_sums(t, sum);
}

static void add_sums(struct contact *to, const struct contact *row)
{
	to->start_ns = to->flows ? MIN(to->start_ns, row->start_ns) : row->start_ns;
	to->last_ns = MAX(to->last_ns, row->last_ns);
	to->flows += row->flows;
	to->up += row->up;
	to->down += row->down;
}

void contacts_print(struct contacts *c, FILE *to, size_t limit, unsigned width)
{
	struct table_column columns[] = {
		{ c->by_program ? "PROGRAM" : "SOURCE", .elastic = c->by_program },
		{ "NAME", .elastic = true },
		{ "FROM" },
		{ "ADDRESS", .elastic = true },
		{ "PORT", .right = true },
		{ "PROTOCOL" },
		{ "VERDICT" },
		{ "FLOWS", .right = true },
		{ "UP", .right = true },
		{ "DOWN", .right = true },
		{ "TIME", .right = true },
	};
	size_t n_columns = ARRAY_SIZE(columns) - !c->verdicts;
	_cleanup_free_ struct contact **rows = calloc(c->count + 1, sizeof(struct contact *));
	struct contact rest = c->others;
	struct table *t;
	size_t n = 0;

	if (!c->verdicts)
		memmove(columns + KEY_CELLS, columns + KEY_CELLS + 1,
			sizeof(columns) - (KEY_CELLS + 1) * sizeof(columns[0]));
	if (!rows || table_new(&t, columns, n_columns) < 0) {
		fputs("not enough memory for the table\n", to);
		return;
	}
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct contact *at = c->buckets[i]; at; at = at->next)
			rows[n++] = at;
	qsort(rows, n, sizeof(*rows), by_bytes);
	for (size_t i = 0; i < n; i++) {
		const char *cell = rows[i]->cells;

		if (limit && i >= limit) {
			add_sums(&rest, rows[i]);
			continue;
		}
		for (int k = 0; k < KEY_CELLS + c->verdicts; k++, cell += strlen(cell) + 1)
			table_cell(t, str_of(cell));
		put_sums(t, rows[i]);
	}
	if (rest.flows)
		put_others(t, &rest, c->verdicts);
	table_print(t, to, width);
	table_free(t);
}

size_t contacts_count(const struct contacts *c)
{
	return c->count;
}
