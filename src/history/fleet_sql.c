/* SPDX-License-Identifier: Apache-2.0 */
#include "history/fleet_sql.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/time.h"
#include "flow/filter_steps.h"
#include "flow/flow.h"

#define SQL_MAX (1U << 20)
#define HOUR_S 3600U
#define DAY_S (24 * HOUR_S)

/* Bits of the tables that have what an expression is of. */
#define FLOW (1U << FLEET_FLOW)
#define VERDICT (1U << FLEET_VERDICT)
#define NAMES (1U << FLEET_USAGE_NAME)
#define HOSTS (1U << FLEET_USAGE_HOST)
#define PROGRAMS (1U << FLEET_USAGE_PROGRAM_DAY | 1U << FLEET_USAGE_PROGRAM)
#define DAYS (1U << FLEET_USAGE_DAY)
#define PEERS (1U << FLEET_USAGE_PEER)
#define HOURS (1U << FLEET_USAGE_HOUR)
#define WHOLE (1U << FLEET_WHOLE)
#define KEY (1U << FLEET_KEY)
/* columns of the other side, of this side, of both */
#define THERE (FLOW | VERDICT | HOURS | NAMES | PROGRAMS | DAYS | PEERS)
#define HERE (FLOW | VERDICT | HOURS | HOSTS)
#define ALL (THERE | HERE)

#define FILE_NAME(path) "if(endsWith(" path ", '/'), " path ", splitByChar('/', " path ")[-1])"
#define PROGRAM "if(exe = '', comm, " FILE_NAME("exe") ")"
#define KNOWN "(exe != '' OR comm != '')"
#define DPORT "if(inbound, our_port, peer_port)"
#define TEXTS_MAX 4
/* of what was refused: of a host's own, of answers to who called it, of what a gateway forwards */
#define REFUSED_DIRECTION "toUInt8(multiIf(forwarded, 3, inbound, 2, 1))"

/*
 * What a key of the filter language is in ClickHouse, as filter_keys.c has it of a flow. Texts are compared one by one, `array` is
 * an array of them; a number counts where `known` holds. `parts`: tables that have it in part.
 */
struct sql_key {
	const char *key;
	unsigned tables, parts;
	const char *texts[TEXTS_MAX];
	const char *array;
	bool is_lower; /* texts are kept in lower case, and an index can be used */
	const char *number, *known;
	const char *verdict; /* instead of `number` in that table */
	const char *addr;
	const char *(*word)(unsigned value); /* of an enumeration in `number` */
	unsigned values;
};

static const char *proto_word(unsigned v)
{
	static char text[8];

	return flow_proto_name((uint8_t)v, text);
}

static const char *direction_word(unsigned v)
{
	return flow_direction_name((enum flow_direction)v);
}

static const char *state_word(unsigned v)
{
	return flow_state_name((enum flow_state)v);
}

