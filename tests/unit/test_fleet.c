/* SPDX-License-Identifier: Apache-2.0 */
/* Policy for fleets, its pure part: signatures of the real minisign, manifests, who takes what, stages by the clock. */
#include "test.h"

#include <errno.h>

#include "base/buf.h"
#include "fleet/parcel.h"
#include "fleet/rollout.h"
#include "fleet/signature.h"
#include "guard/bundle.h"

/* Made by Debian's minisign 0.11 for this test; the private keys are gone. */
#define KEY "RWR615Mj17YiW7b2rz746iHefEK4888GT7Ky4eBUSrCWJ6EnLDTUHiEJ"
#define OTHER "RWS6QUokOnJwPEAefj8l+F3xiW0SBb/1WZDiv59VrrWdljlCKnFIzPtF"
#define TEXT "hello fleet\n"
static const char good[] =
	"untrusted comment: signature from minisign secret key\n"
	"RUR615Mj17YiW/"
	"gn3N03nWj60gtIiYqtkUMzIbE7CzMNrDjgPjXlLS2XL3s8LEV5N2AXGIGTHZh9hik1gjV9yUCJRw+"
	"WUtkoVgM=\n"
	"trusted comment: timestamp:1800000000\tfile:f\thashed\n"
	"2b25XDH3NGUJQX3CzoydcyC987/ZwOU4bpphHSUDa1QlLD8TnS/"
	"NdZVtcdu2nKpgXGTBj3d2Qu5qDkOCQHjMBw==\n";
static const char legacy[] =
	"untrusted comment: signature from minisign secret key\n"
	"RWR615Mj17YiW9beCKnHScl70c5cRLvRiJF1iwUl4XXa/"
	"EbvAkyB5GieTNSWZqanJ3ZlRPwX7vncOwOQEGsujHe1AmtcALWU"
	"vws=\n"
	"trusted comment: timestamp:1795958280\tfile:f\n"
	"zcqtQ2HvKsLkWs64Rdol+ZPdiMBQ6clCXlvtaLh5esU7camr6ZbYcarea3v6u4iD9qxoWrYD5l3VX3gyvUD2Dw=="
	"\n";

/* ---- signatures ---- */

static struct fleet_key key(const char *text)
{
	struct fleet_key k;

	assert_ok(fleet_key_parse(str_of(text), &k));
	return k;
}

static int verify(struct str signature, struct str file, const char *with)
{
	struct fleet_key k = key(with);
	struct fleet_signature s;
	const char *why = NULL;
	int r = fleet_signature_parse(signature, &s, &why);

	if (r == 0)
		r = fleet_signature_verify(&s, file, &k, 1, &why);
	if (r < 0)
		assert_non_null(why);
	return r;
}

static void test_signature(void **state)
{
	struct fleet_key both[] = { key(OTHER), key(KEY) };
	struct fleet_signature s;
	char name[FLEET_KEY_NAME_MAX];
	const char *why;

	assert_ok(fleet_signature_parse(STR(good), &s, &why));
	assert_int_equal(fleet_signature_verify(&s, STR(TEXT), both, 2, &why), 1);
	assert_int_equal(fleet_signature_time(&s), 1800000000);
	assert_string_equal(fleet_key_name(s.id, name), "5B22B6D72393D77A");
	assert_err(verify(STR(good), STR(TEXT), OTHER), -EKEYREJECTED);
	assert_err(verify(STR(good), STR("hello fleet"), KEY), -EKEYREJECTED);
	assert_err(verify(STR(good), STR(""), KEY), -EKEYREJECTED);
	assert_err(verify(STR(legacy), STR(TEXT), KEY), -EINVAL);
}

/* Only what minisign calls untrusted may be another: every other bit counts. */
static void test_signature_damaged(void **state)
{
	size_t trusted = (size_t)(strchr(good, '\n') - good);
	char text[sizeof(good)], file[] = TEXT;

	for (size_t i = trusted; i < sizeof(good) - 2; i++) {
		for (int bit = 0; bit < 8; bit++) {
			memcpy(text, good, sizeof(good));
			text[i] ^= (char)(1 << bit);
			if (verify((struct str){ text, sizeof(good) - 1 }, STR(TEXT), KEY) >= 0)
				fail_msg("byte %zu, bit %d", i, bit);
		}
	}
	for (size_t i = 0; i < sizeof(TEXT) - 1; i++) {
		for (int bit = 0; bit < 8; bit++) {
			file[i] ^= (char)(1 << bit);
			assert_true(verify(STR(good), STR(file), KEY) < 0);
			file[i] ^= (char)(1 << bit);
		}
	}
	for (size_t n = 0; n < sizeof(good) - 2; n++) /* the last line end may be missing */
		assert_true(verify((struct str){ good, n }, STR(TEXT), KEY) < 0);
	assert_true(verify((struct str){ good, sizeof(good) }, STR(TEXT), KEY) < 0);
}

