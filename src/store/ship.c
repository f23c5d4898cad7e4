/* SPDX-License-Identifier: Apache-2.0 */
#include "store/ship.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/time.h"
#include "policy/fetch.h"
#include "store/clickhouse_http.h"
#include "store/ship_fleet.h"
#include "store/ship_note.h"
#include "store/spool.h"

#define INSERT_SETTINGS "&insert_deduplicate=1&insert_distributed_sync=1"
#define IDLE_MS 500
#define WAIT_MIN_MS 1000U
#define WAIT_MAX_MS 60000U
#define BATCH_MAX (64U << 20)
#define ANSWER_MAX 4096U
/* A server that loses another in the middle of an insert says the same as of a batch that cannot be read: for a while it is not believed. */
#define SUSPECT_NS (60 * NSEC_PER_SEC)
#define MANY 20 /* batches that wait: more and more of them, and the server is slow */

static const char slow[] = "it is slow: batches come faster than it takes them";

struct name {
	char text[SPOOL_NAME_MAX];
};

struct ship {
	const char *folder;
	struct ship_settings settings;
	struct clickhouse_http *http;
	int dir, sent, refused;
	bool slow;
	bool met; /* who answers there is known, and fit */
	bool knows_async; /* the setting async_insert, which must be off: such inserts are not deduplicated */
	struct buf batch;
	struct name *names;     /* of what waits, in order */
	size_t n, room, waited; /* waited: how many at the look before */
	struct name
		doubt; /* a batch that was not read, while it is not known whether others are; empty: none */
	struct name suspect; /* the last that was in doubt, and since when; empty: none */
	uint64_t suspect_ns;
	unsigned wait_ms;
	bool again;                     /* another address is to be tried, at once */
	bool met_collector, met_server; /* so far */
	int note_fd;                    /* -1: there is one address */
	struct ship_note waits;         /* for the answer of that collector */
	char spool_line[64], batch_line[128];
	struct ship_fleet fleet;
	struct ship_report report;
};

static void tell(const struct ship *s)
{
	/* less than PIPE_BUF: whole or not at all */
	if (write(SHIP_FD, &s->report, sizeof(s->report)) != sizeof(s->report))
		_exit(EXIT_SUCCESS);
}

static void set_problem(struct ship *s, const char *why)
{
	if (!strcmp(s->report.problem, why))
		return;
	snprintf(s->report.problem, sizeof(s->report.problem), "%s", why);
	snprintf(s->report.url, sizeof(s->report.url), "%s", clickhouse_http_url(s->http));
	tell(s);
}

/* Ends with the daemon. */
static void wait_ms(unsigned ms)
{
	struct pollfd p = { .fd = SHIP_FD };

	if (poll(&p, 1, (int)ms) > 0)
		_exit(EXIT_SUCCESS);
}

/* Many machines that lost one server do not come back at the same moment. */
static void back_off(struct ship *s)
{
	s->wait_ms = s->wait_ms ? MIN(2 * s->wait_ms, WAIT_MAX_MS) : WAIT_MIN_MS;
	wait_ms(s->wait_ms / 2 + (unsigned)(hash_random_seed() % s->wait_ms));
}

/* Who is there? Asked at the start and after each failure. */
static int meet(struct ship *s, char why[SHIP_WHY_MAX])
{
	int r = clickhouse_http_login(s->http, why);

	if (r == 0)
		r = clickhouse_http_post(s->http, SHIP_HELLO, STR_NONE, "", why);
	if (r < 0)
		return r;
	r = ship_hello_parse(clickhouse_http_answer(s->http), s->report.version, &s->knows_async);
	if (r == -ENOTSUP)
		snprintf(why, SHIP_WHY_MAX,
			 "wrong version: ClickHouse %s, and 18.16 or newer is needed",
			 s->report.version);
	else if (r < 0)
		snprintf(why, SHIP_WHY_MAX, "what answers there is not ClickHouse");
	if (r == 0) {
		s->report.collector = clickhouse_http_collector(s->http);
		*(s->report.collector ? &s->met_collector : &s->met_server) = true;
		if (s->met_collector && s->met_server) {
			snprintf(why, SHIP_WHY_MAX,
				 "some addresses are of collectors and others of ClickHouse");
			r = -EINVAL;
		}
	}
	s->met = r == 0;
	return r;
}

/* ---- where a batch may be ---- */

/* As an earlier process left it. */
static void take_note(struct ship *s)
{
	s->note_fd = -1;
	if (!ship_url(&s->settings, 1))
		return;
	s->note_fd = ship_note_open(s->dir);
	/* who takes the address out of the settings does not wait for it */
	if (s->note_fd >= 0 && (!ship_note_read(s->note_fd, &s->waits) ||
				!clickhouse_http_use(s->http, str_of(s->waits.url))))
		s->waits.batch[0] = 0;
}

