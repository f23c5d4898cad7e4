// SPDX-License-Identifier: Apache-2.0
/*
 * What was gathered to the bytes of a snapshot: one pass spreads the hashes over their parts, each part is then sorted
 * by itself and what several feeds say is merged, the rest is copied. The file appears whole or not at all.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "detect/intel_builder.h"

struct sorted {
	uint64_t key;
	uint32_t record;
};

struct writer {
	struct intel_builder *b;
	uint8_t *entries; /* of INTEL_ENTRY bytes */
	uint32_t *top;    /* `parts` + 1: where each part begins */
	uint64_t *filter;
	uint32_t n_filter; /* words */
	unsigned bits;
	uint32_t parts;
	uint32_t n;
	struct intel_head head;
};

static void put_entry(uint8_t *at, uint64_t key, uint32_t record)
{
	uint64_t v = key | (uint64_t)record << 48;

	memcpy(at, &v, 8);
	at[8] = (uint8_t)(record >> 16);
}

static struct sorted get_entry(const uint8_t *at)
{
	uint64_t v;

	memcpy(&v, at, 8);
	return (struct sorted){ v & INTEL_KEY_MASK, (uint32_t)(v >> 48) | (uint32_t)at[8] << 16 };
}

/* By hash, port, and of those the heaviest first. */
static int in_order(const void *x, const void *y, void *ctx)
{
	const struct sorted *a = x, *b = y;
	const struct intel_record *ra, *rb;
	unsigned weight_a, weight_b;

	if (a->key != b->key)
		return a->key < b->key ? -1 : 1;
	if (a->record == b->record)
		return 0;
	ra = builder_record(ctx, a->record);
	rb = builder_record(ctx, b->record);
	if (ra->key != rb->key)
		return ra->key < rb->key ? -1 : 1;
	if (ra->port != rb->port)
		return ra->port < rb->port ? -1 : 1;
	weight_a = builder_weight(ctx, a->record);
	weight_b = builder_weight(ctx, b->record);
	if (weight_a != weight_b)
		return weight_a > weight_b ? -1 : 1;
	return a->record < b->record ? -1 : 1;
}

/* All entries to where their part is; w->top then holds where each ends. */
static int spread(struct writer *w)
{
	struct intel_builder *b = w->b;

	/* about 16 entries a part */
	w->bits = INTEL_PART_BITS_LEAST;
	while (w->bits < INTEL_PART_BITS_MOST && b->n >> w->bits >= 24)
		w->bits++;
	w->parts = 1U << w->bits;
	w->top = calloc(w->parts + 1, sizeof(*w->top));
	w->entries = malloc(b->n ? b->n * INTEL_ENTRY : 1);
	if (!w->top || !w->entries)
		return -ENOMEM;
	for (size_t i = 0; i < b->n; i++)
		w->top[(b->hashes[i] >> (64 - w->bits)) + 1]++;
	for (size_t i = 0; i < w->parts; i++)
		w->top[i + 1] += w->top[i];
	for (size_t i = 0; i < b->n; i++) {
		uint32_t at = w->top[b->hashes[i] >> (64 - w->bits)]++;

		put_entry(w->entries + (size_t)at * INTEL_ENTRY, b->hashes[i] & INTEL_KEY_MASK,
			  b->record_of[i]);
	}
	free(TAKE_PTR(b->hashes));
	free(TAKE_PTR(b->record_of));
	return 0;
}

static void keep(struct writer *w, const struct sorted *s)
{
	const struct intel_record *r = builder_record(w->b, s->record);

	put_entry(w->entries + (size_t)w->n++ * INTEL_ENTRY, s->key, s->record);
	if (r->class == INTEL_ALLOW)
		w->head.n_allowed++;
	else if (r->key < KEY_COUNT)
		w->head.n_of[r->key]++;
}

/* What the heavier ones of the same place do not say already. */
static void merge(struct writer *w, const struct sorted *v, size_t n)
{
	const struct intel_record *before = NULL;
	unsigned covered = 0, run = 0;

	for (size_t i = 0; i < n; i++) {
		const struct intel_record *r = builder_record(w->b, v[i].record);
		unsigned flags = r->flags & (RECORD_EXACT | RECORD_BELOW);
		bool same_key = i && v[i].key == v[i - 1].key;

		run = same_key ? run : 0;
		if (same_key && before->key == r->key && before->port == r->port &&
		    !(flags & ~covered)) {
			w->b->built.merged++;
			continue;
		}
		covered = same_key && before->key == r->key && before->port == r->port
				  ? covered | flags
				  : flags;
		before = r;
		if (run++ < INTEL_RUN_MAX)
			keep(w, &v[i]);
		else
			w->b->built.unusable++;
	}
}

