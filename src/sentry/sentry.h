/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Detection in a live process: what is remembered across restarts, what the user declared ordinary, what a finding sets in
 * motion (`response` of the policy), and the answers to `egret findings`, `ack` and `intel`. Used by egretd. One thread, the
 * caller's loop.
 */
#pragma once

#include "detect/detect.h"
#include "guard/guard.h"
#include "serve/request_detect.h"

struct guard;
struct json;
struct loop;
struct sentry;

struct sentry_config {
	const char *state; /* folder; NULL: nothing is remembered */
	const char *fleet; /* folder of PREVALENCE_FILE (detect/prevalence.h), copied; NULL: none */
	struct loop *loop; /* borrowed, as all that follows */
	struct intern *texts;
	struct proc_table *procs;
	struct guard *guard; /* NULL: nothing can be refused */
	uint64_t (*now)(void);
	uint64_t learn_ns;      /* see detect_config.warm_up_ns */
	struct finding_out out; /* findings as they are told */
};

/* Reads what an earlier process remembered; damaged, it is set aside and said. */
int sentry_new(struct sentry **ret, const struct sentry_config *cfg);
struct sentry *sentry_free(struct sentry *s); /* writes what is to be remembered */

struct detect *sentry_detect(struct sentry *s);
void sentry_set_guard(struct sentry *s, struct guard *g);
void sentry_tick(struct sentry *s);   /* once a second */
void sentry_reload(struct sentry *s); /* SIGHUP: the feeds again */

/* For the control socket; see serve/control.h. */
void sentry_findings(struct sentry *s, const struct detect_request *q, const struct filter *filter,
		     struct finding_out to);
void sentry_answer(struct sentry *s, const struct detect_request *q, struct json *j);
void sentry_status(struct sentry *s, struct json *j); /* members of an object */
void sentry_each_feed(struct sentry *s, feed_health_fn fn, void *ctx);
uint64_t sentry_open(const struct sentry *s); /* cases that are open */
