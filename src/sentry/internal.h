/* SPDX-License-Identifier: Apache-2.0 */
/* Inside src/sentry only. */
#pragma once

#include "sentry/sentry.h"

#define RESPONSES_KEPT 64

struct sentry {
	struct sentry_config cfg;
	struct detect *detect;
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
};

/* state.c */
int state_read(struct sentry *s);
void state_tick(struct sentry *s);
int state_write(struct sentry *s); /* now, in this process */

/* respond.c: what the policy says is to be done; its words in `said`, empty when nothing. */
void respond(struct sentry *s, const struct finding *f, struct buf *said);
