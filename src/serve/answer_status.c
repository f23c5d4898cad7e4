/* SPDX-License-Identifier: Apache-2.0 */
/* {"ask":"status"}: losses first, then what was counted, then what the daemon itself adds. */
#include "serve/answer.h"

#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/time.h"
#include "serve/conn.h"

uint64_t answer_resident_bytes(void)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/self/statm", "re");
	unsigned long long pages;

	if (!f || fscanf(f, "%*u %llu", &pages) != 1)
		return 0;
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void put_losses(const struct answer_source *s, struct json *j,
		       struct flow_table_stats *stats)
{
	uint64_t total = 0;

	/* What is lost here reaches the table's counters only with the daemon's next tick. */
	stats->loss[LOSS_CLIENT_QUEUE] = MAX(stats->loss[LOSS_CLIENT_QUEUE], *s->lost);
	for (int i = 0; i < LOSS_COUNT; i++)
		total += stats->loss[i];
	json_u64(j, "lost_total", total);
	json_object_begin(j, "lost");
	for (int i = 0; i < LOSS_COUNT; i++)
		json_u64(j, loss_name((enum loss_reason)i), stats->loss[i]);
	json_object_end(j);
	json_array_begin(j, "losses");
	for (int i = 0; i < LOSS_COUNT; i++) {
		if (!stats->loss[i])
			continue;
		json_object_begin(j, NULL);
		json_text(j, "reason", loss_name((enum loss_reason)i));
		json_u64(j, "lost", stats->loss[i]);
		json_text(j, "means", loss_words((enum loss_reason)i)->means);
		json_text(j, "helps", loss_words((enum loss_reason)i)->helps);
		json_object_end(j);
	}
	json_array_end(j);
	json_object_begin(j, "unreported");
	json_u64(j, "pkts_tx", stats->unreported.tx_packets);
	json_u64(j, "bytes_tx", stats->unreported.tx_bytes);
	json_u64(j, "pkts_rx", stats->unreported.rx_packets);
	json_u64(j, "bytes_rx", stats->unreported.rx_bytes);
	json_object_end(j);
}

static void put_flows(const struct answer_source *s, struct json *j)
{
	struct flow_table_stats stats;

	flow_table_stats(s->cfg->flows, &stats);
	put_losses(s, j, &stats);
	json_u64(j, "flows_now", stats.flows_now);
	json_u64(j, "flows_total", stats.flows_total);
	json_u64(j, "packets", stats.packets);
	json_u64(j, "bytes", stats.bytes);
	json_u64(j, "memory_bytes", stats.memory_bytes);
}

void answer_status(const struct answer_source *s, struct conn *c)
{
	char text[TIME_TEXT_MAX];
	uint64_t resident = answer_resident_bytes();
	struct json j;
	size_t from;

	j = JSON_INIT(conn_line_begin(c, &from));
	json_object_begin(&j, NULL);
	json_text(&j, "time", time_format(s->cfg->now(), text));
	if (s->cfg->flows)
		put_flows(s, &j);
	if (resident)
		json_u64(&j, "rss_bytes", resident);
	json_u64(&j, "clients", s->clients);
	if (s->cfg->status)
		s->cfg->status(s->cfg->status_ctx, &j);
	if (c->web)
		answer_put_rights(&j, "you", &c->rights);
	json_object_end(&j);
	buf_putc(&c->out, '\n');
	conn_line_end(c, from, s->lost);
}
