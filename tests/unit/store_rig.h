/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of history by dice, a folder of its own, and what was read back of it. */
#pragma once

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/time.h"
#include "flow/flow.h"
#include "store/db.h"
#include "store/kind.h"
#include "store/pieces.h"
#include "store/read.h"
#include "store/row_code.h"
#include "store/store.h"
#include "store/sums_write.h"
#include "test.h"

#define T0_S 1764547200ULL /* 2025-12-01 00:00 UTC */
#define HOUR_NS (3600 * NSEC_PER_SEC)

static char rig_dir[64];
static uint64_t rig_now_ns;

static uint64_t rig_now(void)
{
	return rig_now_ns;
}

static int rig_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static int rig_setup(void **state)
{
	snprintf(rig_dir, sizeof(rig_dir), "/tmp/egret-store-XXXXXX");
	rig_now_ns = T0_S * NSEC_PER_SEC;
	return mkdtemp(rig_dir) ? 0 : -1;
}

static int rig_teardown(void **state)
{
	return nftw(rig_dir, rig_remove, 16, FTW_DEPTH | FTW_PHYS);
}

static inline struct store *rig_open_with(struct store_config cfg)
{
	struct store *s = NULL;

	cfg.dir = rig_dir;
	cfg.now = rig_now;
	assert_ok(store_open(&s, &store_sqlite, &cfg));
	assert_ok(store_start(s));
	return s;
}

static inline struct store *rig_open(void)
{
	return rig_open_with((struct store_config){ 0 });
}

/* ---- dice ---- */

static uint64_t rig_seed = 1;

static inline uint32_t dice(uint32_t n)
{
	rig_seed = rig_seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(rig_seed >> 33) % n;
}

/* Texts of a row live as long as the program: there are few. */
static inline struct str dice_text(const char *form, uint32_t n)
{
	static char texts[4096][48];
	static size_t used;
	char *p = texts[used++ % ARRAY_SIZE(texts)];

	snprintf(p, sizeof(texts[0]), form, dice(n));
	return str_of(p);
}

static inline void dice_who(struct store_who *w)
{
	*w = (struct store_who){ .pid = 100 + dice(20),
				 .ppid = dice(3),
				 .start_ns = (T0_S + dice(9)) * NSEC_PER_SEC,
				 .has_uid = dice(2),
				 .exe_state = (uint8_t)dice(3) };
	w->uid = w->has_uid ? dice(3) * 1000 : 0;
	w->exe = dice_text("/usr/bin/tool%u", 6);
	w->comm = dice_text("tool%u", 6);
	w->args = (struct str){ "tool\0-x\0", 8 };
	w->user = dice_text("user%u", 3);
	w->cgroup = STR("/system.slice/a.service");
	w->unit = dice_text("unit%u.service", 2);
	if (!dice(4)) {
		w->container_id = dice_text("c0ffee%u", 2);
		w->container_name = dice_text("box%u", 2);
		w->container_image = STR("alpine:3");
		w->container_runtime = STR("docker");
	}
	w->n_ancestors = dice(4);
	for (size_t i = 0; i < w->n_ancestors; i++) {
		w->ancestors[i].pid = 1 + dice(5);
		w->ancestors[i].exe = dice_text("/bin/sh%u", 3);
		w->ancestors[i].comm = STR("sh");
	}
}

static inline void dice_peer(struct store_row *row)
{
	struct store_peer *p = &row->peer;
	uint32_t host = dice(30);
	uint8_t v4[4] = { 192, 0, 2, (uint8_t)host },
		v6[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = (uint8_t)host };
	struct addr there = dice(2) ? addr_from_v4(v4) : addr_from_v6(v6),
		    here = addr_from_v4("\x0a\0\0\x05");

	row->key_is_ours_dst = !dice(6);
	row->key.src = row->key_is_ours_dst ? there : here;
	row->key.dst = row->key_is_ours_dst ? here : there;
	p->segment = dice_text(dice(2) ? "internet" : "seg%u", 2);
	if (dice(4)) {
		p->name = dice_text("h%u.example.org", 12);
		p->domain = STR("example.org");
		p->name_source = NAME_SNI;
		p->n_names = dice(3);
		for (size_t i = 0; i < p->n_names; i++)
			p->names[i] = dice_text("other%u.example.net", 5);
	}
	if (dice(2)) {
		memcpy(p->country, dice(2) ? "DE" : "US", 2);
		p->asn = 64496 + dice(3);
		p->as_org = dice_text("Org %u", 3);
	}
}

