/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The one evaluator of policy images: built into the kernel's programs and into user space. The includer defines
 *
 *     EG_IMAGE                      how an image is held ("struct eg_pages *", "void *")
 *     EG_IMAGE_PAGE_AT(image, n)    const void * to page n, NULL beyond the end
 *     EG_EVAL_FN                    what functions are declared with (static __noinline, static)
 *
 * Cost: about 25 vectors of `words` words, a binary search for each address, a probe for each label of a name; not the
 * number of rules, addresses or names.
 *
 * Three-valued: what is not known yet makes rows possible that are not certain. The first possible row decides when it
 * is also the first certain one; else the verdict is provisional, and is taken again when the fact is known.
 */
#pragma once

#include "abi.h"
#include "name_hash.h"
#include "policy_image.h"
#include "policy_facts.h"

enum eg_visible {
	EG_VISIBLE_UNKNOWN, /* no payload has been seen */
	EG_VISIBLE_NONE, /* enough was seen: there is no name to see (another protocol, a hello without SNI) */
	EG_VISIBLE_NAME,
	EG_VISIBLE_UNREADABLE, /* a hello, a request, that could not be read: the flow is unnamed */
};

#define EG_CONTAINER_UNKNOWN 0xffffU

/* What is known of a flow, as classes of one image. Filled by eg_fact_*() and by whoever knows the classes of paths. */
struct eg_facts {
	__u64 trees;  /* bit per id */
	__u64 groups; /* bit per id of a named group */
	__s64 unix_s; /* which rules are in force */
	__u16 exe, script,
		cgroup; /* classes; EG_CLASS_NONE when not known: no rule that names one is satisfied */
	__u16 container; /* or EG_CONTAINER_UNKNOWN */
	__u16 user, addr, port;
	__u16 from; /* EG_CLASS_ANY: the local address is not known yet */
	__u16 names[EG_FACT_NAMES];
	__u16 visible_name;
	__u8 n_names;
	__u8 visible; /* EG_VISIBLE_* */
	__u8 app;     /* as eg_app_on_port() says, EG_APP_UNDECIDED: not known yet */
	__u8 port_53;
};

struct eg_verdict {
	__u16 row, certain_row; /* first possible and first certain row; of one rule: final */
	__u16 rule;             /* of `row` */
	__u8 action, certain_action;
	__u8 flags; /* EG_ROW_* of `row` */
	__u8 final;
	__u8 could_pass, could_drop; /* among the possible rows up to the certain one */
	__u32 gen;
	__u8 enforce, app; /* app: with DOH told */
	__u8 pad[2];
};

/* Rows that are possible, those that are certain, and what the possible ones do: a bit for each word that holds one. */
struct eg_found {
	__u64 maybe, sure, pass, drop;
};

/* What all sources say together, a vector each; too large for a stack of the kernel's side. */
struct eg_fold {
	__u64 and[EG_WORDS_MAX], who[EG_WORDS_MAX], grp[EG_WORDS_MAX], addr[EG_WORDS_MAX];
	__u64 maybe_and[EG_WORDS_MAX], sure_and[EG_WORDS_MAX],
		who_maybe[EG_WORDS_MAX]; /* from what is not known */
	__u64 dns_or[EG_WORDS_MAX], dns_and[EG_WORDS_MAX];
	__u64 unused[EG_WORDS_MAX];
	struct eg_found found;
	__u32 at[8];
	__u64 name, none, unreadable, unknown; /* masks: one is all ones, by what is visible */
};

/* --- the verdict ----------------------------------------------------------------------------------------------- */
struct eg_cursor {
	const __u64 *page;
	__u32 at;
};

#define EG_WORD(cursor, i) ((cursor).page[(((cursor).at >> 3) + (i)) & (EG_IMAGE_PAGE / 8 - 1)])

static __always_inline int eg_cursor(EG_IMAGE image, __u64 at, struct eg_cursor *c)
{
	c->page = EG_IMAGE_PAGE_AT(image, at / EG_IMAGE_PAGE);
	c->at = at & (EG_IMAGE_PAGE - 1);
	return c->page != NULL;
}

/* A vector of struct eg_fold by where it begins: what is looked at once for all cannot be handed a pointer to it. */
#define EG_FOLD(member) (__builtin_offsetof(struct eg_fold, member) / 8)
#define EG_FOLD_LAST EG_FOLD(unused)
#define EG_FOLD_TO(and, or) (EG_FOLD(and) << 16 | EG_FOLD(or))

