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
	struct store *store;
	char *dir;
	struct pool kept; /* struct store_kept: what flow.kept points to */
	uint64_t next_look_ns, now_ns;
	struct buf overlay;
};

int keeper_new(struct keeper **ret, const struct keeper_config *cfg)
{
	struct keeper *k = calloc(1, sizeof(*k));
	int r;

	if (!k)
		return -ENOMEM;
	k->cfg = *cfg;
	k->overlay = BUF_INIT(MAX_OVERLAY);
	pool_init(&k->kept, sizeof(struct store_kept), MAX_LIVING);
	k->dir = strdup(cfg->store.dir);
	k->cfg.store.dir = k->dir;
	r = k->dir ? store_open(&k->store, cfg->kind, &k->cfg.store) : -ENOMEM;
	if (r < 0) {
		free(k->dir);
		free(k);
		return r;
	}
	*ret = k;
	return 0;
}

int keeper_start(struct keeper *k)
{
	return k ? store_start(k->store) : 0;
}

struct keeper *keeper_free(struct keeper *k)
{
	if (!k)
		return NULL;
	store_close(k->store);
	pool_done(&k->kept);
	buf_done(&k->overlay);
	free(k->dir);
	free(k);
	return NULL;
}

static void keep_flow(struct keeper *k, struct flow *f, bool ends, uint64_t now_ns)
{
	struct store_row row;

	store_row_of_flow(&row, f, f->kept, ends, k->cfg.boot, now_ns, &k->cfg.places);
	if (ends) {
		store_put(k->store, &row);
		if (f->kept)
			pool_put(&k->kept, f->kept);
		f->kept = NULL;
		return;
	}
	f->kept = f->kept ?: pool_get(&k->kept);
	if (!f->kept)
		return;
	store_put(k->store, &row);
	store_kept_now(f->kept, f, &row);
}

static void keep_finding(struct keeper *k, const struct record *r)
{
	_cleanup_buf_ struct buf line = BUF_INIT(MAX_FINDING);

	eve_format(&k->cfg.format, r, &line);
	if (line.n) /* without the newline */
		store_put_finding(k->store, r->time_ns, str_of(r->finding->id),
				  str_sub(buf_str(&line), 0, line.n - 1));
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
		store_put(k->store, &row);
	} else if (r->type == RECORD_FINDING) {
		keep_finding(k, r);
	}
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
	store_sync(k->store);
}

uint64_t keeper_lost(struct keeper *k, enum loss_reason reason)
{
	struct store_stats s = { 0 };

	if (k)
		store_stats(k->store, &s);
	return reason == LOSS_STORE_QUEUE ? s.lost_queue : s.lost_write;
}

void keeper_status(struct keeper *k, struct json *j)
{
	struct store_stats s;
	char text[TIME_TEXT_MAX];

	if (!k)
		return;
	store_stats(k->store, &s);
	json_text(j, "kind", store_kind_name(k->cfg.kind));
	json_text(j, "dir", k->cfg.store.dir);
	json_u64(j, "rows", s.rows);
	json_u64(j, "findings", s.findings);
	json_u64(j, "batches", s.batches);
	json_u64(j, "queued_bytes", s.queued_bytes);
	json_u64(j, "lost_queue", s.lost_queue);
	json_u64(j, "lost_write", s.lost_write);
	json_u64(j, "disk_bytes", s.disk_bytes);
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
