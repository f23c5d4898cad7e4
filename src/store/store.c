/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queue and the thread behind it. Rows are encoded by whoever puts them; the thread takes all that is queued, writes it as one
 * transaction or several, and keeps what could not be written until it can, or until the queue is full.
 */
#include "store/store.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "store/kind.h"
#include "store/row_code.h"

#define QUEUE_BYTES (64U << 20)
#define WAKE_BYTES (1U << 20) /* a burst does not wait for the second */
#define KEPT_BYTES (8U << 20) /* after a burst */
#define BATCH_ROWS 20000      /* of one transaction */
#define CLOSE_NS (5 * NSEC_PER_SEC)
#define RETRY_NS NSEC_PER_SEC

const struct store_kind *const store_kinds[] = { &store_sqlite, NULL };

enum item { ITEM_ROW, ITEM_NAME, ITEM_FINDING, ITEM_HOST, ITEM_POLICY };

struct store {
	const struct store_kind *kind;
	struct store_config cfg;
	char *dir;
	struct buf scratch; /* of the one who puts */
	void *writer;       /* the kind's, and with all below `batch` the thread's alone */
	struct buf batch;
	size_t done;    /* bytes of the batch that are committed */
	size_t written; /* bytes of it that were given to the kind */
	uint64_t next_house_ns;
	uint64_t rows, findings, lost; /* since the last commit */
	char problem[256];             /* as last told */

	pthread_t thread;
	bool started;
	pthread_mutex_t lock;
	pthread_cond_t wake, idle;
	/* Under the lock: */
	struct buf queue;
	bool go, stop;
	size_t batch_bytes; /* what of the batch is not committed */
	struct store_stats stats;
};

const struct store_kind *store_kind_find(struct str name)
{
	for (size_t i = 0; store_kinds[i]; i++)
		if (str_eq(name, str_of(store_kinds[i]->name)))
			return store_kinds[i];
	return NULL;
}

const char *store_kind_name(const struct store_kind *k)
{
	return k->name;
}

/* ---- what the thread does ---- */

static uint64_t now(const struct store *s)
{
	return s->cfg.now ? s->cfg.now() : time_now();
}

static bool may_pass(int r)
{
	return r == -ENOSPC || r == -EBUSY || r == -EROFS || r == -EACCES || r == -EIO ||
	       r == -ENOMEM || r == -EPROTO || r == -EBADMSG;
}

/* One item from `at` of the batch; *ret_n is its size. */
static int give(struct store *s, size_t at, size_t *ret_n)
{
	struct str rest = str_sub(buf_str(&s->batch), at + 1, s->batch.n);
	size_t before = rest.n;
	union {
		struct store_row row;
		struct store_name name;
		struct store_finding finding;
		struct store_host host;
		struct store_policy policy;
	} is;
	int r;

	switch ((enum item)s->batch.p[at]) {
	case ITEM_ROW:
		store_row_decode(&rest, &is.row);
		r = s->kind->row(s->writer, &is.row);
		s->rows += r == 0;
		break;
	case ITEM_NAME:
		store_name_decode(&rest, &is.name);
		r = s->kind->name_answer(s->writer, &is.name);
		s->rows += r == 0;
		break;
	case ITEM_HOST:
		store_host_decode(&rest, &is.host);
		r = s->kind->host(s->writer, &is.host);
		s->rows += r == 0;
		break;
	case ITEM_POLICY:
		store_policy_decode(&rest, &is.policy);
		r = s->kind->policy(s->writer, &is.policy);
		s->rows += r == 0;
		break;
	default:
		store_finding_decode(&rest, &is.finding);
		r = s->kind->finding(s->writer, &is.finding);
		s->findings += r == 0;
	}
	*ret_n = 1 + before - rest.n;
	return r;
}

static void note(struct store *s)
{
	struct store_health h = { 0 };

	s->kind->health(s->writer, &h);
	if (strcmp(h.problem, s->problem)) {
		if (h.problem[0])
			log_warn("%s: %s", s->kind->what, h.problem);
		else
			log_info("%s: all is well again", s->kind->what);
		memcpy(s->problem, h.problem, sizeof(s->problem));
	}
	pthread_mutex_lock(&s->lock);
	s->stats.disk_bytes = h.disk_bytes;
	s->stats.oldest_ns = h.oldest_ns;
	s->stats.damaged = h.damaged;
	s->stats.errors = h.errors;
	s->stats.waiting = h.waiting;
	s->stats.dropped = h.dropped;
	memcpy(s->stats.problem, h.problem, sizeof(h.problem));
	pthread_mutex_unlock(&s->lock);
}

