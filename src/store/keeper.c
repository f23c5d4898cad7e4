/* SPDX-License-Identifier: Apache-2.0 */
#include "store/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/pool.h"
#include "detect/finding.h"
#include "store/row_code.h"

#define PIECE_NS (60 * NSEC_PER_SEC) /* a flow that lives has a piece each minute */
#define LOOK_NS \
	(5 * NSEC_PER_SEC) /* they are looked through so often, so that not all are due at once */
#define MAX_LIVING 262144  /* flows with pieces that live on; those above only have a last one */
#define MAX_OVERLAY (256U << 20)
#define MAX_FINDING (256U << 10)

struct keeper {
	struct keeper_config cfg;
	struct store *stores[KEEPER_STORES]; /* NULL: off */
	char *dirs[KEEPER_STORES];
	struct pool kept; /* struct store_kept: what flow.kept points to */
	uint64_t next_look_ns, now_ns;
	struct buf overlay;
};

int keeper_new(struct keeper **ret, const struct keeper_config *cfg)
{
	struct keeper *k = calloc(1, sizeof(*k));
	int r = 0;

	if (!k)
		return -ENOMEM;
	k->cfg = *cfg;
	k->overlay = BUF_INIT(MAX_OVERLAY);
	pool_init(&k->kept, sizeof(struct store_kept), MAX_LIVING);
	for (int i = 0; r == 0 && i < KEEPER_STORES; i++) {
		if (!cfg->to[i].kind)
			continue;
		k->cfg.to[i].store.dir = k->dirs[i] = strdup(cfg->to[i].store.dir);
		r = k->dirs[i] ? store_open(&k->stores[i], cfg->to[i].kind, &k->cfg.to[i].store)
			       : -ENOMEM;
	}
	if (r < 0) {
		keeper_free(k);
		return r;
	}
	*ret = k;
	return 0;
}

int keeper_start(struct keeper *k)
{
	int r = 0;

	for (int i = 0; k && r == 0 && i < KEEPER_STORES; i++)
		r = k->stores[i] ? store_start(k->stores[i]) : 0;
	return r;
}

struct keeper *keeper_free(struct keeper *k)
{
	if (!k)
		return NULL;
	for (int i = 0; i < KEEPER_STORES; i++) {
		store_close(k->stores[i]);
		free(k->dirs[i]);
	}
	pool_done(&k->kept);
	buf_done(&k->overlay);
	free(k);
	return NULL;
}

static void put_row(struct keeper *k, const struct store_row *row)
{
	for (int i = 0; i < KEEPER_STORES; i++)
		if (k->stores[i])
			store_put(k->stores[i], row);
}

static void keep_flow(struct keeper *k, struct flow *f, bool ends, uint64_t now_ns)
{
	struct store_row row;

	store_row_of_flow(&row, f, f->kept, ends, k->cfg.boot, now_ns, &k->cfg.places);
	if (ends) {
		put_row(k, &row);
		if (f->kept)
			pool_put(&k->kept, f->kept);
		f->kept = NULL;
		return;
	}
	f->kept = f->kept ?: pool_get(&k->kept);
	if (!f->kept)
		return;
	put_row(k, &row);
	store_kept_now(f->kept, f, &row);
}

static void keep_finding(struct keeper *k, const struct record *r)
{
	_cleanup_buf_ struct buf line = BUF_INIT(MAX_FINDING);
	struct store_finding finding;

	eve_format(&k->cfg.format, r, &line);
	if (!line.n)
		return;
	store_finding_of_record(&finding, r, k->cfg.boot);
	finding.record = str_sub(buf_str(&line), 0, line.n - 1); /* without the newline */
	for (int i = 0; i < KEEPER_STORES; i++)
		if (k->stores[i])
			store_put_finding(k->stores[i], &finding);
}

static void keep_name(struct keeper *k, const struct record *r)
{
	struct store_name name;

	if (!k->stores[KEEPER_FLEET])
		return;
	store_name_of_record(&name, r, k->cfg.boot);
	store_put_name(k->stores[KEEPER_FLEET], &name);
}

static void keep_policy(struct keeper *k, const struct record *r)
{
	const struct record_policy *p = r->policy;

	if (!k->stores[KEEPER_FLEET])
		return;
	store_put_policy(k->stores[KEEPER_FLEET],
			 &(struct store_policy){ .boot = k->cfg.boot,
						 .time_ns = r->time_ns,
						 .version = p->version,
						 .group = p->group,
						 .stage = p->stage,
						 .state = str_of(p->state),
						 .reason = p->reason,
						 .file = p->file,
						 .rules = p->rules,
						 .before_hour = (uint64_t)(60 * p->before),
						 .after_hour = (uint64_t)(60 * p->after),
						 .watched = p->watched,
						 .would_refuse = p->would_refuse });
}