/* Adds what one class of a source says: AND into one vector, OR into another, as EG_FOLD_TO() names them. */
EG_EVAL_ONCE int eg_fold_class(EG_IMAGE image, __u32 source, __u32 class, struct eg_fold *fold,
			       __u32 to)
{
	const struct eg_image *head = eg_image_head(image);
	__u32 to_and = to >> 16, to_or = to & 0xffff, i, words;
	struct eg_cursor and, or ;
	__u64 at;

	EG_KEEP(to_and);
	EG_KEEP(to_or);
	EG_KEEP(source);
	if (!head || !fold || to_and > EG_FOLD_LAST || to_or > EG_FOLD_LAST ||
	    source >= EG_SRC_COUNT)
		return -1;
	words = head->words;
	if (class >= head->rows[source].n_classes)
		class = EG_CLASS_NONE;
	at = head->rows[source].at + 16ULL * words * class;
	if (!eg_cursor(image, at, &and) || !eg_cursor(image, at + 8ULL * words, & or))
		return -1;
	for (i = 0; i < EG_WORDS_MAX; i++) {
		if (i >= words)
			break;
		((__u64 *)fold)[to_and + i] &= EG_WORD(and, i);
		((__u64 *)fold)[to_or + i] |= EG_WORD(or, i);
	}
	return 0;
}

EG_EVAL_ONCE int eg_fold_vector(EG_IMAGE image, __u64 at, struct eg_fold *fold)
{
	const struct eg_image *head = eg_image_head(image);
	struct eg_cursor c;
	__u32 i, words;

	if (!head || !fold || !eg_cursor(image, at, &c))
		return -1;
	words = head->words;
	for (i = 0; i < EG_WORDS_MAX; i++) {
		if (i >= words)
			break;
		fold->and[i] &= EG_WORD(c, i);
	}
	return 0;
}

/* Several classes of one source: for the verifier one, whatever their number. */
#ifdef __bpf__
#define EG_EVAL_LOOP(n, fn, ctx) bpf_loop(n, fn, ctx, 0)
#else
#define EG_EVAL_LOOP(n, fn, ctx)                           \
	for (__u32 i_ = 0; i_ < (n) && !fn(i_, ctx); i_++) \
		;
#endif

struct eg_fold_set {
	EG_IMAGE image;
	const struct eg_facts *f;
	struct eg_fold *fold;
	__u64 bits;
	__u32 source, to;
	int bad;
};

static int eg_fold_bit(__u32 i, struct eg_fold_set *s)
{
	__u64 bits = s->bits;

	if (!bits)
		return 1;
	s->bits = bits & (bits - 1);
	s->bad = eg_fold_class(s->image, s->source, eg_lowest(bits) + (s->source == EG_SRC_GROUP),
			       s->fold, s->to) != 0;
	return s->bad;
}

/* Bit i is class i; of groups i + 1. */
static __always_inline int eg_fold_bits(EG_IMAGE image, int source, __u64 bits,
					struct eg_fold *fold, __u32 to)
{
	struct eg_fold_set s = {
		.image = image, .fold = fold, .to = to, .bits = bits, .source = source
	};

	EG_EVAL_LOOP(64, eg_fold_bit, &s);
	return s.bad;
}

static int eg_fold_name(__u32 i, struct eg_fold_set *s)
{
	if (i >= s->f->n_names)
		return 1;
	s->bad = eg_fold_class(s->image, EG_SRC_NAME, s->f->names[i & (EG_FACT_NAMES - 1)], s->fold,
			       EG_FOLD_TO(dns_and, dns_or)) != 0;
	return s->bad;
}

static __always_inline int eg_fold_names(EG_IMAGE image, const struct eg_facts *f,
					 struct eg_fold *fold)
{
	struct eg_fold_set s = { .image = image, .f = f, .fold = fold };

	EG_EVAL_LOOP(EG_FACT_NAMES, eg_fold_name, &s);
	return s.bad;
}