static const struct sql_key keys[] = {
	{ "host", HERE | DAYS | PEERS | KEY, 0, { "host" }, .is_lower = true },
	{ "proc", HERE | PROGRAMS, 0, { PROGRAM, "exe" } },
	{ "parent",
	  FLOW,
	  0,
	  { 0 },
	  .array = "arrayConcat(ancestor_exes, arrayMap(x -> " FILE_NAME("x") ", ancestor_exes))" },
	{ "args", FLOW, 0, { 0 }, .array = "args" },
	{ "pid", FLOW | VERDICT, 0, { 0 }, .number = "pid", .known = KNOWN },
	{ "user", HERE, 0, { "user", "if(" KNOWN ", toString(uid), '')" } },
	{ "unit", HERE, 0, { "unit" } },
	{ "container",
	  FLOW,
	  VERDICT | HOURS | HOSTS,
	  { "container_name", "container_id", "container_image" } },
	{ "cgroup", FLOW, 0, { "cgroup" } },
	{ "name", FLOW, THERE & ~FLOW, { "name" }, .array = "names", .is_lower = true },
	{ "domain", THERE, 0, { "domain" }, .is_lower = true },
	{ "source", FLOW | VERDICT, 0, { "if(name_source = '', 'none', name_source)" } },
	{ "addr", FLOW | VERDICT | KEY, 0, { 0 }, .addr = "peer_ip" },
	{ "segment", ALL, 0, { "segment" } },
	{ "country", THERE, 0, { "country" } },
	{ "asn", THERE, 0, { 0 }, .number = "asn", .known = "asn != 0" },
	{ "src", FLOW | VERDICT | KEY, 0, { 0 }, .addr = "if(inbound, peer_ip, our_ip)" },
	{ "port",
	  FLOW | VERDICT | KEY,
	  0,
	  { 0 },
	  .number = DPORT,
	  .known = "proto IN (6, 17, 33, 132, 136)" },
	{ "proto",
	  FLOW | VERDICT | KEY,
	  0,
	  { 0 },
	  .number = "proto",
	  .word = proto_word,
	  .values = 256 },
	{ "app", HERE, 0, { "app" } },
	{ "protocol", HERE, 0, { "app" } },
	{ "dir",
	  HERE,
	  0,
	  { 0 },
	  .number = "direction",
	  .verdict = REFUSED_DIRECTION,
	  .word = direction_word,
	  .values = FLOW_INGRESS + 1 },
	{ "state",
	  WHOLE,
	  0,
	  { 0 },
	  .number = "argMax(state, seq)",
	  .word = state_word,
	  .values = FLOW_CLOSED + 1 },
	{ "verdict", HERE, 0, { "action", "if(would_refuse, 'would-deny', '')" } },
	{ "rule",
	  HERE,
	  0,
	  { "rule_text", "rule_note", "if(rule_line = 0, '', toString(rule_line))" } },
	{ "up", WHOLE, 0, { 0 }, .number = "sum(up_bytes)" },
	{ "down", WHOLE, 0, { 0 }, .number = "sum(down_bytes)" },
	{ "bytes", WHOLE, 0, { 0 }, .number = "sum(up_bytes + down_bytes)" },
	{ "packets", WHOLE, 0, { 0 }, .number = "sum(up_packets + down_packets)" },
	{ "age", WHOLE, 0, { 0 } },
	{ "refused", WHOLE, 0, { 0 } },
	{ "rtt",
	  WHOLE,
	  0,
	  { 0 },
	  .number = "argMax(toUInt64(rtt_us), seq) * 1000",
	  .known = "argMax(rtt_us, seq) != 0" },
	{ "ja3", FLOW, 0, { "ja3" } },
	{ "ja4", FLOW, 0, { "ja4" } },
};

/* Keys of which the history knows nothing: no flow of it matches. */
static const char *const never[] = { "machine", "nat", "natport" };

/* ---- values ---- */

/* Inside quotes; `like`: also what LIKE takes for a pattern. */
static void put_escaped(struct buf *out, struct str s, bool like, bool lower)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = lower ? (char)tolower((unsigned char)s.p[i]) : s.p[i];

		if (like && (c == '*' || c == '?')) {
			buf_putc(out, c == '*' ? '%' : '_');
			continue;
		}
		if (like && (c == '%' || c == '_' || c == '\\'))
			buf_puts(out, "\\\\");
		if (c == '\\' || c == '\'')
			buf_putc(out, '\\');
		if (c)
			buf_putc(out, c);
		else
			buf_puts(out, "\\0");
	}
}

void fleet_put_text(struct buf *out, struct str s)
{
	buf_putc(out, '\'');
	put_escaped(out, s, false, false);
	buf_putc(out, '\'');
}

void fleet_put_ip(struct buf *out, const struct addr *a)
{
	char hex[2 * sizeof(a->b) + 1];

	buf_printf(out, "toFixedString(unhex('%s'), 16)", str_hex(a->b, sizeof(a->b), hex));
}

const char *fleet_table_name(enum fleet_table t)
{
	static const char *const names[] = {
		[FLEET_FLOW] = "flow",
		[FLEET_VERDICT] = "verdict",
		[FLEET_USAGE_NAME] = "usage_name",
		[FLEET_USAGE_HOST] = "usage_host",
		[FLEET_USAGE_PROGRAM_DAY] = "usage_program_day",
		[FLEET_USAGE_PROGRAM] = "usage_program",
		[FLEET_USAGE_DAY] = "usage_day",
		[FLEET_USAGE_PEER] = "usage_peer",
		[FLEET_USAGE_HOUR] = "usage_hour",
	};

	return names[t];
}

uint64_t fleet_step_s(enum fleet_table sums)
{
	return (1U << sums) & FLEET_BY_DAY ? DAY_S : HOUR_S;
}

const char *fleet_begin(enum fleet_table sums)
{
	return (1U << sums) & FLEET_BY_DAY ? "day" : "hour";
}

static void put_between(struct buf *out, const char *column, struct store_span span)
{
	uint64_t from = MIN(span.from_ns / NSEC_PER_SEC, (uint64_t)UINT32_MAX),
		 to = MIN(span.to_ns / NSEC_PER_SEC, (uint64_t)UINT32_MAX);

	buf_printf(out, "%s >= toDateTime(%lu) AND %s < toDateTime(%lu)", column, from, column, to);
}

