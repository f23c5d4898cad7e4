/* SPDX-License-Identifier: Apache-2.0 */
#include "history/scan.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/time.h"
#include "flow/filter.h"
#include "history/cover.h"
#include "history/fleet.h"
#include "history/whole.h"
#include "policy/locate.h"
#include "policy/policy.h"
#include "store/row_code.h"

#define NOTES_MAX (16U << 10)

/* ---- what a filter needs ---- */

static uint64_t bits_of(const char *const *keys)
{
	uint64_t bits = 0;

	for (; *keys; keys++)
		bits |= filter_bit(*keys);
	return bits;
}

/* Said of a flow as a whole: its pieces have to be put together first. */
bool scan_filter_is_of_whole_flows(const struct filter *f)
{
	static const char *const keys[] = { "up",  "down",  "bytes",   "packets", "age",
					    "rtt", "state", "refused", NULL };

	return filter_uses(f) & bits_of(keys);
}

static bool is_number(struct str s)
{
	uint64_t n;

	return str_parse_u64(s, &n) == 0;
}

/* Sums hold these to the letter; a user's number is not among it. */
static bool sums_hold(const struct filter *f)
{
	static const char *const keys[] = { "proc",     "user",   "unit",    "app",
					    "protocol", "dir",    "verdict", "segment",
					    "asn",      "domain", "country", NULL };

	return !(filter_uses(f) & ~bits_of(keys)) && !filter_any_value(f, "user", is_number);
}

/* They hold these in part: the best name, the name of a container, the text of a rule. */
static bool sums_hold_in_part(const struct filter *f)
{
	static const char *const keys[] = { "proc", "user",      "unit",    "app",     "protocol",
					    "dir",  "verdict",   "segment", "asn",     "domain",
					    "name", "container", "rule",    "country", NULL };

	return !(filter_uses(f) & ~(bits_of(keys) | FILTER_USES_WORD)) &&
	       !filter_any_value(f, "user", is_number);
}

static bool asks_for_pieces(const struct history_question *q)
{
	for (size_t i = 0; i < q->n_by; i++)
		if (q->by[i] >= STORE_DIM_COUNT)
			return true;
	return false;
}

static bool asks_for_places(const struct history_question *q)
{
	for (size_t i = 0; i < q->n_by; i++)
		if (q->by[i] == DIM_FROM || q->by[i] == DIM_TO)
			return true;
	return false;
}

bool scan_needs_pieces(const struct history_question *q)
{
	return asks_for_pieces(q) || !sums_hold(q->filter);
}

void scan_hint(const struct history_question *q, struct store_hint *ret, char text[256],
	       struct addr *addr)
{
	struct str name = filter_requires(q->filter, "name"),
		   exe = filter_requires(q->filter, "proc");
	struct cidr cidr;

	*ret = (struct store_hint){ 0 };
	if (name.n && name.n < 256) {
		for (size_t i = 0; i < name.n; i++)
			text[i] = (char)tolower((unsigned char)name.p[i]);
		ret->name = (struct str){ text, name.n };
	} else if (filter_requires_addr(q->filter, &cidr)) {
		*addr = cidr.addr;
		ret->peer = addr;
		ret->peer_bits = cidr.bits;
	}
	if (exe.n) {
		const char *slash = memrchr(exe.p, '/', exe.n);

		ret->exe_name = slash ? str_sub(exe, (size_t)(slash + 1 - exe.p), exe.n) : exe;
	}
}

/* ---- opening ---- */

static int open_places(struct scan *s)
{
	const struct policy *p = s->source->policy;
	int r = locator_new(&s->places);

	if (r == 0)
		r = locator_set_policy(s->places, p);
	if (r == 0 && (!p || !p->n_segments))
		scan_note(
			s,
			"the policy in force defines no segments: these are classes of addresses");
	return r;
}

