/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Feeds in a live process: STATE/intel/feeds says which (detect/intel_feeds.h), downloads are renewed one after the other, and
 * whenever one changed a child builds a new snapshot, which takes the place of the old one between two events. What was met
 * in the last week is then asked for again.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "base/time.h"
#include "detect/intel_build.h"
#include "detect/intel_feeds.h"
#include "policy/fetch.h"
#include "policy/list.h"
#include "sentry/internal.h"

#define RETRY_S 900
#define MESSAGES_MAX (1U << 16)

struct feed_trouble {
	char name[INTEL_FEED_NAME_MAX + 1];
	char why[256];
	int64_t at_s;
};

struct intel_live {
	struct sentry *s;
	char folder[PATH_MAX];
	struct intel_feeds feeds;
	struct intel_slot *slot;
	struct intel_child *child;
	struct fetch_child *fetch;
	char fetching[INTEL_FEED_NAME_MAX + 1];
	bool dirty; /* what is built is not what feeds say now */
	struct feed_trouble *trouble;
	size_t n_trouble;
	size_t matched; /* of the last week, by the newest snapshot */
	char problem[256];
};

static int64_t now_s(const struct intel_live *l)
{
	return (int64_t)(l->s->cfg.now() / NSEC_PER_SEC);
}

static struct feed_trouble *trouble_of(const struct intel_live *l, const char *name)
{
	for (size_t i = 0; i < l->n_trouble; i++)
		if (!strcmp(l->trouble[i].name, name))
			return &l->trouble[i];
	return NULL;
}

static void note_trouble(struct intel_live *l, const char *name, const char *why)
{
	struct feed_trouble *t = trouble_of(l, name), *more;

	if (!t) {
		more = reallocarray(l->trouble, l->n_trouble + 1, sizeof(*more));
		if (!more)
			return;
		l->trouble = more;
		t = &more[l->n_trouble++];
		*t = (struct feed_trouble){ 0 };
		snprintf(t->name, sizeof(t->name), "%s", name);
	}
	if (strcmp(t->why, why))
		log_warn("feed %s: %s; what was there before stays", name, why);
	snprintf(t->why, sizeof(t->why), "%s", why);
	t->at_s = now_s(l);
}

static void forget_trouble(struct intel_live *l, const char *name)
{
	struct feed_trouble *t = trouble_of(l, name);

	if (t)
		*t = l->trouble[--l->n_trouble];
}

/* --- the snapshot --------------------------------------------------------------------------------------------------- */

static int take_snapshot(struct intel_live *l, enum intel_open_mode mode)
{
	char path[PATH_MAX];
	struct intel_index *ix;
	int r;

	intel_snapshot_path(l->folder, path);
	r = intel_index_open(&ix, path, mode);
	if (r < 0)
		return r;
	intel_slot_set(l->slot, ix);
	l->matched = intel_match_again(l->s->detect);
	return 0;
}

static void on_built(void *ctx, int result, const struct intel_built *built, const char *why)
{
	struct intel_live *l = ctx;

	l->child = NULL; /* it has freed itself */
	l->problem[0] = 0;
	if (result == 0)
		result = take_snapshot(l, INTEL_OPEN_QUICK);
	if (result < 0) {
		snprintf(l->problem, sizeof(l->problem), "%s",
			 why && why[0] ? why : strerror(-result));
		log_error("the feeds could not be built: %s; what was there before stays",
			  l->problem);
		return;
	}
	log_info(
		"feeds: %llu entries, %llu damaged lines, %zu contacts of the last week are listed",
		(unsigned long long)built->entries, (unsigned long long)built->bad, l->matched);
}

static void build(struct intel_live *l)
{
	int r;

	if (!l->dirty || l->child)
		return;
	l->dirty = false;
	r = intel_build_start(&l->child, l->s->cfg.loop, l->folder, now_s(l), on_built, l);
	if (r < 0)
		log_errno(r, "the feeds cannot be built");
}

/* --- downloads ------------------------------------------------------------------------------------------------------ */

static void on_fetched(void *ctx, int result, const char *why)
{
	struct intel_live *l = ctx;

	l->fetch = NULL; /* it has freed itself */
	if (result < 0)
		note_trouble(l, l->fetching, why && why[0] ? why : strerror(-result));
	else
		forget_trouble(l, l->fetching);
	l->dirty |= result > 0;
	l->fetching[0] = 0;
}

