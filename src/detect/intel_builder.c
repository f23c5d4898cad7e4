// SPDX-License-Identifier: Apache-2.0
/* Entries of lists to hashes and records: which questions an entry answers, and what is to be said of it. */
#include "detect/intel_builder.h"

#include <errno.h>
#include <stdio.h>

#include "base/cleanup.h"

#define DAY_S 86400
#define PATH_LEAST 6 /* bytes of a path without a host: shorter ones are on every second server */

int intel_builder_new(struct intel_builder **ret, int64_t now_s, uint64_t seed)
{
	struct intel_builder *b = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	b->feeds = calloc(INTEL_FEEDS_MAX, sizeof(*b->feeds));
	if (!b->feeds) {
		free(b);
		return -ENOMEM;
	}
	b->seed = seed ? seed : hash_random_seed();
	b->now_s = now_s;
	b->records.max = (size_t)INTEL_RECORDS_MAX * sizeof(struct intel_record);
	b->notes.max = INTEL_NOTES_MAX;
	b->suffixes = psl_builtin();
	*ret = b;
	return 0;
}

struct intel_builder *intel_builder_free(struct intel_builder *b)
{
	if (!b)
		return NULL;
	free(b->hashes);
	free(b->record_of);
	free(b->v4.v);
	free(b->v6.v);
	free(b->allow4.v);
	free(b->allow6.v);
	bag_done(&b->records);
	bag_done(&b->notes);
	free(b->feeds);
	free(b);
	return NULL;
}

int intel_builder_feed(struct intel_builder *b, const struct intel_feed *feed, int64_t as_of_s)
{
	struct intel_feed_row *row;

	if (b->n_feeds == INTEL_FEEDS_MAX)
		return -E2BIG;
	row = &b->feeds[b->n_feeds++];
	snprintf(row->name, sizeof(row->name), "%s", feed->name);
	row->class = feed->class;
	row->as_of_s = as_of_s;
	b->feed = *feed;
	b->format = feed->format;
	b->built.feeds++;
	return 0;
}

const struct intel_record *builder_record(const struct intel_builder *b, uint32_t i)
{
	return (const struct intel_record *)b->records.p + i;
}

static enum intel_kind kind_of(const struct intel_record *r)
{
	static const uint8_t kinds[KEY_COUNT] = {
		[KEY_ADDR] = INTEL_ADDR, [KEY_NAME] = INTEL_NAME, [KEY_URL] = INTEL_URL,
		[KEY_PATH] = INTEL_PATH, [KEY_CERT] = INTEL_CERT, [KEY_JA3] = INTEL_JA3,
		[KEY_JA4] = INTEL_JA4,
	};

	if (r->key >= KEY_COUNT)
		return INTEL_RANGE;
	return r->key == KEY_ADDR && r->port ? INTEL_ADDR_PORT : kinds[r->key];
}

unsigned builder_weight(const struct intel_builder *b, uint32_t record)
{
	const struct intel_record *r = builder_record(b, record);
	enum intel_kind kind = kind_of(r);
	struct intel_hit hit = {
		.kind = kind,
		.class = r->class,
		.dated = r->flags & RECORD_DATED,
		.lasting = !(r->flags & RECORD_DATED) && r->flags & RECORD_LASTING,
		.seen_s = r->flags & RECORD_DATED ? (int64_t)r->seen_day * DAY_S
						  : b->feeds[r->feed].as_of_s,
	};

	return (unsigned)(intel_cap(hit.class, kind) * r->confidence * intel_decay(&hit, b->now_s));
}

/* --- records -------------------------------------------------------------------------------------------------------- */

static uint32_t put_note(struct intel_builder *b, struct str note, uint8_t *ret_n)
{
	uint8_t bytes[INTEL_NOTE_MAX];
	uint32_t at;

	note = str_trim(note);
	if (!note.n || !note.p)
		return INTEL_NO_NOTE;
	if (note.n > INTEL_NOTE_MAX) {
		/* not within a character of UTF-8 */
		note.n = INTEL_NOTE_MAX;
		while (note.n && ((unsigned char)note.p[note.n] & 0xc0) == 0x80)
			note.n--;
	}
	for (size_t i = 0; i < note.n; i++)
		bytes[i] = (unsigned char)note.p[i] < ' ' ? ' ' : (uint8_t)note.p[i];
	*ret_n = (uint8_t)note.n;
	at = bag_put(&b->notes, bytes, note.n);
	if (at == BAG_FULL) {
		b->built.notes_lost++;
		return INTEL_NO_NOTE;
	}
	return at;
}

/* Maltrail's tables say of each entry of what folder it is; what is in "suspicious" is not malicious in itself. */
static enum intel_class class_of(const struct intel_builder *b, const struct list_entry *e)
{
	enum intel_class class = b->feed.class;

