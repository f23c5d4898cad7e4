/* SPDX-License-Identifier: Apache-2.0 */
#include "collector/intake.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/time.h"
#include "store/clickhouse_table.h"
#include "store/spool_pack.h"

#define HOST_MAX 256
#define DAY_S 86400
#define DAYS_MAX 64       /* of a batch of ours: ClickHouse takes 100 partitions in one insert */
#define DAYS_OF_ONE_MAX 8 /* of an agent's: what a clock does that is set */
#define SENT_NS (600 * NSEC_PER_SEC)
#define FEW_ROWS 10000
#define BODY_MAX (SPOOL_BATCH_BYTES + SPOOL_ROW_ROOM)

struct days {
	uint32_t day[DAYS_MAX];
	size_t n;
};

struct intake {
	struct had *had;
	struct spool *spool;
	int folder;
	uint64_t max_bytes;
	struct buf body;                     /* unpacked */
	struct days days[CLICKHOUSE_TABLES]; /* of the batches that are open */
	struct spool_tag *put;               /* since the last commit */
	size_t n_put, room_put;
	struct intake_stats stats;
};

/* ---- days ---- */

static bool days_add(struct days *d, uint32_t day, size_t max)
{
	for (size_t i = d->n; i--;)
		if (d->day[i] == day)
			return true;
	if (d->n == max)
		return false;
	d->day[d->n++] = day;
	return true;
}

/* All of them or none. */
static bool days_join(struct days *d, const struct days *more)
{
	size_t n = d->n;

	for (size_t i = 0; i < more->n; i++)
		if (!days_add(d, more->day[i], DAYS_MAX)) {
			d->n = n;
			return false;
		}
	return true;
}

/* ---- one batch ---- */

struct look {
	struct str host; /* of the first row */
	struct days days;
	const char *wrong;
};

static int on_row(void *ctx, uint32_t ts, struct str host)
{
	struct look *l = ctx;

	if (!l->host.p)
		l->host = host;
	if (!str_eq(host, l->host))
		l->wrong = "rows of several hosts in one batch";
	else if (!days_add(&l->days, ts / DAY_S, DAYS_OF_ONE_MAX))
		l->wrong = "rows of too many days in one batch";
	return l->wrong ? -EPERM : 0;
}

static unsigned refuse(char why[INTAKE_WHY_MAX], unsigned status, const char *words)
{
	snprintf(why, INTAKE_WHY_MAX, "%s", words);
	return status;
}

static bool unhex(struct str text, uint8_t id[16])
{
	static const char digits[] = "0123456789abcdef";

	if (text.n != 32)
		return false;
	for (size_t i = 0; i < text.n; i++) {
		const char *at = memchr(digits, text.p[i], 16);

		if (!at)
			return false;
		id[i / 2] = (uint8_t)(id[i / 2] << 4 | (at - digits));
	}
	return true;
}

/*
 * Two machines may have one spool's number, when one disk was copied: so the host belongs to whose batch it is. Nobody can make it
 * that of another host.
 */
