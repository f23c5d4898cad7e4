// SPDX-License-Identifier: Apache-2.0
/*
 * A snapshot as it is mapped. All that a question relies on for its reads is checked here or at the read itself: where
 * sections are and how long, that the two indices ascend and end where their arrays do.
 */
#include "detect/intel_index.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "detect/intel_map.h"

static const uint32_t item_bytes[SECTION_COUNT] = {
	[SECTION_TOP] = sizeof(uint32_t),
	[SECTION_FILTER] = sizeof(uint64_t),
	[SECTION_ENTRIES] = INTEL_ENTRY,
	[SECTION_V4_TOP] = sizeof(uint32_t),
	[SECTION_V4] = sizeof(struct intel_range4),
	[SECTION_V6] = sizeof(struct intel_range6),
	[SECTION_ALLOW_V4] = sizeof(struct intel_range4),
	[SECTION_ALLOW_V6] = sizeof(struct intel_range6),
	[SECTION_RECORDS] = sizeof(struct intel_record),
	[SECTION_NOTES] = 1,
	[SECTION_FEEDS] = sizeof(struct intel_feed_row),
};

/* Its items, and how many; NULL when it does not lie in the file. */
static const void *section(const struct intel_index *ix, enum intel_section s, uint32_t *ret_n)
{
	uint64_t at = ix->head->section[s].at, bytes = ix->head->section[s].bytes;

	if (at % 8 || at < sizeof(struct intel_head) || at > ix->bytes || bytes > ix->bytes - at ||
	    bytes % item_bytes[s] || bytes / item_bytes[s] > UINT32_MAX - 1)
		return NULL;
	*ret_n = (uint32_t)(bytes / item_bytes[s]);
	return ix->map + at;
}

static bool ascends_to(const uint32_t *top, uint32_t n_top, uint32_t parts, uint32_t last)
{
	if (n_top != parts + 1 || top[0] != 0 || top[parts] != last)
		return false;
	for (size_t i = 0; i < parts; i++)
		if (top[i] > top[i + 1])
			return false;
	return true;
}

static int check(struct intel_index *ix, enum intel_open_mode mode)
{
	const struct intel_head *h = ix->head;
	uint32_t n_top, n_v4_top;

	if (ix->bytes < sizeof(*h) || h->magic != INTEL_MAGIC || h->version != INTEL_VERSION ||
	    h->head_bytes != sizeof(*h) || h->file_bytes != ix->bytes ||
	    h->head_hash != hash_bytes(h, offsetof(struct intel_head, head_hash), 0))
		return -EBADMSG;
	ix->top = section(ix, SECTION_TOP, &n_top);
	ix->filter = section(ix, SECTION_FILTER, &ix->n_filter);
	ix->entries = section(ix, SECTION_ENTRIES, &ix->n_entries);
	ix->v4_top = section(ix, SECTION_V4_TOP, &n_v4_top);
	ix->v4 = section(ix, SECTION_V4, &ix->n4);
	ix->v6 = section(ix, SECTION_V6, &ix->n6);
	ix->allow4 = section(ix, SECTION_ALLOW_V4, &ix->n_allow4);
	ix->allow6 = section(ix, SECTION_ALLOW_V6, &ix->n_allow6);
	ix->records = section(ix, SECTION_RECORDS, &ix->n_records);
	ix->notes = section(ix, SECTION_NOTES, &ix->n_notes);
	ix->feeds = section(ix, SECTION_FEEDS, &ix->n_feeds);
	if (h->part_bits < INTEL_PART_BITS_LEAST || h->part_bits > INTEL_PART_BITS_MOST ||
	    !ix->filter || !ix->top || !ix->entries || !ix->v4_top || !ix->v4 || !ix->v6 ||
	    !ix->allow4 || !ix->allow6 || !ix->records || !ix->notes || !ix->feeds)
		return -EBADMSG;
	if (!ascends_to(ix->top, n_top, 1U << h->part_bits, ix->n_entries) ||
	    !ascends_to(ix->v4_top, n_v4_top, INTEL_V4_PARTS, ix->n4))
		return -EBADMSG;
	if (mode == INTEL_OPEN_CHECKED &&
	    h->body_hash != hash_bytes(ix->map + sizeof(*h), ix->bytes - sizeof(*h), 0))
		return -EBADMSG;
	ix->seed = h->seed;
	ix->part_bits = h->part_bits;
	return 0;
}

