/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the parser share. One statement a line; parse.c reads files and tells statements apart, the others
 * read one kind of thing each. Names of apps, sets … become symbols while parsing, because a definition may stand
 * anywhere, and indices in resolve.c. A mistake is told and reading goes on: all of them in one run.
 *
 * Memory: strings point into the sources or the arena, both of the policy. When memory ends, `failed` is set and
 * everything hands out the same scrap, so that only the end has to look.
 */
#pragma once

#include "base/lex.h"
#include "policy/policy.h"

#define PARSE_SHOWN_MAX 1000  /* messages; what is beyond is counted */
#define PARSE_VALUES_MAX 4096 /* of one selector other than `to`, `from` */
#define PARSE_EXCEPTS_MAX 64
#define PARSE_DEFINITIONS_MAX 65535 /* of one kind */
#define PARSE_FILES_MAX 1024
#define PARSE_DEPTH_MAX 8
#define PARSE_ENTRIES_MAX (4U << 20) /* addresses or ranges, and as many names */

/* --- memory: parse_mem.c -------------------------------------------------------------------------------------- */
struct arena;
struct parser;

struct vec {
	char *p;
	size_t n, cap; /* elements, of one size from empty to empty; bytes */
};

int arena_new(struct arena **ret);
void arena_free(struct arena *a);
void *arena_get(struct parser *p, size_t n); /* zeroed */
struct str arena_str(struct parser *p, struct str s);
struct str arena_take(struct parser *p,
		      struct buf *text); /* without a copy; `text` is then empty */
void *vec_add(struct parser *p, struct vec *v, size_t size); /* zeroed; never NULL */
/* Gives what `v` holds to the arena and empties it. */
void *vec_take(struct parser *p, struct vec *v, size_t size, size_t *ret_n);

void vec_free(struct vec *v);

enum symbol_kind {
	SYMBOL_APP,
	SYMBOL_SET,
	SYMBOL_SEGMENT,
	SYMBOL_LIST,
	SYMBOL_SCHEDULE,
	SYMBOL_PRICE,
	SYMBOL_BUDGET,
	SYMBOL_RESPONSE,
	SYMBOL_USER, /* what the system's files said: `def` is the number */
	SYMBOL_GROUP,
	SYMBOL_FILE, /* included */
	SYMBOL_KINDS
};
struct symbol {
	enum symbol_kind kind;
	uint32_t def; /* index into the policy's definitions; POLICY_ANON: none */
	struct str name;
	struct policy_place place; /* of the definition */
};
struct symbol_use {
	uint32_t symbol;
	bool bare; /* a word alone, that can only be a segment */
	struct policy_place place;
};
uint32_t symbol_get(struct parser *p, enum symbol_kind kind, struct str name);
struct symbol *symbol_at(struct parser *p, uint32_t symbol);
uint32_t symbol_use(struct parser *p, enum symbol_kind kind, struct str name,
		    struct policy_place at, bool bare);
const char *symbol_kind_name(enum symbol_kind kind);

/* --- the parser ------------------------------------------------------------------------------------------------ */
struct parser {
	struct policy *policy;
	struct arena *arena;
	struct buf *messages;
	struct lex lex;
	struct lex_token tok;    /* the one to be read next */
	struct lex_token action; /* the word that the statement began with */
	bool in_front;           /* rules of `egret block` */
	uint32_t file;
	bool ascii;      /* this file has nothing else */
	bool keep;       /* tokens that are passed are put into `text` */
	struct buf text; /* of the rule, one blank between words */
	unsigned shown, hidden, errors;
	bool broken_line;    /* a comma ended the line, without '\\' */
	unsigned muted_line; /* of this file: all has been said of it */
	bool failed;
	bool no_text; /* a file that is none was refused */
	bool unknown; /* a name is used that nothing defines */
	char scrap[512];

	struct vec files, sources, apps, sets, segments, lists, schedules, prices, budgets,
		responses, links, rules, expects;
	struct vec symbols, uses, symbol_slots;
	struct vec dests, parts, numbers, ports; /* of the statement being read */
	struct str services;                     /* /etc/services, once it was asked for */
	size_t n_ranges, n_names;                /* of all */
	size_t total_bytes;

	const struct policy_file
		*given; /* policy_parse_files(): includes are these, and not looked for */
	size_t n_given;
	uint32_t include_chain[PARSE_DEPTH_MAX]; /* files that are being read, the policy first */
	unsigned depth;
};

/* Words: parse.c */
void next(struct parser *p);
bool is_word(const struct lex_token *t, const char *word);
bool at_end(const struct lex_token *t);
bool take_word(struct parser *p, const char *word); /* passes it when it is there */
struct policy_place place_of(const struct parser *p, const struct lex_token *t);
/* Index in `words` (NULL-ended) of the next word, which is passed; -1 with a message: "unknown WHAT 'x'". */
int take_choice(struct parser *p, const char *const *words, const char *what);
bool take_string(struct parser *p, struct str *ret, const char *what); /* "…" that is not empty */
bool more_values(struct parser *p);                                    /* passes a comma */

