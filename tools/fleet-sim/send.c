/* SPDX-License-Identifier: Apache-2.0 */
#include "sim.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "store/spool.h"
#include "store/spool_pack.h"

#define BATCH_NS (5 * NSEC_PER_SEC) /* as the spool closes them */
#define TELL_BATCHES 12             /* a row of `host` each minute */
#define RETRY_US 1000000
#define RETRIES_MAX 30
#define BLOCK_BYTES (24U << 20) /* of rows, packed at once */
#define FILL_ROWS 250000        /* of one insert */
#define SETTINGS "&insert_deduplicate=1&insert_distributed_sync=1"

static struct clickhouse_http *connect_to(struct worker *w)
{
	struct clickhouse_http *http = NULL;
	char why[SHIP_WHY_MAX] = "";

	if (clickhouse_http_new(&http, &w->opt->to, 4096) < 0 ||
	    clickhouse_http_login(http, why) < 0) {
		fprintf(stderr, "fleet-sim: %s\n", why[0] ? why : "no memory");
		w->failed = true;
		return clickhouse_http_free(http);
	}
	return http;
}

static void pack_table(struct worker *w, enum clickhouse_table t)
{
	if (spool_pack(&w->bodies[t], buf_str(&w->rows[t])) < 0)
		w->failed = true;
	buf_clear(&w->rows[t]);
}

/* The same bytes until they are taken, as the sender does. */
static void send_table(struct worker *w, struct clickhouse_http *http, enum clickhouse_table t)
{
	struct str body = buf_str(&w->bodies[t]);
	char why[SHIP_WHY_MAX] = "";
	uint64_t began_ns = time_now_boot(), took_ns;
	unsigned tries = 0;

	while (!w->failed && body.n &&
	       clickhouse_http_post(http, clickhouse_insert(t), body, SETTINGS, why) < 0) {
		w->retries++;
		if (++tries == RETRIES_MAX) {
			fprintf(stderr, "fleet-sim: %s\n", why);
			w->failed = true;
		}
		usleep(RETRY_US);
	}
	took_ns = time_now_boot() - began_ns;
	if (body.n) {
		w->inserts++;
		w->sent_bytes += body.n;
		w->insert_ns += took_ns;
		w->insert_ns_max = MAX(w->insert_ns_max, took_ns);
	}
	buf_clear(&w->bodies[t]);
	w->counted[t] = 0;
}

static void pack_and_send(struct worker *w, struct clickhouse_http *http)
{
	for (size_t t = 0; t < CLICKHOUSE_TABLES; t++) {
		pack_table(w, (enum clickhouse_table)t);
		send_table(w, http, (enum clickhouse_table)t);
	}
}

/* ---- in real time ---- */

static void sleep_until(uint64_t boot_ns)
{
	uint64_t now_ns = time_now_boot();

	if (boot_ns > now_ns)
		usleep((useconds_t)((boot_ns - now_ns) / NSEC_PER_USEC));
}

/* As a spool of this host would: a collector takes a batch by these two lines once. */
static void send_as(struct worker *w, struct host *h, struct clickhouse_http *http)
{
	char spool[80], batch[SPOOL_NAME_MAX + 32];

	snprintf(spool, sizeof(spool), SHIP_SPOOL_HEADER ": %016" PRIx64 "%016x", h->boot,
		 h->number);
	for (size_t t = 0; t < CLICKHOUSE_TABLES; t++) {
		if (!w->counted[t])
			continue;
		snprintf(batch, sizeof(batch), SHIP_BATCH_HEADER ": %016" PRIx64 "-%s-%u",
			 ++h->batches, clickhouse_table_name((enum clickhouse_table)t),
			 w->counted[t]);
		clickhouse_http_headers(http, spool, batch);
		pack_table(w, (enum clickhouse_table)t);
		send_table(w, http, (enum clickhouse_table)t);
	}
	clickhouse_http_headers(http, NULL, NULL);
}

static void send_batch(struct worker *w, struct host *h, struct clickhouse_http *http,
		       unsigned round)
{
	uint64_t now_ns = time_now();

	h->owed += h->rate * (double)BATCH_NS / (double)NSEC_PER_SEC;
	while (h->owed >= 1)
		h->owed -= host_flow(w, h, now_ns - bench_dice(&w->bench) % BATCH_NS);
	if (round % TELL_BATCHES == 0)
		host_tells(w, h, now_ns);
	send_as(w, h, http);
}

void *run_live(void *worker)
{
	struct worker *w = worker;
	unsigned rounds = w->opt->seconds * NSEC_PER_SEC / BATCH_NS;
	struct clickhouse_http **http = calloc(w->n_hosts, sizeof(*http));
	uint64_t began_ns = time_now_boot();

	for (unsigned i = 0; http && i < w->n_hosts; i++)
		http[i] = connect_to(w);
	for (unsigned k = 0; http && k < rounds; k++) {
		for (unsigned i = 0; i < w->n_hosts && !w->failed; i++) {
			uint64_t due_ns = began_ns + k * BATCH_NS + i * BATCH_NS / w->n_hosts;

			sleep_until(due_ns);
			w->late_ns_max = MAX(w->late_ns_max, time_now_boot() - due_ns);
			send_batch(w, &w->hosts[i], http[i], k);
		}
	}
	for (unsigned i = 0; http && i < w->n_hosts; i++)
		clickhouse_http_free(http[i]);
	free(http);
	return NULL;
}

/* ---- a span of days ---- */

static void all_tell(struct worker *w, uint64_t at_ns)
{
	for (unsigned i = 0; i < w->n_hosts; i++)
		host_tells(w, &w->hosts[i], at_ns);
}

void *run_fill(void *worker)
{
	struct worker *w = worker;
	uint64_t most = w->opt->fill / w->opt->workers, made = 0, in_insert = 0, hour = 0;
	struct clickhouse_http *http = connect_to(w);

	while (made < most && !w->failed) {
		uint64_t at_ns = day_rhythm(w->opt, (double)made / (double)most);
		unsigned n = host_flow(w, worker_pick(w), at_ns);

		made += n;
		in_insert += n;
		if (at_ns / (3600 * NSEC_PER_SEC) != hour) {
			hour = at_ns / (3600 * NSEC_PER_SEC);
			all_tell(w, at_ns);
		}
		if (w->rows[CLICKHOUSE_FLOW].n >= BLOCK_BYTES)
			pack_table(w, CLICKHOUSE_FLOW);
		if (in_insert >= FILL_ROWS) {
			pack_and_send(w, http);
			in_insert = 0;
		}
	}
	if (!w->failed)
		pack_and_send(w, http);
	clickhouse_http_free(http);
	return NULL;
}
