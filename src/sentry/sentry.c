/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/sentry.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "base/time.h"
#include "flow/origin.h"
#include "guard/guard.h"
#include "sentry/internal.h"

#define ACK_DEFAULT_NS (30 * 86400 * NSEC_PER_SEC)
#define MAX_RESOLVERS 16

static void on_finding(void *ctx, const struct finding *told)
{
	_cleanup_buf_ struct buf said = BUF_INIT(2048);
	struct sentry *s = ctx;
	struct finding f = *told;

	if (f.state != FINDING_CLOSED)
		respond(s, &f, &said);
	f.response = buf_str(&said);
	s->cfg.out.on_finding(s->cfg.out.ctx, &f);
}

/* Those that /etc/resolv.conf names, as the policy's word `system` means them. */
static size_t system_resolvers(struct addr ret[MAX_RESOLVERS])
{
	_cleanup_buf_ struct buf messages = BUF_INIT(4096);
	const struct policy_file file = { STR("resolvers"),
					  STR("resolvers system\ndefault allow\n") };
	struct policy *p;
	size_t n = 0;

	if (policy_parse_files(&p, &file, 1, STR_NONE, &messages) < 0)
		return 0;
	for (size_t i = 0; i < p->n_resolvers && n < MAX_RESOLVERS; i++)
		ret[n++] = p->resolvers[i].lo;
	policy_free(p);
	return n;
}

static int make_detect(struct sentry *s)
{
	static struct addr resolvers[MAX_RESOLVERS]; /* outlives the detect that borrows it */

	return detect_new(&s->detect,
			  &(struct detect_config){ .vantage = DETECT_HOST,
						   .texts = s->cfg.texts,
						   .procs = s->cfg.procs,
						   .origin = s->origin,
						   .warm_up_ns = s->cfg.learn_ns,
						   .resolvers = resolvers,
						   .n_resolvers = system_resolvers(resolvers),
						   .intel = intel_live_slot(s->intel) },
			  (struct finding_out){ on_finding, s });
}

int sentry_new(struct sentry **ret, const struct sentry_config *cfg)
{
	struct sentry *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->cfg = *cfg;
	snprintf(s->fleet.folder, sizeof(s->fleet.folder), "%s", cfg->fleet ?: "");
	r = intel_live_new(&s->intel, s);
	if (r == 0)
		r = origin_new(&s->origin, "");
	if (r == 0)
		r = make_detect(s);
	if (r == 0 && state_read(s) < 0) {
		/* Half of it may have been taken in. */
		detect_free(s->detect);
		s->detect = NULL;
		r = make_detect(s);
	}
	if (r < 0) {
		detect_free(s->detect);
		origin_free(s->origin);
		intel_live_free(s->intel);
		free(s);
		return r;
	}
	intel_live_start(s->intel);
	*ret = s;
	return 0;
}

struct sentry *sentry_free(struct sentry *s)
{
	int r;

	if (!s)
		return NULL;
	state_stop(s);
	r = state_write(s);
	if (r < 0)
		log_errno(r, "what was learned of this host could not be written");
	detect_free(s->detect);
	intel_live_free(s->intel);
	origin_free(s->origin);
	free(s);
	return NULL;
}

struct detect *sentry_detect(struct sentry *s)
{
	return s->detect;
}

void sentry_set_guard(struct sentry *s, struct guard *g)
{
	s->cfg.guard = g;
}

void sentry_reload(struct sentry *s)
{
	intel_live_reload(s->intel);
}

void sentry_tick(struct sentry *s)
{
	detect_tick(s->detect, s->cfg.now());
	intel_live_tick(s->intel);
	prevalence_tick(s);
	state_tick(s);
}

/* --- answers -------------------------------------------------------------------------------------------------------- */

struct asked {
	struct sentry *s;
	const struct detect_request *q;
	const struct filter *filter;
	enum severity least;
	struct finding_out to;
};

static bool is(const char *asked, const char *has)
{
	return !asked[0] || (has && !strcmp(asked, has));
}

static void pick(void *ctx, const struct finding *f)
{
	const struct asked *a = ctx;
	uint64_t now = a->s->cfg.now();

	if (!is(a->q->id, f->id) || !is(a->q->detector, f->detector) ||
	    !is(a->q->class, finding_class_name(f->class)) || f->severity < a->least)
		return;
	if (a->q->last_s && f->last_ns + a->q->last_s * NSEC_PER_SEC < now &&
	    f->time_ns + a->q->last_s * NSEC_PER_SEC < now)
		return;
	if (a->filter && !finding_match(f, a->filter))
		return;
	a->to.on_finding(a->to.ctx, f);
}

void sentry_findings(struct sentry *s, const struct detect_request *q, const struct filter *filter,
		     struct finding_out to)
{
	struct asked a = { s, q, filter, SEVERITY_NONE, to };

	if (q->level[0])
		severity_parse(str_of(q->level), &a.least);
	detect_each(s->detect, q->low || q->id[0], (struct finding_out){ pick, &a });
}

struct found {
	const char *id;
	struct exception *e;
	bool by_entity, by_peer;
	bool any;
};

static void take_words(void *ctx, const struct finding *f)
{
	struct found *at = ctx;

	if (strcmp(f->id, at->id) || at->any)
		return;
	at->any = true;
	if (at->by_entity)
		snprintf(at->e->entity, sizeof(at->e->entity), "%.*s",
			 STR_FMT(f->exe.n ? f->exe : f->entity));
	if (at->by_peer)
		snprintf(at->e->peer, sizeof(at->e->peer), "%.*s", STR_FMT(f->peer));
}