/* One piece that ended then. */
static inline struct store_row dice_row(uint64_t to_ns, uint64_t flow_id)
{
	struct store_row row = { .boot = 7, .flow_id = flow_id, .to_ns = to_ns };

	row.start_ns = to_ns - (uint64_t)dice(50000) * NSEC_PER_MSEC;
	row.seq = dice(4) ? 0 : dice(5);
	row.from_ns = row.seq ? to_ns - (to_ns - row.start_ns) / 2 / 1000 * 1000 : row.start_ns;
	row.ends = dice(5);
	row.key.sport = (uint16_t)dice(65536);
	row.key.dport = (uint16_t)(dice(2) ? 443 : dice(100));
	row.key.proto = dice(3) ? IPPROTO_TCP : IPPROTO_UDP;
	row.key.zone = 4026531840;
	dice_peer(&row);
	row.up_bytes = dice(100000);
	row.down_bytes = dice(1000000);
	row.up_packets = dice(100);
	row.down_packets = dice(1000);
	row.payload_known = dice(5);
	if (row.payload_known) {
		row.up_payload = row.up_bytes - row.up_bytes / 20;
		row.down_payload = row.down_bytes - row.down_bytes / 30;
	}
	row.tcp_flags[0] = (uint8_t)dice(32);
	row.tcp_flags[1] = 18;
	row.retransmits = dice(9) ? 0 : dice(9);
	row.rtt_us = dice(30000);
	row.state = FLOW_CLOSED;
	row.end = END_FIN;
	row.direction = row.key_is_ours_dst ? FLOW_REPLY : FLOW_EGRESS;
	row.app = (uint16_t)dice(5);
	row.ifindex = 2;
	if (!dice(10))
		row.refused_packets = dice(5);
	row.has_who = dice(8);
	if (row.has_who)
		dice_who(&row.who);
	if (dice(3))
		row.rule = (struct store_rule){ .action = 1,
						.line = 3 + dice(4),
						.file = STR("/etc/egret/policy.egret"),
						.text = dice_text("allow app tool%u", 4) };
	row.ja4 = dice(2) ? STR("t13d1516h2_8daaf6152771_e5627efa2ab1") : STR_NONE;
	return row;
}

/* The whole row as bytes: equal rows have equal ones. */
static inline void assert_same_row(const struct store_row *a, const struct store_row *b)
{
	_cleanup_buf_ struct buf x = BUF_INIT(1 << 20), y = BUF_INIT(1 << 20);

	store_row_encode(a, &x);
	store_row_encode(b, &y);
	assert_false(x.failed || y.failed);
	assert_int_equal(x.n, y.n);
	assert_memory_equal(x.p, y.p, x.n);
}

/* ---- what was read ---- */

struct rows { /* encoded, one after the other */
	struct buf bytes;
	size_t n, most;
};
#define ROWS_INIT ((struct rows){ .bytes = BUF_INIT(256 << 20) })

static inline int on_row(void *ctx, const struct store_row *row)
{
	struct rows *r = ctx;

	store_row_encode(row, &r->bytes);
	return ++r->n == r->most ? 1 : 0;
}

static inline struct store_reader *rig_reader(void)
{
	struct store_reader *r = NULL;
	char error[256] = "";

	if (store_reader_open(&r, rig_dir, error) < 0)
		fail_msg("%s", error);
	return r;
}

static const struct store_span rig_all = { 0, UINT64_MAX };
