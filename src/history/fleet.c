/* SPDX-License-Identifier: Apache-2.0 */
#include "history/fleet.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/time.h"
#include "flow/filter.h"
#include "flow/flow.h"

#define QUERY_MAX (4U << 20)
#define ANSWER_MAX (64U << 20)
#define HOUR_NS (3600 * NSEC_PER_SEC)
#define SLICE_ROWS 50000U   /* pieces that are asked for at once */
#define ROWS_MAX (2U << 20) /* and in all */
#define SLICES_MAX 20000U

struct fleet {
	struct clickhouse_http *http;
	const struct ship_settings *settings;
	char *error;
};

int fleet_open(struct fleet **ret, const struct ship_settings *settings,
	       char error[QUESTION_ERROR_MAX])
{
	struct fleet *f = calloc(1, sizeof(*f));
	char why[SHIP_WHY_MAX] = "";
	int r = f ? clickhouse_http_new(&f->http, settings, ANSWER_MAX) : -ENOMEM;

	if (r == 0)
		r = clickhouse_http_login(f->http, why) < 0 ? -EREMOTEIO : 0;
	if (r < 0) {
		if (why[0])
			snprintf(error, QUESTION_ERROR_MAX, "%.96s: %.128s", settings->url, why);
		fleet_close(f);
		return r;
	}
	f->settings = settings;
	f->error = error;
	*ret = f;
	return 0;
}

struct fleet *fleet_close(struct fleet *f)
{
	if (f)
		clickhouse_http_free(f->http);
	free(f);
	return NULL;
}

static int tell(struct fleet *f, const char *why)
{
	snprintf(f->error, QUESTION_ERROR_MAX, "%.96s: %.140s", clickhouse_http_url(f->http), why);
	return -EREMOTEIO;
}

/* Nobody was there, and there is another server of it. */
static bool try_next(struct fleet *f, int r)
{
	return r < 0 && clickhouse_http_fate(f->http) == CLICKHOUSE_NOT_SENT &&
	       clickhouse_http_next(f->http);
}

int fleet_read(struct fleet *f, const struct buf *query, const uint8_t *columns, size_t n,
	       clickhouse_piece_fn fn, void *ctx)
{
	char why[SHIP_WHY_MAX] = "";
	int r = query->failed ? -ENOMEM : 0;

	if (r < 0)
		return r;
	do
		r = clickhouse_read(f->http, buf_str(query), columns, n, fn, ctx, why);
	while (try_next(f, r));
	return r < 0 && why[0] ? tell(f, why) : r;
}

static bool keep_all(void *ctx, struct str part)
{
	struct buf *b = ctx;

	buf_put_str(b, part);
	return !b->failed;
}

json_t *fleet_json(struct fleet *f, const struct buf *query)
{
	_cleanup_buf_ struct buf answer = BUF_INIT(ANSWER_MAX);
	char why[SHIP_WHY_MAX] = "";
	json_t *root;
	int r;

	do
		r = clickhouse_http_ask(f->http, buf_str(query), keep_all, &answer, why);
	while (try_next(f, r));
	if (r < 0) {
		tell(f, why);
		return NULL;
	}
	root = json_loadb(answer.p ?: "", answer.n, 0, NULL);
	if (json_is_array(json_object_get(root, "data")))
		return root;
	json_decref(root);
	tell(f, answer.failed ? "more than can be answered at once: ask for a shorter time"
			      : "its answer cannot be read");
	return NULL;
}

size_t fleet_put_all_columns(struct buf *out, enum fleet_table table, uint8_t columns[COLUMN_COUNT])
{
	size_t n = 0;

	for (int c = 0; c < COLUMN_FLOWS; c++) {
		const char *is = fleet_column((enum clickhouse_column)c, table);

		if (!is)
			continue;
		buf_printf(out, "%s%s", n ? ", " : "SELECT ", is);
		columns[n++] = (uint8_t)c;
	}
	return n;
}

/* ---- pieces ---- */

struct slice {
	uint64_t from_ns, to_ns, rows;
};

struct slicing {
	struct slice *slices;
	size_t n;
};

static int take_hour(void *ctx, const struct clickhouse_piece *p)
{
	struct slicing *s = ctx;
	struct slice *last = s->n ? &s->slices[s->n - 1] : NULL;

	if (last && last->rows + p->flows <= SLICE_ROWS) {
		last->to_ns = p->bucket_ns + HOUR_NS;
		last->rows += p->flows;
		return 0;
	}
	if (s->n == SLICES_MAX)
		return -E2BIG;
	s->slices[s->n++] = (struct slice){ p->bucket_ns, p->bucket_ns + HOUR_NS, p->flows };
	return 0;
}

