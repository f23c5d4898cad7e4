/* SPDX-License-Identifier: Apache-2.0 */
#include "history/fleet_select.h"

#include <string.h>

#include "base/cleanup.h"
#include "flow/filter.h"
#include "history/fleet.h"

#define FILTER_MAX (4U << 20)
#define HOUR_S 3600

static void want(struct fleet_select *s, unsigned dim)
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
static const char *key_column(const struct fleet_select *s, enum clickhouse_column c,
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
static void put_key(struct buf *out, const struct fleet_select *s, enum clickhouse_column c,
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

size_t fleet_select_columns(const struct fleet_select *s, uint8_t columns[COLUMN_COUNT])
{
	size_t n = 0;

	for (int c = 0; c < COLUMNS_OF_FLOW; c++)
		if (s->wanted[c])
			columns[n++] = (uint8_t)c;
	if (s->scan->series)
		columns[n++] = COLUMN_BUCKET;
	memcpy(columns + n, sum_columns, sizeof(sum_columns));
	return n + ARRAY_SIZE(sum_columns);
}

static size_t n_keys_of(const struct fleet_select *s)
{
	uint8_t columns[COLUMN_COUNT];

	return fleet_select_columns(s, columns) - ARRAY_SIZE(sum_columns);
}

static void put_group(struct buf *out, size_t n_keys)
{
	for (size_t i = 0; i < n_keys; i++)
		buf_printf(out, "%sk%zu", i ? ", " : " GROUP BY ", i);
}

void fleet_put_select(struct buf *out, const struct fleet_select *s, enum fleet_table table,
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
	fleet_put_filter(out, s->question->filter, table, &exact);
	if (scan->apart && scan->apart->alone)
		put_alone(out, scan->apart);
	put_group(out, n);
	/* without a key there is a row even of nothing */
	buf_puts(out, " HAVING count() > 0");
}

/* The largest groups of what all tables have together. */
void fleet_put_largest(struct buf *out, const struct fleet_select *s, const struct buf *parts)
{
	static const char *const sizes[] = { [QUESTION_SORT_BYTES] = "sum(s1) + sum(s2)",
					     [QUESTION_SORT_UP] = "sum(s1)",
					     [QUESTION_SORT_DOWN] = "sum(s2)",
					     [QUESTION_SORT_FLOWS] = "sum(s0)" };
	size_t n_keys = n_keys_of(s);

	buf_puts(out, "SELECT ");
	for (size_t i = 0; i < n_keys; i++)
		buf_printf(out, "k%zu, ", i);
	/* what is not asked for here is not summed: of all there are that would be more than there is memory for */
	buf_printf(out, "sum(s0), sum(s1), sum(s2), %s FROM (",
		   s->scan->apart ? "sum(s3), sum(s4), sum(s5), sum(s6), min(s7), max(s8)"
				  : "toUInt64(0), toUInt64(0), toUInt64(0), toUInt64(0), "
				    "toUInt64(0), toUInt64(0)");
	buf_put_str(out, buf_str(parts));
	buf_putc(out, ')');
	put_group(out, n_keys);
	buf_printf(out, " ORDER BY %s DESC", sizes[s->scan->question->sort]);
	for (size_t i = 0; i < n_keys; i++)
		buf_printf(out, ", k%zu", i);
	buf_printf(out, " LIMIT %lu", s->scan->top);
	out->failed |= parts->failed;
}

void fleet_select_for(struct fleet_select *ret, const struct scan *scan,
		      const struct history_question *q)
{
	*ret = (struct fleet_select){ .scan = scan, .question = q };
	for (size_t i = 0; i < q->n_by; i++)
		want(ret, q->by[i]);
}

unsigned fleet_select_sums(const struct fleet_select *s)
{
	const struct history_question *q = s->question;
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

bool fleet_reads_less(const struct scan *s, const struct history_question *part,
		      const struct history_question *whole)
{
	_cleanup_buf_ struct buf scratch = BUF_INIT(FILTER_MAX);
	struct fleet_select of_part, of_whole;
	unsigned less, more;
	bool exact;

	fleet_select_for(&of_part, s, part);
	fleet_select_for(&of_whole, s, whole);
	less = fleet_select_sums(&of_part);
	more = fleet_select_sums(&of_whole);
	/* tables stand in the order of their sizes; of one name or domain there is little in any */
	return more && less & ((more & -more) - 1) && !filter_requires(whole->filter, "name").n &&
	       !filter_requires(whole->filter, "domain").n &&
	       fleet_put_filter(&scratch, whole->filter, FLEET_FLOW, &exact) && exact;
}