	if ((class == INTEL_C2 || class == INTEL_MALWARE) &&
	    str_has_prefix(e->note, STR("suspicious/")))
		return INTEL_SUSPICIOUS;
	return class;
}

/* -ENOMEM; -E2BIG: there are too many different ones. */
static int put_record(struct intel_builder *b, const struct list_entry *e, enum intel_key key,
		      uint16_t port, unsigned flags, uint32_t *ret)
{
	struct intel_record r = {
		.feed = (uint16_t)(b->n_feeds - 1),
		.port = port,
		.confidence = b->feed.confidence,
		.class = class_of(b, e),
		.flags = (uint8_t)flags,
		.key = (uint8_t)key,
	};
	uint32_t at;

	r.note = put_note(b, e->note, &r.note_bytes);
	if (r.note == INTEL_NO_NOTE)
		r.note_bytes = 0;
	if (e->confidence) {
		unsigned both = MIN(e->confidence, (uint8_t)100) * b->feed.confidence / 100U;

		r.confidence = (uint8_t)MAX(both, 1U);
	}
	if (e->seen_s >= DAY_S && e->seen_s / DAY_S <= UINT16_MAX) {
		r.seen_day = (uint16_t)(e->seen_s / DAY_S);
		r.flags |= RECORD_DATED;
	} else if (!b->feed.is_url) {
		r.flags |= RECORD_LASTING;
	}
	at = bag_put(&b->records, &r, sizeof(r));
	if (at == BAG_FULL) {
		b->built.dates_lost++;
		r.note = INTEL_NO_NOTE;
		r.note_bytes = 0;
		r.seen_day = 0;
		r.flags &= (uint8_t)~RECORD_DATED;
		/* without note and date few are different: they have as much room again */
		b->records.max *= 2;
		at = bag_put(&b->records, &r, sizeof(r));
		b->records.max /= 2;
	}
	if (at >= BAG_FULL)
		return at == BAG_FULL ? -E2BIG : -ENOMEM;
	*ret = at / (uint32_t)sizeof(r);
	return 0;
}

static int grow(struct intel_builder *b)
{
	size_t room = b->room ? 2 * b->room : 4096;
	uint64_t *hashes = realloc(b->hashes, room * sizeof(*hashes));
	uint32_t *record_of;

	if (!hashes)
		return -ENOMEM;
	b->hashes = hashes;
	record_of = realloc(b->record_of, room * sizeof(*record_of));
	if (!record_of)
		return -ENOMEM;
	b->record_of = record_of;
	b->room = room;
	return 0;
}

static void unusable(struct intel_builder *b)
{
	b->built.unusable++;
	b->feeds[b->n_feeds - 1].unusable++;
}

static void taken(struct intel_builder *b)
{
	b->built.entries++;
	b->feeds[b->n_feeds - 1].entries++;
}

static int put_key(struct intel_builder *b, const struct list_entry *e, enum intel_key key,
		   struct str text, uint16_t port, unsigned flags)
{
	bool allow = b->feed.class == INTEL_ALLOW;
	uint32_t record;
	int r;

	if (b->n == ENTRIES_MAX) {
		unusable(b);
		return 0;
	}
	r = put_record(b, e, key, port, flags, &record);
	if (r == -E2BIG) {
		unusable(b);
		return 0;
	}
	if (r == 0 && b->n == b->room)
		r = grow(b);
	if (r < 0)
		return r;
	b->hashes[b->n] = intel_key_hash(b->seed, key, allow, text.p, text.n);
	b->record_of[b->n++] = record;
	taken(b);
	return 0;
}

/* --- addresses ------------------------------------------------------------------------------------------------------ */

static unsigned __int128 number_of(const struct addr *a)
{
	unsigned __int128 v = 0;

	for (size_t i = 0; i < 16; i++)
		v = v << 8 | a->b[i];
	return v;
}

/* Documentation blocks are reserved and let through: lists that are tried out hold them. */
static bool is_of_no_use(const struct list_entry *e)
{
	enum addr_class lo = addr_class(&e->lo), hi = addr_class(&e->hi);

	if (lo != hi)
		return false;
	if (addr_is_unset(&e->hi) || lo == ADDR_LOOPBACK || lo == ADDR_MULTICAST ||
	    lo == ADDR_LINK_LOCAL)
		return true;
	/* "bogons" in lists for gateways: every connection within the house */
	return lo == ADDR_PRIVATE && !addr_eq(&e->lo, &e->hi);
}

