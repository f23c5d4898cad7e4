/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy in force in a live process: reads and compiles it, hands the image to the kernel, swaps it, rolls it back,
 * and keeps alive what changes by itself: lists, schedules, dated rules, resolvers, containers. Used by egretd and by
 * `egret exec --policy`. One thread, the caller's loop.
 *
 * A load is all or nothing: parse → compile → expectations → lockout check → swap. Whatever fails on the way, the
 * policy that was in force stays, and the reasons are in `messages`, as text for the person who asked.
 *
 * With a state folder, what is in force is kept in STATE/policy/ and is there again after a restart: text, mode, dated
 * rules, hits so far, quotas, what was told of budgets, and a deadline that waits for `egret policy confirm`.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "attach/policy.h"
#include "base/buf.h"
#include "decode/event.h"
#include "policy/policy.h"

struct flow;
struct flow_table;
struct guard;
struct json;
struct locator;
struct loop;
struct name_table;
struct proc_table;

struct guard_config {
	struct attach
		*attach; /* borrowed, as all that follows; NULL: nothing reaches a kernel (tests) */
	struct loop *loop;        /* NULL: lists are not downloaded */
	struct flow_table *flows; /* NULL: no lockout check, no bytes per rule */
	struct name_table *names; /* NULL: `why` knows no names of addresses */
	struct proc_table *procs; /* NULL: containers are not known */
	const char *state;        /* folder; NULL: nothing is kept, lists are not downloaded */
	const char *lists; /* folder of downloads to read when there is no state; NULL: none */
	const char *geo_country, *geo_asn; /* .mmdb files; NULL: none */
	struct locator *locator; /* is told databases and segments in force; NULL: nobody asks */
	bool lenient_lists;      /* one that was never downloaded is empty (egretd -T) */
	bool pin;                /* enforcement outlives the process */
	bool shapes;             /* links of the policy get their queues */
	bool whole_host; /* every socket of the host is watched: one that is not known is judged, too */
	uint64_t (*now)(void); /* Unix ns; NULL: the clock */
	bool follows; /* a publisher: what was in force stays, though egret.conf names no file */
	bool keeps_history; /* false: nobody can tell what budgets stand at, and loading says so */
	/* As control_config.history; NULL: budgets are not watched. Needs the loop. */
	int (*history)(void *ctx, struct str question, int fd, pid_t *ret_pid);
	void *history_ctx;
};

int guard_new(struct guard **ret, const struct guard_config *cfg);
struct guard *guard_free(struct guard *g); /* what is pinned stays in force */
/* Before attach_free(): writes what is to be kept and lets go of the kernel; guard_rule() answers on. */
void guard_finish(struct guard *g);

enum guard_mode { GUARD_OFF, GUARD_WATCH, GUARD_ENFORCE };
const char *guard_mode_name(enum guard_mode m); /* "off", "watch", "enforce" */

/* A policy as the text of its files; [0] is the policy itself, the others what it includes. */
struct guard_load {
	const struct policy_file *files;
	size_t n_files;
	enum guard_mode mode; /* WATCH or ENFORCE */
	uint64_t
		confirm_s; /* 0: for good; else rolled back after so long unless guard_confirm() comes */
	bool force;     /* in spite of expectations that fail and of a session that would be cut */
	bool from_conf; /* egret.conf names it: read again at the next start */
	const char *session; /* $SSH_CONNECTION of who asks; NULL: none */
};
/*
 * 0; -EINVAL: refused, why is in `messages` (which may hold warnings when it is not); -EINPROGRESS: a list is being
 * downloaded for the first time, ask again in a moment; -EAGAIN: one cannot be had just now; -errno.
 */
int guard_load(struct guard *g, const struct guard_load *load, struct buf *messages);
/* Reads the file and what it includes, then as above. */
int guard_load_file(struct guard *g, const char *path, enum guard_mode mode, bool force,
		    struct buf *messages);
int guard_confirm(struct guard *g); /* -ENOENT: nothing waits for it */
/* Back at once to what was in force before the load that waits to be confirmed; -ENOENT: none does. */
int guard_roll_back(struct guard *g, struct buf *messages);
int guard_clear(struct guard *g); /* no policy, no dated rules, no pins, nothing kept */

/*
 * At start: what was in force before, or the policy that egret.conf names (path NULL or mode OFF: none). A snapshot
 * that is damaged is set aside and said; a policy with mistakes is said, too, and leaves what was in force.
 */
int guard_restore(struct guard *g, const char *path, enum guard_mode mode, struct buf *messages);
/* SIGHUP: egret.conf's file again; of what was loaded otherwise only its lists. -ENOENT: none in force. */
int guard_reload(struct guard *g, struct buf *messages);

/*
 * For who follows a publisher (src/fleet). What he loads is `from_conf`, so that it goes when egret.conf says so; what
 * somebody loads by hand is not.
 */
