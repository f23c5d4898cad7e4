/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots of a few lines, and what they answer as text. */
#pragma once

#include "test.h"

#include <errno.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "detect/intel_build.h"
#include "detect/intel_feeds.h"
#include "detect/intel_map.h"
#include "policy/list.h"

#define NOW 1790000000LL
#define DAY 86400LL

static char folder[] = "/tmp/egret-intel.XXXXXX";

static inline int make_folder(void **state)
{
	return mkdtemp(folder) ? 0 : -1;
}

static inline int remove_folder(void **state)
{
	static const char *const names[] = { "feeds",    "feeds.lock",   "feeds.new",
					     "snapshot", "snapshot.new", "one.txt",
					     "two.csv",  "cache",        "a",
					     "b" };
	char path[PATH_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		remove(path);
	}
	return rmdir(folder);
}

static inline const char *in_folder(const char *name)
{
	static char paths[4][PATH_MAX];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, PATH_MAX, "%s/%s", folder, name);
	return path;
}

/* --- building in tests ---------------------------------------------------------------------------------------------- */

struct text_feed {
	const char *name;
	enum intel_class class;
	const char *text;
	enum list_format format;
	uint8_t confidence;
	enum intel_names names;
	bool is_url;
};

static inline struct intel_index *built(const struct text_feed *feeds, size_t n,
					struct intel_built *ret)
{
	struct intel_builder *b = NULL;
	struct intel_index *ix = NULL;
	struct intel_built stats;

	assert_ok(intel_builder_new(&b, NOW, 0));
	for (size_t i = 0; i < n; i++) {
		struct intel_feed f = INTEL_FEED_INIT;
		struct list_report report = { 0 };

		snprintf(f.name, sizeof(f.name), "%s", feeds[i].name);
		f.class = feeds[i].class;
		f.format = feeds[i].format;
		f.names = feeds[i].names;
		f.is_url = feeds[i].is_url;
		f.confidence = feeds[i].confidence ? feeds[i].confidence : 100;
		assert_ok(intel_builder_list(b, &f, str_of(feeds[i].text), NOW, &report));
		assert_int_equal(report.bad, 0);
	}
	assert_ok(intel_builder_write(b, in_folder("a"), ret ? ret : &stats));
	intel_builder_free(b);
	assert_ok(intel_index_open(&ix, in_folder("a"), INTEL_OPEN_CHECKED));
	return ix;
}
#define build_of(feeds) built((feeds), ARRAY_SIZE(feeds), NULL)

static inline struct addr addr_of(const char *text)
{
	struct addr a;

	assert_ok(addr_parse(str_of(text), &a));
	return a;
}

/* "feed kind class confidence note", "-" when not listed, "cancelled by feed". */
static inline const char *shown(const struct intel_index *ix, bool listed,
				const struct intel_hit *hit)
{
	static char text[300];
	struct intel_feed_state feed, by;

	if (!listed && !hit->cancelled)
		return "-";
	assert_true(intel_index_feed(ix, hit->feed, &feed));
	assert_true(intel_index_feed(ix, hit->cancelled_by, &by));
	assert_int_equal(listed, !hit->cancelled);
	if (hit->cancelled)
		snprintf(text, sizeof(text), "%.*s cancelled by %.*s", STR_FMT(feed.name),
			 STR_FMT(by.name));
	else
		snprintf(text, sizeof(text), "%.*s %s %s %u%s%.*s", STR_FMT(feed.name),
			 intel_kind_name(hit->kind), intel_class_name(hit->class), hit->confidence,
			 hit->note.n ? " " : "", STR_FMT(hit->note));
	return text;
}

static inline const char *ask_addr(const struct intel_index *ix, const char *text, uint16_t port)
{
	struct addr a = addr_of(text);
	struct intel_hit hit;
	bool listed = intel_addr(ix, &a, port, &hit);

	return shown(ix, listed, &hit);
}

static inline const char *ask_name(const struct intel_index *ix, const char *name, uint16_t port)
{
	struct intel_hit hit;
	bool listed = intel_name(ix, str_of(name), port, &hit);

	return shown(ix, listed, &hit);
}

static inline const char *ask_url(const struct intel_index *ix, const char *host, uint16_t port,
				  const char *path)
{
	struct intel_hit hit;
	bool listed = intel_url(ix, str_of(host), port, str_of(path), &hit);

	return shown(ix, listed, &hit);
}

static inline const char *ask_hash(const struct intel_index *ix, enum intel_kind kind,
				   const char *text)
{
	struct intel_hit hit;
	bool listed = intel_hash(ix, kind, str_of(text), &hit);

	return shown(ix, listed, &hit);
}

static inline void *file_bytes(const char *path, size_t *ret_n)
{
	FILE *f = fopen(path, "r");
	char *p;

	assert_non_null(f);
	fseek(f, 0, SEEK_END);
	*ret_n = (size_t)ftell(f);
	rewind(f);
	p = malloc(*ret_n);
	assert_non_null(p);
	assert_int_equal(fread(p, 1, *ret_n, f), *ret_n);
	fclose(f);
	return p;
}