static void fetch_next(struct intel_live *l)
{
	char cache[PATH_MAX];

	if (l->fetch || !l->s->cfg.loop)
		return;
	intel_cache_path(l->folder, cache);
	for (size_t i = 0; i < l->feeds.n; i++) {
		const struct intel_feed *f = &l->feeds.v[i];
		const struct feed_trouble *t = trouble_of(l, f->name);
		struct policy_list list;
		int r;

		intel_feed_list(f, &list);
		if (!f->is_url || list_next_refresh(&list, cache) > now_s(l) ||
		    (t && now_s(l) < t->at_s + RETRY_S))
			continue;
		snprintf(l->fetching, sizeof(l->fetching), "%s", f->name);
		r = list_fetch_start(&l->fetch, l->s->cfg.loop, &list, cache, on_fetched, l);
		if (r == 0)
			return;
		note_trouble(l, f->name, strerror(-r));
	}
}

/* --- making it ------------------------------------------------------------------------------------------------------ */

static void read_feeds(struct intel_live *l)
{
	_cleanup_buf_ struct buf messages = BUF_INIT(MESSAGES_MAX);
	int r;

	intel_feeds_done(&l->feeds);
	r = intel_feeds_read(&l->feeds, l->folder, &messages);
	if (r < 0)
		log_error("%s/feeds: %s%.*s", l->folder, r == -EINVAL ? "" : strerror(-r),
			  STR_FMT(buf_str(&messages)));
}

int intel_live_new(struct intel_live **ret, struct sentry *s)
{
	struct intel_live *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return -ENOMEM;
	l->s = s;
	r = intel_slot_new(&l->slot);
	if (r < 0) {
		free(l);
		return r;
	}
	if (s->cfg.state)
		snprintf(l->folder, sizeof(l->folder), "%s/intel", s->cfg.state);
	*ret = l;
	return 0;
}

void intel_live_start(struct intel_live *l)
{
	char cache[PATH_MAX];
	int r;

	if (!l->folder[0])
		return;
	intel_cache_path(l->folder, cache);
	if ((mkdir(l->folder, 0750) < 0 && errno != EEXIST) ||
	    (mkdir(cache, 0750) < 0 && errno != EEXIST)) {
		log_errno(errno, "cannot make the folder %s: there are no feeds", l->folder);
		l->folder[0] = 0;
		return;
	}
	read_feeds(l);
	r = take_snapshot(l, INTEL_OPEN_CHECKED);
	if (r == -EBADMSG)
		log_warn("the snapshot of the feeds is damaged: it is built anew");
	/* Files may have changed, entries aged. */
	l->dirty = l->feeds.n > 0 || r == 0;
}

struct intel_live *intel_live_free(struct intel_live *l)
{
	if (!l)
		return NULL;
	intel_build_cancel(l->child);
	fetch_child_cancel(l->fetch);
	intel_feeds_done(&l->feeds);
	intel_slot_free(l->slot);
	free(l->trouble);
	free(l);
	return NULL;
}

struct intel_slot *intel_live_slot(struct intel_live *l)
{
	return l->slot;
}

void intel_live_tick(struct intel_live *l)
{
	if (!l->folder[0])
		return;
	fetch_next(l);
	if (!l->fetch)
		build(l);
}

void intel_live_reload(struct intel_live *l)
{
	if (!l->folder[0])
		return;
	read_feeds(l);
	l->n_trouble = 0;
	l->dirty = true;
}

/* --- answers -------------------------------------------------------------------------------------------------------- */

static void put_feed(const struct intel_live *l, struct json *j, const struct intel_feed *f,
		     const struct intel_index *ix)
{
	const struct feed_trouble *t = trouble_of(l, f->name);
	struct intel_feed_state st = { 0 };
	int64_t age_s = -1;
	bool built = ix && intel_feed_look(f, ix, now_s(l), &st, &age_s);

	json_object_begin(j, NULL);
	json_text(j, "name", f->name);
	json_text(j, f->is_url ? "url" : "file", f->where);
	json_text(j, "class", intel_class_name(f->class));
	json_u64(j, "confidence", f->confidence);
	json_bool(j, "built", built);
	json_u64(j, "entries", st.entries);
	json_u64(j, "unusable", st.unusable);
	json_u64(j, "bad", st.bad);
	if (age_s >= 0)
		json_u64(j, "age_s", (uint64_t)age_s);
	if (f->expire_ns)
		json_u64(j, "expire_s", f->expire_ns / NSEC_PER_SEC);
	json_bool(j, "expired", st.expired);
	if (t)
		json_text(j, "problem", t->why);
	else if (st.why.n)
		json_str(j, "problem", st.why);
	else if (st.error)
		json_text(j, "problem", strerror(-st.error));
	json_object_end(j);
}

