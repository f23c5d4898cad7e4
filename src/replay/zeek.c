/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Zeek logs (conn, dns, ssl, http, quic), TSV or JSON lines, as a format of replay. Zeek writes a line when it is done
 * with a connection, so lines are not in the order of their `ts`. The reader holds back up to WINDOW lines (and
 * WINDOW_BYTES) and hands on the earliest of them: lines displaced by more than that come late, but they do come.
 */
#include "replay/zeek.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "replay/input.h"
#include "replay/replay.h"
#include "replay/source.h"

#define LINE_MAX (256u << 10)
#define WINDOW 4096
#define WINDOW_BYTES (4u << 20)
#define SLOT_KEEP 4096 /* memory a slot keeps between lines */

/* A line held back. */
struct slot {
	uint64_t ts, number;
	char *p;
	uint32_t n, cap;
};

struct zeek {
	struct input *in;
	struct input_view *view;
	struct replay_stats *stats;
	uint64_t *udp_uids;
	bool json;
	bool ended;
	enum zeek_log log; /* of a TSV file; of JSON lines that do not tell */
	struct zeek_tsv tsv;
	struct slot slots[WINDOW];
	uint16_t heap[WINDOW], spare[WINDOW]; /* slots by (ts, number); slots without a line */
	size_t n_heap, n_spare;
	size_t bytes; /* of the lines held back */
	uint64_t n_lines;
	int given; /* slot of the line handed on last, or -1 */
	struct dns_message dns;
};

/* --- lines --------------------------------------------------------------------------------------------------- */

enum line { LINE_END, LINE_OK, LINE_TOO_LONG };

/* The line at the front of the input without its end; *ret_taken is what to take off for it. */
static enum line next_line(struct zeek *z, struct str *ret, size_t *ret_taken)
{
	struct input_view *v = z->view;
	size_t seen = 0;
	const uint8_t *end;

	for (;;) {
		end = v->n > seen ? memchr(v->p + seen, '\n', v->n - seen) : NULL;
		if (end || v->n > LINE_MAX)
			break;
		seen = v->n;
		if (!input_fill(z->in, seen + 1))
			break;
	}
	if (!v->n)
		return LINE_END;
	*ret_taken = end ? (size_t)(end - v->p) + 1 : v->n;
	*ret = (struct str){ (const char *)v->p, *ret_taken - (end ? 1 : 0) };
	if (ret->n && ret->p[ret->n - 1] == '\r')
		ret->n--;
	return ret->n > LINE_MAX || (!end && v->n > LINE_MAX) ? LINE_TOO_LONG : LINE_OK;
}

static void skip_line(struct zeek *z)
{
	do {
		const uint8_t *end = memchr(z->view->p, '\n', z->view->n);

		if (end) {
			input_take(z->view, (size_t)(end - z->view->p) + 1);
			return;
		}
		input_take(z->view, z->view->n);
	} while (input_fill(z->in, 1));
}

static struct str skip_blanks(struct str s)
{
	if (str_has_prefix(s, STR("\xef\xbb\xbf"))) /* a byte order mark, from an editor */
		s = str_sub(s, 3, s.n);
	while (s.n && (s.p[0] == ' ' || s.p[0] == '\t' || s.p[0] == '\r' || s.p[0] == '\n'))
		s = str_sub(s, 1, s.n);
	return s;
}

/* --- what kind of log ---------------------------------------------------------------------------------------- */

enum zeek_log zeek_log_of(struct str path)
{
	static const struct str paths[] = { [ZEEK_CONN] = STR("conn"),
					    [ZEEK_DNS] = STR("dns"),
					    [ZEEK_SSL] = STR("ssl"),
					    [ZEEK_HTTP] = STR("http"),
					    [ZEEK_QUIC] = STR("quic") };

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		if (str_eq(path, paths[i]))
			return (enum zeek_log)i;
	return ZEEK_OTHER;
}

/* By name where the line has one, else by fields that only that log has. */
static enum zeek_log json_log(const struct zeek_line *l, enum zeek_log otherwise)
{
	const struct str *f = l->f;

