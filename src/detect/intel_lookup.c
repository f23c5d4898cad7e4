// SPDX-License-Identifier: Apache-2.0
/*
 * Questions to a snapshot. What is not listed costs one read of memory that no cache holds, a word of the filter; where several
 * hashes are asked for, all words are fetched before the first is looked at. What passes is looked for: hashes spread evenly,
 * so the place of an entry in its part is guessed from the hash and is an entry or two off.
 */
#include "base/cleanup.h"
#include "detect/intel_map.h"

#define LABELS_ASKED 64
#define PREFIXES_ASKED 16
#define NOTHING UINT32_MAX

/* One hash that is asked for. */
struct probe {
	enum intel_key of;
	uint64_t hash;
	uint32_t to; /* behind the last entry of its part; set by find() */
};

static uint64_t entry_bits(const struct intel_index *ix, uint32_t i)
{
	uint64_t v;

	memcpy(&v, ix->entries + (size_t)i * INTEL_ENTRY, sizeof(v));
	return v;
}

static uint64_t entry_key(const struct intel_index *ix, uint32_t i)
{
	return entry_bits(ix, i) & INTEL_KEY_MASK;
}

static uint32_t entry_record(const struct intel_index *ix, uint32_t i)
{
	return (uint32_t)(entry_bits(ix, i) >> 48) |
	       (uint32_t)ix->entries[(size_t)i * INTEL_ENTRY + 8] << 16;
}

static struct probe probe_of(const struct intel_index *ix, enum intel_key of, bool allow,
			     const void *text, size_t n)
{
	struct probe p = { of, intel_key_hash(ix->seed, of, allow, text, n), 0 };

	/* both at once: what passes the filter does not wait for its part's place as well */
	__builtin_prefetch(ix->filter + intel_filter_at(p.hash, ix->n_filter));
	__builtin_prefetch(ix->top + (p.hash >> (64 - ix->part_bits)));
	return p;
}

/* The first entry of the hash, or NOTHING. */
static uint32_t find(const struct intel_index *ix, struct probe *p)
{
	uint64_t mask = intel_filter_mask(p->hash), key = p->hash & INTEL_KEY_MASK, part;
	uint32_t from, i;

	if (!ix->n_filter || (ix->filter[intel_filter_at(p->hash, ix->n_filter)] & mask) != mask)
		return NOTHING;
	part = p->hash >> (64 - ix->part_bits);
	from = ix->top[part];
	p->to = ix->top[part + 1];
	i = from + (uint32_t)((p->hash << ix->part_bits >> 32) * (p->to - from) >> 32);
	if (from < p->to) {
		const uint8_t *place = ix->entries + (size_t)i * INTEL_ENTRY;

		/* the guess is an entry or two off: often into the neighbour's line */
		__builtin_prefetch(((uintptr_t)place & 63) < 24 ? place - 24 : place + 32);
	}
	while (i > from && entry_key(ix, i - 1) >= key)
		i--;
	while (i < p->to && entry_key(ix, i) < key)
		i++;
	return i < p->to && entry_key(ix, i) == key ? i : NOTHING;
}

/* NULL: a damaged file. */
static const struct intel_record *record(const struct intel_index *ix, uint32_t i)
{
	return i < ix->n_records && ix->records[i].feed < ix->n_feeds &&
			       ix->records[i].class < INTEL_CLASS_COUNT
		       ? &ix->records[i]
		       : NULL;
}

/* Its place alone: what it says is read by whoever shows it. */
static struct str note_of(const struct intel_index *ix, const struct intel_record *r)
{
	if (r->note >= ix->n_notes || r->note_bytes > ix->n_notes - r->note)
		return STR_NONE;
	return (struct str){ (const char *)ix->notes + r->note, r->note_bytes };
}

static bool hit_of(const struct intel_index *ix, const struct intel_record *r, enum intel_kind kind,
		   struct intel_hit *ret)
{
	bool dated = r->flags & RECORD_DATED;

	*ret = (struct intel_hit){
		.feed = r->feed,
		.kind = kind,
		.class = r->class,
		.confidence = MIN(r->confidence, (uint8_t)100),
		.dated = dated,
		.lasting = !dated && r->flags & RECORD_LASTING,
		.port = r->port,
		.seen_s = dated ? (int64_t)r->seen_day * 86400 : ix->feeds[r->feed].as_of_s,
		.note = note_of(ix, r),
	};
	return true;
}

/*
 * The best record of a key: it has one of `flags` (0: does not matter), and the port; one of that very port before one of any.
 * `loose`: when no port is known, a record of some port will do.
 */
static const struct intel_record *best_of(const struct intel_index *ix, struct probe *p,
					  unsigned flags, uint16_t port, bool loose)
{
	uint32_t first = find(ix, p);
	const struct intel_record *best = NULL;

	for (uint32_t i = first; i < p->to && i - first < INTEL_RUN_MAX &&
				 entry_key(ix, i) == (p->hash & INTEL_KEY_MASK);
	     i++) {
		const struct intel_record *r = record(ix, entry_record(ix, i));

		if (!r || r->key != (uint8_t)p->of || (flags && !(r->flags & flags)) ||
		    (r->port && r->port != port && (port || !loose)))
			continue;
		if (!best || (r->port && !best->port))
			best = r;
	}
	return best;
}