/* Which of stats.write_steps. */
static size_t step_of(uint64_t took_ns)
{
	static const unsigned up_to_ms[STORE_WRITE_STEPS - 1] = { 1, 5, 25, 100, 500, 2500 };
	size_t i = 0;

	while (i < STORE_WRITE_STEPS - 1 && took_ns > up_to_ms[i] * NSEC_PER_MSEC)
		i++;
	return i;
}

static int commit(struct store *s, uint64_t began_ns)
{
	int r = s->kind->commit(s->writer);
	uint64_t took_ns = time_now_boot() - began_ns;

	pthread_mutex_lock(&s->lock);
	if (r == 0) {
		s->done = s->written;
		s->batch_bytes = s->batch.n - s->done;
		s->stats.rows += s->rows;
		s->stats.findings += s->findings;
		s->stats.lost_write += s->lost;
		s->stats.batches++;
		s->stats.write_ns_last = took_ns;
		s->stats.write_ns_max = MAX(s->stats.write_ns_max, took_ns);
		s->stats.write_ns_total += took_ns;
		s->stats.write_steps[step_of(took_ns)]++;
	}
	pthread_mutex_unlock(&s->lock);
	s->rows = s->findings = s->lost = 0;
	return r;
}

/* What is left of the batch. 0: all of it is there; else what stood in the way. */
static int write_batch(struct store *s)
{
	uint64_t began_ns = time_now_boot();
	size_t n;
	int r = 0;

	s->written = s->done;
	s->rows = s->findings = s->lost = 0;
	while (s->written < s->batch.n) {
		r = give(s, s->written, &n);
		if (r < 0 && may_pass(r))
			break;
		if (r != -EAGAIN)
			s->written += n;
		s->lost += r < 0 && r != -EAGAIN;
		if (r != -EAGAIN && s->rows < BATCH_ROWS)
			continue;
		r = commit(s, began_ns);
		if (r < 0)
			break;
		began_ns = time_now_boot();
	}
	if (s->written == s->batch.n && s->done < s->batch.n)
		r = commit(s, began_ns);
	if (s->done < s->batch.n)
		s->kind->abort(s->writer);
	return s->done < s->batch.n ? r : 0;
}

/* All that is queued becomes the batch. */
static void take_batch(struct store *s)
{
	struct buf b = s->batch;

	buf_clear(&b);
	if (b.cap > KEPT_BYTES)
		buf_done(&b);
	s->batch = s->queue;
	s->queue = b;
	s->done = 0;
	s->batch_bytes = s->batch.n;
}

static void wait_until(struct store *s, uint64_t wait_ns)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_nsec += (long)(wait_ns % NSEC_PER_SEC);
	t.tv_sec += (time_t)(wait_ns / NSEC_PER_SEC) + t.tv_nsec / (long)NSEC_PER_SEC;
	t.tv_nsec %= (long)NSEC_PER_SEC;
	pthread_cond_timedwait(&s->wake, &s->lock, &t);
}

static void keep_house(struct store *s)
{
	uint64_t boot_ns = time_now_boot();

	if (boot_ns < s->next_house_ns)
		return;
	s->next_house_ns = boot_ns + NSEC_PER_SEC;
	s->kind->keep_house(s->writer, now(s));
	note(s);
}

static void *writer_main(void *ctx)
{
	struct store *s = ctx;
	uint64_t stop_ns = 0;
	bool stop = false;
	int r = 0;

	while (!stop) {
		pthread_mutex_lock(&s->lock);
		if (r < 0 && !s->stop)
			wait_until(s, RETRY_NS);
		while (r == 0 && !s->go && !s->stop) {
			wait_until(s, NSEC_PER_SEC);
			if (!s->queue.n)
				break;
		}
		s->go = false;
		if (s->batch_bytes == 0)
			take_batch(s);
		stop = s->stop;
		pthread_mutex_unlock(&s->lock);
		r = write_batch(s);
		if (r < 0)
			note(s);
		keep_house(s);
		pthread_mutex_lock(&s->lock);
		/* Stopping: one go at what came meanwhile, then as long as there is hope and time. */
		if (stop && (s->queue.n || s->batch_bytes)) {
			stop_ns = stop_ns ? stop_ns : time_now_boot() + CLOSE_NS;
			stop = r < 0 || time_now_boot() > stop_ns;
		}
		pthread_cond_broadcast(&s->idle);
		pthread_mutex_unlock(&s->lock);
	}
	s->kind->close(s->writer);
	s->writer = NULL;
	return NULL;
}

/* ---- what others call ---- */

