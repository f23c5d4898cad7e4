/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a piece of a flow costs on its way into a fleet's store, stage by stage, in CPU time of this process alone:
 *
 *     bench-ship DIR FLOWS     prints "STAGE NANOSECONDS", each of a piece, and "KEY NUMBER" of bytes
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "bench/history_rows.h"
#include "store/clickhouse_http.h"
#include "store/clickhouse_row.h"
#include "store/row_code.h"
#include "store/spool.h"
#include "store/spool_pack.h"
#include "store/store.h"

#define CHUNK 2000 /* pieces: what the writer takes at once when they come fast */
#define SENT_REPEATS 20
#define RATE 50000 /* pieces a second */
#define PACED 250

enum stage { MAKE, QUEUE, TAKE, ROW_BINARY, COMMIT, PACK, SEND, ALL, STAGES };
static const char *const stages[STAGES] = { "make",   "queue", "take", "row_binary",
					    "commit", "pack",  "send", "all" };

static struct bench bench;
static double spent[STAGES];

static double cpu(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e9 +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e3;
}

static void since(enum stage stage, double *began)
{
	double now = cpu();

	spent[stage] += now - *began;
	*began = now;
}

static struct spool *open_spool(const char *dir)
{
	struct spool_config cfg = { .dir = dir,
				    .kinds = { { "flow_1", clickhouse_insert(CLICKHOUSE_FLOW),
						 0 } },
				    .n_kinds = 1,
				    .max_bytes = 1ULL << 40,
				    .sent_ns = NSEC_PER_SEC };
	struct spool *s = NULL;

	if (spool_open(&s, &cfg) < 0)
		exit(1);
	return s;
}

static void put_rows(struct spool *s, struct str queued)
{
	struct store_row row;

	while (store_row_decode(&queued, &row) > 0) {
		struct buf *out = spool_begin(s, 0);

		if (!out) { /* full: closed by a commit */
			if (spool_commit(s) < 0)
				exit(1);
			out = spool_begin(s, 0);
		}
		clickhouse_put_flow(out, STR("bench"), &row);
		if (spool_row(s, 0) < 0)
			exit(1);
	}
}

/* One after the other, and without the threads that it has in egretd. */
static void run_stages(const char *dir, uint64_t flows)
{
	static struct store_row rows[CHUNK];
	_cleanup_buf_ struct buf queue = BUF_INIT(64U << 20), bytes = BUF_INIT(64U << 20),
				 packed = BUF_INIT(64U << 20);
	struct spool *s = open_spool(dir);
	struct store_row row;
	uint64_t raw = 0, small = 0;
	double at;

	bench_init(&bench, flows, 10);
	for (uint64_t done = 0; done < flows; done += CHUNK) {
		struct str rest;

		at = cpu();
		for (size_t i = 0; i < CHUNK && bench_next(&bench); i++)
			rows[i] = bench.row;
		since(MAKE, &at);
		for (size_t i = 0; i < CHUNK; i++)
			store_row_encode(&rows[i], &queue);
		since(QUEUE, &at);
		for (rest = buf_str(&queue); store_row_decode(&rest, &row) > 0;)
			;
		since(TAKE, &at);
		for (size_t i = 0; i < CHUNK; i++)
			clickhouse_put_flow(&bytes, STR("bench"), &rows[i]);
		since(ROW_BINARY, &at);
		if (spool_pack(&packed, buf_str(&bytes)) < 0)
			exit(1);
		since(PACK, &at);
		raw += bytes.n;
		small += packed.n;
		put_rows(s, buf_str(&queue));
		at = cpu();
		if (spool_commit(s) < 0)
			exit(1);
		since(COMMIT, &at);
		buf_clear(&queue);
		buf_clear(&bytes);
		buf_clear(&packed);
	}
	spool_close(s);
	for (size_t i = 0; i < SEND; i++)
		printf("%s %.0f\n", stages[i], spent[i] / (double)flows);
	printf("raw_bytes %.1f\npacked_bytes %.1f\n", (double)raw / (double)flows,
	       (double)small / (double)flows);
}

static void pace(uint64_t began_ns, uint64_t done)
{
	uint64_t due_ns = began_ns + done * NSEC_PER_SEC / RATE, now_ns = time_now_boot();

	if (due_ns > now_ns)
		usleep((useconds_t)((due_ns - now_ns) / NSEC_PER_USEC));
}