/* Marks a hit as taken back by whoever of class allow has this key. */
static bool cancel_by(const struct intel_index *ix, enum intel_key key, const void *text, size_t n,
		      unsigned flags, struct intel_hit *hit)
{
	struct probe p;
	const struct intel_record *r;

	if (!ix->head->n_allowed)
		return false;
	p = probe_of(ix, key, true, text, n);
	r = best_of(ix, &p, flags, 0, true);
	if (!r)
		return false;
	hit->cancelled = true;
	hit->cancelled_by = r->feed;
	return true;
}

/* --- addresses ------------------------------------------------------------------------------------------------------ */

/* The last of v[from, to) that begins at or before `ip` is the one that may hold it. */
static uint32_t find4(const struct intel_range4 *v, uint32_t from, uint32_t to, uint32_t ip)
{
	while (from < to) {
		uint32_t middle = from + (to - from) / 2;

		if (v[middle].lo <= ip)
			from = middle + 1;
		else
			to = middle;
	}
	return from && v[from - 1].lo <= ip && ip <= v[from - 1].hi ? v[from - 1].record : NOTHING;
}

static uint32_t find6(const struct intel_range6 *v, uint32_t n, const struct addr *a)
{
	uint32_t from = 0, to = n;

	while (from < to) {
		uint32_t middle = from + (to - from) / 2;

		if (memcmp(v[middle].lo, a->b, 16) <= 0)
			from = middle + 1;
		else
			to = middle;
	}
	return from && memcmp(a->b, v[from - 1].lo, 16) >= 0 &&
			       memcmp(a->b, v[from - 1].hi, 16) <= 0
		       ? v[from - 1].record
		       : NOTHING;
}

static const struct intel_record *range_of(const struct intel_index *ix, const struct addr *addr)
{
	uint32_t ip = intel_v4(addr), part = ip >> 16;

	if (!addr_is_v4(addr))
		return record(ix, find6(ix->v6, ix->n6, addr));
	return record(ix, find4(ix->v4, ix->v4_top[part], ix->v4_top[part + 1], ip));
}

static bool cancel_address(const struct intel_index *ix, const struct addr *addr,
			   struct intel_hit *hit)
{
	const struct intel_record *r;

	if (cancel_by(ix, KEY_ADDR, addr->b, 16, 0, hit))
		return true;
	r = record(ix, addr_is_v4(addr) ? find4(ix->allow4, 0, ix->n_allow4, intel_v4(addr))
					: find6(ix->allow6, ix->n_allow6, addr));
	if (!r)
		return false;
	hit->cancelled = true;
	hit->cancelled_by = r->feed;
	return true;
}

bool intel_addr(const struct intel_index *ix, const struct addr *addr, uint16_t port,
		struct intel_hit *ret)
{
	struct probe p = probe_of(ix, KEY_ADDR, false, addr->b, 16);
	const struct intel_record *range = ix->n4 + ix->n6 ? range_of(ix, addr) : NULL, *r;

	*ret = (struct intel_hit){ 0 };
	r = best_of(ix, &p, 0, port, false);
	if (r)
		hit_of(ix, r, r->port ? INTEL_ADDR_PORT : INTEL_ADDR, ret);
	else if (range)
		hit_of(ix, range, INTEL_RANGE, ret);
	else
		return false;
	return !cancel_address(ix, addr, ret);
}

/* --- names ---------------------------------------------------------------------------------------------------------- */

/* The name and those above it that have as many labels as some listed name has; the longest first. */
static size_t suffixes_of(const struct intel_index *ix, struct str name,
			  struct str suffixes[LABELS_ASKED])
{
	uint64_t wanted = ix->head->labels;
	unsigned labels = 1;
	size_t n = 0;

	for (size_t i = 0; i < name.n; i++)
		labels += name.p[i] == '.';
	for (size_t at = 0; n < LABELS_ASKED && labels; labels--) {
		const char *dot = memchr(name.p + at, '.', name.n - at);

		if (wanted >> MIN(labels, 63U) & 1)
			suffixes[n++] = str_sub(name, at, name.n);
		if (!dot)
			break;
		at = (size_t)(dot - name.p) + 1;
		if (at >= name.n)
			break;
	}
	return n;
}

/* Some allowed name that is the listed one, or lies between it and the one that was asked for. */
static bool cancel_name(const struct intel_index *ix, struct str name, struct str is_listed,
			struct intel_hit *hit)
{
	for (size_t at = 0; at + is_listed.n <= name.n;) {
		struct str suffix = str_sub(name, at, name.n);
		const char *dot = memchr(suffix.p, '.', suffix.n);

		if (cancel_by(ix, KEY_NAME, suffix.p, suffix.n, at ? RECORD_BELOW : RECORD_EXACT,
			      hit))
			return true;
		if (!dot)
			break;
		at += (size_t)(dot - suffix.p) + 1;
	}
	return false;
}