int intel_index_over(struct intel_index **ret, const void *bytes, size_t n,
		     enum intel_open_mode mode)
{
	struct intel_index *ix = calloc(1, sizeof(*ix));
	int r;

	if (!ix)
		return -ENOMEM;
	ix->map = bytes;
	ix->head = bytes;
	ix->bytes = n;
	r = check(ix, mode);
	if (r < 0) {
		free(ix);
		return r;
	}
	*ret = ix;
	return 0;
}

int intel_index_open(struct intel_index **ret, const char *path, enum intel_open_mode mode)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	void *map;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size < (off_t)sizeof(struct intel_head))
		return -EBADMSG;
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	/* questions come in any order: reading ahead would only fill memory */
	if (mode == INTEL_OPEN_CHECKED)
		madvise(map, (size_t)st.st_size, MADV_WILLNEED);
	r = intel_index_over(ret, map, (size_t)st.st_size, mode);
	if (r < 0)
		munmap(map, (size_t)st.st_size);
	else
		(*ret)->mapped = true;
	return r;
}

struct intel_index *intel_index_free(struct intel_index *ix)
{
	if (ix && ix->mapped)
		munmap((void *)ix->map, ix->bytes);
	free(ix);
	return NULL;
}

void intel_index_counts(const struct intel_index *ix, struct intel_counts *ret)
{
	const struct intel_head *h = ix->head;

	*ret = (struct intel_counts){
		.indicators = (uint64_t)ix->n_entries - MIN(h->n_allowed, (uint64_t)ix->n_entries) +
			      ix->n4 + ix->n6,
		.addresses = h->n_of[KEY_ADDR],
		.names = h->n_of[KEY_NAME],
		.urls = h->n_of[KEY_URL] + h->n_of[KEY_PATH],
		.hashes = h->n_of[KEY_CERT] + h->n_of[KEY_JA3] + h->n_of[KEY_JA4],
		.ranges4 = ix->n4,
		.ranges6 = ix->n6,
		.allowed = h->n_allowed,
		.records = ix->n_records,
		.file_bytes = ix->bytes,
		.feeds = ix->n_feeds,
		.built_s = h->built_s,
	};
}

bool intel_index_feed(const struct intel_index *ix, uint32_t feed, struct intel_feed_state *ret)
{
	const struct intel_feed_row *row;

	*ret = (struct intel_feed_state){ 0 };
	if (feed >= ix->n_feeds)
		return false;
	row = &ix->feeds[feed];
	*ret = (struct intel_feed_state){
		.name = { row->name, strnlen(row->name, sizeof(row->name)) },
		.class = row->class < INTEL_CLASS_COUNT ? row->class : INTEL_SUSPICIOUS,
		.error = row->error,
		.expired = row->expired != 0,
		.entries = row->entries,
		.unusable = row->unusable,
		.skipped = row->skipped,
		.bad = row->bad,
		.as_of_s = row->as_of_s,
		.why = { row->why, strnlen(row->why, sizeof(row->why)) },
	};
	return true;
}

/* --- the one in use ------------------------------------------------------------------------------------------------ */

struct intel_slot {
	pthread_mutex_t lock;
	struct intel_index *now; /* counted as one that took it */
};

int intel_slot_new(struct intel_slot **ret)
{
	struct intel_slot *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	pthread_mutex_init(&s->lock, NULL);
	*ret = s;
	return 0;
}

struct intel_slot *intel_slot_free(struct intel_slot *s)
{
	if (!s)
		return NULL;
	intel_slot_set(s, NULL);
	pthread_mutex_destroy(&s->lock);
	free(s);
	return NULL;
}

struct intel_index *intel_slot_take(struct intel_slot *s)
{
	struct intel_index *ix;

	pthread_mutex_lock(&s->lock);
	ix = s->now;
	if (ix)
		ix->taken++;
	pthread_mutex_unlock(&s->lock);
	return ix;
}

void intel_slot_put(struct intel_slot *s, struct intel_index *ix)
{
	bool last;

	if (!ix)
		return;
	pthread_mutex_lock(&s->lock);
	last = !--ix->taken;
	pthread_mutex_unlock(&s->lock);
	/* outside of the lock: unmapping 100 MB takes its time */
	if (last)
		intel_index_free(ix);
}

void intel_slot_set(struct intel_slot *s, struct intel_index *ix)
{
	struct intel_index *old;

	pthread_mutex_lock(&s->lock);
	old = s->now;
	s->now = ix;
	if (ix)
		ix->taken++;
	pthread_mutex_unlock(&s->lock);
	intel_slot_put(s, old);
}
