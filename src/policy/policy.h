/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A policy as it was written: what the parser makes and the compiler reads. Names are resolved (apps, sets, lists … are
 * indices here), values are numbers, nothing is loaded from outside but the policy's own files. The language is
 * docs/policy.md. Immutable once parsed; everything is owned by the policy.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/buf.h"
#include "base/str.h"
#include "bpf/policy_image.h"

#define POLICY_RULES_MAX (EG_ROWS_MAX - 2) /* two rows are the default and what is implied */
#define POLICY_TEXT_MAX (64U << 20)
#define POLICY_ANON UINT32_MAX
#define POLICY_NESTED_MAX 64 /* sets in sets, apps in apps; there are no circles */

struct policy_place {
	uint32_t file; /* index into policy.files */
	uint32_t line, column;
};

/* --- definitions ---------------------------------------------------------------------------------------------- */
enum app_part_kind {
	APP_PART_EXE, /* glob over the path of the executable or of the script: '*' within a component, '**' across, '?' */
	APP_PART_TREE, /* glob; the program and all it starts */
	APP_PART_UNIT, /* a systemd unit, glob */
	APP_PART_CGROUP,
	APP_PART_CONTAINER_NAME,
	APP_PART_CONTAINER_IMAGE,
	APP_PART_CONTAINER_LABEL, /* "key=value", glob */
	APP_PART_APP
};
struct app_part {
	enum app_part_kind kind;
	struct str pattern;
	uint32_t app; /* APP_PART_APP */
};
struct policy_app {
	struct str name; /* empty: written in the rule itself */
	struct app_part *parts;
	size_t n_parts;
	struct policy_place place;
};

enum dest_kind {
	DEST_NAME,  /* example.com */
	DEST_BELOW, /* *.example.com */
	DEST_TREE,  /* **.example.com */
	DEST_RANGE, /* an address, a CIDR, a range: lo to hi, both of one family (IPv4 v4-mapped) */
	DEST_INTERNET,
	DEST_PRIVATE,
	DEST_ANY,
	DEST_SEGMENT,
	DEST_SET,
	DEST_LIST,
	DEST_COUNTRY,
	DEST_ASN
};
struct policy_dest {
	enum dest_kind kind;
	struct policy_place place;
	union {                  /* there may be millions of these */
		struct str name; /* NAME, BELOW, TREE: lower case, A-labels, no dots around */
		struct {
			struct addr lo, hi; /* RANGE */
		};
		uint32_t ref;    /* SEGMENT, SET, LIST: index; ASN: number */
		char country[3]; /* two capitals */
	};
};
struct policy_set {
	struct str name;
	struct policy_dest *members;
	size_t n_members;
	struct policy_place place;
};
struct policy_segment {
	struct str name;
	struct policy_dest *ranges; /* all DEST_RANGE; those of the interfaces too, as of now */
	size_t n_ranges;
	struct str *interfaces;          /* policy/routes.h */
	size_t n_interfaces, n_unrouted; /* unrouted: no route leads anywhere by them */
	struct policy_place place;
};

#define LIST_FORMATS(X)       \
	X(AUTO, "auto")       \
	X(PLAIN, "plain")     \
	X(HOSTS, "hosts")     \
	X(ADBLOCK, "adblock") \
	X(RPZ, "rpz")         \
	X(CSV, "csv")         \
	X(STIX, "stix")       \
	X(MISP, "misp")
enum list_format {
#define X(id, name) LIST_##id,
	LIST_FORMATS(X)
#undef X
		LIST_FORMAT_COUNT
};
struct policy_list {
	struct str name;
	struct str path,
		url; /* one of them; a path is relative to the file that names it, resolved here */
	enum list_format format;
	uint64_t refresh_ns, expire_ns; /* 0: not said */
	bool optional;                  /* absent is no error */
	struct policy_place place;
};

struct schedule_part {
	uint8_t days;              /* bit 0 Monday */
	uint16_t from_min, to_min; /* of the day, local time; to <= from: ends on the next day */
};
struct policy_schedule {
	struct str name;
	struct schedule_part *parts;
	size_t n_parts;
	struct policy_place place;
};

struct price_tier {
	uint64_t microcents; /* for so many bytes; 1 USD = 100,000,000 */
	uint64_t per_bytes;
	uint64_t after_bytes;
};
struct policy_price {
	struct str name; /* the destinations as written: "internet", "set cdn, country DE" */
	struct policy_dest *to;
	size_t n_to;
	char currency[4];
	struct price_tier *tiers; /* ascending by after_bytes */
	size_t n_tiers;
	struct policy_place place;
};

struct policy_budget {
	struct str name, text; /* text: "cloud = 50 USD/month for internet" */
	uint64_t amount;       /* a calendar month of UTC; 10^-9 of a unit */
	char currency[4];
	struct policy_dest
		*to; /* of prices that name one of them; none: of all prices in this currency */
	size_t n_to;
	struct policy_place place;
};

enum policy_level { LEVEL_NONE, LEVEL_LOW, LEVEL_MEDIUM, LEVEL_HIGH, LEVEL_CRITICAL };
struct policy_response {
	struct str name, finding_class;
	enum policy_level least;
	bool deny_subject, deny_destination;
	uint64_t for_ns;
	struct policy_place place;
};

/* An interface, and how much it can send: what priorities are about. */
#define POLICY_LINKS_MAX 16
struct policy_link {
	struct str interface;
	uint64_t bits; /* a second */
	struct policy_place place;
};

/* --- rules ------------------------------------------------------------------------------------------------------ */
struct port_range {
	uint8_t group; /* EG_PORTS_*; "443" without a protocol is three of these */
	uint16_t lo, hi;
};

