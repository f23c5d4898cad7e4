/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the intelligence index only: the bytes of a snapshot, and the keys that are hashed. Numbers are in the order of the
 * machine, which the magic number shows; nothing is aligned to more than 8 bytes.
 *
 *     head | SECTION_TOP | SECTION_ENTRIES | … in the order of enum intel_section, each from a multiple of 8
 *
 * Entries are sorted by their hash and split by its upper `part_bits`: TOP[b] is the first entry of part b. An entry is 9
 * bytes, the lower 48 bits of the hash and 24 bits of the number of its record. Records are shared by all entries of which the
 * same is to be said. FILTER is a Bloom filter of words: each entry sets 4 bits of one word, about 10 bits are there for each
 * entry, and what is not listed passes with a probability of 2.4 %; it makes a miss cost one line of memory.
 */
#pragma once

#include <stdint.h>
#include <string.h>

#include "base/addr.h"
#include "base/hash.h"
#include "detect/intel_index.h"

#define INTEL_MAGIC 0x0a31697465726765ULL
#define INTEL_VERSION 1
#define INTEL_V4_PARTS 65536
#define INTEL_PART_BITS_LEAST 16
#define INTEL_PART_BITS_MOST 20
#define INTEL_FILTER_BITS 10 /* an entry */
#define INTEL_ENTRY 9        /* bytes */
#define INTEL_KEY_MASK ((1ULL << 48) - 1)
#define INTEL_RUN_MAX 256 /* entries of one hash: ports of one address */
#define INTEL_FEEDS_MAX 1024
#define INTEL_RECORDS_MAX (1U << 20)
#define INTEL_NOTES_MAX (24U << 20)
#define INTEL_NOTE_MAX 120 /* bytes of one; longer ones are cut */
#define INTEL_NO_NOTE UINT32_MAX
#define INTEL_TEXT_MAX 4096 /* of a normalised URL */

enum intel_section {
	SECTION_TOP,     /* 2^part_bits + 1 of uint32_t */
	SECTION_FILTER,  /* uint64_t */
	SECTION_ENTRIES, /* of INTEL_ENTRY bytes */
	SECTION_V4_TOP,  /* INTEL_V4_PARTS + 1 of uint32_t: by the upper 16 bits of `lo` */
	SECTION_V4,      /* struct intel_range4, disjoint, sorted */
	SECTION_V6,      /* struct intel_range6, disjoint, sorted */
	SECTION_ALLOW_V4,
	SECTION_ALLOW_V6,
	SECTION_RECORDS, /* struct intel_record */
	SECTION_NOTES,   /* texts, how long is in the records */
	SECTION_FEEDS,   /* struct intel_feed_row */
	SECTION_COUNT
};

/* What a hash is of; keys of class allow are other keys. */
enum intel_key { KEY_ADDR, KEY_NAME, KEY_URL, KEY_PATH, KEY_CERT, KEY_JA3, KEY_JA4, KEY_COUNT };

struct intel_head {
	uint64_t magic;
	uint32_t version;
	uint32_t head_bytes;
	uint64_t file_bytes;
	uint64_t body_hash; /* of all behind the head */
	uint64_t seed;
	int64_t built_s;
	uint32_t part_bits, zero;
	uint64_t labels; /* bit n: names of n labels are listed (63: and more) */
	uint64_t n_of[KEY_COUNT], n_allowed;
	struct {
		uint64_t at, bytes;
	} section[SECTION_COUNT];
	uint64_t head_hash; /* of what stands before it */
};

#define RECORD_EXACT 1U /* a name: itself */
#define RECORD_BELOW 2U /* and what is below it */
#define RECORD_DATED 4U
#define RECORD_LASTING 8U

struct intel_record {
	uint32_t note; /* in SECTION_NOTES; INTEL_NO_NOTE */
	uint16_t feed;
	uint16_t port;     /* 0: any */
	uint16_t seen_day; /* since 1970, when RECORD_DATED */
	uint8_t confidence;
	uint8_t class;
	uint8_t flags;
	uint8_t key; /* enum intel_key; KEY_COUNT: of a range */
	uint8_t note_bytes;
	uint8_t zero;
};
_Static_assert(sizeof(struct intel_record) == 16, "struct intel_record");

struct intel_range4 {
	uint32_t lo, hi; /* of the machine's byte order */
	uint32_t record;
};
_Static_assert(sizeof(struct intel_range4) == 12, "struct intel_range4");

struct intel_range6 {
	uint8_t lo[16], hi[16];
	uint32_t record;
	uint32_t zero;
};
_Static_assert(sizeof(struct intel_range6) == 40, "struct intel_range6");

struct intel_feed_row {
	char name[64], why[160]; /* NUL-terminated */
	uint64_t entries, unusable, skipped, bad;
	int64_t as_of_s;
	int32_t error;
	uint8_t class;
	uint8_t expired;
	uint8_t zero[2];
};
_Static_assert(sizeof(struct intel_feed_row) == 272, "struct intel_feed_row");

static inline uint64_t intel_key_hash(uint64_t seed, enum intel_key key, bool allow, const void *p,
				      size_t n)
{
	return hash_bytes(p, n,
			  seed + ((uint64_t)key + 1 + (allow ? 16 : 0)) * 0x9e3779b97f4a7c15ULL);
}

static inline uint64_t intel_filter_mask(uint64_t hash)
{
	return 1ULL << (hash & 63) | 1ULL << (hash >> 6 & 63) | 1ULL << (hash >> 12 & 63) |
	       1ULL << (hash >> 18 & 63);
}

/* The word of it. */
static inline size_t intel_filter_at(uint64_t hash, uint32_t n_words)
{
	return (size_t)((hash >> 32) * n_words >> 32);
}

static inline uint32_t intel_v4(const struct addr *a)
{
	return (uint32_t)a->b[12] << 24 | (uint32_t)a->b[13] << 16 | (uint32_t)a->b[14] << 8 |
	       a->b[15];
}

/* --- intel_key.c: texts as they are hashed -------------------------------------------------------------------------- */

/* Lower case, no dot at the end. False: longer than a name can be, or nothing. */
bool intel_key_name(struct str raw, char text[256], struct str *ret);
/* Lower case, ':' and blanks left out. */
bool intel_key_hex(struct str raw, char text[136], struct str *ret);

/* A URL in its parts: `host` points into `text`. */
struct intel_url_parts {
	struct str host;      /* lower case, no brackets */
	uint16_t port;        /* 0: none written, or the scheme's own */
	uint16_t scheme_port; /* 80, 443; 0: no scheme written */
	size_t path_at;       /* `text` from there: "/a/b?q"; equal to text.n: no path */
	struct str text;      /* "host/a/b?q", "host:8080/a" */
};
/* False: too long, no host. `port`: when the authority has none. */
bool intel_key_url(struct str authority, uint16_t port, struct str path, char text[INTEL_TEXT_MAX],
		   struct intel_url_parts *ret);
/* The same of a whole URL, with or without scheme. */
bool intel_key_whole_url(struct str url, char text[INTEL_TEXT_MAX], struct intel_url_parts *ret);
/* A path with its query, as above; false: too long, or does not begin with '/'. */
bool intel_key_path(struct str path, char text[INTEL_TEXT_MAX], struct str *ret);

/* The cap alone, in decibans: of the table in intel_index.h. */
unsigned intel_cap(enum intel_class class, enum intel_kind kind);
