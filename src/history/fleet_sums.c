/* SPDX-License-Identifier: Apache-2.0 */
/* Sums over a span of a fleet: by ClickHouse, where it can tell what the filter lets through; else of pieces, here. */
#include "history/fleet.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/time.h"
#include "flow/filter.h"
#include "flow/flow.h"
#include "history/fleet_cover.h"
#include "history/whole.h"

#define QUERY_MAX (4U << 20)
#define HOUR_S 3600

struct summing {
	struct scan *scan;
	portion_fn fn;
	void *ctx;
	bool wanted[COLUMN_COUNT];
	bool whole_key; /* both ends as they are, not only the peer where it has no name */
	struct buf all; /* the parts of a statement, where only the largest groups are asked for */
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

/* '', and the texts that this dimension has in the groups that are told apart. */
static void put_texts_apart(struct buf *out, const struct scan_apart *apart, unsigned dim)
{
	buf_puts(out, "(''");
	for (size_t i = 0; i < apart->n_by; i++) {
		for (size_t k = 0; apart->by[i] == dim && k < apart->n; k++) {
			buf_puts(out, ", ");
			fleet_put_text(out, apart->groups[k]->key[i]);
		}
	}
	buf_putc(out, ')');
}

static void put_addresses_apart(struct buf *out, const struct scan_apart *apart)
{
	struct addr a;

	buf_puts(out, "(toFixedString('', 16)");
	for (size_t i = 0; i < apart->n_by; i++) {
		for (size_t k = 0; apart->by[i] == STORE_DIM_NAME && k < apart->n; k++) {
			if (addr_parse(apart->groups[k]->key[i], &a) < 0)
				continue;
			buf_puts(out, ", ");
			fleet_put_ip(out, &a);
		}
	}
	buf_putc(out, ')');
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
	case COLUMN_PEER_IP: /* sums have it so */
		return s->whole_key || fleet_is_sums(table)
			       ? "peer_ip"
			       : "if(name = '', peer_ip, toFixedString('', 16))";
	case COLUMN_PEER_PORT: /* of who was called */
		return "if(inbound, our_port, peer_port)";
	default:
		return fleet_column(c, table);
	}
}

/* A name of these, or without one an address of these. */
static void put_name_apart(struct buf *out, const struct scan_apart *apart)
{
	buf_puts(out, "name IN ");
	put_texts_apart(out, apart, STORE_DIM_NAME);
	buf_puts(out, " AND (name != '' OR peer_ip IN ");
	put_addresses_apart(out, apart);
	buf_putc(out, ')');
}

/* A condition that leaves out what is in none of the groups. */
static void put_alone(struct buf *out, const struct scan_apart *apart)
{
	for (size_t i = 0; i < apart->n_by; i++) {
		buf_puts(out, " AND ");
		if (apart->by[i] == STORE_DIM_NAME) {
			put_name_apart(out, apart);
		} else {
			buf_puts(out, "domain IN ");
			put_texts_apart(out, apart, STORE_DIM_DOMAIN);
		}
	}
}

#define OTHER "'\\x01'" /* no name of anything */

/* The same; in the place of texts that need not be told apart there is another one. */
static void put_key(struct buf *out, const struct summing *s, enum clickhouse_column c,
		    enum fleet_table table)
{
	static const uint8_t many[COLUMN_COUNT] = { [COLUMN_NAME] = STORE_DIM_NAME,
						    [COLUMN_DOMAIN] = STORE_DIM_DOMAIN,
						    [COLUMN_HOST] = DIM_HOST };
	const struct scan_apart *apart = s->scan->apart;
	const char *key = key_column(s, c, table);

	if (!key) {
		buf_puts(out, "materialize('')"); /* 18.16 takes no constants in a union */
	} else if (!apart || apart->alone) {
		buf_puts(out, key);
	} else if (c == COLUMN_NAME && !s->whole_key) {
		buf_puts(out, "if(");
		put_name_apart(out, apart);
		buf_puts(out, ", name, " OTHER ")");
	} else if (many[c]) {
		buf_printf(out, "if(%s IN ", key);
		put_texts_apart(out, apart, many[c]);
		buf_printf(out, ", %s, " OTHER ")", key);
	} else if (c == COLUMN_PEER_IP && !s->whole_key) {
		buf_puts(out, "if(name = '' AND peer_ip IN ");
		put_addresses_apart(out, apart);
		buf_puts(out, ", peer_ip, toFixedString('', 16))");
	} else {
		buf_puts(out, key);
	}
}

#define COUNTS                                                                          \
	"toUInt64(sum(up_bytes)) AS s1, toUInt64(sum(down_bytes)) AS s2, toUInt64(sum(" \
	"up_packets)) AS s3, toUInt64(sum(down_packets)) AS s4, "