/* As egretd does it, in real time: whoever has the rows, the queue, the writer's thread, house-keeping. */
static void run_all(const char *dir, uint64_t flows)
{
	struct store_config cfg = { .dir = dir, .host = "bench", .max_bytes = 1ULL << 40 };
	uint64_t began_ns = time_now_boot();
	struct store *s = NULL;
	struct store_stats st;
	double at;

	if (store_open(&s, &store_clickhouse, &cfg) < 0 || store_start(s) < 0)
		exit(1);
	bench_init(&bench, flows, 10);
	at = cpu();
	for (uint64_t i = 0; i < flows && bench_next(&bench); i++) {
		store_put(s, &bench.row);
		if (i % PACED == 0)
			pace(began_ns, i);
	}
	if (store_flush(s, 600 * NSEC_PER_SEC) < 0)
		exit(1);
	since(ALL, &at);
	printf("all_rate %.0f\n", (double)flows * 1e9 / (double)(time_now_boot() - began_ns));
	store_stats(s, &st);
	store_close(s);
	if (st.rows != flows)
		exit(1);
	printf("all %.0f\n", spent[ALL] / (double)flows);
}

/* ---- a server that takes what it is sent, in a process of its own ---- */

static void answer(int fd)
{
	static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
	static char in[1 << 20];
	ssize_t n;

	for (;;) {
		size_t got = 0, want = 0, length;
		char *end = NULL;

		while (!end || got < want) {
			n = read(fd, in + (end ? 0 : got), sizeof(in) - 1 - (end ? 0 : got));
			if (n <= 0)
				return;
			got += (size_t)n;
			if (end)
				continue;
			in[got] = 0;
			end = strstr(in, "\r\n\r\n");
			length = end ? strtoull(strcasestr(in, "Content-Length:") + 15, NULL, 10)
				     : 0;
			want = end ? (size_t)(end - in) + 4 + length : 0;
		}
		if (write(fd, ok, sizeof(ok) - 1) < 0)
			return;
	}
}

static pid_t start_server(uint16_t *port)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pid_t pid;

	if (fd < 0 || bind(fd, (struct sockaddr *)&at, n) < 0 || listen(fd, 8) < 0 ||
	    getsockname(fd, (struct sockaddr *)&at, &n) < 0)
		exit(1);
	*port = ntohs(at.sin_port);
	pid = fork();
	if (pid == 0) {
		answer(accept(fd, NULL, NULL));
		_exit(0);
	}
	close(fd);
	return pid;
}

/* A batch as the spool closes them, read and sent again and again: as store/ship.c does. */
static void run_send(const char *dir)
{
	struct ship_settings to = { .database = "egret" };
	_cleanup_buf_ struct buf rows = BUF_INIT(64U << 20), batch = BUF_INIT(64U << 20),
				 file = BUF_INIT(64U << 20);
	_cleanup_close_ int folder = file_open_folder(dir);
	struct clickhouse_http *http = NULL;
	char why[SHIP_WHY_MAX] = "";
	size_t n = 0;
	uint16_t port;
	pid_t server = start_server(&port);
	double at;

	bench_init(&bench, 1000000, 10);
	for (; rows.n < SPOOL_BATCH_BYTES && bench_next(&bench); n++)
		clickhouse_put_flow(&rows, STR("bench"), &bench.row);
	snprintf(to.url, sizeof(to.url), "http://127.0.0.1:%u", port);
	if (folder < 0 || spool_pack(&batch, buf_str(&rows)) < 0 ||
	    file_replace(folder, "batch", buf_str(&batch), STR_NONE) < 0 ||
	    clickhouse_http_new(&http, &to, 4096) < 0 || clickhouse_http_login(http, why) < 0)
		exit(1);
	at = cpu();
	for (unsigned i = 0; i < SENT_REPEATS; i++) {
		buf_clear(&file);
		if (file_read(folder, "batch", &file) < 0 ||
		    clickhouse_http_post(http, clickhouse_insert(CLICKHOUSE_FLOW), buf_str(&file),
					 "", why) < 0) {
			fprintf(stderr, "bench-ship: %s\n", why);
			exit(1);
		}
	}
	since(SEND, &at);
	clickhouse_http_free(http);
	waitpid(server, NULL, 0);
	unlinkat(folder, "batch", 0);
	printf("send %.0f\nbatch_pieces %zu\nbatch_bytes %.1f\n",
	       spent[SEND] / (double)n / SENT_REPEATS, n, (double)batch.n / (double)n);
}

int main(int argc, char **argv)
{
	uint64_t flows = argc == 3 ? strtoull(argv[2], NULL, 10) / CHUNK * CHUNK : 0;
	char all[512];

	if (!flows) {
		fputs("usage: bench-ship DIR FLOWS\n", stderr);
		return 2;
	}
	log_set_level(LOG_WARN);
	snprintf(all, sizeof(all), "%s/all", argv[1]);
	run_stages(argv[1], flows);
	run_all(all, flows);
	run_send(argv[1]);
	return 0;
}
