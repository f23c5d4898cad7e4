/* SPDX-License-Identifier: Apache-2.0 */
#include "collector/had.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/hash.h"

#define FILE_NAME "had"
#define MAGIC 0x3164616867656745ULL
#define SILENT_S (30 * 86400ULL)
#define SILENT_FULL_S 86400ULL
#define SLOTS_MIN 256

struct range {
	uint64_t from, to;
};

struct spool_had {
	uint8_t id[16];
	uint64_t last_s; /* 0: the slot is free */
	uint32_t n;
	struct range r[HAD_RANGES]; /* ascending, apart */
};

struct had {
	int folder;
	uint64_t seed;
	struct spool_had *slots; /* open addressing */
	size_t room, n;
	uint64_t forgotten;
	bool changed, failed;
};

/* On disk: this, then for each spool one of the next and its ranges, then a hash of all. */
struct file_head {
	uint64_t magic, spools;
};

struct file_spool {
	uint8_t id[16];
	uint64_t last_s, ranges;
};

#define FILE_MAX                                       \
	(sizeof(struct file_head) + sizeof(uint64_t) + \
	 HAD_SPOOLS_MAX * (sizeof(struct file_spool) + HAD_RANGES * sizeof(struct range)))

/* ---- the table ---- */

static struct spool_had *slot_of(const struct had *h, const uint8_t id[16])
{
	size_t i = h->room ? hash_bytes(id, 16, h->seed) & (h->room - 1) : 0;

	if (!h->room)
		return NULL;
	while (h->slots[i].last_s && memcmp(h->slots[i].id, id, 16))
		i = (i + 1) & (h->room - 1);
	return &h->slots[i];
}

/* Into a new table of `room` slots go those that were heard of since `from_s`. */
static int rebuild(struct had *h, size_t room, uint64_t from_s)
{
	struct had old = *h;
	struct spool_had *slots = calloc(room, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	h->slots = slots;
	h->room = room;
	h->n = 0;
	for (size_t i = 0; i < old.room; i++) {
		const struct spool_had *s = &old.slots[i];

		if (!s->last_s)
			continue;
		if (s->last_s < from_s) {
			h->forgotten++;
			h->changed = true;
			continue;
		}
		*slot_of(h, s->id) = *s;
		h->n++;
	}
	free(old.slots);
	return 0;
}

static uint64_t oldest(const struct had *h)
{
	uint64_t s = UINT64_MAX;

	for (size_t i = 0; i < h->room; i++)
		if (h->slots[i].last_s && h->slots[i].last_s < s)
			s = h->slots[i].last_s;
	return s;
}

int had_reserve(struct had *h, const uint8_t id[16], uint64_t now_s)
{
	struct spool_had *s = slot_of(h, id);
	int r = 0;

	if (s && s->last_s)
		return 0;
	if (h->n >= HAD_SPOOLS_MAX) {
		uint64_t last_s = oldest(h);

		if (last_s + SILENT_FULL_S > now_s)
			return -ENOSPC;
		r = rebuild(h, h->room, last_s + 1);
	} else if (2 * (h->n + 1) > h->room) {
		r = rebuild(h, MAX(2 * h->room, (size_t)SLOTS_MIN), 0);
	}
	if (r < 0)
		return r;
	s = slot_of(h, id);
	memcpy(s->id, id, sizeof(s->id));
	s->last_s = MAX(now_s, (uint64_t)1);
	h->n++;
	return 0;
}

/* ---- ranges ---- */

/* How many ranges begin at or below it. */
static uint32_t below(const struct spool_had *s, uint64_t seq)
{
	uint32_t n = s->n;

	while (n && s->r[n - 1].from > seq)
		n--;
	return n;
}

bool had_has(const struct had *h, const struct spool_tag *t)
{
	const struct spool_had *s = slot_of(h, t->id);
	uint32_t n = s && s->last_s ? below(s, t->seq) : 0;

	return n && t->seq <= s->r[n - 1].to;
}

static void remove_range(struct spool_had *s, uint32_t i)
{
	memmove(&s->r[i], &s->r[i + 1], (s->n - i - 1) * sizeof(s->r[0]));
	s->n--;
}

static void insert_range(struct had *h, struct spool_had *s, uint32_t at, uint64_t seq)
{
	if (s->n == HAD_RANGES) {
		h->forgotten++;
		if (!at)
			return; /* it would be the lowest itself */
		remove_range(s, 0);
		at--;
	}
	memmove(&s->r[at + 1], &s->r[at], (s->n - at) * sizeof(s->r[0]));
	s->r[at] = (struct range){ seq, seq };
	s->n++;
}

void had_add(struct had *h, const struct spool_tag *t, uint64_t now_s)
{
	struct spool_had *s;
	uint32_t n;

	if (had_reserve(h, t->id, now_s) < 0) {
		h->failed = true;
		return;
	}
	s = slot_of(h, t->id);
	s->last_s = MAX(s->last_s, now_s);
	h->changed = true;
	n = below(s, t->seq);
	if (n && t->seq <= s->r[n - 1].to)
		return;
	if (n && s->r[n - 1].to + 1 == t->seq)
		s->r[n - 1].to++;
	else if (n < s->n && s->r[n].from == t->seq + 1)
		s->r[n].from--;
	else
		insert_range(h, s, n, t->seq);
	if (n && n < s->n && s->r[n - 1].to + 1 == s->r[n].from) {
		s->r[n - 1].to = s->r[n].to;
		remove_range(s, n);
	}
}

/* ---- the file ---- */

int had_save(struct had *h, uint64_t now_s)
{
	_cleanup_buf_ struct buf out = BUF_INIT(FILE_MAX);
	struct file_head head = { MAGIC, 0 };
	uint64_t hash;
	int r;

	if (h->failed)
		return -ENOMEM;
	if (!h->changed)
		return 0;
	if (h->n && oldest(h) + SILENT_S < now_s) {
		r = rebuild(h, h->room, now_s - SILENT_S);
		if (r < 0)
			return r;
	}
	head.spools = h->n;
	buf_put(&out, &head, sizeof(head));
	for (size_t i = 0; i < h->room; i++) {
		const struct spool_had *s = &h->slots[i];
		struct file_spool f = { .last_s = s->last_s, .ranges = s->n };

		if (!s->last_s)
			continue;
		memcpy(f.id, s->id, sizeof(f.id));
		buf_put(&out, &f, sizeof(f));
		buf_put(&out, s->r, s->n * sizeof(s->r[0]));
	}
	hash = hash_bytes(out.p, out.n, 0);
	buf_put(&out, &hash, sizeof(hash));
	r = out.failed ? -ENOMEM : file_replace(h->folder, FILE_NAME, buf_str(&out), STR_NONE);
	h->changed = r < 0;
	return r;
}

static bool take(struct str *in, void *to, size_t n)
{
	if (in->n < n)
		return false;
	if (n)
		memcpy(to, in->p, n);
	*in = str_sub(*in, n, in->n);
	return true;
}

static bool in_order(const struct spool_had *s)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (s->r[i].from > s->r[i].to || (i && s->r[i].from <= s->r[i - 1].to))
			return false;
	return true;
}

