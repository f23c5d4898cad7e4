/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What others say is bad, as one file: an immutable snapshot of all feeds that is mapped, shared between processes, and asked
 * once a flow, once a name and once a request. Built by detect/intel_build.h in a process of its own and put in place by
 * rename(); whoever has the old one mapped keeps it until he lets go of it (intel_slot).
 *
 * Addresses, names, URLs, JA3, JA4 and certificate hashes are kept as 64-bit hashes (XXH3, keyed by a random number of the
 * snapshot), 9 bytes each: what is not listed is taken for something listed with probability n * 2^-64 a question, 5.4e-13
 * with ten million indicators. Address ranges are kept as they are.
 *
 * A hit is never heap memory: its texts point into the snapshot and live as long as it. All questions are pure, may be asked
 * from several threads at once, and read nothing outside of the file whatever bytes it holds.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/str.h"

/*
 * What a feed lists. `allow` is the opposite of the others: it takes back what they say of shared and popular places (MISP
 * warning lists), see `cancelled`.
 */
#define INTEL_CLASSES(X)            \
	X(C2, "c2")                 \
	X(MALWARE, "malware")       \
	X(PHISHING, "phishing")     \
	X(TOR, "tor")               \
	X(SCANNER, "scanner")       \
	X(SUSPICIOUS, "suspicious") \
	X(DOH, "doh")               \
	X(VPN, "vpn")               \
	X(MINING, "mining")         \
	X(ALLOW, "allow")
enum intel_class {
#define X(id, name) INTEL_##id,
	INTEL_CLASSES(X)
#undef X
		INTEL_CLASS_COUNT
};

#define INTEL_KINDS(X)                   \
	X(ADDR_PORT, "address and port") \
	X(ADDR, "address")               \
	X(RANGE, "range of addresses")   \
	X(NAME, "name")                  \
	X(URL, "URL")                    \
	X(PATH, "path of a URL")         \
	X(CERT, "certificate")           \
	X(JA3, "JA3")                    \
	X(JA4, "JA4")
enum intel_kind {
#define X(id, name) INTEL_##id,
	INTEL_KINDS(X)
#undef X
		INTEL_KIND_COUNT
};

struct intel_hit {
	uint32_t feed; /* for intel_index_feed() */
	enum intel_kind kind;
	enum intel_class class;
	uint8_t confidence; /* 0..100, the entry's own or the feed's */
	bool dated;         /* seen_s is the entry's own date, to the day; else that of the feed */
	bool lasting;       /* undated, in a file the user put there: half of its weight stays */
	/* An entry of class allow says the place is shared or popular, and is at least as specific: no evidence. */
	bool cancelled;
	uint32_t cancelled_by; /* its feed */
	uint16_t port;         /* of the indicator; 0: any */
	int64_t seen_s;        /* Unix seconds */
	struct str note;       /* what the feed says of it (malware family …); may be empty */
};

struct intel_index;

enum intel_open_mode {
	INTEL_OPEN_CHECKED, /* the checksum of the whole file too: reads all of it */
	INTEL_OPEN_QUICK /* head, places and indices only: for a file whose builder has just checked it */
};

/*
 * Maps a snapshot. -ENOENT …: errors of open(); -EBADMSG: damaged, cut short, or of another version or machine. Questions to
 * a file that is damaged where nothing was checked give wrong answers, never anything worse.
 */
int intel_index_open(struct intel_index **ret, const char *path, enum intel_open_mode mode);
struct intel_index *intel_index_free(struct intel_index *ix); /* NULL is fine */

struct intel_counts {
	uint64_t indicators, addresses, names, urls, hashes; /* the first is all of them */
	uint64_t ranges4, ranges6;                           /* disjoint pieces */
	uint64_t allowed;                                    /* of class allow, hashed */
	uint64_t records, file_bytes;
	uint32_t feeds;
	int64_t built_s;
};
void intel_index_counts(const struct intel_index *ix, struct intel_counts *ret);

/* What became of a feed when the snapshot was built. */
struct intel_feed_state {
	struct str name;
	enum intel_class class;
	int error;        /* -errno of reading it; 0: read */
	bool expired;     /* and so without entries */
	uint64_t entries; /* in the snapshot, before what several feeds say is merged */
	uint64_t
		unusable; /* file hashes, addresses of no internet …: entries no question is asked for */
	uint64_t skipped, bad; /* as struct list_report */
	int64_t as_of_s;       /* when it was fetched or written */
	struct str why;        /* what the first bad line or the error is; may be empty */
};
/* False: there is no feed of that number. */
bool intel_index_feed(const struct intel_index *ix, uint32_t feed, struct intel_feed_state *ret);

