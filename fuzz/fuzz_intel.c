/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A snapshot of threat intelligence may be damaged in any way: input that begins with a byte of no text is laid over a good one,
 * with the checksum of its head made right so that all of it is reached. Other input is read as a list, built, and has to be
 * found again.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "detect/intel_build.h"
#include "detect/intel_feeds.h"
#include "detect/intel_map.h"
#include "policy/list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t touched;

static void look_at(const struct intel_index *ix, bool listed, const struct intel_hit *hit)
{
	struct intel_feed_state feed;
	int weight;

	if (listed && hit->cancelled)
		abort();
	if (!listed && !hit->cancelled)
		return;
	weight = intel_weight(hit, 1790000000);
	if (weight < 0 || weight > 45 || !intel_index_feed(ix, hit->feed, &feed))
		abort();
	for (size_t i = 0; i < hit->note.n; i++)
		touched += (unsigned char)hit->note.p[i];
	for (size_t i = 0; i < feed.name.n; i++)
		touched += (unsigned char)feed.name.p[i];
}

static void ask_all(const struct intel_index *ix)
{
	static const char *const names[] = { "bad.example", "a.b.bad.example", "x", "", ".",
					     "..",          "192.0.2.1" };
	static const char *const paths[] = { "/a/b.php?x=1", "/", "", "/gate.php", "/%2e%", "?q" };
	static const char *const hexes[] = { "4b4a96bceda49ef45b8cfd74cb7ab8afe20c9a13",
					     "b386946a5a44d1ddcc843bc75336dfce",
					     "t13d1516h2_8daaf6152771_b186095e22b6", "" };
	struct intel_counts counts;
	struct intel_hit hit;
	bool listed;

	intel_index_counts(ix, &counts);
	for (uint32_t i = 0; i < 256; i++) {
		struct addr a = addr_from_v4(&(uint32_t){ i * 2654435761U });

		listed = intel_addr(ix, &a, (uint16_t)i, &hit);
		look_at(ix, listed, &hit);
		a.b[0] = (uint8_t)i;
		listed = intel_addr(ix, &a, 0, &hit);
		look_at(ix, listed, &hit);
	}
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		listed = intel_name(ix, str_of(names[i]), (uint16_t)i, &hit);
		look_at(ix, listed, &hit);
		for (size_t k = 0; k < ARRAY_SIZE(paths); k++) {
			listed = intel_url(ix, str_of(names[i]), 80, str_of(paths[k]), &hit);
			look_at(ix, listed, &hit);
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(hexes); i++)
		for (unsigned kind = 0; kind < INTEL_KIND_COUNT; kind++) {
			listed = intel_hash(ix, kind, str_of(hexes[i]), &hit);
			look_at(ix, listed, &hit);
		}
}

/* A good snapshot with the input laid over it, from a place that the input names. */
static void damaged(const uint8_t *good, size_t n, const uint8_t *data, size_t size)
{
	struct intel_index *ix = NULL;
	struct intel_head *h;
	uint32_t at;
	uint8_t *p;

	if (size < 5)
		return;
	memcpy(&at, data, 4);
	/* mostly the head, and the small sections at the end */
	at = data[4] & 1   ? at % (uint32_t)sizeof(*h)
	     : data[4] & 2 ? (uint32_t)n - 1 - at % 1024
			   : at % (uint32_t)n;
	p = malloc(n);
	if (!p)
		return;
	memcpy(p, good, n);
	memcpy(p + at, data + 5, MIN(size - 5, n - at));
	h = (struct intel_head *)p;
	if (data[4] & 4)
		n = n - at % (n / 2); /* cut short */
	h->magic = INTEL_MAGIC;
	h->version = INTEL_VERSION;
	h->head_bytes = sizeof(*h);
	h->file_bytes = n;
	h->head_hash = hash_bytes(h, offsetof(struct intel_head, head_hash), 0);
	if (n >= sizeof(*h) && intel_index_over(&ix, p, n, INTEL_OPEN_QUICK) == 0)
		ask_all(ix);
	intel_index_free(ix);
	free(p);
}

static struct intel_index *build(struct str text, enum intel_class class, uint64_t *ret_unusable)
{
	struct intel_feed feed = INTEL_FEED_INIT;
	struct list_report report = { 0 };
	struct intel_builder *b = NULL;
	struct intel_index *ix = NULL;
	char path[64];
	struct intel_built built = { 0 };

	snprintf(path, sizeof(path), "%s/egret-fuzz-intel.%d",
		 access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm", (int)getpid());
	feed.name[0] = 'x';
	feed.class = class;
	if (intel_builder_new(&b, 1790000000, 1) < 0)
		abort();
	intel_builder_list(b, &feed, text, 1790000000, &report);
	if (intel_builder_write(b, path, &built) < 0 ||
	    intel_index_open(&ix, path, INTEL_OPEN_CHECKED) < 0)
		abort();
	unlink(path);
	intel_builder_free(b);
	*ret_unusable = built.unusable;
	return ix;
}

struct finding {
	const struct intel_index *ix;
	uint64_t missed;
};

static int must_be_found(void *ctx, const struct list_entry *e)
{
	struct finding *f = ctx;
	struct intel_hit hit = { 0 };
	bool listed = true;

	switch (e->kind) {
	case LIST_RANGE:
		listed = intel_addr(f->ix, &e->lo, e->port, &hit);
		break;
	case LIST_NAME:
	case LIST_TREE:
		listed = intel_name(f->ix, e->text, e->port, &hit);
		break;
	case LIST_JA3:
		listed = intel_hash(f->ix, INTEL_JA3, e->text, &hit);
		break;
	case LIST_JA4:
		listed = intel_hash(f->ix, INTEL_JA4, e->text, &hit);
		break;
	case LIST_CERT:
		listed = intel_hash(f->ix, INTEL_CERT, e->text, &hit);
		break;
	default:
		break;
	}
	look_at(f->ix, listed, &hit);
	f->missed += !listed;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char base[] =
		"bad.example # family\n192.0.2.1:443\n198.51.100.0/24 # range\n2001:db8::/32\n"
		"http://bad.example/a/b.php\n/gate.php\nt13d1516h2_8daaf6152771_b186095e22b6\n";
	static uint8_t *good;
	static size_t good_n;
	struct str text = { (const char *)data, size };
	struct list_report report = { 0 };
	struct finding f = { 0 };
	uint64_t unusable;

	if (!good) {
		struct intel_index *ix = build(STR(base), INTEL_C2, &unusable);

		good_n = ix->bytes;
		good = malloc(good_n);
		if (!good)
			abort();
		memcpy(good, ix->map, good_n);
		intel_index_free(ix);
	}
	/* lists begin with a character, damage with a place that does not */
	if (size && (data[0] < ' ' || data[0] > '~')) {
		damaged(good, good_n, data, size);
		return 0;
	}
	f.ix = build(text, size % 2 ? INTEL_C2 : INTEL_SUSPICIOUS, &unusable);
	list_parse(LIST_AUTO, text, (struct list_sink){ must_be_found, &f, 1790000000 }, &report);
	/* file hashes and what else no question is asked for */
	if (f.missed > unusable)
		abort();
	intel_index_free((struct intel_index *)f.ix);
	return 0;
}