/* "error", "warning": at a token, the place of the next one, or any. Advice follows a newline. */
#define FMT(a, b) __attribute__((format(printf, a, b)))
void complain(struct parser *p, struct policy_place at, const char *kind, const char *fmt, ...)
	FMT(4, 5);
void mistake(struct parser *p, const struct lex_token *t, const char *fmt, ...) FMT(3, 4);
#define QUOTED(s) \
	(int)MIN((s).n, (size_t)60), (s).p ? (s).p : "" /* of hostile length, for '%.*s' */

/* words.c: the word a person may have meant, as advice that begins with a newline; "" when none comes to mind. */
struct advice {
	char text[200];
};
const char *advise(struct advice *a, struct str word, const char *const *words);
const char *advise_symbol(struct parser *p, struct advice *a, enum symbol_kind kind,
			  struct str name);
/* What somebody who knows another program may have meant by `word` at the beginning of a statement or selector. */
const char *advise_foreign(struct advice *a, struct str word);
bool odd_characters(struct parser *p,
		    const struct lex_token *t); /* typographic quotes and the like: told */
bool reserved_word(struct str word);
const char *own_line(struct str word); /* advice when it begins a statement, else "" */
extern const char *const statement_words[], *const selector_words[], *const modifier_words[],
									     *const action_words[];

/* parse_define.c */
void parse_resolvers(struct parser *p);
void parse_segment(struct parser *p);
void parse_set(struct parser *p);
void parse_app(struct parser *p);
void parse_list(struct parser *p);
bool take_interface(struct parser *p, const char *example, struct str *ret);
/* parse_plan.c */
void parse_schedule(struct parser *p);
void parse_price(struct parser *p);
void parse_budget(struct parser *p);
void parse_response(struct parser *p);
void parse_link(struct parser *p);
/* "NAME =" of a definition, which has its place among `all` of its kind from then on; false when told. */
struct definition {
	struct str name;
	struct policy_place place;
	struct vec *all;
	size_t size, index;
};
bool take_name(struct parser *p, enum symbol_kind kind, struct vec *all, size_t size,
	       struct definition *ret);
void define(const struct definition *d, const void *value);

/* parse_app.c */
void take_app_parts(struct parser *p, struct app_part **ret, size_t *ret_n);
void take_unit(struct parser *p, struct vec *parts, enum app_part_kind kind);
/* `kind` is the one that goes on behind a comma. */
void take_container(struct parser *p, struct vec *parts, enum app_part_kind *kind);
bool check_path_pattern(struct parser *p, const struct lex_token *t);

/* parse_dest.c */
enum dest_where { IN_TO, IN_FROM, IN_SET, IN_SEGMENT, IN_RESOLVERS, IN_PRICE, IN_BUDGET };
void take_dests(struct parser *p, enum dest_where where, struct policy_dest **ret, size_t *ret_n);
bool take_dest(struct parser *p,
	       enum dest_where where); /* one, to p->dests; false: there is none, told */
void add_range(struct parser *p, struct policy_place at, const struct addr *lo,
	       const struct addr *hi);
/* parse_addr.c: 1 and a range; 0: it is no address; -1: it was meant to be one, told. */
int parse_address(struct parser *p, const struct lex_token *t, struct addr *lo, struct addr *hi);
/* parse_name.c: false when told. */
bool parse_name(struct parser *p, const struct lex_token *t, struct policy_dest *ret);

/* parse_port.c, parse_who.c */
void take_ports(struct parser *p, struct policy_terms *terms);
void take_protocols(struct parser *p, struct policy_terms *terms);
void take_users(struct parser *p, struct policy_terms *terms, bool groups);
void take_app_list(struct parser *p, struct policy_terms *terms); /* parse_app.c */

/* parse_value.c: a value in the next word (or words), passed; false when told. */
bool take_rate(struct parser *p, uint64_t *ret_bits);
bool take_size(struct parser *p, uint64_t *ret_bytes);
bool take_duration(struct parser *p, uint64_t *ret_ns);
bool take_date(struct parser *p, int64_t *ret_s);
bool parse_size(struct str s, uint64_t *ret_bytes);

/* parse_rule.c */
void parse_rule(struct parser *p, enum eg_action action);
void parse_expect(struct parser *p);
/* parse_modify.c: true when the next word was a modifier. */
bool take_modifier(struct parser *p, struct policy_rule *r);

/* parse_file.c */
void parse_include(struct parser *p);
bool path_from_here(struct parser *p, struct str name, char path[4096]);
/* False with a message when the file that `key` stands for (its device and inode, or its name) was read before. */
bool note_file(struct parser *p, struct policy_place at, const char *path, struct str key);
#define FILE_KEY_MAX 48
int read_policy_file(const char *path, bool regular, struct buf *ret, char key[FILE_KEY_MAX]);
void parse_text(struct parser *p, struct str name, struct str text); /* both of the policy */
/* parse.c */
void parse_statement(struct parser *p);

/* resolve.c */
void resolve(struct parser *p);