void fleet_put_span(struct buf *out, enum fleet_table table, struct store_span span)
{
	uint64_t from = MIN(span.from_ns / NSEC_PER_SEC, (uint64_t)UINT32_MAX),
		 to = MIN(span.to_ns / NSEC_PER_SEC, (uint64_t)UINT32_MAX);

	if (!fleet_is_sums(table)) {
		buf_printf(out,
			   "toStartOfHour(ts) >= toDateTime(%lu) AND toStartOfHour(ts) <= "
			   "toDateTime(%lu) AND ",
			   from - from % HOUR_S, to);
	}
	put_between(out, fleet_is_sums(table) ? fleet_begin(table) : "ts", span);
}

void fleet_put_marks(struct buf *out, enum fleet_table sums, struct store_span span)
{
	buf_printf(out, "name = '%s' AND ", fleet_table_name(sums));
	put_between(out, "begin", span);
}

/* ---- one term ---- */

/* What is known of a term: 1 where every row it lets through is, 0 where only such are. */
struct sides {
	struct buf may, must;
	bool ok;
};

static bool is_pattern(struct str s)
{
	return s.n && (memchr(s.p, '*', s.n) || memchr(s.p, '?', s.n));
}

/* As str_glob(): ASCII case ignored. */
static void put_glob(struct buf *out, const char *what, struct str pattern, bool is_lower)
{
	buf_putc(out, '(');
	if (is_pattern(pattern))
		buf_printf(out, "%s != '' AND ", what);
	buf_printf(out, is_lower ? "%s" : "lower(%s)", what);
	buf_puts(out, is_pattern(pattern) ? " LIKE '" : " = '");
	put_escaped(out, pattern, is_pattern(pattern), true);
	buf_puts(out, "')");
}

/* In part: by the first of the texts alone. */
static void put_texts(struct buf *out, const struct sql_key *k, struct str pattern, bool in_part)
{
	buf_putc(out, '(');
	for (size_t i = 0; i < (in_part ? 1 : TEXTS_MAX) && k->texts[i]; i++) {
		buf_puts(out, i ? " OR " : "");
		put_glob(out, k->texts[i], pattern, k->is_lower);
	}
	if (k->array && !in_part) {
		buf_printf(out, "%sarrayExists(t -> ", k->texts[0] ? " OR " : "");
		put_glob(out, "t", pattern, k->is_lower);
		buf_printf(out, ", %s)", k->array);
	}
	buf_putc(out, ')');
}

static bool put_words(struct buf *out, const struct sql_key *k, struct str pattern)
{
	bool any = false;

	for (unsigned v = 0; v < k->values; v++) {
		const char *word = k->word(v);

		if (!word || !str_glob(pattern, str_of(word)))
			continue;
		buf_printf(out, "%s%u", any ? ", " : "", v);
		any = true;
	}
	return any;
}

static void put_number(struct buf *out, const struct sql_key *k, const struct filter_step *s,
		       enum fleet_table table)
{
	static const char *const signs[] = { [FILTER_EQUAL] = "=",
					     [FILTER_GREATER] = ">",
					     [FILTER_LESS] = "<",
					     [FILTER_AT_LEAST] = ">=",
					     [FILTER_AT_MOST] = "<=" };
	const char *number = table == FLEET_VERDICT && k->verdict ? k->verdict : k->number;
	_cleanup_buf_ struct buf words = BUF_INIT(4096);

	if (k->word) {
		buf_puts(out, put_words(&words, k, s->text) ? "(" : "(0 AND ");
		buf_printf(out, "%s IN (%s)", number, words.n ? words.p : "0");
		buf_putc(out, ')');
		return;
	}
	buf_printf(out, "(%s", number);
	if (s->to) {
		buf_printf(out, " >= %lu AND %s <= %lu", s->from, number, s->to);
	} else {
		buf_printf(out, " %s %lu", signs[s->compare], s->from);
	}
	if (k->known)
		buf_printf(out, " AND %s", k->known);
	buf_putc(out, ')');
}

