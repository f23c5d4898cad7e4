/* SPDX-License-Identifier: Apache-2.0 */
/* {"ask":"metrics"}: {"text":"…"}, all of serve/metrics.h. */
#include "serve/answer.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/time.h"
#include "serve/conn.h"
#include "serve/totals.h"

#define TEXT_MAX (1U << 20)

static void put_labelled(struct metrics_out *m, enum metric id, const char *label,
			 const char *value, uint64_t v)
{
	metric_begin(m, id);
	metric_label(m, label, str_of(value));
	metric_u64(m, v);
}

static void put_flows(const struct answer_source *s, struct metrics_out *m)
{
	struct flow_table_stats st;

	flow_table_stats(s->cfg->flows, &st);
	/* What is lost here reaches the table's counters only with the daemon's next tick. */
	st.loss[LOSS_CLIENT_QUEUE] = MAX(st.loss[LOSS_CLIENT_QUEUE], *s->lost);
	totals_put(s->totals, s->cfg->flows, m);
	metric_put(m, METRIC_PACKETS, st.packets);
	metric_put(m, METRIC_FLOWS, st.flows_total);
	metric_put(m, METRIC_ACTIVE_FLOWS, st.flows_now);
	put_labelled(m, METRIC_UNREPORTED, "direction", "up", st.unreported.tx_bytes);
	put_labelled(m, METRIC_UNREPORTED, "direction", "down", st.unreported.rx_bytes);
	put_labelled(m, METRIC_REFUSED, "what", "calls", st.refused_calls);
	put_labelled(m, METRIC_REFUSED, "what", "packets", st.refused_packets);
	metric_put(m, METRIC_REFUSED_BYTES, st.refused_bytes);
	for (int i = 0; i < LOSS_COUNT; i++)
		put_labelled(m, METRIC_LOST, "reason", loss_name((enum loss_reason)i), st.loss[i]);
	if (s->cfg->findings_open)
		metric_put(m, METRIC_OPEN_FINDINGS, s->cfg->findings_open(s->cfg->detect_ctx));
}

static uint64_t open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	uint64_t n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n > 3 ? n - 3 : 0; /* ".", ".." and the folder itself */
}

static void put_process(const struct answer_source *s, struct metrics_out *m)
{
	struct rlimit files;
	struct rusage used;
	uint64_t resident = answer_resident_bytes(), fds = open_fds();

	getrusage(RUSAGE_SELF, &used);
	metric_begin(m, METRIC_CPU);
	metric_f64(m, (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
			      (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
	if (resident)
		metric_put(m, METRIC_RESIDENT, resident);
	if (fds)
		metric_put(m, METRIC_OPEN_FDS, fds);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0)
		metric_put(m, METRIC_MAX_FDS, files.rlim_cur);
	metric_begin(m, METRIC_START_TIME);
	metric_f64(m, (double)s->started_ns / NSEC_PER_SEC);
}

void answer_metrics(const struct answer_source *s, struct conn *c)
{
	_cleanup_buf_ struct buf text = BUF_INIT(TEXT_MAX);
	struct metrics_out m = METRICS_OUT(&text);
	struct json j;
	size_t from;

	metric_begin(&m, METRIC_BUILD_INFO);
	metric_label(&m, "version", STR(EGRET_VERSION));
	metric_u64(&m, 1);
	if (s->cfg->flows)
		put_flows(s, &m);
	metric_put(&m, METRIC_CLIENTS, s->clients);
	if (s->cfg->metrics)
		s->cfg->metrics(s->cfg->status_ctx, s->totals, &m);
	put_process(s, &m);
	if (text.failed) {
		conn_error(c, "not enough memory for the metrics");
		return;
	}
	j = JSON_INIT(conn_line_begin(c, &from));
	json_object_begin(&j, NULL);
	json_str(&j, "text", buf_str(&text));
	json_object_end(&j);
	buf_putc(&c->out, '\n');
	conn_line_end(c, from, s->lost);
}