/* What may be unknown: ANY is what is possible, ALL what is certain. */
static __always_inline int eg_fold_unknown(EG_IMAGE image, int source, struct eg_fold *fold)
{
	return eg_fold_class(image, source, EG_CLASS_ANY, fold, EG_FOLD_TO(maybe_and, who_maybe)) |
	       eg_fold_class(image, source, EG_CLASS_ALL, fold, EG_FOLD_TO(sure_and, who));
}

/* What payload told, and the port: the only port that says what is spoken is the one that RFC 7858 and 9250 give. */
static __always_inline __u8 eg_app_on_port(__u8 app, __u16 port)
{
	if (port == 853 && app == EG_APP_TLS)
		return EG_APP_DOT;
	if (port == 853 && app == EG_APP_QUIC)
		return EG_APP_DOQ;
	return app;
}

/*
 * The protocol, with DNS over HTTPS told by who is at the other end: the address, or the name. *unknown: a name that is
 * still to come may make it that. Returned is a number for records; *index is that of app_class.
 */
static __always_inline __u8 eg_app_told(EG_IMAGE image, const struct eg_image *head,
					const struct eg_facts *f, __u8 *index, int *unknown)
{
	__u8 flags = eg_read___u8(image, head->addr_flags + f->addr), app = f->app;
	__u8 doh = app == EG_APP_QUIC ? EG_APP_DOH_QUIC : EG_APP_DOH;
	__u32 i;

	*index = app;
	*unknown = app == EG_APP_UNDECIDED;
	if (app != EG_APP_TLS && app != EG_APP_QUIC)
		return app;
	if (f->visible == EG_VISIBLE_NAME)
		flags |= eg_read___u8(image, head->name_flags + f->visible_name);
	else if (f->visible == EG_VISIBLE_UNKNOWN)
		*unknown = !(flags & EG_IS_DOH) &&
			   eg_read___u16(image, head->app_class + 2ULL * app) !=
				   eg_read___u16(image, head->app_class + 2ULL * doh);
	else
		for (i = 0; i < EG_FACT_NAMES; i++)
			if (i < f->n_names)
				flags |= eg_read___u8(image, head->name_flags + f->names[i]);
	if (!(flags & EG_IS_DOH))
		return app;
	*index = doh;
	return EG_APP_DOH;
}

/* Where the last entry of the time line is that began at or before now. */
EG_EVAL_ONCE __u64 eg_active_at(EG_IMAGE image, __s64 now)
{
	const struct eg_image *head = eg_image_head(image);
	const __u64 sign = 1ULL << 63; /* signed numbers in the order of unsigned ones */
	__u64 n, off, step;
	__u32 from, at, words;

	if (!head)
		return 0;
	from = head->active_from;
	at = head->active;
	words = head->words;
	n = head->n_active;
	off = EG_ZERO(n);
	if (n <= 1)
		return at;
	for (step = n <= 256 ? 1U << 7 : 1U << 15; step; step >>= 1)
		off += step *
		       (eg_below(off + step, n) &
			(1 ^ eg_below(now ^ sign,
				      eg_read___u64(image, from + 8ULL * (off + step)) ^ sign)));
	return at + 8ULL * words * off;
}

/*
 * Vectors that the search needs beside the folded ones: of the visible name, of names at large, and of rows. Pages are on
 * the stack, and where in them a vector begins is in fold->at: there is no room for both.
 */
enum {
	EG_AT_SEE_AND,
	EG_AT_SEE_OR,
	EG_AT_ALL_AND,
	EG_AT_ANY_OR,
	EG_AT_ANY_BOTH,
	EG_AT_DENYLIKE,
	EG_AT_BY_SNI,
	EG_AT_PASSES
};

struct eg_search {
	const __u64 *see_and, *see_or, *all_and, *any_or, *any_both, *denylike, *by_sni, *passes;
};

#define EG_VECTOR(page, fold, which, i) \
	((page)[(EG_AGAIN_FROM((fold)->at[which]) + (i)) & (EG_IMAGE_PAGE / 8 - 1)])

static __always_inline const __u64 *eg_vector(EG_IMAGE image, struct eg_fold *fold, int which,
					      __u64 at)
{
	fold->at[which] = (at & (EG_IMAGE_PAGE - 1)) >> 3;
	return EG_IMAGE_PAGE_AT(image, at / EG_IMAGE_PAGE);
}