bool guard_holds(const struct guard *g, const struct policy *p, enum guard_mode mode);
bool guard_waits(const struct guard *g);        /* to be confirmed */
bool guard_by_hand(const struct guard *g);      /* a policy that was loaded by hand */
uint64_t guard_refusals(const struct guard *g); /* calls and packets, of the rules of now */
/* A policy that is not in force, for guard_would(). As guard_load(): -EINPROGRESS, -EAGAIN, -EINVAL. */
struct policy_image;
int guard_compile(struct guard *g, const struct policy *p, struct policy_image **ret,
		  struct buf *messages);
/* Whether it refuses a flow; what the other side opened no policy refuses. */
bool guard_would(const struct guard *g, const struct policy_image *img, const struct flow *f);
void guard_set_origin(struct guard *g, const char *origin); /* for guard_status() */

/* Once a second: deadlines, dated rules, quotas, time line, lists, resolvers. */
void guard_tick(struct guard *g);
/* After the pipeline took the event in: whose container a cgroup is becomes known to the kernel. */
void guard_event(struct guard *g, const struct event *e);
/* The last record of a flow: its bytes go to the rule that decided. */
void guard_flow_ended(struct guard *g, const struct flow *f);
/* The flow table recognised a protocol: the kernel is told when a rule names it. */
void guard_app_known(struct guard *g, const struct flow *f);

/* Dated rules in front of all others. `rule` is one rule of policy text ("deny to example.com"); for_s 0: until taken away. */
int guard_block(struct guard *g, struct str rule, uint64_t for_s, struct str note,
		struct buf *messages);
/* The one with this text, or all (rule empty). How many, 0: there is none; -errno with messages. */
int guard_unblock(struct guard *g, struct str rule, struct buf *messages);

/* What a verdict's rule is. Of the last generations only; false: not known (any more). Texts are borrowed until the next load. */
struct guard_rule {
	struct str file, text, note;
	uint32_t line; /* 0: not written by anybody */
	bool is_default, is_implied, is_block;
	const struct policy_rule *rule; /* NULL: the default, the implied allow */
};
bool guard_rule(const struct guard *g, uint32_t gen, uint16_t rule, struct guard_rule *ret);

const struct policy *guard_policy(const struct guard *g, uint32_t gen); /* NULL as above */
/* The same of a policy at hand; `rule` as policy_explain() counts. */
bool guard_rule_of(const struct policy *p, size_t rule, struct guard_rule *ret);

enum guard_mode guard_mode(const struct guard *g);
uint32_t guard_gen(const struct guard *g); /* 0: no policy */

/* Rules of the policy in force that decided something, with what they decided, over loads and restarts. */
struct guard_hits {
	struct guard_rule rule;
	enum eg_action action;
	uint64_t verdicts;
	uint64_t limited_packets, limited_bytes; /* dropped: they were over its rate */
};
void guard_each_hits(const struct guard *g, void (*fn)(void *ctx, const struct guard_hits *h),
		     void *ctx);

/* The members "mode", "quotas" and "budgets" of the answer to `egret quota`. */
void guard_quotas(struct guard *g, struct json *j);
struct guard_quota {
	struct guard_rule rule;
	uint64_t used_bytes, limit_bytes; /* in the period that is now */
};
void guard_each_quota(const struct guard *g, void (*fn)(void *ctx, const struct guard_quota *q),
		      void *ctx);

struct guard_budget {
	const char *name, *currency;
	double of, used, forecast; /* of this month; forecast < 0: it cannot be told yet */
};
void guard_each_budget(const struct guard *g, void (*fn)(void *ctx, const struct guard_budget *b),
		       void *ctx);

/* Its lists: how they are. Of feeds of threat intelligence sentry.h tells the same. */
struct feed_health {
	const char *kind; /* "list", "intel", "fleet" */
	struct str name, from;
	uint64_t entries;
	int64_t age_s; /* since it was fetched, confirmed or written; -1: not known */
	bool expired;
	struct str problem; /* empty: none */
};
typedef void (*feed_health_fn)(void *ctx, const struct feed_health *f);
void guard_each_list(const struct guard *g, feed_health_fn fn, void *ctx);

/* Members of a JSON object, for `egret status` and `egret policy show`. */
void guard_status(const struct guard *g, struct json *j);
void guard_show(struct guard *g, struct json *j);
/* The files of the policy in force, one after the other, each after a comment with its name; -ENOENT: none. */
int guard_text(const struct guard *g, struct buf *ret);
/* The same apart, as the member "files" of an object; nothing without a policy. */
void guard_files(const struct guard *g, struct json *j);

/* `egret why`: the members of the answer, from the policy in force. -ENOENT: none; -EINVAL with words in `error`. */
struct question;
int guard_why(const struct guard *g, const struct question *q, struct json *j, char error[256]);
