/* SPDX-License-Identifier: Apache-2.0 */
/* What a fetch brought: verified before a byte of it is read, and taken whole or not at all. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/time.h"
#include "fleet/internal.h"

DEFINE_CLEANUP(struct policy, policy_free);

void taken_done(struct taken *t)
{
	fleet_parcel_done(&t->parcel);
	policy_free(t->policy);
	buf_done(&t->signature);
	buf_done(&t->bundle);
	*t = (struct taken){ .signature = BUF_INIT(FLEET_SIGNATURE_MAX),
			     .bundle = BUF_INIT(FLEET_BUNDLE_MAX) };
}

/* The first line of messages; the others go to the log. */
static void first_line(const struct buf *messages, char why[WHY_MAX])
{
	struct str rest = buf_str(messages), line = STR("out of memory");

	str_cut(&rest, '\n', &line);
	snprintf(why, WHY_MAX, "%.*s", (int)MIN(line.n, (size_t)WHY_MAX - 1), line.p);
}

static int read_parcel(struct follower *f, struct taken *t, char why[WHY_MAX])
{
	_cleanup_buf_ struct buf messages = BUF_INIT(MESSAGES_MAX);
	int r = fleet_parcel_parse(&t->parcel, buf_str(&t->bundle), &messages);

	if (r == 0) {
		t->group = fleet_group_of(&t->parcel.manifest, &f->host);
		if (t->group)
			r = fleet_parcel_policy(&t->parcel, t->group, &t->policy, &messages);
	}
	if (r < 0)
		first_line(&messages, why);
	return r;
}

int taken_verify(struct follower *f, struct str signature, struct str bundle, struct taken *ret,
		 int64_t *ret_signed_s, char why[WHY_MAX])
{
	const struct follow_settings *s = f->cfg.settings;
	struct fleet_signature sig;
	const char *reason;
	struct taken t = { 0 };
	int r;

	taken_done(&t);
	buf_put_str(&t.signature, signature);
	buf_put_str(&t.bundle, bundle);
	if (t.signature.failed || t.bundle.failed) {
		snprintf(why, WHY_MAX, "it is too large");
		taken_done(&t);
		return -EFBIG;
	}
	r = fleet_signature_parse(buf_str(&t.signature), &sig, &reason);
	if (r == 0)
		r = fleet_signature_verify(&sig, buf_str(&t.bundle), s->keys, s->n_keys, &reason);
	if (r < 0) {
		snprintf(why, WHY_MAX, "%s", reason);
		taken_done(&t);
		return -EKEYREJECTED;
	}
	memcpy(t.key, sig.id, sizeof(t.key));
	*ret_signed_s = fleet_signature_time(&sig);
	r = read_parcel(f, &t, why);
	*ret = t; /* what could be read of it: for words */
	return r;
}

/* Whether this version may take the place of the one before. 1: it is the same. */
static int compare(const struct follower *f, const struct taken *t, char why[WHY_MAX])
{
	const struct fleet_manifest *m = &t->parcel.manifest;
	bool same = f->has && str_eq(buf_str(&t->bundle), buf_str(&f->taken.bundle));

	if (same)
		return 1;
	if (m->version < f->at.version) {
		snprintf(why, WHY_MAX,
			 "version %" PRIu64 " is older than %" PRIu64 ", which was taken before",
			 m->version, f->at.version);
		return -ESTALE;
	}
	if (m->version == f->at.version && f->has) {
		snprintf(why, WHY_MAX,
			 "version %" PRIu64
			 " was taken before and says something else now: a change needs a "
			 "new number",
			 m->version);
		return -ESTALE;
	}
	if (m->expires_s && m->expires_s < follower_now_s(f)) {
		snprintf(why, WHY_MAX, "version %" PRIu64 " has expired", m->version);
		return -ETIME;
	}
	return 0;
}

static void begin(struct follower *f, struct taken *t, int64_t signed_s)
{
	struct progress *at = &f->at;

	taken_done(&f->taken);
	f->taken = *t;
	f->has = true;
	at->version = t->parcel.manifest.version;
	at->start_s = fleet_start_s(signed_s, f->asked_s, follower_now_s(f));
	at->tries = at->watched = at->would_refuse = 0;
	f->load_again_s = 0;
	f->held = false;
	f->trouble[0] = 0;
	follower_shadow_drop(f);
}

/* 0: taken, or as before; -errno with words. */
static int consider(struct follower *f, struct taken *t, int64_t signed_s, char why[WHY_MAX])
{
	int r = compare(f, t, why);

	if (r) {
		taken_done(t);
		return r < 0 ? r : 0;
	}
	begin(f, t, signed_s);
	/* Not kept is not taken: after a restart an older one could come in its place. */
	if (follower_keep(f) < 0)
		log_warn("fleet policy: version %" PRIu64 " is lost when egretd ends",
			 f->at.version);
	follower_tell(f, FOLLOW_TOOK, f->at.version, NULL);
	return 0;
}

static int offer(struct follower *f, struct str signature, struct str bundle, uint64_t *ret_version,
		 char why[WHY_MAX])
{
	struct taken t = { 0 };
	int64_t signed_s = 0;
	int r = taken_verify(f, signature, bundle, &t, &signed_s, why);

	*ret_version = t.parcel.manifest.version;
	if (r == 0)
		return consider(f, &t, signed_s, why);
	taken_done(&t);
	return r;
}

int follower_offer(struct follower *f, struct str signature, struct str bundle)
{
	char why[WHY_MAX] = "";
	uint64_t version;
	int r = offer(f, signature, bundle, &version, why);

	/* What is signed is what it is; what is not may be half of a change. */
	if (r != -EKEYREJECTED && r != -ENOMEM) {
		buf_clear(&f->seen);
		buf_put_str(&f->seen, signature);
	}
	if (r == 0)
		follower_over(f->problem, "what is published is taken again");
	else if (follower_say(f->problem, "%s: %s", f->cfg.settings->from, why))
		follower_tell(f, FOLLOW_REFUSED, version, why);
	return r;
}
