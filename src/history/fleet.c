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
#include "history/whole.h"

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

/* ---- sums that ClickHouse makes ---- */

struct summing {
	struct scan *scan;
	portion_fn fn;
	void *ctx;
	bool wanted[COLUMN_COUNT];
	bool whole_key; /* both ends as they are, not only the peer where it has no name */
};

static void want(struct summing *s, unsigned dim)
{
	static const uint8_t of[QUESTION_DIM_COUNT][4] = {
		[STORE_DIM_APP] = { COLUMN_EXE, COLUMN_COMM },
		[STORE_DIM_USER] = { COLUMN_USER },
		[STORE_DIM_UNIT] = { COLUMN_UNIT },
		[STORE_DIM_CONTAINER] = { COLUMN_CONTAINER_NAME, COLUMN_CONTAINER_ID },
		[STORE_DIM_SEGMENT] = { COLUMN_SEGMENT },
		[STORE_DIM_NAME] = { COLUMN_NAME, COLUMN_PEER_IP },
		[STORE_DIM_DOMAIN] = { COLUMN_DOMAIN },
		[STORE_DIM_COUNTRY] = { COLUMN_COUNTRY },
		[STORE_DIM_ASN] = { COLUMN_ASN },
		[STORE_DIM_PROTOCOL] = { COLUMN_APP },
		[STORE_DIM_DIRECTION] = { COLUMN_DIRECTION },
		[STORE_DIM_RULE] = { COLUMN_RULE_TEXT, COLUMN_RULE_FILE, COLUMN_RULE_LINE },
		[STORE_DIM_VERDICT] = { COLUMN_ACTION, COLUMN_WOULD_REFUSE },
		[DIM_ADDRESS] = { COLUMN_PEER_IP },
		[DIM_PORT] = { COLUMN_PROTO, COLUMN_PEER_PORT },
		[DIM_PROTO] = { COLUMN_PROTO },
		[DIM_HOST] = { COLUMN_HOST },
		[DIM_FROM] = { COLUMN_OUR_IP, COLUMN_PEER_IP, COLUMN_INBOUND },
		[DIM_TO] = { COLUMN_OUR_IP, COLUMN_PEER_IP, COLUMN_INBOUND },
	};

	for (size_t i = 0; i < ARRAY_SIZE(of[0]); i++)
		if (of[dim][i]) /* the host is asked for with every row */
			s->wanted[of[dim][i]] = true;
	s->wanted[COLUMN_HOST] |= dim == DIM_HOST;
	s->whole_key |= dim == DIM_ADDRESS || dim == DIM_FROM || dim == DIM_TO;
}

/* A column of the key of sums: empty where another one makes it superfluous. */
static const char *key_column(const struct summing *s, enum clickhouse_column c,
			      enum fleet_table table)
{
	switch (c) {
	case COLUMN_COMM:
		return "if(exe = '', comm, '')";
	case COLUMN_CONTAINER_ID:
		return fleet_column(c, table) ? "if(container_name = '', container_id, '')" : NULL;
	case COLUMN_RULE_FILE:
		return "if(rule_text = '', rule_file, '')";
	case COLUMN_RULE_LINE:
		return "if(rule_text = '', rule_line, toUInt32(0))";
	case COLUMN_PEER_IP:
		return s->whole_key ? "peer_ip" : "if(name = '', peer_ip, toFixedString('', 16))";
	case COLUMN_PEER_PORT: /* of who was called */
		return "if(inbound, our_port, peer_port)";
	default:
		return fleet_column(c, table);
	}
}

#define OF_HOURS                                                                                 \
	{ COLUMN_FLOWS, COLUMN_UP,      COLUMN_DOWN, COLUMN_UP_PACKETS, COLUMN_DOWN_PACKETS,     \
	  COLUMN_CALLS, COLUMN_PACKETS, COLUMN_FROM, COLUMN_TO },                                \
		"toUInt64(sum(flows)), toUInt64(sum(up_bytes)), toUInt64(sum(down_bytes)), "     \
		"toUInt64(sum(up_packets)), toUInt64(sum(down_packets)), toUInt64(sum(calls)), " \
		"toUInt64(sum(packets)), toUInt64(toUInt32(min(hour))) * 1000000, "              \
		"(toUInt64(toUInt32(max(hour))) + 3599) * 1000000"