	if (f[ZF_PATH].p)
		return zeek_log_of(f[ZF_PATH]);
	if (f[ZF_STREAM].p)
		return zeek_log_of(f[ZF_STREAM]);
	if (zeek_log_of(l->wrapper) != ZEEK_OTHER)
		return zeek_log_of(l->wrapper);
	if (!f[ZF_ORIG_H].p)
		return ZEEK_OTHER;
	if (f[ZF_CONN_STATE].p)
		return ZEEK_CONN;
	if (f[ZF_TRANS_DEPTH].p && (f[ZF_METHOD].p || f[ZF_STATUS_CODE].p || f[ZF_HOST].p))
		return ZEEK_HTTP;
	if (f[ZF_TRANS_ID].p && (f[ZF_QUERY].p || f[ZF_RCODE].p || f[ZF_AA].p))
		return ZEEK_DNS;
	if (f[ZF_CLIENT_DCID].p)
		return ZEEK_QUIC;
	if (f[ZF_ESTABLISHED].p || f[ZF_CIPHER].p)
		return ZEEK_SSL;
	return otherwise;
}

static bool zeek_is(struct str head)
{
	head = skip_blanks(head);
	return str_has_prefix(head, STR("#separator")) || str_has_prefix(head, STR("#fields")) ||
	       str_has_prefix(head, STR("#path")) || str_has_prefix(head, STR("{"));
}

/* The head of the file up to its first line; "#" lines later on are read as they come (rotated logs joined). */
static void read_tsv_head(struct zeek *z)
{
	struct str line;
	size_t n;

	while (next_line(z, &line, &n) == LINE_OK) {
		line = skip_blanks(line);
		if (line.n && line.p[0] != '#')
			return;
		zeek_tsv_header(&z->tsv, line);
		input_take(z->view, n);
	}
}

/* Looks at what is buffered, without taking it, for a line of a log we read. */
static enum zeek_log look_at_json(struct zeek *z)
{
	struct str rest = { (const char *)z->view->p, z->view->n }, line;
	struct zeek_line scanned;
	enum zeek_log log = ZEEK_OTHER;

	while (log == ZEEK_OTHER && str_cut(&rest, '\n', &line)) {
		_cleanup_free_ char *copy = NULL;

		line = skip_blanks(line);
		if (line.n && line.n <= LINE_MAX)
			copy = malloc(line.n);

		if (!copy)
			continue;
		memcpy(copy, line.p, line.n);
		if (zeek_scan_json(copy, line.n, &scanned) == 0)
			log = json_log(&scanned, ZEEK_OTHER);
	}
	return log;
}

static void zeek_close(void *reader)
{
	struct zeek *z = reader;

	for (size_t i = 0; z && i < WINDOW; i++)
		free(z->slots[i].p);
	free(z);
}

static void zeek_closep(struct zeek **z)
{
	zeek_close(*z);
}

static int zeek_open(void **ret, struct input *in, struct shared *shared)
{
	_cleanup_(zeek_closep) struct zeek *z = calloc(1, sizeof(*z));
	struct str head;

	if (!z)
		return -ENOMEM;
	z->in = in;
	z->view = input_view(in);
	z->stats = &shared->stats;
	z->udp_uids = shared->udp_uids;
	z->given = -1;
	for (size_t i = 0; i < WINDOW; i++)
		z->spare[z->n_spare++] = (uint16_t)(WINDOW - 1 - i);
	zeek_tsv_init(&z->tsv);
	head = skip_blanks((struct str){ (const char *)z->view->p, z->view->n });
	z->json = head.n && head.p[0] == '{';
	if (z->json) {
		z->log = look_at_json(z);
	} else {
		read_tsv_head(z);
		z->log = zeek_log_of(str_of(z->tsv.path));
		if (!zeek_tsv_has(&z->tsv, ZF_TS) || !zeek_tsv_has(&z->tsv, ZF_ORIG_H))
			z->log = ZEEK_OTHER;
	}
	if (z->log == ZEEK_OTHER)
		return -EBADMSG;
	*ret = TAKE_PTR(z);
	return 0;
}

/* --- the window ---------------------------------------------------------------------------------------------- */

static bool earlier(const struct zeek *z, uint16_t a, uint16_t b)
{
	const struct slot *x = &z->slots[a], *y = &z->slots[b];

	return x->ts != y->ts ? x->ts < y->ts : x->number < y->number;
}

static void push(struct zeek *z, uint16_t slot)
{
	size_t at = z->n_heap++;

	for (; at && earlier(z, slot, z->heap[(at - 1) / 2]); at = (at - 1) / 2)
		z->heap[at] = z->heap[(at - 1) / 2];
	z->heap[at] = slot;
}

static uint16_t pop(struct zeek *z)
{
	uint16_t first = z->heap[0], last = z->heap[--z->n_heap];
	size_t at = 0, child;

	while ((child = 2 * at + 1) < z->n_heap) {
		if (child + 1 < z->n_heap && earlier(z, z->heap[child + 1], z->heap[child]))
			child++;
		if (!earlier(z, z->heap[child], last))
			break;
		z->heap[at] = z->heap[child];
		at = child;
	}
	z->heap[at] = last;
	return first;
}