/* The addresses of a network follow each other, byte by byte. */
void fleet_put_cidr(struct buf *out, const char *what, const struct cidr *c)
{
	struct addr from = c->addr, to = c->addr;

	for (unsigned bit = c->bits; bit < 128; bit++) {
		from.b[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
		to.b[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	}
	buf_printf(out, "(%s >= ", what);
	fleet_put_ip(out, &from);
	buf_printf(out, " AND %s <= ", what);
	fleet_put_ip(out, &to);
	buf_putc(out, ')');
}

void fleet_put_below(struct buf *out, const char *what, struct str name)
{
	buf_printf(out, "(%s = '", what);
	put_escaped(out, name, false, true);
	buf_printf(out, "' OR endsWith(%s, '.", what);
	put_escaped(out, name, false, true);
	buf_puts(out, "'))");
}

static void put_found(struct buf *out, const char *what, struct str word)
{
	if (is_pattern(word)) {
		put_glob(out, what, word, false);
		return;
	}
	buf_printf(out, "(positionCaseInsensitive(%s, '", what);
	put_escaped(out, word, false, false);
	buf_puts(out, "') > 0)");
}

/*
 * A bare word is found anywhere in program, path, names and the address of who was called; with wildcards it is the whole of one of them.
 * False: not to the letter, as IPv6 can be written in more ways than one.
 */
static bool put_word(struct buf *out, struct str word, enum fleet_table table)
{
	static const char *const texts[] = {
		PROGRAM, "exe", "name",
		"replaceOne(IPv6NumToString(if(inbound, our_ip, peer_ip)), '::ffff:', '')"
	};

	buf_putc(out, '(');
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		put_found(out, texts[i], word);
		buf_puts(out, " OR ");
	}
	if (table == FLEET_FLOW) {
		buf_puts(out, "arrayExists(t -> ");
		put_found(out, "t", word);
		buf_puts(out, ", names))");
	} else {
		buf_puts(out, "0)");
	}
	return !memchr(word.p, ':', word.n);
}

static const struct sql_key *key_of(const struct filter_key *k)
{
	for (size_t i = 0; k && i < ARRAY_SIZE(keys); i++)
		if (!strcmp(k->key, keys[i].key))
			return &keys[i];
	return NULL;
}

static bool is_never(const struct filter_key *k)
{
	for (size_t i = 0; k && i < ARRAY_SIZE(never); i++)
		if (!strcmp(k->key, never[i]))
			return true;
	return false;
}

static bool put_term(struct buf *out, const struct filter_step *s, enum fleet_table table)
{
	const struct sql_key *k = key_of(s->key);

	if (is_never(s->key)) {
		buf_puts(out, "0");
		return true;
	}
	if (!s->key)
		return (FLOW | VERDICT) & 1U << table && put_word(out, s->text, table);
	if (!k || !((k->tables | k->parts) & 1U << table))
		return false;
	if (!k->texts[0] && !k->array && !k->number && !k->addr)
		return false; /* only who puts the flow together can tell */
	if (k->addr)
		fleet_put_cidr(out, k->addr, &s->cidr);
	else if (k->number)
		put_number(out, k, s, table);
	else
		put_texts(out, k, s->text, k->parts & 1U << table);
	return true;
}

/* ---- all of it ---- */

static struct sides side(void)
{
	return (struct sides){ BUF_INIT(SQL_MAX), BUF_INIT(SQL_MAX), true };
}

static void drop(struct sides *s)
{
	buf_done(&s->may);
	buf_done(&s->must);
}

static struct sides term(const struct filter_step *s, enum fleet_table table, bool *exact)
{
	struct sides ret = side();

	if (put_term(&ret.may, s, table)) {
		buf_put_str(&ret.must, buf_str(&ret.may));
		return ret;
	}
	*exact = false;
	buf_clear(&ret.may);
	buf_puts(&ret.may, "1");
	buf_puts(&ret.must, "0");
	return ret;
}

static void negate(struct sides *s)
{
	struct sides was = *s;

	*s = side();
	buf_printf(&s->may, "(NOT %.*s)", STR_FMT(buf_str(&was.must)));
	buf_printf(&s->must, "(NOT %.*s)", STR_FMT(buf_str(&was.may)));
	drop(&was);
}

static void join(struct sides *a, struct sides *b, const char *word)
{
	struct sides was = *a;

	*a = side();
	buf_printf(&a->may, "(%.*s %s %.*s)", STR_FMT(buf_str(&was.may)), word,
		   STR_FMT(buf_str(&b->may)));
	buf_printf(&a->must, "(%.*s %s %.*s)", STR_FMT(buf_str(&was.must)), word,
		   STR_FMT(buf_str(&b->must)));
	drop(&was);
	drop(b);
}

bool fleet_put_filter(struct buf *out, const struct filter *f, enum fleet_table table,
		      bool *ret_exact)
{
	size_t n, top = 0;
	const struct filter_step *steps = filter_steps(f, &n);
	struct sides *stack = calloc(n + 1, sizeof(*stack));

	*ret_exact = true;
	if (!stack)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (steps[i].op == FILTER_TERM) {
			stack[top++] = term(&steps[i], table, ret_exact);
		} else if (steps[i].op == FILTER_NOT) {
			negate(&stack[top - 1]);
		} else {
			top--;
			join(&stack[top - 1], &stack[top],
			     steps[i].op == FILTER_AND ? "AND" : "OR");
		}
	}
	if (n)
		buf_put_str(out, buf_str(&stack[0].may));
	else
		buf_puts(out, "1");
	if (n && (stack[0].may.failed || stack[0].must.failed))
		out->failed = true;
	while (top--)
		drop(&stack[top]);
	free(stack);
	return !out->failed;
}