static const struct {
	const char *from;
	uint8_t columns[9];
	const char *sums;
} tables[] = {
	[FLEET_FLOW] = { "flow",
			 { COLUMN_FLOWS, COLUMN_UP, COLUMN_DOWN, COLUMN_UP_PACKETS,
			   COLUMN_DOWN_PACKETS, COLUMN_FROM, COLUMN_TO },
			 "countIf(seq = 0), sum(up_bytes), sum(down_bytes), sum(up_packets), "
			 "sum(down_packets), "
			 "min(from_us), max(to_us)" },
	[FLEET_VERDICT] = { "verdict",
			    { COLUMN_CALLS, COLUMN_PACKETS, COLUMN_FROM, COLUMN_TO },
			    "sum(calls), sum(packets), min(from_us), max(to_us)" },
	[FLEET_USAGE_NAME] = { "usage_name", OF_HOURS },
	[FLEET_USAGE_HOST] = { "usage_host", OF_HOURS },
	[FLEET_USAGE_HOUR] = { "usage_hour", OF_HOURS },
};

static int take_sum(void *ctx, const struct clickhouse_piece *sum)
{
	struct summing *s = ctx;
	const struct store_row *row = &sum->row;
	struct store_key_scratch scratch;
	struct store_key key;
	struct portion p = { .row = row,
			     .key = &key,
			     .time_ns = s->scan->series ? sum->bucket_ns : row->to_ns,
			     .maker = s->scan->maker,
			     .places = s->scan->places };

	p.sum = moved_of_row(row);
	p.sum.flows = sum->flows;
	store_row_key(row, &scratch, &key);
	return s->fn(s->ctx, &p);
}

static int sum_table(struct summing *s, enum fleet_table table, struct store_span span)
{
	_cleanup_buf_ struct buf query = BUF_INIT(QUERY_MAX);
	uint8_t columns[COLUMN_COUNT + 9];
	const struct scan *scan = s->scan;
	size_t n = 0, n_keys;
	bool exact;

	if (span.from_ns >= span.to_ns)
		return 0;
	buf_puts(&query, "SELECT ");
	for (int c = 0; c < COLUMNS_OF_FLOW; c++) {
		const char *is =
			s->wanted[c] ? key_column(s, (enum clickhouse_column)c, table) : NULL;

		if (!is)
			continue;
		buf_printf(&query, "%s AS k%zu, ", is, n);
		columns[n++] = (uint8_t)c;
	}
	if (scan->series) {
		buf_printf(&query, "toUInt32(intDiv(toUInt32(%s), %lu) * %lu) AS k%zu, ",
			   fleet_is_hours(table) ? "hour" : "ts", scan->step_s, scan->step_s, n);
		columns[n++] = COLUMN_BUCKET;
	}
	n_keys = n;
	buf_puts(&query, tables[table].sums);
	for (size_t i = 0; i < ARRAY_SIZE(tables[table].columns) && tables[table].columns[i]; i++)
		columns[n++] = tables[table].columns[i];
	buf_printf(&query, " FROM %s WHERE ", tables[table].from);
	fleet_put_span(&query, table, span);
	buf_puts(&query, " AND ");
	fleet_put_filter(&query, scan->question->filter, table, &exact);
	for (size_t i = 0; i < n_keys; i++)
		buf_printf(&query, "%sk%zu", i ? ", " : " GROUP BY ", i);
	/* without a key there is a row even of nothing */
	buf_puts(&query, " HAVING count() > 0");
	return fleet_read(scan->fleet, &query, columns, n, take_sum, s);
}

static int sum_pieces(struct summing *s, struct store_span span)
{
	int r = sum_table(s, FLEET_FLOW, span);

	if (r == 0 && fleet_holds_in_part(s->scan->question->filter, FLEET_VERDICT))
		r = sum_table(s, FLEET_VERDICT, span);
	return r;
}

/* ---- from hours, or from pieces ---- */

/* The smallest table of sums that knows all that is asked for; FLEET_FLOW: none does. */
static enum fleet_table hours_for(const struct summing *s)
{
	const struct history_question *q = s->scan->question;

	for (size_t i = 0; i < q->n_by; i++)
		if (q->by[i] >= STORE_DIM_COUNT && q->by[i] != DIM_HOST)
			return FLEET_FLOW;
	for (enum fleet_table t = FLEET_USAGE_NAME; t <= FLEET_USAGE_HOUR; t++) {
		bool has = fleet_holds_in_part(q->filter, t);

		for (int c = 0; c < COLUMNS_OF_FLOW; c++)
			has &= !s->wanted[c] || fleet_column((enum clickhouse_column)c, t);
		if (has)
			return t;
	}
	return FLEET_FLOW;
}