static void test_keys_hostile(void **state)
{
	static const char *const wrong[] = {
		"",        "RW",
		OTHER "A", "RWS6QUokOnJwPEAefj8l",
		"!!!!",    "AAS6QUokOnJwPEAefj8l+F3xiW0SBb/1WZDiv59VrrWdljlCKnFIzPtF"
	};
	struct fleet_key k;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_err(fleet_key_parse(str_of(wrong[i]), &k), -EINVAL);
}

/* ---- manifests ---- */

#define HEAD "egret-fleet 1\nversion 42\n"
#define GROUPS                                                      \
	"group web hosts web-*, www labels prod policy web.egret\n" \
	"group lab labels lab, test policy lab.egret watch\n"       \
	"group other policy \"base dir/base.egret\"\n"

static int parse(struct fleet_manifest *m, const char *text, struct buf *messages)
{
	return fleet_manifest_parse(m, "manifest", str_of(text), messages);
}

static void test_manifest(void **state)
{
	_cleanup_buf_ struct buf messages = BUF_INIT(1U << 16);
	struct fleet_manifest m;

	assert_ok(parse(&m,
			"# policy\n" HEAD
			"note \"block paste sites\"\nexpires 2027-01-31T18:00Z\n" GROUPS
			"rollout watch 1h canary 10% for 2h step-back refusals 3x over 50\n",
			&messages));
	assert_int_equal(messages.n, 0);
	assert_int_equal(m.version, 42);
	assert_str(m.note, "block paste sites");
	assert_int_equal(m.expires_s, 1801418400);
	assert_int_equal(m.n_groups, 3);
	assert_str(m.groups[2].policy, "base dir/base.egret");
	assert_true(m.groups[1].watch && !m.groups[0].watch);
	assert_int_equal(m.rollout.watch_s, 3600);
	assert_int_equal(m.rollout.canary, 10);
	assert_int_equal(m.rollout.for_s, 7200);
	assert_int_equal(m.rollout.times, 3);
	assert_int_equal(m.rollout.over, 50);
	fleet_manifest_done(&m);
}

static void test_manifest_hostile(void **state)
{
	static const struct {
		const char *text, *says;
	} wrong[] = {
		{ "", "egret-fleet 1" },
		{ "version 42\n" GROUPS, "egret-fleet 1" },
		{ "egret-fleet 2\nversion 1\n" GROUPS, "form 1" },
		{ "egret-fleet 1\n" GROUPS, "'version' is missing" },
		{ HEAD, "there is no group" },
		{ HEAD "version 43\n" GROUPS, "said before" },
		{ "egret-fleet 1\nversion 0\n" GROUPS, "above 0" },
		{ "egret-fleet 1\nversion 99999999999999999999\n" GROUPS, "above 0" },
		{ "egret-fleet 1\nversion -1\n" GROUPS, "above 0" },
		{ HEAD "grup a policy b\n", "did you mean 'group'" },
		{ HEAD "group a policy /etc/passwd\n", "beside the manifest" },
		{ HEAD "group a policy ../x\n", "beside the manifest" },
		{ HEAD "group a policy x/../../y\n", "beside the manifest" },
		{ HEAD "group a policy manifest\n", "beside the manifest" },
		{ HEAD "group a policy x enforce watch\n", "should end here" },
		{ HEAD "group a/b policy x\n", "a name of letters" },
		{ HEAD "group a policy x\ngroup a policy y\n", "a group of this name" },
		{ HEAD "group a hosts labels policy x\n", "name of a host" },
		{ HEAD "group a hosts web, policy\n", "name of a host" },
		{ HEAD "group a\n", "hosts, labels or policy" },
		{ HEAD "expires soon\n" GROUPS, "a date" },
		{ HEAD "note none\n" GROUPS, "in quotes" },
		{ HEAD GROUPS "rollout canary 101% for 1h\n", "a share" },
		{ HEAD GROUPS "rollout canary 0% for 1h\n", "a share" },
		{ HEAD GROUPS "rollout canary 10\n", "a share" },
		{ HEAD GROUPS "rollout canary 10%\n", "needs 'for'" },
		{ HEAD GROUPS "rollout for 31d\n", "at most 30d" },
		{ HEAD GROUPS "rollout for 250ms\n", "whole seconds" },
		{ HEAD GROUPS "rollout for 1h for 2h\n", "each once" },
		{ HEAD GROUPS "rollout step-back 3x\n", "refusals" },
		{ HEAD GROUPS "rollout step-back refusals 3\n", "how many times" },
	};
	struct fleet_manifest m;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		_cleanup_buf_ struct buf messages = BUF_INIT(1U << 16);

		if (parse(&m, wrong[i].text, &messages) != -EINVAL)
			fail_msg("%s is taken", wrong[i].text);
		if (!strstr(messages.p, wrong[i].says))
			fail_msg("%s: %s", wrong[i].text, messages.p);
	}
}