void intel_live_each(struct intel_live *l, feed_health_fn fn, void *ctx)
{
	struct intel_index *ix = intel_slot_take(l->slot);

	for (size_t i = 0; i < l->feeds.n; i++) {
		const struct intel_feed *feed = &l->feeds.v[i];
		const struct feed_trouble *t = trouble_of(l, feed->name);
		struct intel_feed_state st = { 0 };
		struct feed_health f = { .kind = "intel",
					 .name = str_of(feed->name),
					 .from = str_of(feed->where),
					 .age_s = -1 };

		if (ix)
			intel_feed_look(feed, ix, now_s(l), &st, &f.age_s);
		f.entries = st.entries;
		f.expired = st.expired;
		f.problem = t          ? str_of(t->why)
			    : st.why.n ? st.why
				       : str_of(st.error ? strerror(-st.error) : NULL);
		fn(ctx, &f);
	}
	if (ix)
		intel_slot_put(l->slot, ix);
}

void intel_live_status(struct intel_live *l, struct json *j)
{
	struct intel_index *ix = intel_slot_take(l->slot);
	struct intel_counts counts = { 0 };

	if (ix)
		intel_index_counts(ix, &counts);
	json_object_begin(j, "intel");
	json_u64(j, "feeds", l->feeds.n);
	json_u64(j, "indicators", counts.indicators);
	json_u64(j, "matched", l->matched);
	if (l->problem[0])
		json_text(j, "problem", l->problem);
	json_object_end(j);
	if (ix)
		intel_slot_put(l->slot, ix);
}

void intel_live_list(struct intel_live *l, struct json *j)
{
	struct intel_index *ix = intel_slot_take(l->slot);
	struct intel_counts counts = { 0 };

	if (ix)
		intel_index_counts(ix, &counts);
	json_bool(j, "building", l->child || l->dirty || l->fetch);
	json_u64(j, "indicators", counts.indicators);
	json_u64(j, "addresses", counts.addresses);
	json_u64(j, "ranges", counts.ranges4 + counts.ranges6);
	json_u64(j, "names", counts.names);
	json_u64(j, "urls", counts.urls);
	json_u64(j, "hashes", counts.hashes);
	json_u64(j, "allowed", counts.allowed);
	json_u64(j, "file_bytes", counts.file_bytes);
	json_u64(j, "matched", l->matched);
	if (l->problem[0])
		json_text(j, "problem", l->problem);
	json_array_begin(j, "feeds");
	for (size_t i = 0; i < l->feeds.n; i++)
		put_feed(l, j, &l->feeds.v[i], ix);
	json_array_end(j);
	if (ix)
		intel_slot_put(l->slot, ix);
}

static void put_hit(const struct intel_live *l, struct json *j, const struct intel_index *ix,
		    const struct intel_hit *h)
{
	struct intel_feed_state st = { 0 };
	char text[TIME_TEXT_MAX];

	intel_index_feed(ix, h->feed, &st);
	json_object_begin(j, NULL);
	json_text(j, "kind", intel_kind_name(h->kind));
	json_text(j, "class", intel_class_name(h->class));
	json_str(j, "feed", st.name);
	json_u64(j, "confidence", h->confidence);
	json_bool(j, "dated", h->dated);
	json_text(j, "seen", time_format((uint64_t)h->seen_s * NSEC_PER_SEC, text));
	if (h->port)
		json_u64(j, "port", h->port);
	if (h->note.n)
		json_str(j, "note", h->note);
	json_bool(j, "cancelled", h->cancelled);
	json_i64(j, "weight_db", intel_weight(h, now_s(l)));
	json_object_end(j);
}

/* "host:port", "[address]:port": the port off the end; 0: none is there. */
static uint16_t take_port(struct str *words)
{
	const char *colon = words->n ? memrchr(words->p, ':', words->n) : NULL;
	struct str host = colon ? str_sub(*words, 0, (size_t)(colon - words->p)) : STR_NONE;
	struct addr a;
	uint64_t port;

	if (!colon || addr_parse(*words, &a) == 0 ||
	    str_parse_u64(str_sub(*words, host.n + 1, words->n), &port) < 0 || port > UINT16_MAX)
		return 0;
	if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
		host = str_sub(host, 1, host.n - 2);
	*words = host;
	return (uint16_t)port;
}

