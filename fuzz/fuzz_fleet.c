/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What hosts take from a publisher: the first byte says whether a signature of minisign, a manifest or a whole bundle follows, or what
 * a server tells of other machines. Any bytes are read, or refused with a word about it.
 */
#include <stdlib.h>

#include "fleet/parcel.h"
#include "fleet/rollout.h"
#include "fleet/signature.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void try_signature(struct str text)
{
	struct fleet_key key = { 0 };
	struct fleet_signature s;
	const char *why = NULL;

	if (fleet_key_parse(text, &key) < 0 && fleet_signature_parse(text, &s, &why) < 0) {
		check(why != NULL);
		return;
	}
	if (why == NULL)
		return; /* it was a key */
	check(s.comment.n < FLEET_SIGNATURE_MAX);
	check(fleet_signature_time(&s) >= 0);
	memcpy(key.id, s.id, sizeof(key.id));
	check(fleet_signature_verify(&s, STR("no key signed this"), &key, 1, &why) < 0);
}

static void try_host(const struct fleet_manifest *m)
{
	struct fleet_host h = { .name = STR("web-1"), .labels = { STR("prod") }, .n_labels = 1 };
	const struct fleet_group *g = fleet_group_of(m, &h);
	int64_t turn = fleet_turn_s(m, &h, 1000);

	check(!g || fleet_path_ok(g->policy));
	check(turn >= 1000 && turn <= 1000 + 60 * 86400);
	check(fleet_place(h.name, m->version) < 100);
	check(fleet_stage_at(&m->rollout, 1000, turn + 30 * 86400) == FLEET_ALL);
}

static void try_manifest(struct str text)
{
	struct buf messages = BUF_INIT(1U << 20);
	struct fleet_manifest m;

	if (fleet_manifest_parse(&m, "manifest", text, &messages) < 0) {
		check(messages.n || messages.failed);
	} else {
		check(m.version && m.n_groups && m.n_groups <= FLEET_GROUPS_MAX);
		try_host(&m);
		fleet_manifest_done(&m);
	}
	buf_done(&messages);
}

static void try_bundle(struct str bytes)
{
	struct buf messages = BUF_INIT(1U << 20);
	struct policy *policy = NULL;
	struct fleet_parcel p;

	if (fleet_parcel_parse(&p, bytes, &messages) == 0) {
		try_host(&p.manifest);
		for (size_t i = 0; i < p.manifest.n_groups && i < 4; i++)
			if (fleet_parcel_policy(&p, &p.manifest.groups[i], &policy, &messages) == 0)
				policy_free(policy);
		fleet_parcel_done(&p);
	}
	buf_done(&messages);
}

static void try_others(struct str text)
{
	struct fleet_others o;

	fleet_others_parse(text, 42, &o);
	check(o.back <= o.enforced && (o.back || !fleet_others_warn(&o)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = { (const char *)data + 1, size - 1 };

	if (!size)
		return 0;
	if (data[0] == 's')
		try_signature(rest);
	else if (data[0] == 'm')
		try_manifest(rest);
	else if (data[0] == 'o')
		try_others(rest);
	else
		try_bundle(rest);
	return 0;
}