static const char *group_of(const struct fleet_manifest *m, const char *host, const char *label)
{
	static char name[FLEET_NAME_MAX + 1];
	struct fleet_host h = { .name = str_of(host), .n_labels = label != NULL };
	const struct fleet_group *g;

	h.labels[0] = str_of(label);
	g = fleet_group_of(m, &h);
	snprintf(name, sizeof(name), "%.*s", g ? (int)g->name.n : 4, g ? g->name.p : "none");
	return name;
}

static void test_groups(void **state)
{
	_cleanup_buf_ struct buf messages = BUF_INIT(1U << 16);
	struct fleet_manifest m;

	assert_ok(parse(&m, HEAD GROUPS, &messages));
	assert_string_equal(group_of(&m, "web-1", "prod"), "web");
	assert_string_equal(group_of(&m, "WWW", "prod"), "web");
	assert_string_equal(group_of(&m, "web-1", "lab"), "lab");
	assert_string_equal(group_of(&m, "web-1", NULL), "other");
	assert_string_equal(group_of(&m, "wwww", "prod"), "other");
	fleet_manifest_done(&m);
	assert_ok(parse(&m, HEAD "group db labels db policy x\n", &messages));
	assert_string_equal(group_of(&m, "web-1", "prod"), "none");
	fleet_manifest_done(&m);
}

static void test_parcel(void **state)
{
	_cleanup_buf_ struct buf bytes = BUF_INIT(1U << 20), messages = BUF_INIT(1U << 16);
	struct policy_file files[] = {
		{ STR("manifest"), STR(HEAD "group a policy a.egret\n") },
		{ STR("a.egret"), STR("include \"more/*.egret\"\ndefault deny\n") },
		{ STR("more/b.egret"), STR("allow to 192.0.2.1\n") },
	};
	struct fleet_parcel p;
	struct policy *policy;

	bundle_put(&bytes, files, 3);
	assert_ok(fleet_parcel_parse(&p, buf_str(&bytes), &messages));
	assert_ok(fleet_parcel_policy(&p, &p.manifest.groups[0], &policy, &messages));
	assert_int_equal(policy->n_rules, 1);
	assert_int_equal(policy->n_files, 2);
	policy_free(policy);
	fleet_parcel_done(&p);
	for (size_t n = 0; n < bytes.n; n++) {
		if (fleet_parcel_parse(&p, str_sub(buf_str(&bytes), 0, n), &messages) == -EINVAL)
			continue;
		/* cut between files: the policy misses what it includes */
		assert_int_equal(p.n_files, 2);
		assert_ok(fleet_parcel_policy(&p, &p.manifest.groups[0], &policy, &messages));
		assert_int_equal(policy->n_rules, 0);
		policy_free(policy);
		fleet_parcel_done(&p);
	}
	buf_clear(&bytes);
	bundle_put(&bytes, files, 1);
	assert_err(fleet_parcel_parse(&p, buf_str(&bytes), &messages), -EINVAL);
	buf_clear(&bytes);
	bundle_put(&bytes, files + 1, 2);
	assert_err(fleet_parcel_parse(&p, buf_str(&bytes), &messages), -EINVAL);
}

/* ---- stages ---- */

static void test_places(void **state)
{
	unsigned first = 0, both = 0;
	char name[32];

	for (int i = 0; i < 10000; i++) {
		bool one, two;

		snprintf(name, sizeof(name), "host-%d.example", i);
		assert_true(fleet_place(str_of(name), 7) < 100);
		assert_int_equal(fleet_place(str_of(name), 7), fleet_place(str_of(name), 7));
		one = fleet_place(str_of(name), 7) < 10;
		two = fleet_place(str_of(name), 8) < 10;
		first += one;
		both += one && two;
	}
	assert_in_range(first, 900, 1100); /* a tenth */
	assert_in_range(both, 50, 150);    /* others with each version */
}

