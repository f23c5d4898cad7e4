/* SPDX-License-Identifier: Apache-2.0 */
/* What is to be done, each second. */
#include "fleet/follower.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "base/time.h"
#include "fleet/internal.h"
#include "flow/record.h"

#define CONFIRM_MORE_S \
	60 /* the guard goes back by itself so long after the trial, should nobody confirm */
#define LOAD_AGAIN_S 300
#define LIST_AGAIN_S 60

int64_t follower_now_s(const struct follower *f)
{
	return (int64_t)((f->cfg.now ? f->cfg.now() : time_now()) / NSEC_PER_SEC);
}

bool follower_say(char said[WHY_MAX], const char *fmt, ...)
{
	char text[WHY_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!strcmp(said, text))
		return false;
	memcpy(said, text, WHY_MAX);
	log_warn("fleet policy: %s; what is in force stays", text);
	return true;
}

void follower_over(char said[WHY_MAX], const char *what)
{
	if (said[0])
		log_info("fleet policy: %s", what);
	said[0] = 0;
}

static enum guard_mode mode_of(const struct follower *f)
{
	return f->taken.group->watch ? GUARD_WATCH : GUARD_ENFORCE;
}

static enum fleet_stage stage_now(const struct follower *f)
{
	return fleet_stage_at(&f->taken.parcel.manifest.rollout, f->at.start_s, follower_now_s(f));
}

static int64_t turn_s(const struct follower *f)
{
	return fleet_turn_s(&f->taken.parcel.manifest, &f->host, f->at.start_s);
}

/* ---- telling ---- */

static double after_minute(const struct follower *f)
{
	int64_t s = follower_now_s(f) - f->at.enforced_s;

	return f->at.enforced_s && s > 0 ? (double)f->at.refused_after * 60 / (double)s : 0;
}

static void log_event(enum follow_state state, const struct record_policy *p)
{
	static const char *const words[] = { "was taken", "is in force, on trial", "is kept",
					     "is taken back", "waits" };

	log_msg(state >= FOLLOW_STEPPED_BACK ? LOG_WARN : LOG_INFO,
		"fleet policy: version %" PRIu64 " %s%s%.*s%s%.*s%s%.*s", p->version, words[state],
		p->group.n ? ": group " : "", STR_FMT(p->group), p->stage.n ? ", stage " : "",
		STR_FMT(p->stage), p->reason.n ? ": " : "", STR_FMT(p->reason));
}

static void put_own(const struct follower *f, struct record_policy *ret)
{
	const struct policy *p = f->taken.policy;

	ret->group = f->taken.group ? f->taken.group->name : STR("none");
	ret->stage = str_of(fleet_stage_name(stage_now(f)));
	ret->file = p ? p->files[0] : STR_NONE;
	ret->rules = p ? (uint32_t)p->n_rules : 0;
	ret->watched = f->at.watched;
	ret->would_refuse = f->at.would_refuse;
	if (!ret->reason.n)
		ret->reason = f->taken.parcel.manifest.note;
}

void follower_tell(struct follower *f, enum follow_state state, uint64_t version,
		   const char *reason)
{
	static const char *const names[] = { "took",         "enforced", "kept",
					     "stepped-back", "held",     "refused" };
	struct record_policy p = { .state = names[state],
				   .version = version,
				   .reason = reason ? str_of(reason) : STR_NONE };

	if (f->has && version == f->at.version)
		put_own(f, &p);
	if (state >= FOLLOW_ENFORCED && state <= FOLLOW_STEPPED_BACK) {
		p.before = fleet_rate_minute(&f->at.refused_before);
		p.after = after_minute(f);
	}
	if (state != FOLLOW_REFUSED) /* follower_say() has said it */
		log_event(state, &p);
	if (f->cfg.told.on_record)
		f->cfg.told.on_record(
			f->cfg.told.ctx,
			&(struct record){ .type = RECORD_POLICY,
					  .time_ns = (uint64_t)follower_now_s(f) * NSEC_PER_SEC,
					  .policy = &p });
}