void keeper_record(struct keeper *k, const struct record *r)
{
	struct store_row row;

	if (!k)
		return;
	if (r->type == RECORD_FLOW && r->flow_ends) {
		/* `kept` is ours; the table hands its flows out as const. */
		keep_flow(k, (struct flow *)r->flow, true, r->time_ns);
	} else if (r->type == RECORD_DROP && !r->flow) {
		store_row_of_drop(&row, r, k->cfg.boot, &k->cfg.places);
		put_row(k, &row);
	} else if (r->type == RECORD_DNS && r->dns->response) {
		keep_name(k, r);
	} else if (r->type == RECORD_FINDING) {
		keep_finding(k, r);
	} else if (r->type == RECORD_POLICY) {
		keep_policy(k, r);
	}
}

void keeper_host(struct keeper *k, const struct store_host *h)
{
	struct store_host host = *h;

	if (!keeper_keeps(k, KEEPER_FLEET))
		return;
	host.boot = k->cfg.boot;
	store_put_host(k->stores[KEEPER_FLEET], &host);
}

static void on_living(void *ctx, const struct flow *f)
{
	struct keeper *k = ctx;
	const struct store_kept *kept = f->kept;
	uint64_t since_ns = kept ? kept->to_ns : f->start_ns;

	if (k->now_ns >= since_ns + PIECE_NS && store_row_moved(f, kept))
		keep_flow(k, (struct flow *)f, false, k->now_ns);
}

void keeper_tick(struct keeper *k, uint64_t now_ns)
{
	if (!k)
		return;
	/* A clock that was set back does not stop it. */
	if (now_ns >= k->next_look_ns || now_ns + LOOK_NS < k->next_look_ns) {
		k->next_look_ns = now_ns + LOOK_NS;
		k->now_ns = now_ns;
		flow_table_each(k->cfg.flows, on_living, k);
	}
	for (int i = 0; i < KEEPER_STORES; i++)
		if (k->stores[i])
			store_sync(k->stores[i]);
}

bool keeper_keeps(const struct keeper *k, enum keeper_store which)
{
	return k && k->stores[which];
}

void keeper_stats(struct keeper *k, enum keeper_store which, struct store_stats *ret)
{
	*ret = (struct store_stats){ 0 };
	if (keeper_keeps(k, which))
		store_stats(k->stores[which], ret);
}

uint64_t keeper_lost(struct keeper *k, enum loss_reason reason)
{
	struct store_stats s;

	keeper_stats(k, reason == LOSS_SPOOL_DROP ? KEEPER_FLEET : KEEPER_HISTORY, &s);
	return reason == LOSS_STORE_QUEUE   ? s.lost_queue
	       : reason == LOSS_STORE_WRITE ? s.lost_write
					    : s.lost_queue + s.lost_write + s.dropped;
}

void keeper_status(struct keeper *k, enum keeper_store which, struct json *j)
{
	struct store_stats s;
	char text[TIME_TEXT_MAX];

	if (!keeper_keeps(k, which))
		return;
	keeper_stats(k, which, &s);
	json_text(j, "kind", store_kind_name(k->cfg.to[which].kind));
	json_text(j, "dir", k->dirs[which]);
	json_u64(j, "rows", s.rows);
	json_u64(j, "findings", s.findings);
	json_u64(j, "batches", s.batches);
	json_u64(j, "queued_bytes", s.queued_bytes);
	json_u64(j, "lost_queue", s.lost_queue);
	json_u64(j, "lost_write", s.lost_write);
	json_u64(j, "disk_bytes", s.disk_bytes);
	if (which == KEEPER_FLEET) {
		json_u64(j, "waiting", s.waiting);
		json_u64(j, "dropped", s.dropped);
	}
	if (s.oldest_ns)
		json_text(j, "oldest", time_format(s.oldest_ns, text));
	json_u64(j, "damaged", s.damaged);
	json_u64(j, "errors", s.errors);
	json_f64(j, "write_ms_last", (double)s.write_ns_last / 1e6);
	json_f64(j, "write_ms_max", (double)s.write_ns_max / 1e6);
	if (s.problem[0])
		json_text(j, "problem", s.problem);
}

static void overlay_flow(void *ctx, const struct flow *f)
{
	struct keeper *k = ctx;
	struct store_row row;

	if (!store_row_moved(f, f->kept))
		return;
	store_row_of_flow(&row, f, f->kept, false, k->cfg.boot, k->now_ns, &k->cfg.places);
	store_row_encode(&row, &k->overlay);
}

int keeper_overlay(struct keeper *k, uint64_t now_ns)
{
	_cleanup_close_ int fd = memfd_create("egret-living", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int r;

	if (fd < 0)
		return -errno;
	if (!k)
		return TAKE_FD(fd);
	buf_clear(&k->overlay);
	k->now_ns = now_ns;
	flow_table_each(k->cfg.flows, overlay_flow, k);
	r = k->overlay.failed ? -E2BIG : file_write_all(fd, buf_str(&k->overlay));
	if (r == 0 &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
		r = -errno;
	buf_done(&k->overlay);
	return r < 0 ? r : TAKE_FD(fd);
}
