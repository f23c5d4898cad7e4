/* SPDX-License-Identifier: Apache-2.0 */
#include "store/alert_sink.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "flow/record.h"
#include "store/alert_text.h"
#include "store/outlet.h"

#define QUEUE_MAX (256U << 10)
#define LINE_MAX_BYTES 8192

struct alert_sink {
	struct sink sink;
	struct alert_config cfg;
	const char *host;
	uint64_t *lost;
	struct outlet *out;
	struct buf line, frame;
};

static int parse_target(struct outlet_target *t, const struct alert_config *cfg)
{
	struct str to = str_of(cfg->to);

	if (cfg->form == ALERT_JOURNAL)
		return outlet_target_parse(t, STR("/run/systemd/journal/socket"));
	if (!to.n || str_eq(to, STR("local")))
		return outlet_target_parse(t, STR("/dev/log"));
	return outlet_target_parse(t, to);
}

int alert_target_check(const char *to, char why[128])
{
	struct alert_config cfg = { .form = ALERT_SYSLOG };
	struct outlet_target t;

	snprintf(cfg.to, sizeof(cfg.to), "%s", to);
	if (strlen(to) < sizeof(cfg.to) && parse_target(&t, &cfg) == 0)
		return 0;
	snprintf(why, 128,
		 "local, a socket's path, udp://ADDRESS:PORT, tcp://ADDRESS:PORT or "
		 "tls://ADDRESS:PORT is "
		 "expected here");
	return -EINVAL;
}

static int flush(struct sink *sink)
{
	return outlet_flush(container_of(sink, struct alert_sink, sink)->out);
}

/* Over a stream with octet counting: "LENGTH LINE" (RFC 6587 3.4.1, RFC 5425 4.3). */
static void put_line(struct alert_sink *s)
{
	if (s->line.failed) {
		++*s->lost;
		return;
	}
	buf_clear(&s->frame);
	if (outlet_is_stream(s->out))
		buf_printf(&s->frame, "%zu ", s->line.n);
	buf_put_str(&s->frame, buf_str(&s->line));
	outlet_put(s->out, buf_str(&s->frame), 1);
}

static void put(struct sink *sink, const struct record *r)
{
	struct alert_sink *s = container_of(sink, struct alert_sink, sink);
	struct alert_facts a;
	char proto[8];

	if (!alert_facts_of(&a, r, proto) || a.severity < s->cfg.least)
		return;
	buf_clear(&s->line);
	if (s->cfg.form == ALERT_JOURNAL)
		alert_put_journal(&s->line, &a);
	else
		alert_put_syslog(&s->line, &a, s->host, s->cfg.form == ALERT_CEF);
	put_line(s);
	flush(sink);
}

static int reopen(struct sink *sink)
{
	outlet_hang_up(container_of(sink, struct alert_sink, sink)->out);
	return 0;
}

static void sink_free(struct sink *sink)
{
	struct alert_sink *s = container_of(sink, struct alert_sink, sink);

	outlet_free(s->out);
	buf_done(&s->line);
	buf_done(&s->frame);
	free(s);
}

int alert_sink_new(struct sink **ret, const struct alert_config *cfg, const char *host,
		   uint64_t *lost)
{
	static const struct sink_ops ops = {
		.name = "alerts", .put = put, .flush = flush, .reopen = reopen, .free = sink_free
	};
	struct alert_sink *s = calloc(1, sizeof(*s));
	struct outlet_config out = { .what = "alerts", .queue_max = QUEUE_MAX, .lost = lost };
	int r;

	if (!s)
		return -ENOMEM;
	s->sink.ops = &ops;
	s->cfg = *cfg;
	s->host = host;
	s->lost = lost;
	s->line = BUF_INIT(LINE_MAX_BYTES);
	s->frame = BUF_INIT(LINE_MAX_BYTES + 16);
	out.name = cfg->form == ALERT_JOURNAL ? "the journal" : s->cfg.to;
	out.ca = cfg->ca[0] ? s->cfg.ca : NULL;
	r = parse_target(&out.target, cfg);
	if (r == 0)
		r = outlet_new(&s->out, &out);
	if (r < 0) {
		free(s);
		return r;
	}
	*ret = &s->sink;
	return 0;
}