/* What a server tells of other machines, and when it is better to wait. */
static void test_others(void **state)
{
	static const struct {
		const char *text;
		uint64_t enforced, back;
		bool warn;
	} rows[] = {
		{ "", 0, 0, false },
		{ "42\tenforced\t30\n", 30, 0, false },
		{ "42\tenforced\t30\n42\tstepped-back\t2\n", 30, 2, false },
		{ "42\tenforced\t30\n42\tstepped-back\t3\n", 30, 3, true },
		{ "42\tenforced\t3\n42\tkept\t2\n42\tstepped-back\t1\n42\ttook\t90\n", 3, 1, true },
		{ "42\tstepped-back\t1\n", 1, 1, true }, /* its other word has not come yet */
		{ "43\tstepped-back\t9\n41\tstepped-back\t9\n42\tenforced\t9\n", 9, 0, false },
		{ "42\tstepped-back\n42\n\n42\tstepped-back\t-1\nx\tstepped-back\t1\n", 0, 0,
		  false },
	};
	struct fleet_others o;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		fleet_others_parse(str_of(rows[i].text), 42, &o);
		assert_int_equal(o.enforced, rows[i].enforced);
		assert_int_equal(o.back, rows[i].back);
		assert_int_equal(fleet_others_warn(&o), rows[i].warn);
	}
}

static void test_stages(void **state)
{
	struct fleet_rollout r = { .watch_s = 60, .canary = 10, .for_s = 30 }, none = { 0 };
	struct fleet_manifest m = {
		.version = 1, .rollout = { .watch_s = 60, .label = STR("first"), .for_s = 30 }
	};
	struct fleet_host h = { .name = STR("a"), .labels = { STR("first") } };

	assert_int_equal(fleet_stage_at(&r, 1000, 1059), FLEET_SHADOW);
	assert_int_equal(fleet_stage_at(&r, 1000, 1060), FLEET_CANARY);
	assert_int_equal(fleet_stage_at(&r, 1000, 1089), FLEET_CANARY);
	assert_int_equal(fleet_stage_at(&r, 1000, 1090), FLEET_ALL);
	assert_int_equal(fleet_stage_at(&none, 1000, 1000), FLEET_ALL);
	r.canary = 0; /* nobody is first: then `for` is how long a version is on trial */
	assert_int_equal(fleet_stage_at(&r, 1000, 1060), FLEET_ALL);
	assert_int_equal(fleet_trial_s(&r), 30);
	assert_int_equal(fleet_trial_s(&none), FLEET_TRIAL_S);
	assert_int_equal(fleet_turn_s(&m, &h, 1000), 1090);
	h.n_labels = 1;
	assert_int_equal(fleet_turn_s(&m, &h, 1000), 1060);
}

static void test_start(void **state)
{
	assert_int_equal(fleet_start_s(1000, 0, 5000), 1000); /* was away, or is new */
	assert_int_equal(fleet_start_s(1000, 4700, 5000),
			 4700); /* published long after it was signed */
	assert_int_equal(fleet_start_s(9000, 4700, 5000), 5000); /* a clock that is ahead */
	assert_int_equal(fleet_start_s(0, 0, 5000), 5000);       /* not said */
}

static void test_limit(void **state)
{
	struct fleet_rollout r = { .times = 3, .over = 20 }, none = { 0 };
	struct fleet_rate rate = { 0 };

	assert_int_equal(fleet_limit(&none, &rate), UINT64_MAX);
	assert_int_equal(fleet_limit(&r, &rate), 20);
	fleet_rate_add(&rate, 5, 60);
	assert_int_equal(fleet_limit(&r, &rate), 20);
	fleet_rate_add(&rate, 15, 60);
	assert_int_equal(fleet_limit(&r, &rate), 30); /* 10 a minute before */
	for (int i = 0; i < 2000; i++) /* hours later, what was before weighs nothing */
		fleet_rate_add(&rate, 10, 10);
	assert_in_range(fleet_limit(&r, &rate), 170, 180);
	assert_in_range(rate.seconds, 1800, 3600);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_signature),
		cmocka_unit_test(test_signature_damaged),
		cmocka_unit_test(test_keys_hostile),
		cmocka_unit_test(test_manifest),
		cmocka_unit_test(test_manifest_hostile),
		cmocka_unit_test(test_groups),
		cmocka_unit_test(test_parcel),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_stages),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_start),
		cmocka_unit_test(test_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