static void set_origin(struct follower *f)
{
	char text[256] = "";

	if (f->has && f->at.in_force == f->at.version && f->taken.group)
		snprintf(text, sizeof(text), "fleet version %" PRIu64 ", group %.*s%s",
			 f->at.version, STR_FMT(f->taken.group->name),
			 f->at.on_trial ? ", on trial" : "");
	else if (f->at.in_force)
		snprintf(text, sizeof(text), "fleet version %" PRIu64, f->at.in_force);
	guard_set_origin(f->cfg.guard, guard_by_hand(f->cfg.guard) ? "loaded by hand" : text);
}

/* ---- in force ---- */

static void now_in_force(struct follower *f)
{
	struct progress *at = &f->at;

	if (at->in_force != at->version && !at->on_trial)
		at->before = at->in_force;
	at->in_force = at->version;
	at->enforced_s = follower_now_s(f);
	at->on_trial = guard_waits(f->cfg.guard);
	at->trial_s = fleet_trial_s(&f->taken.parcel.manifest.rollout);
	at->most = MIN(fleet_limit(&f->taken.parcel.manifest.rollout, &at->refused_before),
		       (uint64_t)INT64_MAX);
	at->refused_after = 0;
	follower_shadow_drop(f);
	follower_trial_begin(f);
	follower_keep(f);
	follower_tell(f, FOLLOW_ENFORCED, at->version, NULL);
}

static void load_failed(struct follower *f, int r, const struct buf *messages)
{
	struct str rest = buf_str(messages), line = STR_NONE;

	while (str_cut(&rest, '\n', &line))
		if (memmem(line.p, line.n, "error: ", 7))
			break;
	f->load_again_s = follower_now_s(f) + (r == -EINPROGRESS ? 1
					       : r == -EAGAIN    ? LIST_AGAIN_S
								 : LOAD_AGAIN_S);
	if (r == -EINPROGRESS)
		return;
	if (follower_say(f->trouble, "version %" PRIu64 " cannot be put in force: %.*s",
			 f->at.version, (int)MIN(line.n, (size_t)WHY_MAX / 2),
			 line.n ? line.p : strerror(-r)))
		follower_tell(f, FOLLOW_REFUSED, f->at.version, f->trouble);
}

/* One that did no harm until a newer one came is what that goes back to, not what was before it, which may be nothing. */
static void end_trial_early(struct follower *f)
{
	if (!f->at.on_trial || f->at.in_force == f->at.version)
		return;
	guard_confirm(f->cfg.guard);
	f->at.on_trial = false;
}

static void put_in_force(struct follower *f)
{
	_cleanup_buf_ struct buf messages = BUF_INIT(MESSAGES_MAX);
	const struct policy *p = f->taken.policy;
	_cleanup_free_ struct policy_file *files = calloc(p->n_files, sizeof(*files));
	struct guard_load load = {
		.files = files, .n_files = p->n_files, .mode = mode_of(f), .from_conf = true
	};
	int r;

	if (!files)
		return;
	for (size_t i = 0; i < p->n_files; i++)
		files[i] = (struct policy_file){ p->files[i], p->sources[i] };
	load.confirm_s =
		(uint64_t)fleet_trial_s(&f->taken.parcel.manifest.rollout) + CONFIRM_MORE_S;
	end_trial_early(f);
	if (!f->at.on_trial)
		f->at.refused_before = f->rate;
	f->at.tries++;
	/* before: a trial that a kill ends is counted */
	r = follower_keep(f);
	if (r == 0)
		r = guard_load(f->cfg.guard, &load, &messages);
	if (r < 0) {
		f->at.tries--;
		load_failed(f, r, &messages);
		return;
	}
	f->trouble[0] = 0;
	now_in_force(f);
}

static void keep_it(struct follower *f)
{
	guard_confirm(f->cfg.guard); /* somebody may have done so by hand */
	f->at.on_trial = false;
	f->at.tries = 0;
	f->rate = (struct fleet_rate){ 0 };
	f->sampled_s = 0;
	follower_tell(f, FOLLOW_KEPT, f->at.in_force, NULL);
	follower_keep(f);
}

/* Not tried again here until there is a newer version. */
static void call_bad(struct follower *f, const char *why)
{
	struct progress *at = &f->at;

	at->bad = at->in_force;
	snprintf(at->bad_why, sizeof(at->bad_why), "%s", why);
	at->on_trial = false;
	at->in_force = at->before;
	follower_shadow_drop(f);
	follower_keep(f);
	follower_tell(f, FOLLOW_STEPPED_BACK, at->bad, why);
}