static int sort_parts(struct writer *w)
{
	_cleanup_free_ struct sorted *v = NULL;
	size_t room = 0;
	uint32_t from = 0;

	for (size_t part = 0; part < w->parts; part++) {
		uint32_t to = w->top[part], n = to - from;

		if (n > room) {
			struct sorted *more = realloc(v, 2 * (size_t)n * sizeof(*v));

			if (!more)
				return -ENOMEM;
			v = more;
			room = 2 * (size_t)n;
		}
		for (uint32_t i = 0; i < n; i++)
			v[i] = get_entry(w->entries + (size_t)(from + i) * INTEL_ENTRY);
		w->top[part] = w->n;
		if (n) {
			qsort_r(v, n, sizeof(*v), in_order, w->b);
			merge(w, v, n);
		}
		from = to;
	}
	w->top[w->parts] = w->n;
	return 0;
}

static int make_filter(struct writer *w)
{
	w->n_filter = (uint32_t)((uint64_t)w->n * INTEL_FILTER_BITS / 64 + 1);
	w->filter = calloc(w->n_filter, sizeof(*w->filter));
	if (!w->filter)
		return -ENOMEM;
	for (uint64_t part = 0; part < w->parts; part++)
		for (uint32_t i = w->top[part]; i < w->top[part + 1]; i++) {
			/* the upper bits are the part's number, the others are kept */
			uint64_t hash = part << (64 - w->bits) |
					(get_entry(w->entries + (size_t)i * INTEL_ENTRY).key &
					 (~0ULL >> w->bits));

			w->filter[intel_filter_at(hash, w->n_filter)] |= intel_filter_mask(hash);
		}
	return 0;
}

/* --- the file ------------------------------------------------------------------------------------------------------- */

static void copy_ranges4(uint8_t *to, const struct ranges *r)
{
	for (size_t i = 0; i < r->n; i++) {
		struct intel_range4 v = { (uint32_t)r->v[i].lo, (uint32_t)r->v[i].hi,
					  r->v[i].record };

		memcpy(to + i * sizeof(v), &v, sizeof(v));
	}
}

static void copy_ranges6(uint8_t *to, const struct ranges *r)
{
	for (size_t i = 0; i < r->n; i++) {
		struct intel_range6 v = { .record = r->v[i].record };

		for (size_t k = 0; k < 16; k++) {
			v.lo[k] = (uint8_t)(r->v[i].lo >> (8 * (15 - k)));
			v.hi[k] = (uint8_t)(r->v[i].hi >> (8 * (15 - k)));
		}
		memcpy(to + i * sizeof(v), &v, sizeof(v));
	}
}

static void copy_v4_top(uint8_t *to, const struct ranges *r)
{
	uint32_t at = 0;

	for (uint32_t part = 0; part <= INTEL_V4_PARTS; part++) {
		while (at < r->n && (part == INTEL_V4_PARTS || (uint32_t)r->v[at].lo >> 16 < part))
			at++;
		memcpy(to + (size_t)part * sizeof(at), &at, sizeof(at));
	}
}

static void copy(uint8_t *to, const void *from, size_t n)
{
	if (n)
		memcpy(to, from, n);
}

/* Where everything goes; the size of the file. */
static uint64_t lay_out(struct writer *w)
{
	const struct intel_builder *b = w->b;
	const uint64_t bytes[SECTION_COUNT] = {
		[SECTION_TOP] = (w->parts + 1) * sizeof(uint32_t),
		[SECTION_FILTER] = w->n_filter * sizeof(uint64_t),
		[SECTION_ENTRIES] = (uint64_t)w->n * INTEL_ENTRY,
		[SECTION_V4_TOP] = (INTEL_V4_PARTS + 1) * sizeof(uint32_t),
		[SECTION_V4] = b->v4.n * sizeof(struct intel_range4),
		[SECTION_V6] = b->v6.n * sizeof(struct intel_range6),
		[SECTION_ALLOW_V4] = b->allow4.n * sizeof(struct intel_range4),
		[SECTION_ALLOW_V6] = b->allow6.n * sizeof(struct intel_range6),
		[SECTION_RECORDS] = b->records.n,
		[SECTION_NOTES] = b->notes.n,
		[SECTION_FEEDS] = b->n_feeds * sizeof(struct intel_feed_row),
	};
	uint64_t at = sizeof(w->head);

	for (size_t i = 0; i < SECTION_COUNT; i++) {
		w->head.section[i].at = at;
		w->head.section[i].bytes = bytes[i];
		at = (at + bytes[i] + 7) & ~7ULL;
	}
	return at;
}