int scan_open(struct scan *s, const struct history_source *source, const struct history_question *q,
	      char error[QUESTION_ERROR_MAX])
{
	int r;

	*s = (struct scan){ .source = source,
			    .question = q,
			    .span = q->span,
			    .from_what = "flows",
			    .notes = BUF_INIT(NOTES_MAX) };
	r = flow_maker_new(&s->maker);
	if (r == 0 && asks_for_places(q))
		r = open_places(s);
	if (r < 0)
		return r;
	if (source->fleet) {
		r = fleet_open(&s->fleet, source->fleet, error);
	} else {
		r = store_reader_open(&s->reader, source->dir, error);
		if (r == -ENOENT) {
			scan_note(s, "nothing is kept yet");
			r = 0;
		}
	}
	s->n_opened = s->notes.n;
	return r;
}

void scan_again(struct scan *s)
{
	s->notes.n = s->n_opened;
	s->span = s->question->span;
	s->from_what = "flows";
}

void scan_close(struct scan *s)
{
	s->reader = store_reader_close(s->reader);
	s->fleet = fleet_close(s->fleet);
	s->maker = flow_maker_free(s->maker);
	s->places = locator_free(s->places);
	buf_done(&s->notes);
}

void scan_note(struct scan *s, const char *fmt, ...)
{
	char line[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	buf_printf(&s->notes, "%s\n", line);
}

/* ---- pieces ---- */

int scan_overlay(struct scan *s, struct store_span span, store_row_fn fn, void *ctx)
{
	struct str rest = s->source->overlay;
	bool within = s->in_overlay;
	struct store_row row;
	int r;

	s->in_overlay = true;
	while ((r = store_row_decode(&rest, &row)) > 0) {
		if (row.to_ns < span.from_ns || row.to_ns >= span.to_ns)
			continue;
		r = fn(ctx, &row);
		if (r)
			break;
	}
	s->in_overlay = within;
	return r;
}

int scan_rows(struct scan *s, struct store_span span, const struct store_hint *hint,
	      bool newest_first, store_row_fn fn, void *ctx)
{
	int r;

	if (s->fleet)
		return fleet_rows(s, span, hint, newest_first, fn, ctx);
	r = newest_first ? scan_overlay(s, span, fn, ctx) : 0;
	if (r == 0 && s->reader)
		r = store_read_pieces(s->reader, span, hint, newest_first, fn, ctx);
	if (r == 0 && !newest_first)
		r = scan_overlay(s, span, fn, ctx);
	return r;
}

static void portion_of_row(struct portion *p, const struct store_row *row, struct store_key *key,
			   struct store_key_scratch *scratch)
{
	store_row_key(row, scratch, key);
	p->row = row;
	p->key = key;
	p->time_ns = row->to_ns;
	p->sum = moved_of_row(row);
}

struct taking {
	struct scan *scan;
	portion_fn fn;
	void *ctx;
	bool unfiltered;
};

static bool lets_through(const struct taking *t, const struct flow *f)
{
	return f && filter_match(t->scan->question->filter, f, t->scan->source->now_ns);
}

static int take_row(void *ctx, const struct store_row *row)
{
	struct taking *t = ctx;
	struct portion p = { .maker = t->scan->maker, .places = t->scan->places };
	struct store_key_scratch scratch;
	struct store_key key;

	if (!t->unfiltered && t->scan->question->filter &&
	    !lets_through(t, flow_of_row(t->scan->maker, row)))
		return 0;
	portion_of_row(&p, row, &key, &scratch);
	return t->fn(t->ctx, &p);
}

static int read_pieces(struct taking *t, struct store_span span)
{
	struct scan *s = t->scan;
	struct store_hint hint = { 0 };
	struct addr addr;
	char text[256];

	if (t->unfiltered)
		return scan_rows(s, span, &hint, false, take_row, t);
	scan_hint(s->question, &hint, text, &addr);
	if (scan_filter_is_of_whole_flows(s->question->filter))
		return whole_flows(s, span, &hint, take_row, t);
	return scan_rows(s, span, &hint, false, take_row, t);
}

/* ---- sums ---- */

static int take_sum(void *ctx, const struct store_sum *sum)
{
	struct taking *t = ctx;
	struct portion p = { .key = sum->key, .time_ns = sum->time_ns, .maker = t->scan->maker };

	if (!t->unfiltered && t->scan->question->filter &&
	    !lets_through(t, flow_of_key(t->scan->maker, sum->key)))
		return 0;
	p.sum = (struct moved){ .flows = sum->flows,
				.up = sum->up_bytes,
				.down = sum->down_bytes,
				.up_packets = sum->up_packets,
				.down_packets = sum->down_packets,
				.refused = sum->refused,
				.first_ns = sum->time_ns,
				.last_ns = sum->last_ns };
	return t->fn(t->ctx, &p);
}

static const char *step_word(enum store_step step)
{
	static const char *const words[] = { "minutes", "hours", "days" };

	return words[step];
}

/* One step, cut at months: what is summed over time belongs to one month then. */
static int read_step(struct taking *t, const struct cover_part *part)
{
	struct scan *s = t->scan;
	uint64_t at = part->span.from_ns;
	int r = 0;

	while (r == 0 && at < part->span.to_ns) {
		uint64_t end = MIN(part->span.to_ns, cover_month_end(at));

		r = store_read_sums(s->reader, part->step, (struct store_span){ at, end },
				    s->series, take_sum, t);
		at = end;
	}
	return r;
}

static int read_sums(struct taking *t, struct store_span *span)
{
	struct scan *s = t->scan;
	struct cover c;
	int r = 0;

	if (s->reader) {
		cover_plan(&c, s->reader, *span, s->source->now_ns,
			   s->series ? s->step : STORE_DAY);
		*span = c.span;
		if (!t->unfiltered)
			s->from_what = step_word(c.finest);
		for (size_t i = 0; r == 0 && i < c.n; i++)
			r = read_step(t, &c.parts[i]);
	}
	return r == 0 ? scan_overlay(s, *span, take_row, t) : r;
}

/* ---- both ---- */

/* What of the span only sums are left of; false: nothing. */
static bool before_pieces(const struct scan *s, struct store_span span, struct store_span *ret)
{
	uint64_t oldest = s->reader ? store_oldest_piece(s->reader) : 0;
	uint64_t oldest_sum = s->reader ? store_oldest_sum(s->reader, STORE_DAY) : 0;

	*ret = (struct store_span){ span.from_ns, MIN(cover_day(oldest), span.to_ns) };
	return oldest && oldest_sum && ret->from_ns < ret->to_ns && oldest_sum < ret->to_ns;
}

static int read_older_and_pieces(struct taking *t, struct store_span *span)
{
	struct store_span older;
	int r = 0;

	if (!before_pieces(t->scan, *span, &older))
		return read_pieces(t, *span);
	r = read_sums(t, &older);
	if (r == 0)
		r = read_pieces(t, (struct store_span){ older.to_ns, span->to_ns });
	span->from_ns = older.from_ns;
	return r;
}

static int read_both(struct taking *t)
{
	struct scan *s = t->scan;
	struct store_span older;
	char text[TIME_TEXT_MAX];
	int r;

	if (!before_pieces(s, s->span, &older))
		return read_pieces(t, s->span);
	text[0] = 0;
	time_format(older.to_ns, text);
	text[10] = 0;
	if (asks_for_pieces(s->question) || !sums_hold_in_part(s->question->filter)) {
		scan_note(s,
			  "flows are kept from %s on: of what was before there are only sums, "
			  "which do "
			  "not know what is asked for here",
			  text);
		return read_pieces(t, s->span);
	}
	scan_note(s,
		  "before %s from sums: these know the best name of a flow alone, the name of a "
		  "container, the text of a rule",
		  text);
	r = read_older_and_pieces(t, &s->span);
	s->from_what = "flows";
	return r;
}

int scan_run(struct scan *s, portion_fn fn, void *ctx)
{
	struct taking t = { .scan = s, .fn = fn, .ctx = ctx };
	int r;

	if (s->fleet)
		return fleet_run(s, fn, ctx);
	if (scan_needs_pieces(s->question))
		return read_both(&t);
	if (!s->by_address)
		return read_sums(&t, &s->span);
	r = read_older_and_pieces(&t, &s->span);
	s->from_what = "flows";
	return r;
}

int scan_all(struct scan *s, struct store_span span, portion_fn fn, void *ctx)
{
	struct taking t = { .scan = s, .fn = fn, .ctx = ctx, .unfiltered = true };
	bool series = s->series;
	int r;

	s->series = false;
	r = s->by_address ? read_older_and_pieces(&t, &span) : read_sums(&t, &span);
	s->series = series;
	return r;
}
