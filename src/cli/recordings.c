/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/recordings.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/human.h"
#include "base/log.h"
#include "base/time.h"
#include "flow/record.h"
#include "history/flow_of_row.h"
#include "pipeline.h"
#include "replay/input.h"
#include "replay/replay.h"
#include "store/read.h"

#define DEFAULT_CONFIG "/etc/egret/egret.conf"
#define MAX_MESSAGES (1U << 20)
#define LINES_AT_ONCE 100000
#define HEAD_BYTES 4096

struct reading {
	const struct recordings *what;
	void (*fn)(void *ctx, const struct recorded *r);
	void *ctx;
	struct recordings_stats *stats;
	struct history *history;
	struct recorded recorded;
	struct flow_maker *maker; /* for what egretd has kept */
	struct replay *replay;    /* NULL until there is a capture */
	struct pipeline *pipeline;
};

int recordings_config(struct config *ret, const char *path)
{
	_cleanup_buf_ struct buf messages = BUF_INIT(MAX_MESSAGES);
	int r = config_read(ret, path[0] ? path : DEFAULT_CONFIG, !path[0], &messages);

	if (messages.n)
		fwrite(messages.p, 1, messages.n, stderr);
	if (r < 0 && r != -EINVAL)
		log_errno(r, "cannot read %s", path[0] ? path : DEFAULT_CONFIG);
	return r;
}

static void note_time(struct recordings_stats *s, uint64_t ns)
{
	if (!s->first_ns || ns < s->first_ns)
		s->first_ns = ns;
	s->last_ns = MAX(s->last_ns, ns);
}

static void on_recorded(void *ctx, const struct recorded *r)
{
	struct reading *rd = ctx;

	note_time(rd->stats, r->time_ns);
	rd->stats->no_who |= !r->who_known;
	rd->fn(rd->ctx, r);
}

/* A flow of a capture or log. */
static void on_record(void *ctx, const struct record *record)
{
	struct reading *rd = ctx;

	if (record->type != RECORD_FLOW || !record->flow_ends ||
	    record->flow->last_ns < rd->what->from_ns)
		return;
	recorded_of_flow(&rd->recorded, record->flow);
	rd->stats->capture_flows++;
	on_recorded(rd, &rd->recorded);
}

static void on_error(void *ctx, const char *message)
{
	log_error("%s", message);
}

/* --- egret's own records ----------------------------------------------------------------------------------------- */

/* Told from the first line: an object that says what type of event it is. */
static bool is_eve(const struct input_view *v)
{
	struct str head = { (const char *)v->p, MIN(v->n, (size_t)HEAD_BYTES) }, line;

	if (!str_cut(&head, '\n', &line))
		return false;
	line = str_trim(line);
	return str_has_prefix(line, STR("{")) && memmem(line.p, line.n, "\"event_type\"", 12);
}

static int read_lines(struct reading *rd, struct input *in, const char *path)
{
	struct input_view *v = input_view(in);
	uint64_t too_long = 0;

	while (input_need(in, v, 1)) {
		const uint8_t *end;

		while (!(end = memchr(v->p, '\n', v->n)) && v->n < INPUT_NEED_MAX &&
		       input_fill(in, v->n + 1))
			;
		if (!end && v->n >= INPUT_NEED_MAX) {
			too_long++;
			input_take(v, v->n);
			continue;
		}
		if (!end)
			end = v->p + v->n;
		/* The last line may be being written just now. */
		if (end == v->p + v->n && *(end - 1) != '}')
			break;
		history_line(rd->history, (struct str){ (const char *)v->p, (size_t)(end - v->p) });
		input_take(v, MIN((size_t)(end - v->p) + 1, v->n));
	}
	if (too_long)
		log_warn("%s: %llu lines are too long to be records", path,
			 (unsigned long long)too_long);
	return input_error(in);
}