static void step_back(struct follower *f, const char *why)
{
	_cleanup_buf_ struct buf messages = BUF_INIT(MESSAGES_MAX);
	int r = guard_roll_back(f->cfg.guard, &messages);
	struct str rest = buf_str(&messages), line;

	while (str_cut(&rest, '\n', &line))
		log_warn("%.*s", STR_FMT(line));
	if (r == -ENOENT) {
		keep_it(f); /* confirmed by hand: whoever did that wants it */
	} else if (r < 0) {
		follower_say(f->trouble,
			     "version %" PRIu64 " does harm (%s) and cannot be taken back: %s",
			     f->at.in_force, why, strerror(-r));
	} else {
		f->trouble[0] = 0;
		f->sampled_s = 0;
		call_bad(f, why);
	}
}

static void watch_trial(struct follower *f)
{
	char why[WHY_MAX];

	if (follower_harm(f, why))
		step_back(f, why);
	else if (follower_now_s(f) >= f->at.enforced_s + f->at.trial_s)
		keep_it(f);
}

/* A newer one was taken meanwhile: what is in force is on trial all the same, until that one's turn comes. */
static void watch_older(struct follower *f)
{
	if (!f->at.on_trial || f->at.in_force == f->at.version)
		return;
	if (guard_waits(f->cfg.guard))
		watch_trial(f);
	else
		f->at.on_trial = false; /* confirmed by hand, or gone while egretd was away */
}

/* ---- what is to be done ---- */

/* It goes on when they are fewer among more, or there is a newer version. */
static bool is_held(struct follower *f)
{
	struct fleet_others others;
	bool held = follower_is_held(f, &others);
	char why[WHY_MAX];

	if (held && !f->held) {
		snprintf(why, sizeof(why),
			 "%" PRIu64 " of %" PRIu64 " machines that enforced it went back from it",
			 others.back, others.enforced);
		follower_tell(f, FOLLOW_HELD, f->at.version, why);
	}
	f->held = held;
	return held;
}

/* It was in force and is not: the guard went back by itself, or somebody loaded something else. */
static bool was_lost(struct follower *f)
{
	if (f->at.in_force != f->at.version)
		return false;
	if (guard_by_hand(f->cfg.guard))
		return true;
	if (f->at.on_trial && f->at.tries >= TRIES_MAX) {
		call_bad(f, "egretd ended each time while it was on trial");
		return true;
	}
	return false;
}

static void reconcile(struct follower *f)
{
	const struct fleet_manifest *m = &f->taken.parcel.manifest;
	int64_t now = follower_now_s(f);

	if (guard_holds(f->cfg.guard, f->taken.policy, mode_of(f))) {
		if (f->at.in_force != f->at.version)
			now_in_force(f); /* a kill came between */
		else if (f->at.on_trial)
			watch_trial(f);
		return;
	}
	if (f->at.bad == f->at.version || was_lost(f))
		return;
	if (now < turn_s(f)) {
		follower_shadow(f);
		return;
	}
	if (m->expires_s && m->expires_s < now) {
		follower_say(f->trouble, "version %" PRIu64 " expired before its turn came",
			     m->version);
		return;
	}
	if (is_held(f)) {
		follower_shadow(f);
		return;
	}
	if (now >= f->load_again_s || now < f->load_again_s - LOAD_AGAIN_S)
		put_in_force(f);
}

void follower_tick(struct follower *f)
{
	if (!f)
		return;
	follower_sample(f);
	watch_older(f);
	if (f->has && f->taken.group)
		reconcile(f);
	set_origin(f);
	follower_ask_tick(f);
}

/* ---- making and unmaking ---- */

static int make_folder(struct follower *f)
{
	if (!f->cfg.state)
		return 0;
	if (asprintf(&f->folder, "%s/fleet", f->cfg.state) < 0) {
		f->folder = NULL;
		return -ENOMEM;
	}
	if (mkdir(f->folder, 0700) < 0 && errno != EEXIST) {
		log_errno(errno,
			  "cannot make the folder %s: the policy of the fleet is not kept over a "
			  "restart",
			  f->folder);
		free(TAKE_PTR(f->folder));
	}
	return 0;
}

