/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to guard/. What is in force:
 *
 *     kept     ── what must outlive the process: texts, mode, dated rules, hits, deadline (kept.c writes and reads it)
 *       │ parse, compile
 *     built    ── policy and image made of it; replaced as one whole, by guard.c alone
 *       │ attach_policy_load()
 *     kernel
 */
#pragma once

#include "base/list.h"
#include "guard/guard.h"
#include "guard/budget.h"
#include "guard/quota.h"
#include "guard/sealed.h"
#include "policy/image.h"

#define BLOCKS_MAX 512
#define BLOCK_RULE_MAX 1024
#define BLOCK_NOTE_MAX 256
#define GENS_KEPT \
	32 /* generations whose rules can still be named; of at most RULE_SETS_KEPT policies */
#define RULE_SETS_KEPT 4
#define CGROUPS_MAX 16384
#define MESSAGES_MAX (1U << 20)

#define QUOTA_NONE UINT32_MAX

/* A policy with a count of who refers to it: the one in force, and generations that records may still come of. */
struct rule_set {
	uint32_t refs;
	struct policy *policy;
	uint32_t *
		quota; /* by rule: which of the guard's quotas it has, or QUOTA_NONE; NULL: none has any */
};

struct dated_rule {
	char rule[BLOCK_RULE_MAX], note[BLOCK_NOTE_MAX];
	int64_t since_s, until_s; /* until_s 0: until taken away */
};

/* What came of a rule: hits of earlier generations (those of this one are in the kernel), and flows that ended. */
struct rule_count {
	struct attach_hits hits;
	uint64_t flows, up_bytes, down_bytes;
};

struct kept {
	enum guard_mode mode; /* OFF: no policy, dated rules alone */
	bool from_conf;
	int64_t loaded_s;
	int64_t confirm_by_s;      /* 0: nothing waits */
	struct buf files;          /* a bundle; empty: no policy */
	struct dated_rule *blocks; /* newest first */
	size_t n_blocks;
	struct rule_count *counts; /* by rule, then the default and the implied allow */
	size_t n_counts;
};
void kept_init(struct kept *k);
void kept_done(struct kept *k);
int kept_copy(struct kept *ret, const struct kept *k);
static inline bool kept_is_empty(const struct kept *k)
{
	return !k->files.n && !k->n_blocks;
}

/* kept.c: one file, written beside its place and renamed; `name` is "inforce" or "before". */
int kept_write(const char *folder, const char *name, const struct kept *k,
	       const struct policy_ids *ids);
/* -ENOENT; -EBADMSG: damaged (it was set aside as NAME.damaged); -errno. `ids` NULL: not wanted. */
int kept_read(const char *folder, const char *name, struct kept *ret, struct policy_ids *ids);
void kept_remove(const char *folder, const char *name);

struct built {
	struct rule_set *rules;
	uint8_t *
		instead; /* by rule: the action that a spent quota gives it; NULL: no rule has a quota */
	struct policy_image *image;
	int64_t from_s, to_s;   /* its time line */
	int64_t list_expires_s; /* when the first list is too old; INT64_MAX: none */
	bool names_containers;
};
void built_done(struct built *b);

/* A cgroup that was seen, and the container it is; texts are own. */
struct guard_cgroup {
	uint64_t id; /* 0: free */
	char *name, *image;
	bool is_container;
};

/* feeds.c: what comes from outside and changes by itself */
struct file_stamp {
	int64_t mtime_ns;
	uint64_t ino, size;
};

struct fetch_failure {
	char *url, *why;
	int64_t at_s;
};

#define FAILURES_MAX 256
#define RESOLVERS_MAX 16

struct feeds {
	struct file_stamp resolv, resolved, hosts;
	struct addr resolvers[RESOLVERS_MAX]; /* as the kernel was told */
	size_t n_resolvers;
	struct file_stamp *list_stamps; /* by list of the policy in force */
	int64_t looked_s, hosts_told_s;
	uint64_t routes;           /* routes_stamp() of the policy in force */
	struct fetch_child *fetch; /* one at a time */
	char *fetching;            /* its list's url */
	struct fetch_failure failures[FAILURES_MAX];
	size_t n_failures;
};

struct guard {
	struct guard_config cfg;
	char *state, *lists, *conf_path; /* STATE/policy, STATE/lists */
	enum guard_mode conf_mode;
	bool conf_waits;    /* egret.conf's policy is to be loaded once its lists are there … */
	int64_t conf_try_s; /* … and not before */
	struct geo *geo;
	struct policy_ids ids;
	uint64_t name_key;