static void put_hint(struct buf *out, const struct store_hint *h, enum fleet_table table)
{
	if (h->peer) {
		buf_puts(out, " AND ");
		fleet_put_cidr(out, "peer_ip",
			       &(struct cidr){ *h->peer, (uint8_t)(h->peer_bits ?: 128) });
	}
	if (h->name_below.n) {
		buf_puts(out, " AND (");
		fleet_put_below(out, "name", h->name_below);
		if (table == FLEET_FLOW) {
			buf_puts(out, " OR arrayExists(t -> ");
			fleet_put_below(out, "t", h->name_below);
			buf_puts(out, ", names)");
		}
		buf_putc(out, ')');
	}
	if (h->flow_id)
		buf_printf(out, " AND flow_id = %lu", h->flow_id);
}

struct rows {
	store_row_fn fn;
	void *ctx;
	bool refused; /* of `verdict`: the piece that it belongs to is a row of its own */
};

void fleet_refusal(struct store_row *row)
{
	row->flow_id = 0;
	row->start_ns = row->from_ns;
	row->state = FLOW_CLOSED;
}

static int take_row(void *ctx, const struct clickhouse_piece *p)
{
	struct rows *r = ctx;
	struct store_row row = p->row;

	if (r->refused)
		fleet_refusal(&row);
	return r->fn(r->ctx, &row);
}

static void put_where(struct buf *out, const struct scan *s, enum fleet_table table,
		      struct store_span span, const struct store_hint *hint)
{
	bool exact,
		whole = table == FLEET_FLOW && scan_filter_is_of_whole_flows(s->question->filter);

	/* all other columns are read only where this holds; no piece of a flow is left out that is asked for as a whole */
	buf_printf(out, " FROM %s PREWHERE ", fleet_table_name(table));
	fleet_put_span(out, table, span);
	buf_puts(out, " AND ");
	fleet_put_filter(out, s->question->filter, whole ? FLEET_KEY : table, &exact);
	put_hint(out, hint, table);
}

static int read_slice(struct scan *s, enum fleet_table table, struct store_span span,
		      const struct store_hint *hint, bool newest_first, struct rows *to)
{
	_cleanup_buf_ struct buf query = BUF_INIT(QUERY_MAX);
	uint8_t columns[COLUMN_COUNT];
	size_t n = fleet_put_all_columns(&query, table, columns);

	put_where(&query, s, table, span, hint);
	buf_printf(&query, " ORDER BY to_us %s", newest_first ? "DESC" : "");
	to->refused = table == FLEET_VERDICT;
	return fleet_read(s->fleet, &query, columns, n, take_row, to);
}

/* Hours put together to slices of a size that can be sorted. */
static int slice(struct scan *s, struct store_span span, const struct store_hint *hint,
		 struct slicing *ret)
{
	static const uint8_t columns[] = { COLUMN_BUCKET, COLUMN_FLOWS };
	_cleanup_buf_ struct buf query = BUF_INIT(QUERY_MAX), from = BUF_INIT(QUERY_MAX);

	put_where(&from, s, FLEET_FLOW, span, hint);
	buf_printf(&query,
		   "SELECT toUInt32(toStartOfHour(ts)) AS h, count()%.*s GROUP BY h ORDER BY h",
		   STR_FMT(buf_str(&from)));
	query.failed |= from.failed;
	return fleet_read(s->fleet, &query, columns, ARRAY_SIZE(columns), take_hour, ret);
}

static int read_slices(struct scan *s, const struct slicing *all, struct store_span span,
		       const struct store_hint *hint, bool newest_first, struct rows *to)
{
	/* refusals are in hours without a flow, too: slices are read up to where the next begins */
	uint64_t rows = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < MAX(all->n, (size_t)1); i++) {
		size_t at = newest_first && all->n ? all->n - 1 - i : i;
		struct store_span part = { at ? all->slices[at].from_ns : span.from_ns,
					   at + 1 < all->n ? all->slices[at + 1].from_ns
							   : span.to_ns };

		part.from_ns = MAX(part.from_ns, span.from_ns);
		part.to_ns = MIN(part.to_ns, span.to_ns);
		rows += all->n ? all->slices[at].rows : 0;
		if (rows > ROWS_MAX && i) {
			scan_note(s,
				  "cut after %u pieces of flows: ask for a shorter time, or with a "
				  "filter that says more",
				  ROWS_MAX);
			return 0;
		}
		r = read_slice(s, FLEET_FLOW, part, hint, newest_first, to);
		if (r == 0 && fleet_holds_in_part(s->question->filter, FLEET_VERDICT))
			r = read_slice(s, FLEET_VERDICT, part, hint, newest_first, to);
	}
	return r;
}

int fleet_rows(struct scan *s, struct store_span span, const struct store_hint *hint,
	       bool newest_first, store_row_fn fn, void *ctx)
{
	struct slicing slices = { calloc(SLICES_MAX, sizeof(struct slice)), 0 };
	struct rows to = { .fn = fn, .ctx = ctx };
	int r = slices.slices ? slice(s, span, hint, &slices) : -ENOMEM;

	if (r == 0)
		r = read_slices(s, &slices, span, hint, newest_first, &to);
	free(slices.slices);
	return r;
}