int follower_new(struct follower **ret, const struct follower_config *cfg)
{
	struct follower *f = calloc(1, sizeof(*f));
	ssize_t n;

	if (!f)
		return -ENOMEM;
	f->cfg = *cfg;
	f->out_fd = -1;
	f->seen = BUF_INIT(FLEET_SIGNATURE_MAX);
	taken_done(&f->taken);
	f->host.name = str_of(cfg->host);
	for (size_t i = 0; i < cfg->settings->n_labels; i++)
		f->host.labels[f->host.n_labels++] = str_of(cfg->settings->labels[i]);
	n = readlink("/proc/self/exe", f->own_exe, sizeof(f->own_exe) - 1);
	f->own_exe[MAX(n, 0)] = 0;
	if (make_folder(f) < 0) {
		free(f);
		return -ENOMEM;
	}
	follower_recall(f);
	if (f->at.on_trial)
		follower_trial_begin(f);
	set_origin(f);
	*ret = f;
	return 0;
}

struct follower *follower_free(struct follower *f)
{
	if (!f)
		return NULL;
	follower_ask_done(f);
	if (f->has)
		follower_keep(f); /* what was counted */
	follower_shadow_drop(f);
	taken_done(&f->taken);
	buf_done(&f->seen);
	free(f->folder);
	free(f);
	return NULL;
}

/* ---- status ---- */

static void put_time(struct json *j, const char *key, int64_t unix_s)
{
	char text[TIME_TEXT_MAX];

	if (unix_s > 0)
		json_text(j, key, time_format((uint64_t)unix_s * NSEC_PER_SEC, text));
}

static const char *state_now(const struct follower *f)
{
	return !f->has                           ? "nothing taken yet"
	       : !f->taken.group                 ? "no group takes this host"
	       : f->at.bad == f->at.version      ? "stepped back"
	       : guard_by_hand(f->cfg.guard)     ? "overruled by hand"
	       : f->held                         ? "held: others went back from it"
	       : f->at.in_force != f->at.version ? "waits"
	       : f->at.on_trial                  ? "on trial"
						 : "in force";
}

static void put_taken(const struct follower *f, struct json *j)
{
	const struct fleet_manifest *m = &f->taken.parcel.manifest;
	char key[FLEET_KEY_NAME_MAX];

	json_u64(j, "version", m->version);
	if (m->note.n)
		json_str(j, "note", m->note);
	json_text(j, "key", fleet_key_name(f->taken.key, key));
	put_time(j, "expires", m->expires_s);
	json_bool(j, "expired", m->expires_s && m->expires_s < follower_now_s(f));
	json_text(j, "stage", fleet_stage_name(stage_now(f)));
	if (!f->taken.group)
		return;
	json_str(j, "group", f->taken.group->name);
	json_bool(j, "canary", fleet_is_canary(m, &f->host));
	put_time(j, "turn", turn_s(f));
	json_u64(j, "watched", f->at.watched);
	json_u64(j, "would_refuse", f->at.would_refuse);
}

void follower_status(const struct follower *f, struct json *j)
{
	if (!f)
		return;
	json_text(j, "from", f->cfg.settings->from);
	json_text(j, "state", state_now(f));
	if (f->has)
		put_taken(f, j);
	json_u64(j, "in_force", f->at.in_force);
	put_time(j, "enforced", f->at.enforced_s);
	if (f->at.enforced_s) {
		json_f64(j, "refusals_before", fleet_rate_minute(&f->at.refused_before));
		json_f64(j, "refusals_after", after_minute(f));
	}
	if (f->at.bad)
		json_u64(j, "stepped_back_from", f->at.bad);
	if (f->at.bad_why[0])
		json_text(j, "stepped_back_why", f->at.bad_why);
	json_u64(j, "asked", f->asked);
	json_u64(j, "answered", f->answered);
	put_time(j, "asked_last", f->asked_s);
	if (f->away[0])
		json_text(j, "away", f->away);
	if (f->problem[0])
		json_text(j, "problem", f->problem);
	if (f->trouble[0])
		json_text(j, "trouble", f->trouble);
}

bool follower_version(const struct follower *f, uint64_t *ret_version)
{
	*ret_version = f ? f->at.in_force : 0;
	return *ret_version != 0;
}