#define CALLS "toUInt64(sum(calls)) AS s5, toUInt64(sum(packets)) AS s6, "
#define NO_CALLS "toUInt64(sum(0)) AS s5, toUInt64(sum(0)) AS s6, "
#define NO_COUNTS                                                                  \
	"toUInt64(sum(0)) AS s1, toUInt64(sum(0)) AS s2, toUInt64(sum(0)) AS s3, " \
	"toUInt64(sum(0)) AS s4, "
#define TIMES "toUInt64(min(from_us)) AS s7, toUInt64(max(to_us)) AS s8"
#define OF_SUMS(begin, last_s)                                                     \
	"toUInt64(sum(flows)) AS s0, " COUNTS CALLS "toUInt64(toUInt32(min(" begin \
	"))) * 1000000 AS s7, "                                                    \
	"(toUInt64(toUInt32(max(" begin "))) + " last_s ") * 1000000 AS s8"

/* What s0, s1 … are, and how each table has them. */
static const uint8_t sum_columns[] = { COLUMN_FLOWS,      COLUMN_UP,           COLUMN_DOWN,
				       COLUMN_UP_PACKETS, COLUMN_DOWN_PACKETS, COLUMN_CALLS,
				       COLUMN_PACKETS,    COLUMN_FROM,         COLUMN_TO };
