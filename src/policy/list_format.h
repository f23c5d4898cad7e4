/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the list readers only: what a format is, and the one way in which every format hands its finds on, so that an
 * address or a name means the same whatever file it came from.
 */
#pragma once

#include "policy/list.h"

#define LIST_NAME_MAX 254 /* RFC 1035: 253 bytes, and one for the dot at the end */

struct list_out {
	struct list_sink sink;
	struct list_report *report;
	uint32_t line; /* where the reader is, from 1 */
	int r;         /* < 0: the sink wants no more */
	/* what the list says of the entries to come, see struct list_entry; the reader sets them anew for each row */
	uint8_t confidence;
	int64_t seen_s;
};

struct list_reader {
	enum list_format format;
	/* How many of the first lines, or how surely the whole, look like it. `head` is the beginning of the text. */
	unsigned (*score)(struct str head);
	int (*parse)(struct list_out *o, struct str text); /* < 0: this is not the format at all */
};

extern const struct list_reader list_plain, list_hosts, list_adblock, list_rpz, list_csv, list_stix,
	list_misp;

/* The next line, trimmed, its number in o->line. False at the end, or when the sink wants no more. */
bool list_line(struct list_out *o, struct str *rest, struct str *ret_line);
/* The part of a line up to the first blank, cut off its front with the blanks behind it. */
struct str list_word(struct str *line);

void list_skip(struct list_out *o); /* one more that is of no use here */
void list_bad(struct list_out *o, struct str what, const char *why); /* one more not understood */

/*
 * Lower case, A-labels, no dot at the end; into `text`, or a view of it. -EINVAL: not the name of a host, or fewer
 * labels than that.
 */
int list_name(struct str raw, unsigned least_labels, char text[LIST_NAME_MAX], struct str *ret);
/* An address, a CIDR, a range with '-', address:port or [address]:port. -EINVAL. */
int list_address(struct str raw, struct list_entry *ret);

/* "2026-01-02", "2026-01-02 03:04:05", with 'T', 'Z', a fraction; Unix seconds. 0: none of them. */
int64_t list_time(struct str s);
/* Base64 (RFC 4648) of a name or URL, as Suricata's datasets of strings are; into `text`. -EINVAL: it is not. */
int list_base64(struct str raw, char text[LIST_NAME_MAX], struct str *ret);

/* Hands an entry on as it is, with what the list says of it. */
int list_put(struct list_out *o, const struct list_entry *e);
/* Each hands one entry to the sink. -EINVAL: the text is not that; nothing is counted then. */
int list_put_name(struct list_out *o, enum list_kind kind, struct str raw, unsigned least_labels,
		  struct str note);
int list_put_pattern(struct list_out *o, struct str raw, struct str note); /* x, *.x, **.x, .x */
int list_put_address(struct list_out *o, struct str raw, struct str note);
int list_put_url(struct list_out *o, struct str raw, struct str note);
int list_put_hash(struct list_out *o, enum list_kind kind, struct str raw, struct str note);
/* Whatever it is: address, pattern of a name, name:port, URL, path of one, hash, JA4. */
int list_put_any(struct list_out *o, struct str raw, struct str note);
/*
 * A value with the word that says what it is (MISP, ThreatFox, Zeek: "ip-dst|port", "domain", "Intel::ADDR" …).
 * -ENOENT: a word of no use here.
 */
int list_put_typed(struct list_out *o, struct str type, struct str value, struct str note);

/*
 * Each element that stands in an array under one of these keys (NULL-ended), at whatever depth, as text; elements are not
 * searched for more. 0; -EINVAL: not JSON, or cut short; else what `fn` gave when it gave < 0.
 */
int list_json_each(struct list_out *o, struct str text, const char *const *keys,
		   int (*fn)(struct list_out *o, struct str element));