/* Before it is sent. */
static int note(struct ship *s, const char *name, char why[SHIP_WHY_MAX])
{
	struct ship_note n = { 0 };
	int r;

	if (!s->report.collector || s->waits.batch[0] || !ship_url(&s->settings, 1))
		return 0;
	snprintf(n.url, sizeof(n.url), "%s", clickhouse_http_url(s->http));
	snprintf(n.batch, sizeof(n.batch), "%s", name);
	if (s->note_fd < 0)
		s->note_fd = ship_note_open(s->dir);
	r = s->note_fd < 0 ? s->note_fd : ship_note_write(s->note_fd, &n);
	if (r == 0)
		s->waits = n;
	else
		snprintf(why, SHIP_WHY_MAX, "it cannot be noted which collector has which batch");
	return r;
}

static void answered(struct ship *s, const char *name)
{
	if (!strcmp(s->waits.batch, name))
		s->waits.batch[0] = 0;
}

/* To the next address, unless a batch may have arrived at this one and it alone could tell. */
static void go_on(struct ship *s, char why[SHIP_WHY_MAX])
{
	static const char but[] = "; it may have a batch already, which waits for it";
	size_t n = strlen(why);

	s->met = false;
	s->again = !s->waits.batch[0] && clickhouse_http_next(s->http);
	if (s->waits.batch[0])
		snprintf(why + MIN(n, SHIP_WHY_MAX - sizeof(but)), sizeof(but), "%s", but);
}

/* ---- what comes back ---- */

/* Between batches; of who does not answer at all they tell. */
static void look_at_fleet(struct ship *s)
{
	char why[SHIP_WHY_MAX] = "";
	const char *problem;

	if (s->report.problem[0] || !ship_fleet_due(&s->fleet))
		return;
	if (!s->met && meet(s, why) < 0) {
		ship_fleet_later(&s->fleet);
		return;
	}
	problem = ship_fleet_fetch(&s->fleet, s->http, s->dir);
	if (strcmp(s->report.fleet_problem, problem)) {
		snprintf(s->report.fleet_problem, SHIP_WHY_MAX, "%s", problem);
		tell(s);
	}
}

/* ---- batches ---- */

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct name *)a)->text, ((const struct name *)b)->text);
}