static const char *const sums[] = {
	[FLEET_FLOW] = "toUInt64(countIf(seq = 0)) AS s0, " COUNTS NO_CALLS TIMES,
	[FLEET_VERDICT] = "toUInt64(sum(0)) AS s0, " NO_COUNTS CALLS TIMES,
	[FLEET_USAGE_NAME] = OF_SUMS("hour", "3599"),
	[FLEET_USAGE_HOST] = OF_SUMS("hour", "3599"),
	[FLEET_USAGE_PROGRAM_DAY] = OF_SUMS("day", "86399"),
	[FLEET_USAGE_PROGRAM] = OF_SUMS("hour", "3599"),
	[FLEET_USAGE_DAY] = OF_SUMS("day", "86399"),
	[FLEET_USAGE_PEER] = OF_SUMS("hour", "3599"),
	[FLEET_USAGE_HOUR] = OF_SUMS("hour", "3599"),
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

/* The columns of an answer: keys, then sums. */
static size_t columns_of(const struct summing *s, uint8_t columns[COLUMN_COUNT], size_t *ret_keys)
{
	size_t n = 0;

	for (int c = 0; c < COLUMNS_OF_FLOW; c++)
		if (s->wanted[c])
			columns[n++] = (uint8_t)c;
	if (s->scan->series)
		columns[n++] = COLUMN_BUCKET;
	*ret_keys = n;
	memcpy(columns + n, sum_columns, sizeof(sum_columns));
	return n + ARRAY_SIZE(sum_columns);
}

static void put_group(struct buf *out, size_t n_keys)
{
	for (size_t i = 0; i < n_keys; i++)
		buf_printf(out, "%sk%zu", i ? ", " : " GROUP BY ", i);
}

/* A table's keys as k0, k1 …, its sums as s0, s1 … */
static void put_select(struct buf *out, const struct summing *s, enum fleet_table table,
		       struct store_span span)
{
	const struct scan *scan = s->scan;
	size_t n = 0;
	bool exact;

	buf_puts(out, "SELECT ");
	for (int c = 0; c < COLUMNS_OF_FLOW; c++) {
		if (!s->wanted[c])
			continue;
		put_key(out, s, (enum clickhouse_column)c, table);
		buf_printf(out, " AS k%zu, ", n++);
	}
	if (scan->series)
		buf_printf(out, "toUInt32(intDiv(toUInt32(%s), %lu) * %lu) AS k%zu, ",
			   fleet_is_sums(table) ? fleet_begin(table) : "ts", scan->step_s,
			   scan->step_s, n++);
	/* all other columns are read only where this holds */
	buf_printf(out, "%s FROM %s PREWHERE ", sums[table], fleet_table_name(table));
	fleet_put_span(out, table, span);
	buf_puts(out, " AND ");
	fleet_put_filter(out, scan->question->filter, table, &exact);
	if (scan->apart && scan->apart->alone)
		put_alone(out, scan->apart);
	put_group(out, n);
	/* without a key there is a row even of nothing */
	buf_puts(out, " HAVING count() > 0");
}

static int read_query(struct summing *s, const struct buf *query)
{
	uint8_t columns[COLUMN_COUNT];
	size_t n_keys, n = columns_of(s, columns, &n_keys);

	return fleet_read(s->scan->fleet, query, columns, n, take_sum, s);
}

static int sum_table(struct summing *s, enum fleet_table table, struct store_span span)
{
	_cleanup_buf_ struct buf query = BUF_INIT(QUERY_MAX);

	if (span.from_ns >= span.to_ns)
		return 0;
	if (s->scan->top) {
		buf_puts(&s->all, s->all.n ? " UNION ALL " : "");
		put_select(&s->all, s, table, span);
		return 0;
	}
	put_select(&query, s, table, span);
	return read_query(s, &query);
}

/* The largest groups of what all tables have together. */
static int sum_largest(struct summing *s)
{
	static const char *const sizes[] = { [QUESTION_SORT_BYTES] = "sum(s1) + sum(s2)",
					     [QUESTION_SORT_UP] = "sum(s1)",
					     [QUESTION_SORT_DOWN] = "sum(s2)",
					     [QUESTION_SORT_FLOWS] = "sum(s0)" };
	_cleanup_buf_ struct buf query = BUF_INIT(QUERY_MAX);
	uint8_t columns[COLUMN_COUNT];
	size_t n_keys;

	if (!s->all.n)
		return 0;
	columns_of(s, columns, &n_keys);
	buf_puts(&query, "SELECT ");
	for (size_t i = 0; i < n_keys; i++)
		buf_printf(&query, "k%zu, ", i);
	/* what is not asked for here is not summed: of all there are that would be more than there is memory for */
	buf_printf(&query, "sum(s0), sum(s1), sum(s2), %s FROM (",
		   s->scan->apart ? "sum(s3), sum(s4), sum(s5), sum(s6), min(s7), max(s8)"
				  : "toUInt64(0), toUInt64(0), toUInt64(0), toUInt64(0), "
				    "toUInt64(0), toUInt64(0)");
	buf_put_str(&query, buf_str(&s->all));
	buf_putc(&query, ')');
	put_group(&query, n_keys);
	buf_printf(&query, " ORDER BY %s DESC LIMIT %lu", sizes[s->scan->question->sort],
		   s->scan->top);
	query.failed |= s->all.failed;
	return read_query(s, &query);
}

static int sum_pieces(struct summing *s, struct store_span span)
{
	int r = sum_table(s, FLEET_FLOW, span);

	if (r == 0 && fleet_holds_in_part(s->scan->question->filter, FLEET_VERDICT))
		r = sum_table(s, FLEET_VERDICT, span);
	return r;
}

/* ---- from which table ---- */

static void want_all(struct summing *s, const struct history_question *q)
{
	for (size_t i = 0; i < q->n_by; i++)
		want(s, q->by[i]);
}

/* Bits of the tables of sums that know all that is asked for. */
static unsigned sums_for(const struct summing *s, const struct history_question *q)
{
	unsigned ret = 0;

	if (s->scan->span.to_ns - s->scan->span.from_ns <= FLEET_SHORT_NS)
		return 0;
	for (size_t i = 0; i < q->n_by; i++)
		if (q->by[i] >= STORE_DIM_COUNT && q->by[i] != DIM_HOST)
			return 0;
	for (enum fleet_table t = FLEET_USAGE_NAME; t < FLEET_SUMS; t++) {
		bool has = fleet_holds_in_part(q->filter, t) &&
			   s->scan->step_s % (s->scan->series ? fleet_step_s(t) : HOUR_S) == 0;

		for (int c = 0; c < COLUMNS_OF_FLOW; c++)
			has &= !s->wanted[c] || fleet_column((enum clickhouse_column)c, t);
		if (has)
			ret |= 1U << t;
	}
	return ret;
}

bool fleet_reads_less(struct scan *s, const struct history_question *part,
		      const struct history_question *whole)
{
	_cleanup_buf_ struct buf scratch = BUF_INIT(QUERY_MAX);
	struct summing of_part = { .scan = s }, of_whole = { .scan = s };
	unsigned less, more;
	bool exact;

	want_all(&of_part, part);
	want_all(&of_whole, whole);
	less = sums_for(&of_part, part);
	more = sums_for(&of_whole, whole);
	/* tables stand in the order of their sizes; of one name an index finds little to read in any */
	return more && less & ((more & -more) - 1) && !filter_requires(whole->filter, "name").n &&
	       fleet_put_filter(&scratch, whole->filter, FLEET_FLOW, &exact) && exact;
}

static int take_count(void *ctx, const struct clickhouse_piece *p)
{
	*(uint64_t *)ctx = p->flows;
	return 0;
}

/* Version 3 of the schema is there, which has them. */
static int has_marks(struct scan *s, bool *ret)
{
	static const uint8_t column = COLUMN_FLOWS;
	_cleanup_buf_ struct buf query = BUF_INIT(4096);
	uint64_t n = 0;
	int r;

	buf_puts(&query, "SELECT count() FROM system.tables WHERE database = currentDatabase() AND "
			 "name = 'summed'");
	r = fleet_read(s->fleet, &query, &column, 1, take_count, &n);
	*ret = n > 0;
	return r;
}

struct marking {
	struct fleet_cover *cover;
	enum fleet_table sums;
};

static int take_mark(void *ctx, const struct clickhouse_piece *p)
{
	const struct marking *m = ctx;

	fleet_cover_mark(m->cover, m->sums, p->bucket_ns);
	return 0;
}

/* Which hours and days are whole; before version 3 of the schema: of which there is something. */
static int read_marks(struct scan *s, bool marks, struct marking *m)
{
	static const uint8_t column = COLUMN_BUCKET;
	_cleanup_buf_ struct buf query = BUF_INIT(4096);
	struct store_span hours = fleet_cover_hours(m->cover);

	if (marks) {
		buf_puts(&query, "SELECT toUInt32(begin) AS at FROM summed WHERE ");
		fleet_put_marks(&query, m->sums, hours);
	} else {
		buf_printf(&query, "SELECT toUInt32(%s) AS at FROM %s WHERE ", fleet_begin(m->sums),
			   fleet_table_name(m->sums));
		fleet_put_span(&query, m->sums, hours);
	}
	buf_puts(&query, " GROUP BY at");
	return fleet_read(s->fleet, &query, &column, 1, take_mark, m);
}

static int read_all_marks(struct scan *s, unsigned tables, struct fleet_cover *cover)
{
	struct marking m = { .cover = cover };
	bool marks = false;
	int r = tables ? has_marks(s, &marks) : 0;

	if (r == 0 && tables && !marks) {
		scan_note(s, "sums of the hour that is being summed may be short, and there are "
			     "none by day, nor of machines and programs with names: "
			     "`egret-clickhouse migrate` makes what is missing");
		tables &= ~(FLEET_BY_DAY | 1U << FLEET_USAGE_PROGRAM | 1U << FLEET_USAGE_PEER);
	}
	for (m.sums = FLEET_USAGE_NAME; r == 0 && m.sums < FLEET_SUMS; m.sums++)
		if (tables & 1U << m.sums)
			r = read_marks(s, marks, &m);
	return r;
}

static int sum_parts(struct summing *s, const struct fleet_cover *cover)
{
	struct store_span *span = &s->scan->span;
	struct fleet_part part;
	uint64_t finest = 0;
	int r = 0;

	for (size_t at = 0; r == 0 && fleet_cover_next(cover, &at, &part);) {
		if (part.table == FLEET_FLOW) {
			r = sum_pieces(s, part.span);
			continue;
		}
		span->from_ns = MIN(span->from_ns, part.span.from_ns);
		span->to_ns = MAX(span->to_ns, part.span.to_ns);
		finest = MIN(finest ?: UINT64_MAX, fleet_step_s(part.table));
		r = sum_table(s, part.table, part.span);
	}
	if (r == 0 && s->scan->top)
		r = sum_largest(s);
	if (!finest)
		return r;
	s->scan->from_what = finest == fleet_step_s(FLEET_USAGE_DAY) ? "days" : "hours";
	if (filter_uses(s->scan->question->filter) & (filter_bit("name") | filter_bit("container")))
		scan_note(s->scan,
			  "from sums: these know the best name of a flow alone, and the name of a "
			  "container");
	return r;
}

static int sum_there(struct summing *s)
{
	struct fleet_cover *cover;
	int r = fleet_cover_new(&cover, s->scan->span, s->scan->question->filter);

	if (r < 0)
		return r;
	r = read_all_marks(s->scan, sums_for(s, s->scan->question), cover);
	if (r == 0)
		r = sum_parts(s, cover);
	fleet_cover_free(cover);
	return r;
}

/* ---- or from pieces, here ---- */

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
	struct summing summing = { .scan = s, .fn = fn, .ctx = ctx, .all = BUF_INIT(QUERY_MAX) };
	const struct history_question *q = s->question;
	bool exact;
	int r;

	want_all(&summing, q);
	if (!fleet_put_filter(&scratch, q->filter, FLEET_FLOW, &exact))
		return -ENOMEM;
	if (!exact)
		return sum_here(&summing);
	if (!fleet_holds_in_part(q->filter, FLEET_VERDICT))
		scan_note(s, "what was refused is not in it: refusals do not know all that the "
			     "filter asks for");
	r = sum_there(&summing);
	buf_done(&summing.all);
	return r;
}