/* Whatever the words are: address, address and port, name, URL, fingerprint, certificate. */
static void check(struct intel_live *l, struct intel_index *ix, struct str words, struct json *j)
{
	static const enum intel_kind hashes[] = { INTEL_JA3, INTEL_JA4, INTEL_CERT };
	const char *scheme = memmem(words.p, words.n, "://", 3), *slash;
	struct intel_hit h;
	struct str host;
	struct addr a;
	uint16_t port;

	if (scheme)
		words = str_sub(words, (size_t)(scheme + 3 - words.p), words.n);
	slash = words.n ? memchr(words.p, '/', words.n) : NULL;
	host = slash ? str_sub(words, 0, (size_t)(slash - words.p)) : words;
	port = take_port(&host);
	if (slash &&
	    intel_url(ix, host, port, str_sub(words, (size_t)(slash - words.p), words.n), &h))
		put_hit(l, j, ix, &h);
	for (size_t i = 0; i < ARRAY_SIZE(hashes); i++)
		if (intel_hash(ix, hashes[i], words, &h))
			put_hit(l, j, ix, &h);
	if (addr_parse(host, &a) == 0 ? intel_addr(ix, &a, port, &h)
				      : intel_name(ix, host, port, &h))
		put_hit(l, j, ix, &h);
	else if (h.cancelled)
		put_hit(l, j, ix, &h);
}

void intel_live_check(struct intel_live *l, struct str words, struct json *j)
{
	struct intel_index *ix = intel_slot_take(l->slot);

	json_array_begin(j, "hits");
	if (ix && words.n)
		check(l, ix, words, j);
	json_array_end(j);
	if (!ix)
		json_text(j, "problem", "there are no feeds yet: 'egret intel add'");
	else
		intel_slot_put(l->slot, ix);
}

static void put_done(struct json *j, int r, struct buf *messages)
{
	json_bool(j, "done", r >= 0);
	if (r < 0 && !messages->n)
		buf_printf(messages, "error: %s\n", strerror(-r));
	if (messages->n)
		json_str(j, "messages", buf_str(messages));
}

void intel_live_add(struct intel_live *l, const struct detect_request *q, struct json *j)
{
	_cleanup_buf_ struct buf messages = BUF_INIT(MESSAGES_MAX);
	struct intel_feed f = INTEL_FEED_INIT;
	int r = 0;

	snprintf(f.name, sizeof(f.name), "%s", q->name);
	snprintf(f.where, sizeof(f.where), "%s", q->source);
	f.is_url = str_has_prefix(str_of(f.where), STR("http://")) ||
		   str_has_prefix(str_of(f.where), STR("https://"));
	f.added_s = now_s(l);
	f.expire_ns = q->seconds * NSEC_PER_SEC;
	if (q->confidence)
		f.confidence = (uint8_t)q->confidence;
	if (q->class[0] && !intel_class_parse(str_of(q->class), &f.class)) {
		buf_puts(&messages, "error: the class is none of c2, malware, phishing, tor, "
				    "scanner, suspicious, doh, vpn, mining, allow\n");
		r = -EINVAL;
	}
	if (q->format[0] && !list_format_parse(str_of(q->format), &f.format)) {
		buf_puts(&messages, "error: there is no such format\n");
		r = -EINVAL;
	}
	if (!l->folder[0]) {
		buf_puts(&messages, "error: egretd has no state folder\n");
		r = -ENOENT;
	}
	if (r == 0)
		r = intel_feeds_add(l->folder, &f, &messages);
	if (r == -EEXIST)
		buf_puts(&messages, "error: there is a feed of that name already\n");
	put_done(j, r, &messages);
	if (r == 0)
		intel_live_reload(l);
}

void intel_live_remove(struct intel_live *l, const struct detect_request *q, struct json *j)
{
	_cleanup_buf_ struct buf messages = BUF_INIT(MESSAGES_MAX);
	int r = l->folder[0] ? intel_feeds_remove(l->folder, q->name, &messages) : -ENOENT;

	if (r == -ENOENT)
		buf_puts(&messages, "error: there is no feed of that name\n");
	put_done(j, r, &messages);
	if (r == 0)
		intel_live_reload(l);
}