static bool is_folder(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int add_capture(struct reading *rd, const char *path)
{
	int r = 0;

	if (!rd->pipeline)
		r = pipeline_new(&rd->pipeline,
				 &(struct pipeline_config){ .inside = rd->what->inside,
							    .n_inside = rd->what->n_inside },
				 (struct record_out){ on_record, rd });
	if (r == 0 && !rd->replay)
		r = replay_new(&rd->replay, pipeline_input(rd->pipeline), on_error, NULL);
	if (r < 0)
		return log_errno(r, "cannot start");
	return replay_add(rd->replay, path);
}

/* Records are read at once, captures gathered, because they are merged by time. */
static int read_one(struct reading *rd, const char *path)
{
	struct input *in = NULL;
	int r = is_folder(path) ? 1 : input_open(&in, path);

	if (r < 0)
		return log_errno(r, "cannot read %s", path);
	if (in) {
		input_fill(in, HEAD_BYTES);
		r = is_eve(input_view(in)) ? read_lines(rd, in, path) : 1;
		/* An eve.json that nobody has written to yet is one, too. */
		if (r == 1 && !input_view(in)->n && !input_error(in))
			r = 0;
	}
	input_free(in);
	if (r < 0)
		return log_errno(r, "%s: cannot be read to its end", path);
	return r == 1 ? add_capture(rd, path) : 0;
}

/* --- the history of this host ------------------------------------------------------------------------------------ */

struct rotated {
	char *path;
	uint64_t mtime_ns;
};

static int by_age(const void *a, const void *b)
{
	const struct rotated *x = a, *y = b;

	return x->mtime_ns < y->mtime_ns ? -1 : x->mtime_ns > y->mtime_ns;
}

/* eve.json, eve.json.1, eve.json-20260101.gz …: oldest first, without those last written before it all begins. */
static void read_host(struct reading *rd)
{
	const char *eve = rd->what->config->eve;
	char pattern[sizeof(rd->what->config->eve) + 2];
	_cleanup_free_ struct rotated *files = NULL;
	size_t n = 0;
	glob_t g;

	snprintf(pattern, sizeof(pattern), "%s*", eve);
	if (!eve[0] || glob(pattern, GLOB_NOSORT, NULL, &g) != 0) {
		log_error("%s%s",
			  eve[0] ? "no history yet: there is no " : "egret.conf says eve off",
			  eve[0] ? eve : ", so that there is no history");
		return;
	}
	files = calloc(g.gl_pathc, sizeof(*files));
	for (size_t i = 0; files && i < g.gl_pathc; i++) {
		struct stat st;

		if (stat(g.gl_pathv[i], &st) < 0 || !S_ISREG(st.st_mode))
			continue;
		files[n].path = g.gl_pathv[i];
		files[n].mtime_ns = (uint64_t)st.st_mtim.tv_sec * NSEC_PER_SEC;
		n += files[n].mtime_ns + NSEC_PER_SEC >= rd->what->from_ns;
	}
	if (n)
		qsort(files, n, sizeof(*files), by_age);
	for (size_t i = 0; i < n; i++) {
		rd->stats->inputs++;
		rd->stats->inputs_failed += read_one(rd, files[i].path) < 0;
	}
	globfree(&g);
}

/* --- what egretd has kept ---------------------------------------------------------------------------------------- */

/* A piece of a flow, or what was refused before it became one. */
static int on_piece(void *ctx, const struct store_row *row)
{
	struct reading *rd = ctx;
	const struct flow *f = flow_of_row(rd->maker, row);

	if (!f)
		return -ENOMEM;
	recorded_of_flow(&rd->recorded, f);
	rd->recorded.flows = row->flow_id && !row->seq;
	rd->recorded.seq = row->seq;
	if (!row->flow_id) {
		rd->recorded.kind = RECORDED_DROP;
		rd->recorded.calls = row->refused_calls;
		rd->recorded.packets = row->refused_packets;
		rd->stats->history.refusals++;
	}
	rd->stats->history.flows += rd->recorded.flows;
	on_recorded(rd, &rd->recorded);
	return 0;
}

/* -ENOENT: nothing is kept here. */
static int read_kept(struct reading *rd)
{
	const struct store_span span = { rd->what->from_ns, time_now() + NSEC_PER_SEC };
	const struct store_hint all = { 0 };
	char dir[sizeof(rd->what->config->state) + 16], why[256];
	struct store_reader *reader = NULL;
	int r;

	snprintf(dir, sizeof(dir), "%s/history", rd->what->config->state);
	r = store_reader_open(&reader, dir, why);
	if (r == 0 && !store_oldest_piece(reader))
		r = -ENOENT;
	else if (r < 0 && r != -ENOENT)
		log_warn("%s; reading eve.json instead", why);
	if (r < 0) {
		store_reader_close(reader);
		return -ENOENT;
	}
	rd->stats->from_kept = true;
	rd->stats->inputs++;
	r = flow_maker_new(&rd->maker);
	if (r == 0)
		r = store_read_pieces(reader, span, &all, false, on_piece, rd);
	if (r < 0)
		log_errno(r, "%s: cannot be read to its end", dir);
	if (store_reader_skipped(reader))
		log_warn("%s: %llu files could not be read, what they hold is missing here", dir,
			 (unsigned long long)store_reader_skipped(reader));
	rd->stats->inputs_failed += r < 0;
	flow_maker_free(rd->maker);
	store_reader_close(reader);
	return r;
}

int recordings_read(const struct recordings *what, void (*fn)(void *ctx, const struct recorded *r),
		    void *ctx, struct recordings_stats *ret)
{
	struct reading rd = { .what = what, .fn = fn, .ctx = ctx, .stats = ret };
	int r;

	*ret = (struct recordings_stats){ 0 };
	r = history_new(&rd.history, &(struct history_config){ .from_ns = what->from_ns,
							       .on_recorded = on_recorded,
							       .ctx = &rd });
	if (r < 0)
		return log_errno(r, "cannot start");
	for (size_t i = 0; i < what->n_files; i++) {
		ret->inputs++;
		ret->inputs_failed += read_one(&rd, what->files[i]) < 0;
	}
	if (!what->n_files && read_kept(&rd) == -ENOENT)
		read_host(&rd);
	while (rd.replay && (r = replay_run(rd.replay, LINES_AT_ONCE)) > 0)
		;
	if (r < 0)
		log_errno(r, "reading stopped");
	if (rd.pipeline)
		flow_table_finish(pipeline_flows(rd.pipeline));
	if (!ret->from_kept)
		ret->history = *history_stats(rd.history);
	if (ret->history.bad)
		log_warn("%llu records make no sense and were left out",
			 (unsigned long long)ret->history.bad);
	replay_free(rd.replay);
	pipeline_free(rd.pipeline);
	history_free(rd.history);
	return r < 0 ? r : ret->inputs == ret->inputs_failed ? -ENOENT : 0;
}

void recordings_describe(const struct recordings_stats *s, struct buf *out)
{
	char text[TIME_TEXT_MAX];

	buf_printf(out, "%s flows", human_count(s->history.flows + s->capture_flows, text));
	if (s->history.refusals)
		buf_printf(out, ", %s refusals", human_count(s->history.refusals, text));
	if (s->first_ns)
		buf_printf(out, " from %.19s", time_format(s->first_ns, text));
	if (s->last_ns > s->first_ns)
		buf_printf(out, " over %s", duration_format(s->last_ns - s->first_ns, text));
	if (s->from_kept)
		buf_puts(out, ", as egretd has kept it");
	if (s->inputs_failed)
		buf_printf(out, " (%s inputs could not be read)",
			   human_count(s->inputs_failed, text));
}