static void list(struct ship *s)
{
	int fd = openat(s->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct spool_name name;
	struct dirent *e;

	s->n = 0;
	while (d && (e = readdir(d))) {
		if (!spool_name_parse(str_of(e->d_name), &name) ||
		    strlen(e->d_name) >= SPOOL_NAME_MAX)
			continue;
		if (s->n == s->room) {
			size_t room = s->room ? 2 * s->room : 64;
			struct name *more = reallocarray(s->names, room, sizeof(*more));

			if (!more)
				break;
			s->names = more;
			s->room = room;
		}
		snprintf(s->names[s->n++].text, SPOOL_NAME_MAX, "%s", e->d_name);
	}
	if (d)
		closedir(d);
	else if (fd >= 0)
		close(fd);
	if (s->n)
		qsort(s->names, s->n, sizeof(*s->names), by_name);
}

static void put_away(struct ship *s, const char *name, int folder)
{
	struct spool_name n;

	if (renameat(s->dir, name, folder, name) < 0 && errno != ENOENT) {
		set_problem(s, "batches that were taken cannot be moved");
		back_off(s);
	}
	if (folder == s->refused && spool_name_parse(str_of(name), &n))
		s->report.refused += n.rows;
}

static bool same_kind(const char *a, const char *b)
{
	struct spool_name x, y;

	return spool_name_parse(str_of(a), &x) && spool_name_parse(str_of(b), &y) &&
	       str_eq(x.kind, y.kind);
}

static void taken(struct ship *s, const char *name)
{
	struct spool_name n = { 0 };

	put_away(s, name, s->sent);
	answered(s, name);
	if (s->doubt.text[0] && same_kind(s->doubt.text, name) &&
	    time_now_boot() - s->suspect_ns >= SUSPECT_NS) {
		put_away(s, s->doubt.text, s->refused);
		s->doubt.text[0] = 0;
	}
	spool_name_parse(str_of(name), &n);
	s->report.batches++;
	s->report.rows += n.rows;
	s->report.bytes += s->batch.n;
	s->report.taken_ns = time_now();
	snprintf(s->report.url, sizeof(s->report.url), "%s", clickhouse_http_url(s->http));
	s->wait_ms = 0;
	if (!s->doubt.text[0])
		snprintf(s->report.problem, sizeof(s->report.problem), "%s", s->slow ? slow : "");
	tell(s);
}

static int insert(struct ship *s, const char *name, const char *query, struct str body,
		  char why[SHIP_WHY_MAX])
{
	bool waited = !strcmp(s->waits.batch, name);
	enum clickhouse_fate fate;
	int r = note(s, name, why);

	if (r < 0)
		return r;
	snprintf(s->batch_line, sizeof(s->batch_line), SHIP_BATCH_HEADER ": %s", name);
	clickhouse_http_headers(s->http, s->spool_line[0] ? s->spool_line : NULL, s->batch_line);
	r = clickhouse_http_post(
		s->http, query, body,
		s->knows_async ? INSERT_SETTINGS "&async_insert=0" : INSERT_SETTINGS, why);
	fate = clickhouse_http_fate(s->http);
	if (fate == CLICKHOUSE_ANSWERED || (fate == CLICKHOUSE_NOT_SENT && !waited))
		answered(s, name);
	return r;
}

/* 0: it was taken, or is gone, or stays for later; -errno: nothing is taken now. */
static int send_batch(struct ship *s, const char *name)
{
	char why[SHIP_WHY_MAX] = "", query[SPOOL_HEAD_MAX];
	struct str head, body;
	int r;

	buf_clear(&s->batch);
	r = file_read(s->dir, name, &s->batch);
	if (r == -ENOENT)
		return 0; /* dropped meanwhile, to keep the spool to its size */
	if (r < 0 && r != -EBADMSG && r != -EIO) {
		set_problem(s, "a batch of the spool cannot be opened");
		return r;
	}
	body = buf_str(&s->batch);
	if (r < 0 || !str_cut(&body, '\n', &head) || head.n >= sizeof(query)) {
		put_away(s, name, s->refused);
		set_problem(s, "a batch of the spool is damaged");
		return 0;
	}
	snprintf(query, sizeof(query), "%.*s", STR_FMT(head));
	if (!s->met)
		r = meet(s, why);
	if (r == 0)
		r = insert(s, name, query, body, why);
	if (r == 0) {
		taken(s, name);
		return 0;
	}
	/* One batch may be bad; when the next of its kind is not read either, it is not the batch. */
	if (r == -EBADMSG && s->met && !s->doubt.text[0]) {
		snprintf(s->doubt.text, sizeof(s->doubt.text), "%s", name);
		if (strcmp(s->suspect.text, name)) {
			s->suspect = s->doubt;
			s->suspect_ns = time_now_boot();
		}
		r = 0;
	} else {
		s->doubt.text[0] = 0;
		go_on(s, why);
	}
	if (!s->again)
		set_problem(s, why);
	return r;
}

static void look_and_send(struct ship *s)
{
	int r = 0;

	list(s);
	s->doubt.text[0] = 0;
	s->again = false;
	if (s->waits.batch[0] && faccessat(s->dir, s->waits.batch, F_OK, 0) < 0)
		s->waits.batch[0] = 0; /* taken before, or dropped */
	if (!s->report.problem[0] && s->waited && s->n > MANY && s->n > s->waited)
		s->slow = true;
	s->slow = s->slow && s->n > MANY;
	s->waited = s->n;
	for (size_t i = 0; r == 0 && i < s->n; i++)
		r = send_batch(s, s->names[i].text);
	if ((r < 0 && !s->again) || s->doubt.text[0]) {
		back_off(s);
		return;
	}
	if (r == 0)
		look_at_fleet(s);
	wait_ms(s->n ? 1 : IDLE_MS);
}

/* The daemon has made them, or its disk is full. */
static int open_folders(struct ship *s)
{
	s->dir = file_open_folder(s->folder);
	if (s->dir < 0)
		return s->dir;
	s->sent = openat(s->dir, SPOOL_SENT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	s->refused = openat(s->dir, SPOOL_REFUSED, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (file_read(s->dir, SPOOL_ID, &s->batch) == 0)
		snprintf(s->spool_line, sizeof(s->spool_line), SHIP_SPOOL_HEADER ": %s",
			 s->batch.p ?: "");
	return s->sent < 0 || s->refused < 0 ? -ENOENT : 0;
}

int ship_main(int argc, char **argv)
{
	struct ship s = { .batch = BUF_INIT(BATCH_MAX) };
	struct ship_settings *to = &s.settings;

	if (argc != SHIP_ARG_END)
		return EXIT_FAILURE;
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	signal(SIGPIPE, SIG_IGN);
	if (fetch_confine() < 0)
		return EXIT_FAILURE;
	s.folder = argv[SHIP_ARG_DIR];
	if (ship_settings_take(to, str_of(argv[SHIP_ARG_SETTINGS])) < 0 || open_folders(&s) < 0 ||
	    clickhouse_http_new(&s.http, to, ANSWER_MAX) < 0)
		return EXIT_FAILURE;
	take_note(&s);
	for (;;)
		look_and_send(&s);
}