/* Columns that tables other than `flow` have under the same name. */
static unsigned tables_with(enum clickhouse_column c)
{
	static const uint16_t tables[COLUMN_COUNT] = {
		[COLUMN_HOST] = HERE | DAYS | PEERS,
		[COLUMN_BOOT] = FLOW | VERDICT,
		[COLUMN_FLOW_ID] = FLOW | VERDICT,
		[COLUMN_SEQ] = FLOW | VERDICT,
		[COLUMN_FROM] = FLOW | VERDICT,
		[COLUMN_TO] = FLOW | VERDICT,
		[COLUMN_PROTO] = FLOW | VERDICT,
		[COLUMN_OUR_IP] = FLOW | VERDICT,
		[COLUMN_OUR_PORT] = FLOW | VERDICT,
		[COLUMN_PEER_IP] = THERE,
		[COLUMN_PEER_PORT] = FLOW | VERDICT,
		[COLUMN_INBOUND] = FLOW | VERDICT,
		[COLUMN_FORWARDED] = FLOW | VERDICT,
		[COLUMN_APP] = HERE,
		[COLUMN_PID] = FLOW | VERDICT,
		[COLUMN_UID] = HERE,
		[COLUMN_USER] = HERE,
		[COLUMN_EXE] = HERE | PROGRAMS,
		[COLUMN_COMM] = HERE | PROGRAMS,
		[COLUMN_UNIT] = HERE,
		[COLUMN_CONTAINER_NAME] = HERE,
		[COLUMN_CONTAINER_ID] = FLOW | HOURS | HOSTS,
		[COLUMN_CONTAINER_IMAGE] = FLOW | VERDICT,
		[COLUMN_NAME] = THERE,
		[COLUMN_NAME_SOURCE] = FLOW | VERDICT,
		[COLUMN_DOMAIN] = THERE,
		[COLUMN_SEGMENT] = ALL,
		[COLUMN_COUNTRY] = THERE,
		[COLUMN_ASN] = THERE,
		[COLUMN_DIRECTION] = HERE,
		[COLUMN_ACTION] = HERE,
		[COLUMN_WOULD_REFUSE] = HERE,
		[COLUMN_REFUSED] = FLOW | VERDICT,
		[COLUMN_RULE_FILE] = HERE,
		[COLUMN_RULE_LINE] = HERE,
		[COLUMN_RULE_TEXT] = HERE,
		[COLUMN_RULE_NOTE] = HERE,
		[COLUMN_CALLS] = VERDICT,
		[COLUMN_PACKETS] = VERDICT,
		[COLUMN_BYTES] = VERDICT,
	};

	return tables[c] ?: FLOW;
}

const char *fleet_column(enum clickhouse_column c, enum fleet_table table)
{
	if (!(tables_with(c) & 1U << table))
		return NULL;
	if (c == COLUMN_DIRECTION && table == FLEET_VERDICT)
		return REFUSED_DIRECTION;
	/* one text, as clickhouse_read.h takes it */
	return c == COLUMN_ARGS ? "arrayStringConcat(args, '\\0')" : clickhouse_column_name(c);
}

/* A word without a key; what is said of a flow as a whole is asked again of what ClickHouse gives. */
static bool holds(const struct filter_key *key, enum fleet_table table)
{
	const struct sql_key *k = key_of(key);

	if (!key)
		return (FLOW | VERDICT) & 1U << table;
	return is_never(key) || (k && (k->tables | k->parts) & 1U << table) ||
	       (k && k->tables == WHOLE && table == FLEET_VERDICT);
}

bool fleet_holds_in_part(const struct filter *f, enum fleet_table table)
{
	size_t n;
	const struct filter_step *steps = filter_steps(f, &n);

	for (size_t i = 0; i < n; i++)
		if (steps[i].op == FILTER_TERM && !holds(steps[i].key, table))
			return false;
	return true;
}