bool intel_name(const struct intel_index *ix, struct str raw, uint16_t port, struct intel_hit *ret)
{
	struct str name, suffixes[LABELS_ASKED];
	struct probe probes[LABELS_ASKED];
	char text[256];
	size_t n;

	*ret = (struct intel_hit){ 0 };
	if (!intel_key_name(raw, text, &name))
		return false;
	n = suffixes_of(ix, name, suffixes);
	for (size_t i = 0; i < n; i++)
		probes[i] = probe_of(ix, KEY_NAME, false, suffixes[i].p, suffixes[i].n);
	for (size_t i = 0; i < n; i++) {
		unsigned flags = suffixes[i].n == name.n ? RECORD_EXACT : RECORD_BELOW;
		const struct intel_record *r = best_of(ix, &probes[i], flags, port, true);

		if (!r)
			continue;
		hit_of(ix, r, INTEL_NAME, ret);
		return !cancel_name(ix, name, suffixes[i], ret);
	}
	return false;
}

/* --- URLs ----------------------------------------------------------------------------------------------------------- */

/* All of it, without its query, and cut at each '/' of the path; the longest first. */
static size_t prefixes_of(struct str url, size_t path_at, size_t lengths[PREFIXES_ASKED + 2])
{
	const char *query = memchr(url.p + path_at, '?', url.n - path_at);
	size_t end = query ? (size_t)(query - url.p) : url.n, n = 0;

	if (query)
		lengths[n++] = url.n;
	while (n < PREFIXES_ASKED + 2 && end > path_at + 1) {
		const char *slash;

		/* "/a/" and "/a" are one */
		if (url.p[end - 1] != '/')
			lengths[n++] = end;
		slash = memrchr(url.p + path_at, '/', end - path_at);
		if (!slash)
			break;
		end = (size_t)(slash - url.p);
	}
	return n;
}

static const struct intel_record *url_record(const struct intel_index *ix, struct str url,
					     size_t path_at, size_t *ret_n)
{
	size_t lengths[PREFIXES_ASKED + 2], n = prefixes_of(url, path_at, lengths);
	struct probe probes[PREFIXES_ASKED + 2];

	for (size_t i = 0; i < n; i++)
		probes[i] = probe_of(ix, KEY_URL, false, url.p, lengths[i]);
	for (size_t i = 0; i < n; i++) {
		const struct intel_record *r = best_of(ix, &probes[i], 0, 0, true);

		*ret_n = lengths[i];
		if (r)
			return r;
	}
	return NULL;
}

/* A path that is listed without a host: with or without its query, nothing shorter. */
static const struct intel_record *path_record(const struct intel_index *ix, struct str path)
{
	const char *query = memchr(path.p, '?', path.n);
	size_t lengths[2] = { path.n, query ? (size_t)(query - path.p) : 0 };

	for (size_t i = 0; i < 2; i++) {
		struct probe p = probe_of(ix, KEY_PATH, false, path.p, lengths[i]);
		const struct intel_record *r = lengths[i] ? best_of(ix, &p, 0, 0, true) : NULL;

		if (r)
			return r;
	}
	return NULL;
}

bool intel_url(const struct intel_index *ix, struct str host, uint16_t port, struct str path,
	       struct intel_hit *ret)
{
	const struct intel_record *r;
	struct intel_url_parts parts;
	char text[INTEL_TEXT_MAX];
	size_t n;

	*ret = (struct intel_hit){ 0 };
	if (!(ix->head->n_of[KEY_URL] | ix->head->n_of[KEY_PATH]) || !path.n ||
	    !intel_key_url(host, port, path, text, &parts) || parts.path_at >= parts.text.n)
		return false;
	r = url_record(ix, parts.text, parts.path_at, &n);
	if (r) {
		hit_of(ix, r, INTEL_URL, ret);
		return !cancel_by(ix, KEY_URL, parts.text.p, n, 0, ret);
	}
	if (!ix->head->n_of[KEY_PATH])
		return false;
	path = str_sub(parts.text, parts.path_at, parts.text.n);
	r = path_record(ix, path);
	if (!r)
		return false;
	hit_of(ix, r, INTEL_PATH, ret);
	return !cancel_by(ix, KEY_PATH, path.p, path.n, 0, ret) &&
	       !cancel_name(ix, parts.host, parts.host, ret);
}

/* --- hashes --------------------------------------------------------------------------------------------------------- */

bool intel_hash(const struct intel_index *ix, enum intel_kind kind, struct str raw,
		struct intel_hit *ret)
{
	enum intel_key key = kind == INTEL_JA3 ? KEY_JA3 : kind == INTEL_JA4 ? KEY_JA4 : KEY_CERT;
	const struct intel_record *r;
	struct probe p;
	struct str text;
	char room[136];

	*ret = (struct intel_hit){ 0 };
	if ((key == KEY_CERT && kind != INTEL_CERT) || !intel_key_hex(raw, room, &text))
		return false;
	p = probe_of(ix, key, false, text.p, text.n);
	r = best_of(ix, &p, 0, 0, true);
	if (!r)
		return false;
	hit_of(ix, r, kind, ret);
	return !cancel_by(ix, key, text.p, text.n, 0, ret);
}