static int put_range(struct intel_builder *b, const struct list_entry *e)
{
	bool v4 = addr_is_v4(&e->lo), allow = b->feed.class == INTEL_ALLOW;
	struct ranges *ranges = v4 ? (allow ? &b->allow4 : &b->v4) : (allow ? &b->allow6 : &b->v6);
	uint32_t record;
	int r;

	if (!allow && is_of_no_use(e)) {
		unusable(b);
		return 0;
	}
	if (addr_eq(&e->lo, &e->hi))
		return put_key(b, e, KEY_ADDR, (struct str){ (const char *)e->lo.b, 16 }, e->port,
			       0);
	if (ranges->n == ENTRIES_MAX) {
		unusable(b);
		return 0;
	}
	r = put_record(b, e, KEY_COUNT, 0, 0, &record);
	if (r == -E2BIG) {
		unusable(b);
		return 0;
	}
	if (r == 0)
		r = ranges_put(ranges, number_of(&e->lo), number_of(&e->hi), record);
	if (r == 0)
		taken(b);
	return r;
}

/* --- names and URLs ------------------------------------------------------------------------------------------------- */

static bool accuses(enum intel_class c)
{
	return c == INTEL_C2 || c == INTEL_MALWARE || c == INTEL_PHISHING || c == INTEL_MINING;
}

static unsigned flags_of_name(struct intel_builder *b, const struct list_entry *e, struct str name)
{
	bool loose = b->feed.names == INTEL_NAMES_BELOW ||
		     (b->feed.names == INTEL_NAMES_AUTO &&
		      (b->format == LIST_PLAIN || b->format == LIST_MISP));
	unsigned flags = e->kind == LIST_BELOW           ? RECORD_BELOW
			 : e->kind == LIST_TREE || loose ? RECORD_EXACT | RECORD_BELOW
							 : RECORD_EXACT;
	char text[256];

	if (!(flags & RECORD_BELOW) || !accuses(class_of(b, e)))
		return flags;
	memcpy(text, name.p, name.n);
	text[name.n] = 0;
	if (b->suffixes && psl_is_public_suffix(b->suffixes, text)) {
		b->built.narrowed++;
		return RECORD_EXACT;
	}
	return flags;
}

static int put_name(struct intel_builder *b, const struct list_entry *e)
{
	unsigned labels = 1;
	char text[256];
	struct str name;

	if (!intel_key_name(e->text, text, &name)) {
		unusable(b);
		return 0;
	}
	for (size_t i = 0; i < name.n; i++)
		labels += name.p[i] == '.';
	if (b->feed.class != INTEL_ALLOW)
		b->labels |= 1ULL << MIN(labels, 63U);
	return put_key(b, e, KEY_NAME, name, e->port, flags_of_name(b, e, name));
}

/* A URL of a whole host is its name or its address with the port of its scheme. */
static int put_host(struct intel_builder *b, const struct list_entry *e,
		    const struct intel_url_parts *url)
{
	struct list_entry host = *e;

	host.port = url->port ? url->port : url->scheme_port;
	if (addr_parse(url->host, &host.lo) == 0) {
		host.kind = LIST_RANGE;
		host.hi = host.lo;
		return put_range(b, &host);
	}
	host.kind = LIST_NAME;
	host.text = url->host;
	/* the port of the scheme is no port that somebody chose: a name without it is as good */
	host.port = url->port;
	return put_name(b, &host);
}

static int put_url(struct intel_builder *b, const struct list_entry *e)
{
	struct intel_url_parts url;
	char text[INTEL_TEXT_MAX];

	if (!intel_key_whole_url(e->text, text, &url)) {
		unusable(b);
		return 0;
	}
	while (url.text.n > url.path_at && url.text.p[url.text.n - 1] == '/')
		url.text.n--;
	if (url.text.n == url.path_at)
		return put_host(b, e, &url);
	return put_key(b, e, KEY_URL, url.text, 0, 0);
}

static int put_path(struct intel_builder *b, const struct list_entry *e)
{
	char text[INTEL_TEXT_MAX];
	struct str path;

	if (e->text.n < PATH_LEAST || !intel_key_path(e->text, text, &path)) {
		unusable(b);
		return 0;
	}
	return put_key(b, e, KEY_PATH, path, 0, 0);
}

static int put_hex(struct intel_builder *b, const struct list_entry *e, enum intel_key key)
{
	char text[136];
	struct str hex;

	if (!intel_key_hex(e->text, text, &hex)) {
		unusable(b);
		return 0;
	}
	return put_key(b, e, key, hex, 0, 0);
}

int intel_builder_add(struct intel_builder *b, const struct list_entry *e)
{
	if (!b->n_feeds)
		return -EINVAL;
	switch (e->kind) {
	case LIST_RANGE:
		return put_range(b, e);
	case LIST_NAME:
	case LIST_BELOW:
	case LIST_TREE:
		return put_name(b, e);
	case LIST_URL:
		return put_url(b, e);
	case LIST_PATH:
		return put_path(b, e);
	case LIST_JA3:
		return put_hex(b, e, KEY_JA3);
	case LIST_JA4:
		return put_hex(b, e, KEY_JA4);
	case LIST_CERT:
		return put_hex(b, e, KEY_CERT);
	case LIST_HASH:
		unusable(b);
		return 0;
	}
	return -EINVAL;
}