static __always_inline int eg_search_init(EG_IMAGE image, const struct eg_image *head, __u32 name,
					  struct eg_fold *fold, struct eg_search *s)
{
	__u64 row = 16ULL * head->words, half = 8ULL * head->words,
	      names = head->rows[EG_SRC_NAME].at;
	__u32 denylike = head->denylike, by_sni = head->by_sni, passes = head->passes;

	if (name >= head->rows[EG_SRC_NAME].n_classes)
		name = EG_CLASS_NONE;
	s->see_and = eg_vector(image, fold, EG_AT_SEE_AND, names + row * name);
	s->see_or = eg_vector(image, fold, EG_AT_SEE_OR, names + row * name + half);
	s->all_and = eg_vector(image, fold, EG_AT_ALL_AND, names + row * EG_CLASS_ALL);
	s->any_or = eg_vector(image, fold, EG_AT_ANY_OR, names + row * EG_CLASS_ANY);
	s->any_both = eg_vector(image, fold, EG_AT_ANY_BOTH, names + row * EG_CLASS_ANY + half);
	s->denylike = eg_vector(image, fold, EG_AT_DENYLIKE, denylike);
	s->by_sni = eg_vector(image, fold, EG_AT_BY_SNI, by_sni);
	s->passes = eg_vector(image, fold, EG_AT_PASSES, passes);
	return s->see_and && s->see_or && s->all_and && s->any_or && s->any_both && s->denylike &&
	       s->by_sni && s->passes;
}

/* Kept in memory: the verifier would follow each of the four through each word. */
static __always_inline void eg_fold_masks(__u8 visible, struct eg_fold *fold)
{
	fold->name = visible == EG_VISIBLE_NAME ? ~0ULL : 0;
	fold->none = visible == EG_VISIBLE_NONE ? ~0ULL : 0;
	fold->unreadable = visible == EG_VISIBLE_UNREADABLE ? ~0ULL : 0;
	fold->unknown = ~(fold->name | fold->none | fold->unreadable);
}

struct eg_said {
	__u64 maybe_or, sure_or, maybe_and, sure_and;
};

/*
 * What names say of word i. A rule that lets pass wants the DNS name, and a visible name that does not contradict it; one
 * that refuses is content with the visible name, and with the DNS name while none is visible. Exceptions the other way.
 */
static __always_inline void eg_names_word(const struct eg_search *s, const struct eg_fold *fold,
					  __u32 i, struct eg_said *r)
{
	__u64 dns_or = fold->dns_or[i], dns_and = fold->dns_and[i];
	__u64 deny = EG_VECTOR(s->denylike, fold, EG_AT_DENYLIKE, i),
	      sni = EG_VECTOR(s->by_sni, fold, EG_AT_BY_SNI, i),
	      both = EG_VECTOR(s->any_both, fold, EG_AT_ANY_BOTH, i);
	__u64 name = EG_AGAIN_FROM(fold->name), none = EG_AGAIN_FROM(fold->none),
	      unreadable = EG_AGAIN_FROM(fold->unreadable), unknown = EG_AGAIN_FROM(fold->unknown);

	r->sure_or = (name & EG_VECTOR(s->see_or, fold, EG_AT_SEE_OR, i) & (dns_or | deny | sni)) |
		     (none & dns_or & ~sni) | (unreadable & dns_or & deny & ~sni);
	r->sure_and = (name & (EG_VECTOR(s->see_and, fold, EG_AT_SEE_AND, i) | (dns_and & deny))) |
		      (none & dns_and) | (unreadable & (dns_and | deny));
	/* Not known, row by row: whether any of the cases above would let it hold, OR and AND by one name. */
	r->maybe_or = r->sure_or |
		      (unknown & ((both & (deny | sni)) |
				  (EG_VECTOR(s->any_or, fold, EG_AT_ANY_OR, i) & dns_and & deny) |
				  (dns_or & ~sni & (deny | dns_and | both))));
	r->maybe_and = r->sure_and | unknown;
	r->sure_and |= unknown & (EG_VECTOR(s->all_and, fold, EG_AT_ALL_AND, i) | (dns_and & deny));
}

/* Else all rows hold whatever its class, and none because of it. */
#define EG_ASKED(source) (head->asked >> (source)&1)

