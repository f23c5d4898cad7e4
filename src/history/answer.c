/* SPDX-License-Identifier: Apache-2.0 */
#include "history/answer.h"

#include <errno.h>
#include <stdio.h>

#include "base/time.h"
#include "history/verbs.h"

#define LINE_MAX_BYTES (8U << 20)

static int (*const verbs[])(struct answering *a) = {
	[ASK_FLOWS_KEPT] = answer_flows_kept,   [ASK_USAGE] = answer_usage,
	[ASK_TIMELINE] = answer_timeline,       [ASK_WHO] = answer_who,
	[ASK_FLOW_KEPT] = answer_flow_kept,     [ASK_REPLAY] = answer_replay,
	[ASK_FINDINGS] = answer_fleet_findings, [ASK_HOSTS] = answer_fleet_hosts,
	[ASK_CASES] = answer_fleet_cases,       [ASK_POLICIES] = answer_fleet_policies,
};

void line_begin(struct answering *a)
{
	a->j = JSON_INIT(&a->line);
	json_object_begin(&a->j, NULL);
}

int line_end(struct answering *a)
{
	int r = 0;

	if (a->line.n && a->line.p[a->line.n - 1] != '\n') {
		json_object_end(&a->j);
		buf_putc(&a->line, '\n');
	}
	if (a->line.failed)
		r = -ENOMEM;
	else if (fwrite(a->line.p, 1, a->line.n, a->out) != a->line.n)
		r = -EIO;
	buf_clear(&a->line);
	return r;
}

void end_begin(struct answering *a)
{
	line_begin(a);
	json_bool(&a->j, "end", true);
}

void end_common(struct answering *a)
{
	struct scan *s = &a->scan;
	struct str rest, note;
	uint64_t oldest = 0, skipped = s->reader ? store_reader_skipped(s->reader) : 0;

	for (int i = 0; s->reader && i < STORE_STEP_COUNT; i++) {
		uint64_t sum = store_oldest_sum(s->reader, (enum store_step)i);

		oldest = sum && (!oldest || sum < oldest) ? sum : oldest;
	}
	if (skipped)
		scan_note(s,
			  "%lu files of the history could not be read: what they hold is missing "
			  "here",
			  skipped);
	json_u64(&a->j, "from", s->span.from_ns / NSEC_PER_SEC);
	json_u64(&a->j, "to", s->span.to_ns / NSEC_PER_SEC);
	if (oldest)
		json_u64(&a->j, "oldest", oldest / NSEC_PER_SEC);
	json_text(&a->j, "source", s->from_what);
	json_array_begin(&a->j, "notes");
	rest = buf_str(&s->notes);
	while (str_cut(&rest, '\n', &note))
		if (note.n)
			json_str(&a->j, NULL, note);
	json_array_end(&a->j);
}

void put_moved(struct json *j, const struct moved *s)
{
	json_u64(j, "flows", s->flows);
	json_u64(j, "up", s->up);
	json_u64(j, "down", s->down);
	json_u64(j, "packets_up", s->up_packets);
	json_u64(j, "packets_down", s->down_packets);
	json_u64(j, "refused", s->refused);
	if (s->first_ns)
		json_u64(j, "first", s->first_ns / NSEC_PER_SEC);
	if (s->last_ns)
		json_u64(j, "last", s->last_ns / NSEC_PER_SEC);
}

static const char *words_of(int r)
{
	switch (-r) {
	case ENOMEM:
		return "not enough memory for this answer: ask for a shorter time, or with a "
		       "filter";
	case E2BIG:
		return "more than can be put together at once: ask for a shorter time, or with a "
		       "filter";
	case EBADMSG:
		return "the history holds what cannot be read";
	default:
		return "the history cannot be read";
	}
}

static void put_error(struct answering *a, const char *text)
{
	buf_clear(&a->line);
	line_begin(a);
	json_text(&a->j, "error", text);
	line_end(a);
}

static int only_of_fleets(struct answering *a)
{
	snprintf(a->error, sizeof(a->error), "that is asked of a fleet: of `egretd --console`");
	return -EINVAL;
}

int history_answer(const struct history_source *source, struct str question, FILE *out)
{
	struct answering a = { .out = out, .line = BUF_INIT(LINE_MAX_BYTES) };
	struct history_question q;
	int r = question_parse(question, source->now_ns, &q, a.error);

	if (r == 0) {
		a.question = &q;
		r = scan_open(&a.scan, source, &q, a.error);
		if (r == 0 && q.verb >= ASK_FINDINGS && !source->fleet)
			r = only_of_fleets(&a);
		else if (r == 0)
			r = verbs[q.verb](&a);
		scan_close(&a.scan);
		question_done(&q);
	}
	if (r < 0 && r != -EIO)
		put_error(&a, a.error[0] ? a.error : words_of(r));
	buf_done(&a.line);
	return fflush(out) || r == -EIO ? -EIO : 0;
}