static int parse(struct had *h, struct str in, uint64_t now_s)
{
	struct file_head head;
	struct file_spool f;
	uint64_t hash, is;

	if (in.n < sizeof(head) + sizeof(hash))
		return -EBADMSG;
	memcpy(&hash, in.p + in.n - sizeof(hash), sizeof(hash));
	in.n -= sizeof(hash);
	is = hash_bytes(in.p, in.n, 0);
	if (is != hash || !take(&in, &head, sizeof(head)) || head.magic != MAGIC)
		return -EBADMSG;
	while (in.n) {
		struct spool_had *s;
		int r;

		if (!take(&in, &f, sizeof(f)) || f.ranges > HAD_RANGES || !f.last_s)
			return -EBADMSG;
		r = had_reserve(h, f.id, now_s);
		if (r < 0)
			return r;
		s = slot_of(h, f.id);
		s->last_s = f.last_s;
		s->n = (uint32_t)f.ranges;
		if (!take(&in, s->r, s->n * sizeof(s->r[0])) || !in_order(s))
			return -EBADMSG;
	}
	return h->n == head.spools ? 0 : -EBADMSG;
}

static void forget_all(struct had *h)
{
	free(h->slots);
	h->slots = NULL;
	h->room = h->n = 0;
}

int had_open(struct had **ret, int folder, uint64_t now_s)
{
	_cleanup_buf_ struct buf text = BUF_INIT(FILE_MAX + 4096);
	struct had *h = calloc(1, sizeof(*h));
	int r;

	if (!h)
		return -ENOMEM;
	h->folder = folder;
	h->seed = hash_random_seed();
	r = file_read(folder, FILE_NAME, &text);
	if (r == 0)
		r = parse(h, buf_str(&text), now_s);
	if (r == -ENOENT)
		r = 0;
	if (r == -EBADMSG) {
		forget_all(h);
		file_set_aside(folder, FILE_NAME);
	} else if (r < 0) {
		had_free(h);
		return r;
	}
	h->changed = false;
	*ret = h;
	return r;
}

struct had *had_free(struct had *h)
{
	if (h)
		forget_all(h);
	free(h);
	return NULL;
}

void had_stats(const struct had *h, struct had_stats *ret)
{
	*ret = (struct had_stats){ h->n, h->forgotten };
}