static void fill(struct writer *w, uint8_t *map, uint64_t bytes)
{
	struct intel_builder *b = w->b;
	struct intel_head *h = &w->head;
#define AT(s) (map + h->section[SECTION_##s].at)

	copy(AT(TOP), w->top, h->section[SECTION_TOP].bytes);
	copy(AT(FILTER), w->filter, h->section[SECTION_FILTER].bytes);
	copy(AT(ENTRIES), w->entries, h->section[SECTION_ENTRIES].bytes);
	copy_v4_top(AT(V4_TOP), &b->v4);
	copy_ranges4(AT(V4), &b->v4);
	copy_ranges6(AT(V6), &b->v6);
	copy_ranges4(AT(ALLOW_V4), &b->allow4);
	copy_ranges6(AT(ALLOW_V6), &b->allow6);
	copy(AT(RECORDS), b->records.p, b->records.n);
	copy(AT(NOTES), b->notes.p, b->notes.n);
	copy(AT(FEEDS), b->feeds, b->n_feeds * sizeof(*b->feeds));
#undef AT
	h->magic = INTEL_MAGIC;
	h->version = INTEL_VERSION;
	h->head_bytes = sizeof(*h);
	h->file_bytes = bytes;
	h->body_hash = hash_bytes(map + sizeof(*h), bytes - sizeof(*h), 0);
	h->seed = b->seed;
	h->built_s = b->now_s;
	h->part_bits = w->bits;
	h->labels = b->labels;
	h->head_hash = hash_bytes(h, offsetof(struct intel_head, head_hash), 0);
	memcpy(map, h, sizeof(*h));
}

static int write_file(struct writer *w, const char *path)
{
	_cleanup_close_ int fd = -1;
	uint64_t bytes = lay_out(w);
	void *map;
	int r;

	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (fd < 0)
		return -errno;
	/* room is taken before it is mapped: a full disk is an error and no signal */
	r = -posix_fallocate(fd, 0, (off_t)bytes);
	if (r < 0)
		return r;
	map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	fill(w, map, bytes);
	w->b->built.file_bytes = bytes;
	munmap(map, bytes);
	return fsync(fd) < 0 ? -errno : 0;
}

/* The folder too: the new name has to be there after a loss of power. */
static int sync_folder_of(const char *path)
{
	_cleanup_close_ int fd = -1;
	char folder[PATH_MAX];
	char *slash;

	snprintf(folder, sizeof(folder), "%s", path);
	slash = strrchr(folder, '/');
	if (slash)
		slash[slash == folder] = 0;
	fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

static int put_in_place(struct writer *w, const char *path)
{
	struct intel_index *ix = NULL;
	char new[PATH_MAX];
	int r;

	if ((size_t)snprintf(new, sizeof(new), "%s.new", path) >= sizeof(new))
		return -ENAMETOOLONG;
	if (unlink(new) < 0 && errno != ENOENT)
		return -errno;
	r = write_file(w, new);
	if (r == 0)
		r = intel_index_open(&ix, new, INTEL_OPEN_CHECKED);
	intel_index_free(ix);
	if (r == 0 && rename(new, path) < 0)
		r = -errno;
	if (r < 0) {
		unlink(new);
		return r;
	}
	return sync_folder_of(path);
}

int intel_builder_write(struct intel_builder *b, const char *path, struct intel_built *ret)
{
	struct ranges *const all[] = { &b->v4, &b->v6, &b->allow4, &b->allow6 };
	struct writer w = { .b = b };
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(all); i++)
		r = ranges_flatten(all[i], b);
	if (r == 0)
		r = spread(&w);
	if (r == 0)
		r = sort_parts(&w);
	if (r == 0)
		r = make_filter(&w);
	if (r == 0)
		r = put_in_place(&w, path);
	free(w.top);
	free(w.filter);
	free(w.entries);
	if (ret)
		*ret = b->built;
	return r;
}