int store_open(struct store **ret, const struct store_kind *kind, const struct store_config *cfg)
{
	struct store *s = calloc(1, sizeof(*s));
	pthread_condattr_t attr;
	size_t max = cfg->queue_bytes ? cfg->queue_bytes : QUEUE_BYTES;
	int r;

	if (!s)
		return -ENOMEM;
	s->kind = kind;
	s->cfg = *cfg;
	s->dir = strdup(cfg->dir);
	s->cfg.dir = s->dir;
	s->queue = BUF_INIT(max);
	s->batch = BUF_INIT(max);
	s->scratch = BUF_INIT(2 * STORE_ROW_MAX);
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->wake, &attr);
	pthread_cond_init(&s->idle, &attr);
	pthread_condattr_destroy(&attr);
	r = s->dir ? kind->open(&s->writer, &s->cfg) : -ENOMEM;
	if (r < 0) {
		store_close(s);
		return r;
	}
	*ret = s;
	return 0;
}

int store_start(struct store *s)
{
	sigset_t all, before;
	int r;

	/* Signals are for the loop of whoever starts it. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&s->thread, NULL, writer_main, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	s->started = r == 0;
	return -r;
}

struct store *store_close(struct store *s)
{
	if (!s)
		return NULL;
	if (s->started) {
		pthread_mutex_lock(&s->lock);
		s->stop = s->go = true;
		pthread_cond_signal(&s->wake);
		pthread_mutex_unlock(&s->lock);
		pthread_join(s->thread, NULL);
	}
	if (s->writer)
		s->kind->close(s->writer);
	buf_done(&s->queue);
	buf_done(&s->batch);
	buf_done(&s->scratch);
	pthread_cond_destroy(&s->wake);
	pthread_cond_destroy(&s->idle);
	pthread_mutex_destroy(&s->lock);
	free(s->dir);
	free(s);
	return NULL;
}

/* What is in s->scratch joins the queue, or is lost. */
static void put(struct store *s, enum item item)
{
	size_t before;
	bool fits;

	pthread_mutex_lock(&s->lock);
	before = s->queue.n;
	fits = !s->scratch.failed && s->batch_bytes + s->queue.n + 1 + s->scratch.n <= s->queue.max;
	if (fits) {
		buf_putc(&s->queue, (char)item);
		buf_put(&s->queue, s->scratch.p, s->scratch.n);
		fits = !s->queue.failed;
	}
	if (!fits) {
		s->queue.n = before;
		s->queue.failed = false;
		s->stats.lost_queue++;
	} else if (s->queue.n >= WAKE_BYTES && !s->go) {
		s->go = true;
		pthread_cond_signal(&s->wake);
	}
	pthread_mutex_unlock(&s->lock);
	buf_clear(&s->scratch);
}

void store_put(struct store *s, const struct store_row *row)
{
	store_row_encode(row, &s->scratch);
	put(s, ITEM_ROW);
}

void store_put_name(struct store *s, const struct store_name *name)
{
	if (!s->kind->name_answer)
		return;
	store_name_encode(name, &s->scratch);
	put(s, ITEM_NAME);
}

void store_put_finding(struct store *s, const struct store_finding *f)
{
	store_finding_encode(f, &s->scratch);
	put(s, ITEM_FINDING);
}

void store_put_host(struct store *s, const struct store_host *h)
{
	if (!s->kind->host)
		return;
	store_host_encode(h, &s->scratch);
	put(s, ITEM_HOST);
}

void store_put_policy(struct store *s, const struct store_policy *p)
{
	if (!s->kind->policy)
		return;
	store_policy_encode(p, &s->scratch);
	put(s, ITEM_POLICY);
}

void store_sync(struct store *s)
{
	pthread_mutex_lock(&s->lock);
	if (s->queue.n) {
		s->go = true;
		pthread_cond_signal(&s->wake);
	}
	pthread_mutex_unlock(&s->lock);
}

int store_flush(struct store *s, uint64_t wait_ns)
{
	uint64_t until_ns = time_now_boot() + wait_ns;
	bool empty;

	pthread_mutex_lock(&s->lock);
	while (!(empty = !s->queue.n && !s->batch_bytes) && time_now_boot() < until_ns) {
		struct timespec t;

		s->go = true;
		pthread_cond_signal(&s->wake);
		clock_gettime(CLOCK_MONOTONIC, &t);
		t.tv_sec++;
		pthread_cond_timedwait(&s->idle, &s->lock, &t);
	}
	pthread_mutex_unlock(&s->lock);
	return empty ? 0 : -ETIMEDOUT;
}

void store_stats(struct store *s, struct store_stats *ret)
{
	pthread_mutex_lock(&s->lock);
	*ret = s->stats;
	ret->queued_bytes = s->queue.n + s->batch_bytes;
	pthread_mutex_unlock(&s->lock);
}