/* Good enough to sort by; the line is scanned in full when its turn comes. */
static uint64_t find_ts(const struct zeek *z, struct str line)
{
	uint64_t ts = 0;

	if (z->json) {
		const char *at = memmem(line.p, line.n, "\"ts\":", 5);
		struct str value;

		if (!at)
			return 0;
		value = skip_blanks(str_sub(line, (size_t)(at - line.p) + 5, line.n));
		if (value.n && value.p[0] == '"')
			value = str_sub(value, 1, value.n);
		for (size_t i = 0; i < value.n; i++)
			if (value.p[i] == ',' || value.p[i] == '}' || value.p[i] == '"')
				value.n = i;
		zeek_time(value, &ts);
		return ts;
	}
	for (unsigned i = 0; i < z->tsv.n_needed; i++) {
		struct str column;
		char separator = z->tsv.blanks ? ' ' : z->tsv.separator;

		if (!str_cut(&line, separator, &column))
			return 0;
		if (z->tsv.columns[i] != ZF_TS)
			continue;
		zeek_time(column, &ts);
		return ts;
	}
	return 0;
}

/* False: no memory, and the line is lost. */
static bool hold_back(struct zeek *z, struct str line)
{
	uint16_t at = z->spare[z->n_spare - 1];
	struct slot *s = &z->slots[at];

	if (line.n > s->cap) {
		size_t cap = line.n < 512 ? 512 : line.n;
		char *more = realloc(s->p, cap);

		if (!more)
			return false;
		s->p = more;
		s->cap = (uint32_t)cap;
	}
	memcpy(s->p, line.p, line.n);
	s->n = (uint32_t)line.n;
	s->ts = find_ts(z, line);
	s->number = z->n_lines++;
	z->bytes += line.n;
	z->n_spare--;
	push(z, at);
	return true;
}

/* Reads one line on; false at the end. */
static bool read_line(struct zeek *z)
{
	struct str line, bare;
	size_t taken;
	enum line what = next_line(z, &line, &taken);

	if (what == LINE_END) {
		z->stats->inputs_cut += input_error(z->in) < 0;
		z->ended = true;
		return false;
	}
	if (what == LINE_TOO_LONG) {
		z->stats->log_lines++;
		z->stats->log_lines_bad++;
		skip_line(z);
		return true;
	}
	bare = skip_blanks(line);
	if (z->json)
		line = bare;
	if (!z->json && bare.n && bare.p[0] == '#') {
		zeek_tsv_header(&z->tsv, bare);
	} else if (line.n) {
		z->stats->log_lines++;
		z->stats->log_lines_bad += !hold_back(z, line);
	}
	input_take(z->view, taken);
	return true;
}

static void give_back(struct zeek *z)
{
	struct slot *s = &z->slots[z->given];

	if (s->cap > SLOT_KEEP) {
		free(s->p);
		s->p = NULL;
		s->cap = 0;
	}
	z->bytes -= s->n;
	z->spare[z->n_spare++] = (uint16_t)z->given;
	z->given = -1;
}

static bool zeek_next(void *reader, struct record *ret)
{
	struct zeek *z = reader;
	struct slot *s;

	if (z->given >= 0)
		give_back(z);
	while (!z->ended && z->n_spare && z->bytes < WINDOW_BYTES && read_line(z))
		;
	if (!z->n_heap)
		return false;
	z->given = pop(z);
	s = &z->slots[z->given];
	*ret = (struct record){ .time_ns = s->ts, .bytes = { s->p, s->n } };
	return true;
}

static void zeek_deliver(void *reader, const struct record *rec, struct event_out out)
{
	struct zeek *z = reader;
	char *text = z->slots[z->given].p; /* the same bytes, ours to write into */
	enum zeek_log log = z->log;
	struct zeek_line line;
	struct zeek_emitter emitter = {
		.tsv = z->json ? NULL : &z->tsv, .dns = &z->dns, .udp_uids = z->udp_uids, .out = out
	};
	int r;

	if (z->json) {
		r = zeek_scan_json(text, rec->bytes.n, &line);
		if (r == 0)
			log = json_log(&line, z->log);
	} else {
		r = zeek_scan_tsv(&z->tsv, text, rec->bytes.n, &line);
	}
	if (r == 0)
		r = zeek_emit(&emitter, log, &line);
	z->stats->log_lines_bad += r < 0;
}

const struct format format_zeek = {
	.name = "zeek",
	.is = zeek_is,
	.open = zeek_open,
	.close = zeek_close,
	.next = zeek_next,
	.deliver = zeek_deliver,
};