static bool tag_of(struct spool_tag *tag, const uint8_t spool[16], struct str host, uint64_t seq)
{
	uint8_t text[16 + HOST_MAX], sum[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	memcpy(text, spool, 16);
	memcpy(text + 16, host.p, host.n);
	if (EVP_Digest(text, 16 + host.n, sum, &n, EVP_sha256(), NULL) != 1)
		return false;
	memcpy(tag->id, sum, sizeof(tag->id));
	tag->seq = seq;
	return true;
}

static unsigned check_host(const struct intake_batch *b, struct str host, char why[INTAKE_WHY_MAX])
{
	char name[HOST_MAX];

	if (!host.n || host.n >= HOST_MAX || memchr(host.p, 0, host.n))
		return refuse(why, 400, "rows of a host without a name that could be one");
	snprintf(name, sizeof(name), "%.*s", STR_FMT(host));
	if (b->may(b->ctx, name))
		return 0;
	snprintf(why, INTAKE_WHY_MAX, "the certificate is not of the host %.128s", name);
	return 403;
}

/* Unpacked, whole rows, as many as it says, of a host that it may tell of? */
static unsigned check(struct intake *in, const struct intake_batch *b, enum clickhouse_table t,
		      uint32_t rows, struct look *l, char why[INTAKE_WHY_MAX])
{
	uint32_t n = 0;
	int r;

	buf_clear(&in->body);
	r = spool_unpack(&in->body, b->body);
	if (r == -ENOMEM)
		return refuse(why, 503, "out of memory");
	if (r < 0)
		return refuse(why, r == -E2BIG ? 413 : 400,
			      r == -E2BIG ? "the batch is too large" : "the batch is damaged");
	r = clickhouse_walk(t, buf_str(&in->body), on_row, l, &n);
	if (r < 0)
		return refuse(why, 400,
			      l->wrong ?: "the batch does not hold whole rows of its table");
	if (n != rows)
		return refuse(why, 400, "the batch has not as many rows as it says");
	return check_host(b, l->host, why);
}

static bool is_put(const struct intake *in, const struct spool_tag *tag)
{
	for (size_t i = in->n_put; i--;)
		if (!memcmp(&in->put[i], tag, sizeof(*tag)))
			return true;
	return false;
}

static int note_put(struct intake *in, const struct spool_tag *tag)
{
	if (in->n_put == in->room_put) {
		size_t room = in->room_put ? 2 * in->room_put : 256;
		struct spool_tag *more = reallocarray(in->put, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		in->put = more;
		in->room_put = room;
	}
	in->put[in->n_put++] = *tag;
	return 0;
}

/* What was taken is never given up for what is new: only what ClickHouse has already may go. */
static bool is_full(const struct intake *in, size_t more)
{
	struct spool_stats st;

	spool_stats(in->spool, &st);
	return st.bytes - st.sent_bytes + more > in->max_bytes;
}

static int finish(struct intake *in, enum clickhouse_table t)
{
	int r = spool_finish(in->spool, t);

	if (r == 0)
		in->days[t].n = 0;
	return r;
}

static int append(struct intake *in, enum clickhouse_table t, uint32_t rows, const struct look *l,
		  const struct spool_tag *tag)
{
	struct days before = in->days[t];
	int r = days_join(&in->days[t], &l->days) ? 0 : -EAGAIN;

	if (r == 0)
		r = spool_add(in->spool, t, buf_str(&in->body), rows, tag);
	if (r == -EAGAIN) {
		in->days[t] = before;
		r = finish(in, t);
		if (r < 0)
			return r;
		days_join(&in->days[t], &l->days);
		r = spool_add(in->spool, t, buf_str(&in->body), rows, tag);
	}
	return r;
}

static unsigned put(struct intake *in, const struct intake_batch *b, struct spool_tag *ret_tag,
		    char why[INTAKE_WHY_MAX])
{
	int table = clickhouse_table_of(b->statement), r;
	struct look l = { .host = STR_NONE };
	struct spool_name name;
	uint8_t id[16] = { 0 };
	unsigned status;

	if (table < 0)
		return refuse(why, 404,
			      "it does not know this statement; is it older than the agent?");
	if (!unhex(b->spool, id) || !spool_name_parse(b->name, &name) ||
	    !str_eq(name.kind, str_of(clickhouse_table_name((enum clickhouse_table)table))))
		return refuse(
			why, 409,
			"it is not said which batch of which spool this is; is the agent older?");
	if (name.rows > SPOOL_BATCH_ROWS)
		return refuse(why, 413, "the batch has too many rows");
	status = check(in, b, (enum clickhouse_table)table, name.rows, &l, why);
	if (status)
		return status;
	if (!tag_of(ret_tag, id, l.host, name.seq))
		return refuse(why, 503, "out of memory");
	if (had_has(in->had, ret_tag) || is_put(in, ret_tag)) {
		in->stats.again++;
		return 0;
	}
	if (is_full(in, in->body.n))
		return refuse(why, 503, "its spool is full: ClickHouse takes less than comes");
	r = had_reserve(in->had, ret_tag->id, time_now() / NSEC_PER_SEC);
	if (r < 0)
		return refuse(why, 503,
			      r == -ENOSPC ? "it has too many machines" : "out of memory");
	r = note_put(in, ret_tag);
	if (r == 0) {
		r = append(in, (enum clickhouse_table)table, name.rows, &l, ret_tag);
		in->n_put -= r < 0;
	}
	if (r < 0) {
		snprintf(why, INTAKE_WHY_MAX, "its spool cannot be written: %s", strerror(-r));
		return 503;
	}
	in->stats.batches++;
	in->stats.rows += name.rows;
	in->stats.bytes += b->body.n;
	return 0;
}

unsigned intake_put(struct intake *in, const struct intake_batch *b, struct spool_tag *ret_tag,
		    char why[INTAKE_WHY_MAX])
{
	unsigned status = put(in, b, ret_tag, why);

	in->stats.refused += status && status != 503;
	in->stats.busy += status == 503;
	return status;
}

int intake_commit(struct intake *in)
{
	int r;

	if (!in->n_put)
		return 0;
	r = spool_commit(in->spool);
	if (r < 0)
		spool_abort(in->spool);
	in->n_put = 0;
	in->stats.commits++;
	return r;
}

bool intake_has(const struct intake *in, const struct spool_tag *tag)
{
	return had_has(in->had, tag);
}

/* ---- the spool ---- */

static void on_tag(void *ctx, const struct spool_tag *tag)
{
	struct intake *in = ctx;

	had_add(in->had, tag, time_now() / NSEC_PER_SEC);
}

static int on_close(void *ctx)
{
	struct intake *in = ctx;

	return had_save(in->had, time_now() / NSEC_PER_SEC);
}

int intake_keep_house(struct intake *in)
{
	intake_commit(
		in); /* batches that are being committed are not closed; whoever waits for it looks himself */
	return spool_keep_house(in->spool, time_now_boot());
}

/* Findings, refusals and how machines are do not wait for company: people do, for them. */
static int open_spool(struct intake *in, const char *dir, uint64_t wait_ns)
{
	struct spool_config cfg = { .dir = dir,
				    .n_kinds = CLICKHOUSE_TABLES,
				    .max_bytes = in->max_bytes,
				    .sent_ns = SENT_NS,
				    .few_ns = wait_ns,
				    .on_tag = on_tag,
				    .on_close = on_close,
				    .ctx = in };

	for (size_t i = 0; i < CLICKHOUSE_TABLES; i++)
		cfg.kinds[i] = (struct spool_kind){
			.name = clickhouse_table_name((enum clickhouse_table)i),
			.head = clickhouse_insert((enum clickhouse_table)i),
			.few = i == CLICKHOUSE_FLOW || i == CLICKHOUSE_NAME ? FEW_ROWS : 0,
		};
	return spool_open(&in->spool, &cfg);
}

int intake_open(struct intake **ret, const struct intake_config *cfg)
{
	struct intake *in = calloc(1, sizeof(*in));
	char path[512];
	int r;

	if (!in)
		return log_errno(ENOMEM, "cannot start");
	in->max_bytes = cfg->max_bytes;
	in->body = BUF_INIT(BODY_MAX);
	if (mkdir(cfg->dir, 0700) < 0 && errno != EEXIST)
		r = -errno;
	else
		r = in->folder = file_open_folder(cfg->dir);
	if (r >= 0)
		r = had_open(&in->had, in->folder, time_now() / NSEC_PER_SEC);
	if (r == -EBADMSG) {
		log_warn("%s/had is damaged and set aside: a batch whose answer was lost just now "
			 "may "
			 "count twice",
			 cfg->dir);
		r = 0;
	}
	snprintf(path, sizeof(path), "%s/" INTAKE_SPOOL, cfg->dir);
	if (r >= 0)
		r = open_spool(in, path, cfg->wait_ns);
	if (r < 0) {
		intake_free(in);
		return log_errno(r, "cannot open the spool in %s", cfg->dir);
	}
	*ret = in;
	return 0;
}

struct intake *intake_free(struct intake *in)
{
	if (!in)
		return NULL;
	spool_close(in->spool);
	had_free(in->had);
	if (in->folder > 0)
		close(in->folder);
	buf_done(&in->body);
	free(in->put);
	free(in);
	return NULL;
}

void intake_stats(const struct intake *in, struct intake_stats *ret)
{
	*ret = in->stats;
	had_stats(in->had, &ret->had);
	spool_stats(in->spool, &ret->spool);
}