/*
 * Questions. True: listed, and `ret` says how. False: not, or cancelled (`ret->cancelled`, the rest of it then says what was
 * taken back). `ret` is always written.
 */

/*
 * What is listed of an address that `port` was spoken to: the address with that port before the address with any before the
 * smallest range that holds it; of ranges that overlap by half the one that begins later.
 */
bool intel_addr(const struct intel_index *ix, const struct addr *addr, uint16_t port,
		struct intel_hit *ret);

/*
 * A name of a host: itself or, where the feed says so, a name above it; the longest wins. Any case, with or without the last
 * dot. `port`: what was spoken to, for entries "name:port"; 0: not known (a DNS question), those then match as well.
 */
bool intel_name(const struct intel_index *ix, struct str name, uint16_t port,
		struct intel_hit *ret);

/*
 * A request: `host` as in the Host header (a name or address; a port in it is taken), `path` with its query. Listed URLs match
 * themselves, themselves with another query when they have none, and what is below them (whole segments). Schemes, default
 * ports, fragments, case of the host and needless percent-encoding do not count (RFC 3986 6.2.2). A listed path without a
 * host matches that very path on any host. URLs without a path are names or addresses: ask for those too.
 */
bool intel_url(const struct intel_index *ix, struct str host, uint16_t port, struct str path,
	       struct intel_hit *ret);

/* INTEL_JA3, INTEL_CERT (SHA-1 or SHA-256, hexadecimal, ':' between bytes is fine) or INTEL_JA4. */
bool intel_hash(const struct intel_index *ix, enum intel_kind kind, struct str text,
		struct intel_hit *ret);

/*
 * What a hit weighs now, in decibans: cap * confidence / 100 * decay, rounded; 0 when cancelled.
 *
 * Caps, by what is listed (rows) and as what (columns). An address with its port is one program's server; an address alone
 * may since belong to somebody else, and a range holds others' servers. A JA3 is shared by programs of the same library. A
 * path alone is on many hosts. What is only a service that others hide behind (tor, vpn, doh) or a place that scans is not
 * an accusation of the program that talks to it.
 *
 *                    addr:port  addr  range  name  url  path  cert  ja3  ja4
 *     c2                    45    30     15    40   42    10    40    3    6
 *     malware               40    24     12    36   40     8    36    3    6
 *     phishing              18    12      6    24   28     3    18    1    2
 *     mining                30    18      8    30   32     5    24    2    4
 *     tor                   12    12      8    12   12     2    12    2    4
 *     doh, vpn               4     4      3     4    4     1     4    1    1
 *     suspicious             3     3      2     3    3     1     3    1    1
 *     scanner                1     1      1     1    1     1     1    1    1
 *     allow                  0     0      0     0    0     0     0    0    0
 */
int intel_weight(const struct intel_hit *hit, int64_t now_s);

/*
 * The decay of MISP's scores: max(0, 1 - (age / tau)^(1/delta)) with delta 1/2, so that the first days cost little (11 % left
 * out after a third of tau) and the last much. tau: addr:port 14 d, address and range 7 d, name 90 d, URL and path 30 d,
 * certificate 365 d, JA3 and JA4 180 d; tor 3 d, because relays come and go, and 365 d for addresses of class doh, vpn,
 * scanner and suspicious, which are services. The age is that of the entry's own date (last seen before first seen). An entry
 * without a date is as old as its feed's last fetch; in a file that the user put there it keeps half of its weight until the
 * feed expires, because nobody but him says when it ends. A date in the future has no age.
 */
double intel_decay(const struct intel_hit *hit, int64_t now_s);

const char *intel_class_name(enum intel_class c);
const char *intel_kind_name(enum intel_kind k);
bool intel_class_parse(struct str word, enum intel_class *ret);

/*
 * Where the snapshot in use is: replaced at once, while others ask. Whoever took one puts it back; the last to put a replaced
 * one back unmaps it. Take one for a batch of questions, or for as long as texts of hits are kept.
 */
struct intel_slot;
int intel_slot_new(struct intel_slot **ret);
struct intel_slot *
intel_slot_free(struct intel_slot *s); /* after everybody put back what he took */
struct intel_index *intel_slot_take(struct intel_slot *s); /* NULL: there is none yet */
void intel_slot_put(struct intel_slot *s, struct intel_index *ix);
void intel_slot_set(struct intel_slot *s, struct intel_index *ix); /* takes it over; NULL: none */