/* Kinds are ANDed, values of one kind ORed; an empty kind matches all. */
struct policy_terms {
	uint32_t *apps;
	size_t n_apps;
	uint32_t *users; /* uids */
	size_t n_users;
	uint32_t *groups; /* gids */
	size_t n_groups;
	struct app_part *units; /* UNIT, CGROUP */
	size_t n_units;
	struct app_part *containers; /* CONTAINER_* */
	size_t n_containers;
	struct policy_dest *from; /* RANGE, SEGMENT, SET */
	size_t n_from;
	struct policy_dest *to;
	size_t n_to;
	bool by_sni;
	struct port_range *ports;
	size_t n_ports;
	uint8_t *speaking; /* EG_APP_* */
	size_t n_speaking;
	uint32_t *during; /* schedules */
	size_t n_during;
};

enum limit_each { EACH_NONE, EACH_APP, EACH_USER, EACH_UNIT, EACH_HOST, EACH_SEGMENT, EACH_FLOW };

enum policy_priority { PRIORITY_NONE, PRIORITY_HIGH, PRIORITY_NORMAL, PRIORITY_LOW };

struct policy_rule {
	enum eg_action action;
	struct policy_terms match;
	struct policy_terms *except; /* each takes away what all its terms match */
	size_t n_except;
	uint64_t limit_bits; /* a second; 0: none */
	enum limit_each limit_each;
	uint64_t quota_bytes; /* 0: none */
	char quota_period;    /* 'h' 'd' 'w' 'm' */
	enum eg_action quota_then;
	uint64_t quota_then_bits;
	enum policy_priority priority; /* NONE: not said, and as NORMAL */
	enum policy_level alert;
	struct str alert_text;
	bool log, quiet;
	int64_t until_s; /* Unix, the end of that local day, or the time that was said; 0: always */
	bool front;      /* of `egret block`: enforced in watch mode, too */
	struct str note;
	struct str text; /* as written, one line, one blank between words, no comment */
	struct policy_place place;
};

struct policy_expect {
	enum eg_action action;
	struct policy_terms match;
	struct str text;
	struct policy_place place;
};

enum resolver_mode { RESOLVERS_SYSTEM, RESOLVERS_NONE, RESOLVERS_GIVEN };

struct policy {
	struct str *files; /* names as shown; [0] is the policy itself */
	size_t n_files;
	struct str *
		sources; /* their texts, for messages that show a line and for policy_parse_files() */
	enum resolver_mode resolver_mode;
	struct policy_place resolver_place; /* line 0: not said */
	struct policy_dest *
		resolvers; /* RANGE of one address each; with RESOLVERS_SYSTEM those of /etc/resolv.conf */
	size_t n_resolvers;
	struct policy_app *apps;
	size_t n_apps;
	struct policy_set *sets;
	size_t n_sets;
	struct policy_segment *segments;
	size_t n_segments;
	struct policy_list *lists;
	size_t n_lists;
	struct policy_schedule *schedules;
	size_t n_schedules;
	struct policy_price *prices;
	size_t n_prices;
	struct policy_budget *budgets;
	size_t n_budgets;
	struct policy_response *responses;
	size_t n_responses;
	struct policy_link *links;
	size_t n_links;
	struct policy_rule *rules;
	size_t n_rules;
	struct policy_expect *expects;
	size_t n_expects;
	enum eg_action fallback; /* `default`; EG_ALLOW when left out */
	bool has_fallback;
	struct policy_place fallback_place;
	void *arena; /* the parser's */
};

/*
 * Reads the policy ("-": standard input) and all it includes. Every mistake and warning of all files is in `messages`,
 * each with file, line, column, the line and a caret. 0; -EINVAL when there was an error (*ret is not set); -errno when
 * the file cannot be read (said in `messages` too).
 */
int policy_read(struct policy **ret, const char *path, struct buf *messages);
/*
 * The same for text that is at hand. `front`, may be empty, holds the dated rules of `egret block`: they come before all
 * others, and their text is the last of p->files.
 */
int policy_parse(struct policy **ret, const char *file, struct str text, struct str front,
		 struct buf *messages);

/* The same without a look at any file: [0] is the policy, `include` finds the others by their names. */
struct policy_file {
	struct str name, text;
};
int policy_parse_files(struct policy **ret, const struct policy_file *files, size_t n,
		       struct str front, struct buf *messages);
struct policy *policy_free(struct policy *p);

/*
 * One more message in the same form, about something found later: "error", "warning" or "note". What follows a newline
 * in the message is advice, shown beside the caret.
 */
void policy_complain(const struct policy *p, struct policy_place at, const char *kind,
		     struct buf *messages, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
/* Where no history is kept nobody reckons what traffic cost: warnings of its budgets. */
void policy_note_unwatched(const struct policy *p, struct buf *messages);
bool policy_same_dest(const struct policy_dest *a, const struct policy_dest *b);
/* What of this policy is accepted but not enforced on a host yet (interfaces, labels): notes. */
void policy_note_unenforced(const struct policy *p, struct buf *messages);
/* Rules that rest on the visible name alone: notes. */
void policy_note_by_sni(const struct policy *p, struct buf *messages);
/*
 * A time as after `until`: "2027-01-31", "2027-01-31T18:00", "…:30", "…Z", "@UNIX". A day alone is its first second, or
 * with `end` its last. False: it is none, or there is no such day.
 */
bool policy_time_parse(struct str s, bool end, int64_t *ret_s);
const char *policy_action_name(enum eg_action a);
const char *policy_protocol_name(uint8_t eg_app); /* as after `speaking`; NULL: none */