	struct kept kept, before; /* `before`: where a deadline leads back to */
	struct built built;
	uint32_t gen;
	enum guard_mode kernel_mode;
	struct {
		uint32_t gen;
		struct rule_set *rules;
	} gens[GENS_KEPT];
	size_t n_gens;

	struct feeds feeds;
	struct quotas quotas;
	struct budgets budgets;
	struct guard_cgroup *cgroups; /* by id, open addressing */
	size_t n_cgroups;
	uint64_t cgroups_forgotten;
	bool speaks[256]; /* application protocols that rules name */
	uint64_t last_now_ns, last_boot_ns;
	int64_t kept_at_s;  /* when counts were last written */
	int64_t retry_at_s; /* after a renewal that failed */
	uint64_t swaps, refused_loads;
	char origin[256]; /* who published it, in words; empty: nobody */
	char last_problem
		[256]; /* of something that goes on by itself; shown until it works again */
};

int64_t guard_now_s(const struct guard *g);

/* build.c */
struct rule_set *rule_set_put(struct rule_set *s); /* NULL is fine; returns NULL */
int guard_parse(const struct kept *k, struct rule_set **ret, struct buf *messages);
int guard_build(struct guard *g, const struct kept *k, struct policy_ids *ids, struct built *ret,
		struct buf *messages);
struct compile_config guard_compile_config(struct guard *g, bool enforce, struct policy_ids *ids);
/* An image in which rules with spent quotas do what they say; none when no quota is spent. */
int guard_build_own(struct guard *g, const struct built *b, const struct kept *k,
		    struct policy_image **ret, struct buf *messages);
int guard_ids_copy(struct policy_ids *ret, const struct policy_ids *ids);

/* guard.c */
int guard_swap(struct guard *g, struct built *b, struct kept *next, struct policy_ids *ids,
	       struct buf *messages);
int guard_rebuild(struct guard *g, const char *because);
void guard_remember(struct guard *g, uint32_t gen, struct rule_set *rules);
void guard_open_geo(
	struct guard *g); /* newly, too: a file that cannot be read leaves the old one */
void guard_tell_segments(struct guard *g);
void guard_keep(struct guard *g, struct buf *messages);
void guard_log(const struct buf *messages);

/* load.c */
int64_t guard_clip_s(uint64_t s);
#define CHECK_EXPECTS 1
#define CHECK_SESSION 2
/* One step from what is in force to something else. Takes `next` when it succeeds, and leaves it empty in any case. */
int guard_move_to(struct guard *g, struct kept *next, int checks, bool force, const char *session,
		  struct buf *messages);
int guard_go_back(struct guard *g,
		  struct buf *messages); /* to what was in force before the load that waits */
int guard_load_read(struct guard *g, const char *path, struct guard_load *load,
		    struct buf *messages);

/* restore.c */
int guard_load_conf(struct guard *g, struct buf *messages);

/* blocks.c */
void blocks_expire(struct guard *g);

/* counts.c; with the kernel's hits of now added, by rule; the caller's to free; NULL: no memory. */
size_t guard_counts(const struct guard *g, struct rule_count **ret);

int counts_carry(struct guard *g, const struct policy *to, struct kept *next);
struct rule_count *guard_count_of(const struct guard *g, struct rule_count *counts, size_t n,
				  const struct flow *f);

/* session.c: what would be cut; -EPERM with words */
int session_check(const struct guard *g, const struct built *b, const char *session,
		  struct buf *messages);

/* feeds.c */
void feeds_start(struct guard *g);
void feeds_done(struct guard *g);
void feeds_tick(struct guard *g);
void feeds_told(struct guard *g); /* after a swap: resolvers, names */
/*
 * Lists with a url that have never been downloaded: starts the first; -EINPROGRESS, or -EAGAIN with why it failed just
 * now.
 */
int feeds_need(struct guard *g, const struct policy *p, struct buf *messages);
const char *feeds_failure(const struct guard *g, struct str url, int64_t *ret_at_s);

/* links.c: after a swap; `p` NULL: none */
void links_told(struct guard *g, const struct policy *p, struct buf *messages);
void links_show(const struct guard *g, struct json *j);

/* cgroups.c */
void cgroups_told(struct guard *g); /* after a swap */
void cgroups_done(struct guard *g);
