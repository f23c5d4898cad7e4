/* SPDX-License-Identifier: Apache-2.0 */
/* Inside src/sentry only. */
#pragma once

#include <limits.h>
#include <sys/types.h>
#include <time.h>

#include "detect/prevalence.h"
#include "sentry/sentry.h"

#define RESPONSES_KEPT 64

struct sentry {
	struct sentry_config cfg;
	struct detect *detect;
	struct intel_live *intel;
	struct origin *origin;
	struct {
		uint64_t due_ns;
		int child;   /* that writes; 0: none */
		bool failed; /* said once, until it works again */
	} save;
	struct {
		uint64_t rule; /* hash of its text */
		uint64_t until_ns;
	} done[RESPONSES_KEPT]; /* dated rules that findings put in force */
	size_t n_done;
	struct {
		char folder[PATH_MAX]; /* empty: there is no fleet */
		uint64_t due_ns;
		struct prevalence_head head; /* time_s 0: nothing was read */
		bool used;                   /* no: it is too old */
		int problem;                 /* -errno, of the file that is there; 0: none */
		ino_t inode;
		struct timespec changed;
	} fleet;
};

/* intel.c */
struct intel_live;
int intel_live_new(struct intel_live **ret, struct sentry *s);
struct intel_live *intel_live_free(struct intel_live *l);
struct intel_slot *intel_live_slot(struct intel_live *l);
void intel_live_start(struct intel_live *l); /* when s->detect is there */
void intel_live_tick(struct intel_live *l);
void intel_live_reload(struct intel_live *l); /* the file of feeds, and the files it names, again */
void intel_live_list(struct intel_live *l, struct json *j);
void intel_live_each(struct intel_live *l, feed_health_fn fn, void *ctx);
void intel_live_status(struct intel_live *l, struct json *j); /* one object */
void intel_live_check(struct intel_live *l, struct str words, struct json *j);
void intel_live_add(struct intel_live *l, const struct detect_request *q, struct json *j);
void intel_live_remove(struct intel_live *l, const struct detect_request *q, struct json *j);

/* state.c */
int state_read(
	struct sentry *
		s); /* < 0: nothing is to be kept of what was read; said, unless there was no file */
void state_stop(struct sentry *s); /* waits for a child that writes: what follows is newer */
void state_tick(struct sentry *s);
int state_write(struct sentry *s); /* now, in this process */

/* prevalence.c */
void prevalence_tick(struct sentry *s);
void prevalence_each(const struct sentry *s, feed_health_fn fn, void *ctx);
void prevalence_status(const struct sentry *s, struct json *j); /* one object, or nothing */

/* respond.c: what the policy says is to be done; its words in `said`, empty when nothing. */
void respond(struct sentry *s, const struct finding *f, struct buf *said);