/* -1: not an image; said at once, for two ways on at each step would be too many for the verifier. */
EG_EVAL_ONCE int eg_fold_facts(EG_IMAGE image, const struct eg_facts *f, struct eg_fold *fold,
			       __u8 app, int app_unknown)
{
	const struct eg_image *head = eg_image_head(image);
	__u32 i, words, flags, scope = EG_SCOPE_ANY;

	if (!head || !f || !fold)
		return -1;
	words = head->words;
	for (i = 0; i < EG_WORDS_MAX; i++) {
		if (i >= words)
			break;
		fold->who[i] = fold->grp[i] = fold->addr[i] = fold->who_maybe[i] = fold->dns_or[i] =
			0;
		fold->and[i] = fold->maybe_and[i] = fold->sure_and[i] = fold->dns_and[i] = ~0ULL;
	}
	flags = eg_read___u8(image, head->addr_flags + f->addr);
	if (flags & EG_IS_LOOPBACK)
		scope = EG_SCOPE_LOOPBACK;
	if ((flags & EG_IS_RESOLVER) && f->port_53)
		scope = EG_SCOPE_RESOLVER;
	if (eg_fold_vector(image, head->scope[scope], fold))
		return -1;
	if (eg_fold_vector(image, eg_active_at(image, f->unix_s), fold))
		return -1;
	if (eg_fold_class(image, EG_SRC_EXE, f->exe, fold, EG_FOLD_TO(and, who)) ||
	    eg_fold_class(image, EG_SRC_GROUP, 0, fold, EG_FOLD_TO(and, grp)) ||
	    eg_fold_class(image, EG_SRC_ADDR, f->addr, fold, EG_FOLD_TO(and, addr)))
		return -1;
	if (EG_ASKED(EG_SRC_SCRIPT) &&
	    eg_fold_class(image, EG_SRC_SCRIPT, f->script, fold, EG_FOLD_TO(and, who)))
		return -1;
	if (f->trees && eg_fold_bits(image, EG_SRC_TREE, f->trees, fold, EG_FOLD_TO(and, who)))
		return -1;
	if (EG_ASKED(EG_SRC_CGROUP) &&
	    eg_fold_class(image, EG_SRC_CGROUP, f->cgroup, fold, EG_FOLD_TO(and, who)))
		return -1;
	if (EG_ASKED(EG_SRC_USER) &&
	    eg_fold_class(image, EG_SRC_USER, f->user, fold, EG_FOLD_TO(and, unused)))
		return -1;
	if (f->groups && eg_fold_bits(image, EG_SRC_GROUP, f->groups, fold, EG_FOLD_TO(and, grp)))
		return -1;
	if (EG_ASKED(EG_SRC_FROM) &&
	    (f->from == EG_CLASS_ANY
		     ? eg_fold_unknown(image, EG_SRC_FROM, fold)
		     : eg_fold_class(image, EG_SRC_FROM, f->from, fold, EG_FOLD_TO(and, unused))))
		return -1;
	if (EG_ASKED(EG_SRC_PORT) &&
	    eg_fold_class(image, EG_SRC_PORT, f->port, fold, EG_FOLD_TO(and, unused)))
		return -1;
	if (EG_ASKED(EG_SRC_CONTAINER) &&
	    (f->container == EG_CONTAINER_UNKNOWN
		     ? eg_fold_unknown(image, EG_SRC_CONTAINER, fold)
		     : eg_fold_class(image, EG_SRC_CONTAINER, f->container, fold,
				     EG_FOLD_TO(and, who))))
		return -1;
	if (EG_ASKED(EG_SRC_APP) &&
	    (app_unknown ? eg_fold_unknown(image, EG_SRC_APP, fold)
			 : eg_fold_class(image, EG_SRC_APP,
					 eg_read___u16(image, head->app_class + 2ULL * app), fold,
					 EG_FOLD_TO(and, unused))))
		return -1;
	if (!EG_ASKED(EG_SRC_NAME))
		return 0;
	return eg_fold_names(image, f, fold);
}

/* Bit i when x is not 0, without a branch. */
static __always_inline __u64 eg_bit_if(__u64 x, __u32 i)
{
	return ((x | -x) >> 63) << i;
}

/*
 * The body has no branch: the verifier walks this loop 64 times in a row, and would begin each branch's walk of the rest
 * anew. Words go to fold->unused (possible) and fold->who_maybe
 * (certain).
 */