static int take_end(void *ctx, const struct clickhouse_piece *p)
{
	*(uint64_t *)ctx = p->bucket_ns;
	return 0;
}

/* Up to when hours have been summed, of this span; its begin: none has. */
static int hours_end(struct scan *s, enum fleet_table table, struct store_span span, uint64_t *ret)
{
	_cleanup_buf_ struct buf query = BUF_INIT(4096);
	static const uint8_t column = COLUMN_BUCKET;
	uint64_t last = 0;
	int r;

	buf_printf(&query, "SELECT toUInt32(max(hour)) FROM %s WHERE ", tables[table].from);
	fleet_put_span(&query, table, span);
	r = fleet_read(s->fleet, &query, &column, 1, take_end, &last);
	*ret = last >= span.from_ns ? last + HOUR_NS : span.from_ns;
	return r;
}

static uint64_t round_up(uint64_t ns)
{
	return (ns + HOUR_NS - 1) / HOUR_NS * HOUR_NS;
}

/* Widened to whole hours where those are summed. */
static int sum_hours(struct summing *s, enum fleet_table table)
{
	struct scan *scan = s->scan;
	struct store_span *span = &scan->span;
	struct store_span hours = { span->from_ns - span->from_ns % HOUR_NS,
				    MIN(round_up(span->to_ns), round_up(scan->source->now_ns)) };
	uint64_t end;
	int r = hours_end(scan, table, hours, &end);

	if (r < 0)
		return r;
	if (end <= hours.from_ns)
		return sum_pieces(s, *span);
	span->from_ns = hours.from_ns;
	if (end >= span->to_ns)
		span->to_ns = MIN(end, hours.to_ns);
	scan->from_what = "hours";
	r = sum_table(s, table, (struct store_span){ span->from_ns, MIN(end, span->to_ns) });
	return r == 0 ? sum_pieces(s, (struct store_span){ end, span->to_ns }) : r;
}

/* A piece that ClickHouse could not judge. */
static int take_piece(void *ctx, const struct store_row *row)
{
	struct summing *s = ctx;
	struct scan *scan = s->scan;
	const struct flow *f = flow_of_row(scan->maker, row);
	struct clickhouse_piece p = { .row = *row, .flows = row->flow_id && !row->seq };

	if (!f)
		return -ENOMEM;
	if (!filter_match(scan->question->filter, f, scan->source->now_ns))
		return 0;
	p.bucket_ns = row->to_ns;
	return take_sum(s, &p);
}

static int sum_here(struct summing *s)
{
	struct scan *scan = s->scan;
	struct store_hint none = { 0 };

	scan_note(scan, "put together flow by flow: quicker for a shorter time, or with a filter "
			"that says more");
	if (scan_filter_is_of_whole_flows(scan->question->filter))
		return whole_flows(scan, scan->span, &none, take_piece, s);
	return fleet_rows(scan, scan->span, &none, false, take_piece, s);
}

int fleet_run(struct scan *s, portion_fn fn, void *ctx)
{
	_cleanup_buf_ struct buf scratch = BUF_INIT(QUERY_MAX);
	struct summing summing = { .scan = s, .fn = fn, .ctx = ctx };
	const struct history_question *q = s->question;
	bool exact, by_hours = s->span.to_ns - s->span.from_ns > FLEET_SHORT_NS &&
			       (!s->series || s->step_s % 3600 == 0);
	enum fleet_table hours;

	for (size_t i = 0; i < q->n_by; i++)
		want(&summing, q->by[i]);
	if (!fleet_put_filter(&scratch, q->filter, FLEET_FLOW, &exact))
		return -ENOMEM;
	if (!exact)
		return sum_here(&summing);
	if (!fleet_holds_in_part(q->filter, FLEET_VERDICT))
		scan_note(s, "what was refused is not in it: refusals do not know all that the "
			     "filter asks for");
	hours = by_hours ? hours_for(&summing) : FLEET_FLOW;
	if (hours == FLEET_FLOW)
		return sum_pieces(&summing, s->span);
	if (filter_uses(q->filter) & (filter_bit("name") | filter_bit("container")))
		scan_note(s, "from sums by hour: these know the best name of a flow alone, and the "
			     "name of a container");
	return sum_hours(&summing, hours);
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
	buf_printf(out, " FROM %s PREWHERE ", tables[table].from);
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