static void put_result(struct json *j, int r, const char *problem)
{
	json_bool(j, "done", r >= 0);
	if (r < 0)
		json_text(j, "messages", problem);
}

/* Words that were not given come from the finding, as far as the scope asks for them. */
static void ack(struct sentry *s, const struct detect_request *q, struct json *j)
{
	struct exception e = { .since_ns = s->cfg.now() };
	struct found at = { .id = q->id, .e = &e };
	int r;

	snprintf(e.entity, sizeof(e.entity), "%s", q->entity);
	snprintf(e.peer, sizeof(e.peer), "%s", q->peer);
	snprintf(e.detector, sizeof(e.detector), "%s", q->detector);
	snprintf(e.note, sizeof(e.note), "%s", q->note);
	e.until_ns = e.since_ns + (q->seconds ? q->seconds * NSEC_PER_SEC : ACK_DEFAULT_NS);
	if (q->id[0]) {
		at.by_entity = !q->entity[0] && strcmp(q->class, "peer");
		at.by_peer = !q->peer[0] && strcmp(q->class, "entity");
		detect_each(s->detect, true, (struct finding_out){ take_words, &at });
		if (!at.any) {
			put_result(j, -ENOENT, "there is no such finding");
			return;
		}
	}
	r = detect_except(s->detect, &e);
	put_result(j, r,
		   r == -E2BIG ? "there are too many exceptions already"
			       : "an exception names a program, a peer or a detector");
	if (r < 0)
		return;
	json_text(j, "entity", e.entity);
	json_text(j, "peer", e.peer);
	json_text(j, "detector", e.detector);
	json_u64(j, "until_s", e.until_ns / NSEC_PER_SEC);
	log_info("acknowledged until further notice: %s to %s", e.entity[0] ? e.entity : "anything",
		 e.peer[0] ? e.peer : "anywhere");
	s->save.due_ns = 0; /* what the user said is written at once */
}

static void exceptions(struct sentry *s, struct json *j)
{
	size_t n;
	const struct exception *all = detect_exceptions(s->detect, &n);
	char text[TIME_TEXT_MAX];

	json_array_begin(j, "exceptions");
	for (size_t i = 0; i < n; i++) {
		json_object_begin(j, NULL);
		json_u64(j, "number", i + 1);
		json_text(j, "entity", all[i].entity);
		json_text(j, "peer", all[i].peer);
		json_text(j, "detector", all[i].detector);
		json_text(j, "note", all[i].note);
		json_text(j, "since", time_format(all[i].since_ns, text));
		json_text(j, "until", time_format(all[i].until_ns, text));
		json_bool(j, "over", all[i].until_ns <= s->cfg.now());
		json_object_end(j);
	}
	json_array_end(j);
}

void sentry_answer(struct sentry *s, const struct detect_request *q, struct json *j)
{
	bool there;

	switch (q->verb) {
	case DETECT_DO_ACK:
		ack(s, q, j);
		return;
	case DETECT_DO_UNACK:
		there = q->number && detect_unexcept(s->detect, (size_t)q->number - 1);
		put_result(j, there ? 0 : -ENOENT, "there is no exception of that number");
		s->save.due_ns = 0;
		return;
	case DETECT_DO_EXCEPTIONS:
		exceptions(s, j);
		return;
	case DETECT_DO_INTEL_LIST:
		intel_live_list(s->intel, j);
		return;
	case DETECT_DO_INTEL_CHECK:
		intel_live_check(s->intel, str_of(q->indicator), j);
		return;
	case DETECT_DO_INTEL_ADD:
		intel_live_add(s->intel, q, j);
		return;
	case DETECT_DO_INTEL_REMOVE:
		intel_live_remove(s->intel, q, j);
		return;
	case DETECT_DO_INTEL_REFRESH:
		intel_live_reload(s->intel);
		json_bool(j, "done", true);
		return;
	case DETECT_VERB_COUNT:
		break;
	}
}

uint64_t sentry_open(const struct sentry *s)
{
	struct detect_stats st;

	detect_stats(s->detect, &st);
	return st.cases_open;
}

void sentry_status(struct sentry *s, struct json *j)
{
	char text[TIME_TEXT_MAX];
	struct detect_stats st;

	detect_stats(s->detect, &st);
	json_u64(j, "findings", st.cases_open);
	json_u64(j, "entities", st.entities);
	json_u64(j, "peers", st.peers);
	json_u64(j, "pairs", st.pairs);
	json_u64(j, "held_back", st.held_back);
	json_u64(j, "no_room", st.no_room);
	json_u64(j, "memory_bytes", st.memory_bytes);
	json_bool(j, "learning", st.warming);
	if (st.warming)
		json_text(j, "learning_until", time_format(st.warm_until_ns, text));
	intel_live_status(s->intel, j);
	prevalence_status(s, j);
	json_object_begin(j, "evicted");
	json_u64(j, "entities", st.evicted_entities);
	json_u64(j, "peers", st.evicted_peers);
	json_u64(j, "pairs", st.evicted_pairs);
	json_u64(j, "dossiers", st.evicted_dossiers);
	json_u64(j, "shells", st.evicted_shells);
	json_object_end(j);
}

void sentry_each_feed(struct sentry *s, feed_health_fn fn, void *ctx)
{
	intel_live_each(s->intel, fn, ctx);
	prevalence_each(s, fn, ctx);
}
