/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What bench/history.py measures of history:
 *
 *     write DIR FLOWS DAYS     writes the flows of history_rows.h as fast as it can; prints seconds and rows
 *     spool DIR FLOWS DAYS     the same into the spool for ClickHouse
 *     ask DIR DAYS             asks the questions of the issue; prints NAME MILLISECONDS ROWS
 *     json FLOWS DAYS          the last day's flows as EVE-like lines, for jq
 *     netflow PORT FLOWS DAYS DAY   one day's flows as NetFlow 5 to a collector on loopback
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "bench/history_rows.h"
#include "store/read.h"
#include "store/store.h"

#define PIECES_OF_LONG 3
#define V5_RECORDS 30
#define RUNS 3

static struct bench bench;

static uint64_t at_end(void)
{
	return BENCH_END_S * NSEC_PER_SEC;
}

/* The queue is the limit: a full one is waited for, so that what is measured is the writer. */
static void put(struct store *s, const struct store_row *row, uint64_t *put_rows)
{
	struct store_stats st;

	store_put(s, row);
	if (++*put_rows % 4096)
		return;
	for (store_stats(s, &st); st.queued_bytes > 16U << 20; store_stats(s, &st))
		usleep(1000);
}

static double cpu_seconds(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static int run_write(const struct store_kind *kind, const char *dir, uint64_t flows, unsigned days)
{
	uint64_t began_ns = time_now_boot(), rows = 0;
	struct store_config cfg = { .dir = dir, .now = at_end, .host = "bench" };
	struct store *s = NULL;
	struct store_stats st;
	double seconds, cpu = cpu_seconds();

	if (kind == &store_clickhouse)
		cfg.max_bytes = 1ULL << 40;
	if (store_open(&s, kind, &cfg) < 0 || store_start(s) < 0)
		return 1;
	bench_init(&bench, flows, days);
	while (bench_next(&bench)) {
		unsigned pieces = bench.n % 25 ? 0 : PIECES_OF_LONG;

		bench.row.ends = !pieces;
		put(s, &bench.row, &rows);
		for (unsigned i = 1; i <= pieces; i++) {
			bench.row.seq = i;
			bench.row.from_ns = bench.row.to_ns;
			bench.row.to_ns += 60 * NSEC_PER_SEC / 1000;
			bench.row.ends = i == pieces;
			put(s, &bench.row, &rows);
		}
	}
	if (store_flush(s, 600 * NSEC_PER_SEC) < 0)
		return 1;
	seconds = (double)(time_now_boot() - began_ns) / 1e9;
	store_stats(s, &st);
	store_close(s);
	fprintf(stderr, "%.2f us of CPU a row, making it included\n",
		(cpu_seconds() - cpu) * 1e6 / (double)rows);
	printf("%.3f %" PRIu64 " %" PRIu64 " %.0f %s\n", seconds, st.rows,
	       st.lost_queue + st.lost_write, (double)st.write_ns_max / 1e6, st.problem);
	return st.rows == rows ? 0 : 1;
}

/* ---- questions ---- */

/* Groups as somebody who answers would make them: by the places of the texts, which are one for equal ones. */
struct group {
	const char *a, *b;
	uint64_t bytes, flows;
};

struct groups {
	struct group *v;
	size_t n, cap;
	bool by_app;
};

static struct group *group_find(struct groups *g, const char *a, const char *b)
{
	size_t i = (((uintptr_t)a >> 4) * 31 + ((uintptr_t)b >> 4)) * 0x9e3779b97f4a7c15ULL >> 40 &
		   (g->cap - 1);

	while (g->v[i].bytes && (g->v[i].a != a || g->v[i].b != b))
		i = (i + 1) & (g->cap - 1);
	return &g->v[i];
}

static void groups_grow(struct groups *g)
{
	struct groups bigger = { .cap = g->cap ? 2 * g->cap : 4096,
				 .n = g->n,
				 .by_app = g->by_app };

	bigger.v = calloc(bigger.cap, sizeof(*bigger.v));
	if (!bigger.v)
		abort();
	for (size_t i = 0; i < g->cap; i++)
		if (g->v[i].bytes)
			*group_find(&bigger, g->v[i].a, g->v[i].b) = g->v[i];
	free(g->v);
	*g = bigger;
}

static void group_add(struct groups *g, const char *a, const char *b, uint64_t bytes,
		      uint64_t flows)
{
	struct group *to;

	if (2 * g->n >= g->cap)
		groups_grow(g);
	to = group_find(g, a, b);
	g->n += !to->bytes;
	*to = (struct group){ a, b, to->bytes + bytes, to->flows + flows };
}

static int on_sum(void *ctx, const struct store_sum *s)
{
	struct groups *g = ctx;

	group_add(g, g->by_app ? s->key->dim[STORE_DIM_APP].p : NULL, s->key->dim[STORE_DIM_NAME].p,
		  s->up_bytes + s->down_bytes, s->flows);
	return 0;
}

struct count {
	uint64_t rows, bytes, most;
};

static int on_row(void *ctx, const struct store_row *row)
{
	struct count *c = ctx;

	c->bytes += row->up_bytes;
	return ++c->rows == c->most;
}

static size_t ask_sums(const char *dir, enum store_step step, uint64_t days, bool by_app)
{
	struct groups g = { .by_app = by_app };
	struct store_reader *r = NULL;
	char error[256];

	if (store_reader_open(&r, dir, error) < 0)
		exit(1);
	if (store_read_sums(r, step,
			    (struct store_span){ at_end() - days * 86400 * NSEC_PER_SEC, at_end() },
			    false, on_sum, &g) < 0)
		exit(1);
	store_reader_close(r);
	free(g.v);
	return g.n;
}

static size_t ask_pieces(const char *dir, uint64_t days, const struct store_hint *hint,
			 uint64_t most)
{
	struct count c = { .most = most };
	struct store_reader *r = NULL;
	char error[256];

	if (store_reader_open(&r, dir, error) < 0 ||
	    store_read_pieces(
		    r, (struct store_span){ at_end() - days * 86400 * NSEC_PER_SEC, at_end() },
		    hint, true, on_row, &c) < 0 ||
	    store_reader_skipped(r))
		exit(1);
	store_reader_close(r);
	return c.rows;
}

static unsigned asked_days;

static size_t top_talkers(const char *dir)
{
	return ask_sums(dir, STORE_HOUR, 1, false);
}

static size_t top_talkers_minutes(const char *dir)
{
	return ask_sums(dir, STORE_MINUTE, 1, false);
}

static size_t month_by_app_and_name(const char *dir)
{
	return ask_sums(dir, STORE_DAY, asked_days, true);
}

static struct addr peer_address(unsigned name)
{
	uint32_t ip = htonl(0x05000000 + name * 977);

	return addr_from_v4(&ip);
}

static size_t one_peer(const char *dir)
{
	struct addr a = peer_address(3000);

	return ask_pieces(dir, asked_days, &(struct store_hint){ .peer = &a }, 0);
}

static size_t busy_peer_last_100(const char *dir)
{
	struct addr a = peer_address(0);

	return ask_pieces(dir, asked_days, &(struct store_hint){ .peer = &a }, 100);
}

static size_t one_name(const char *dir)
{
	return ask_pieces(dir, asked_days,
			  &(struct store_hint){ .name = str_of(bench.names[3000]) }, 0);
}

static size_t below_a_domain(const char *dir)
{
	return ask_pieces(dir, asked_days,
			  &(struct store_hint){
				  .name_below = str_of(bench.names[3000] + bench.domain_at[3000]) },
			  0);
}

static size_t one_flow(const char *dir)
{
	return ask_pieces(
		dir, asked_days,
		&(struct store_hint){ .flow_id = bench.last_id + bench.flows / 3 / 25 * 25 }, 0);
}

static size_t one_program_last_day(const char *dir)
{
	return ask_pieces(dir, 1, &(struct store_hint){ .exe_name = STR("program30") }, 0);
}

static size_t all_pieces_last_day(const char *dir)
{
	return ask_pieces(dir, 1, NULL, 0);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static int run_ask(const char *dir, uint64_t flows, unsigned days)
{
	static const struct {
		const char *name;
		size_t (*ask)(const char *dir);
	} questions[] = {
		{ "top-24h", top_talkers },
		{ "top-24h-minutes", top_talkers_minutes },
		{ "by-app-and-name", month_by_app_and_name },
		{ "peer", one_peer },
		{ "busy-peer-100", busy_peer_last_100 },
		{ "name", one_name },
		{ "domain", below_a_domain },
		{ "flow", one_flow },
		{ "program-24h", one_program_last_day },
		{ "all-24h", all_pieces_last_day },
	};

	bench_init(&bench, flows, days);
	asked_days = days;
	for (size_t i = 0; i < ARRAY_SIZE(questions); i++) {
		double ms[RUNS];
		size_t rows = 0;

		for (size_t k = 0; k < RUNS; k++) {
			uint64_t began_ns = time_now_boot();

			rows = questions[i].ask(dir);
			ms[k] = (double)(time_now_boot() - began_ns) / 1e6;
		}
		qsort(ms, RUNS, sizeof(ms[0]), by_value);
		printf("%s %.1f %zu\n", questions[i].name, ms[RUNS / 2], rows);
	}
	return 0;
}

/* ---- the same flows for others ---- */

static void put_line(const struct store_row *row, struct buf *out)
{
	struct json j = JSON_INIT(out);
	char text[TIME_TEXT_MAX], addr[ADDR_TEXT_MAX];

	json_object_begin(&j, NULL);
	json_text(&j, "timestamp", time_format(row->to_ns, text));
	json_u64(&j, "flow_id", row->flow_id);
	json_text(&j, "event_type", "flow");
	json_text(&j, "src_ip", addr_format(&row->key.src, addr));
	json_u64(&j, "src_port", row->key.sport);
	json_text(&j, "dest_ip", addr_format(&row->key.dst, addr));
	json_u64(&j, "dest_port", row->key.dport);
	json_text(&j, "app_proto", app_name((enum app_proto)row->app));
	json_object_begin(&j, "flow");
	json_u64(&j, "pkts_toserver", row->up_packets);
	json_u64(&j, "pkts_toclient", row->down_packets);
	json_u64(&j, "bytes_toserver", row->up_bytes);
	json_u64(&j, "bytes_toclient", row->down_bytes);
	json_text(&j, "start", time_format(row->start_ns, text));
	json_text(&j, "end", time_format(row->to_ns, text));
	json_object_end(&j);
	json_object_begin(&j, "process");
	json_u64(&j, "pid", row->who.pid);
	json_str(&j, "executable", row->who.exe);
	json_object_end(&j);
	json_object_begin(&j, "user");
	json_str(&j, "name", row->who.user);
	json_object_end(&j);
	json_object_begin(&j, "egret");
	json_str(&j, "name", row->peer.name);
	json_str(&j, "registered_domain", row->peer.domain);
	json_str(&j, "ja4", row->ja4);
	json_object_end(&j);
	json_object_end(&j);
	buf_putc(out, '\n');
}

static int run_json(uint64_t flows, unsigned days)
{
	_cleanup_buf_ struct buf out = BUF_INIT(1 << 20);

	bench_init(&bench, flows, days);
	while (bench_next(&bench)) {
		if (bench.row.to_ns < at_end() - 86400 * NSEC_PER_SEC)
			continue;
		put_line(&bench.row, &out);
		fwrite(out.p, 1, out.n, stdout);
		buf_clear(&out);
	}
	return 0;
}

/* NetFlow version 5 (Cisco, "NetFlow Export Datagram Format"): a head and up to 30 records. */
struct v5_head {
	uint16_t version, count;
	uint32_t uptime_ms, seconds, nanoseconds, sequence;
	uint8_t engine[2];
	uint16_t sampling;
} __attribute__((packed));

struct v5_record {
	uint32_t src, dst, next;
	uint16_t in, out;
	uint32_t packets, bytes, first_ms, last_ms;
	uint16_t sport, dport;
	uint8_t pad, flags, proto, tos;
	uint16_t src_as, dst_as;
	uint8_t masks[2];
	uint16_t pad2;
} __attribute__((packed));

struct v5 {
	struct v5_head head;
	struct v5_record records[V5_RECORDS];
};

static void fill_record(struct v5_record *r, const struct store_row *row, uint64_t boot_ns,
			bool down)
{
	*r = (struct v5_record){ .in = htons(2),
				 .proto = row->key.proto,
				 .flags = row->tcp_flags[down] };
	memcpy(down ? &r->dst : &r->src, row->key.src.b + 12, 4);
	memcpy(down ? &r->src : &r->dst, row->key.dst.b + 12, 4);
	r->sport = htons(down ? row->key.dport : row->key.sport);
	r->dport = htons(down ? row->key.sport : row->key.dport);
	r->packets = htonl((uint32_t)(down ? row->down_packets : row->up_packets));
	r->bytes = htonl((uint32_t)(down ? row->down_bytes : row->up_bytes));
	r->first_ms = htonl((uint32_t)((row->start_ns - boot_ns) / NSEC_PER_MSEC));
	r->last_ms = htonl((uint32_t)((row->to_ns - boot_ns) / NSEC_PER_MSEC));
}

/* Two records a flow, one each way: as every exporter tells it. */
static int run_netflow(uint16_t port, uint64_t flows, unsigned days, unsigned day)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint64_t from_ns, to_ns, boot_ns, sent = 0;
	struct v5 packet = { 0 };
	unsigned n = 0;

	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		return 1;
	bench_init(&bench, flows, days);
	from_ns = bench.first_ns + day * 86400 * NSEC_PER_SEC;
	to_ns = from_ns + 86400 * NSEC_PER_SEC;
	boot_ns = from_ns - 86400 * NSEC_PER_SEC;
	while (bench_next(&bench)) {
		if (bench.row.to_ns < from_ns || bench.row.to_ns >= to_ns)
			continue;
		for (int down = 0; down < 2; down++)
			fill_record(&packet.records[n++], &bench.row, boot_ns, down);
		if (n < V5_RECORDS)
			continue;
		packet.head = (struct v5_head){
			.version = htons(5),
			.count = htons((uint16_t)n),
			.uptime_ms = htonl((uint32_t)((bench.row.to_ns - boot_ns) / NSEC_PER_MSEC)),
			.seconds = htonl((uint32_t)(bench.row.to_ns / NSEC_PER_SEC)),
			.nanoseconds = htonl((uint32_t)(bench.row.to_ns % NSEC_PER_SEC)),
			.sequence = htonl((uint32_t)sent)
		};
		if (send(fd, &packet, sizeof(packet), 0) < 0 && errno != ENOBUFS)
			return 1;
		sent += n;
		n = 0;
		if (sent / V5_RECORDS % 32 == 0)
			usleep(1500); /* a collector that is not overrun */
	}
	printf("%" PRIu64 "\n", sent);
	return 0;
}

int main(int argc, char **argv)
{
	log_set_level(LOG_WARN);
	if (argc == 5 && !strcmp(argv[1], "write"))
		return run_write(store_kinds[0], argv[2], strtoull(argv[3], NULL, 10),
				 (unsigned)strtoul(argv[4], NULL, 10));
	if (argc == 5 && !strcmp(argv[1], "spool"))
		return run_write(&store_clickhouse, argv[2], strtoull(argv[3], NULL, 10),
				 (unsigned)strtoul(argv[4], NULL, 10));
	if (argc == 5 && !strcmp(argv[1], "ask"))
		return run_ask(argv[2], strtoull(argv[3], NULL, 10),
			       (unsigned)strtoul(argv[4], NULL, 10));
	if (argc == 4 && !strcmp(argv[1], "json"))
		return run_json(strtoull(argv[2], NULL, 10), (unsigned)strtoul(argv[3], NULL, 10));
	if (argc == 6 && !strcmp(argv[1], "netflow"))
		return run_netflow(
			(uint16_t)strtoul(argv[2], NULL, 10), strtoull(argv[3], NULL, 10),
			(unsigned)strtoul(argv[4], NULL, 10), (unsigned)strtoul(argv[5], NULL, 10));
	fputs("usage: bench-history write|spool|ask DIR FLOWS DAYS | json FLOWS DAYS | netflow "
	      "PORT "
	      "FLOWS DAYS DAY\n",
	      stderr);
	return 2;
}