EG_EVAL_ONCE int eg_search_words(EG_IMAGE image, const struct eg_facts *f, struct eg_fold *fold)
{
	const struct eg_image *head = eg_image_head(image);
	struct eg_search s;
	struct eg_said said;
	__u32 i, words;

	if (!head || !f || !fold || !eg_search_init(image, head, f->visible_name, fold, &s))
		return -1;
	words = head->words;
	eg_fold_masks(f->visible, fold);
	fold->found = (struct eg_found){ 0 };
	for (i = 0; i < EG_WORDS_MAX; i++) {
		__u64 both, maybe, sure, pass;

		if (i >= words)
			break;
		both = fold->and[i];
		both &= fold->grp[i];
		eg_names_word(&s, fold, i, &said);
		sure = both & fold->sure_and[i] & said.sure_and & fold->who[i] &
		       (fold->addr[i] | said.sure_or);
		maybe = both & fold->maybe_and[i] & said.maybe_and &
			(fold->who[i] | fold->who_maybe[i]) & (fold->addr[i] | said.maybe_or);
		maybe |= sure;
		pass = EG_VECTOR(s.passes, fold, EG_AT_PASSES, i);
		fold->unused[i] = maybe;
		fold->who_maybe[i] = sure;
		fold->found.maybe |= eg_bit_if(maybe, i);
		fold->found.sure |= eg_bit_if(sure, i);
		fold->found.pass |= eg_bit_if(maybe & pass, i);
		fold->found.drop |= eg_bit_if(maybe & ~pass, i);
	}
	return 0;
}

/* The first possible row and the first certain one. -1: there is none, which no image says: the default always holds. */
EG_EVAL_FN int eg_search_rows(EG_IMAGE image, const struct eg_facts *f, struct eg_fold *fold,
			      struct eg_verdict *v)
{
	const struct eg_image *head = eg_image_head(image);
	__u64 maybe, sure, last, pass, below;
	__u32 at;

	if (!head || !fold || !v || eg_search_words(image, f, fold))
		return -1;
	maybe = EG_AGAIN_FROM(fold->found.maybe);
	sure = EG_AGAIN_FROM(fold->found.sure);
	if (!sure || !maybe)
		return -1;
	at = eg_lowest(maybe) & (EG_WORDS_MAX - 1);
	v->row = at * 64 + eg_lowest(fold->unused[at]);
	at = eg_lowest(sure) & (EG_WORDS_MAX - 1);
	v->certain_row = at * 64 + eg_lowest(fold->who_maybe[at]);
	below = (1ULL << at) - 1;
	last = fold->unused[at] & (fold->who_maybe[at] ^ (fold->who_maybe[at] - 1));
	pass = eg_read___u64(image, head->passes + 8ULL * at);
	v->could_pass = ((EG_AGAIN_FROM(fold->found.pass) & below) | (last & pass)) != 0;
	v->could_drop = ((EG_AGAIN_FROM(fold->found.drop) & below) | (last & ~pass)) != 0;
	return 0;
}

/* -1: not an image. */
EG_EVAL_FN int eg_evaluate(EG_IMAGE image, const struct eg_facts *f, struct eg_fold *fold,
			   struct eg_verdict *v)
{
	const struct eg_image *head = eg_image_head(image);
	__u32 info, sure_info;
	int app_unknown;
	__u8 app;

	if (!head || !f || !fold || !v || head->magic != EG_IMAGE_MAGIC)
		return -1;
	v->app = eg_app_told(image, head, f, &app, &app_unknown);
	v->pad[0] = app;
	v->pad[1] = app_unknown;
	if (eg_fold_facts(image, f, fold, EG_AGAIN_FROM(v->pad[0]), EG_AGAIN_FROM(v->pad[1])) ||
	    eg_search_rows(image, f, fold, v))
		return -1;
	info = eg_read___u32(image, head->row_info + 4ULL * v->row);
	sure_info = eg_read___u32(image, head->row_info + 4ULL * v->certain_row);
	v->rule = info & 0xffff;
	v->action = info >> 16 & 0xff;
	v->flags = info >> 24;
	v->certain_action = sure_info >> 16 & 0xff;
	v->final = (info & 0xffff) == (sure_info & 0xffff); /* a rule's rows are neighbours */
	v->gen = head->gen;
	v->enforce = head->enforce != 0 || (v->flags & EG_ROW_FIRM);
	v->pad[0] = v->pad[1] = 0;
	return 0;
}
