/* SPDX-License-Identifier: Apache-2.0 */
/* The compiler: schedules, lists, what it refuses, ids that stay, the layout of an image. */
#include <errno.h>
#include <time.h>

#include "policy/compile.h"
#include "policy_rig.h"

static void at_time(struct rig *r, int64_t at, int want, const char *words)
{
	struct policy_subject s = subject("198.51.100.7", 443);

	s.unix_s = at;
	if (action(r, &s) != want)
		fail_msg("%s", words);
}

/* Central Europe: the clock goes back on 2026-10-25 at 01:00 UTC, forward on 2027-03-28 at 01:00 UTC. */
static void test_schedules(void **state)
{
	struct rig r;

	setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
	tzset();
	compile_with(&r,
		     "schedule night = sun 02:15-02:45, mon 22:00-06:00\n"
		     "allow during night\nreject until 2026-12-31\ndefault deny\n",
		     NULL);
	at_time(&r, 1792886400 + 15 * 60 - 1, EG_REJECT, "2026-10-25 00:14:59 UTC");
	at_time(&r, 1792886400 + 15 * 60, EG_ALLOW, "00:15 UTC is 02:15 in summer");
	at_time(&r, 1792886400 + 45 * 60, EG_REJECT, "and over at 02:45");
	at_time(&r, 1792886400 + 75 * 60 - 1, EG_REJECT, "not yet again");
	at_time(&r, 1792886400 + 75 * 60, EG_ALLOW, "01:15 UTC is 02:15 in winter");
	at_time(&r, 1792886400 + 105 * 60, EG_REJECT, "and over");
	at_time(&r, 1806195600 - 1, EG_DENY, "2027-03-28: there is no 02:15; until is past");
	at_time(&r, 1806195600 + 1, EG_DENY, "nor then");
	at_time(&r, 1792962000, EG_REJECT, "2026-10-25 22:00 is a Sunday evening");
	at_time(&r, 1793048400 - 1, EG_REJECT, "2026-10-26 21:59:59");
	at_time(&r, 1793048400, EG_ALLOW, "Monday 22:00");
	at_time(&r, 1793048400 + 8 * 3600 - 1, EG_ALLOW, "until Tuesday 06:00");
	at_time(&r, 1793048400 + 8 * 3600, EG_REJECT, "not at 06:00");
	at_time(&r, 1798757999, EG_REJECT, "the last second of 2026");
	at_time(&r, 1798758000, EG_DENY, "the first of 2027");
	done(&r);
	setenv("TZ", "UTC0", 1);
	tzset();
}

/* In the rows of the rule, also where it is several, and in no others. */
static void test_priorities(void **state)
{
	struct policy_subject s = subject("198.51.100.7", 22);
	struct rig r;

	compile_with(&r,
		     "link eth0 1mbit\nallow port 22 except to 192.0.2.7 user 0 priority high\n"
		     "audit port 873 priority low\nallow port 80 priority normal\ndefault deny\n",
		     NULL);
	assert_int_equal(judge(&r, &s).flags, EG_ROW_HIGH);
	s = subject("192.0.2.7", 22);
	assert_int_equal(judge(&r, &s).flags, EG_ROW_HIGH);
	s = subject("192.0.2.7", 873);
	assert_int_equal(judge(&r, &s).flags, EG_ROW_LOW);
	s = subject("192.0.2.7", 80);
	assert_int_equal(judge(&r, &s).flags, 0);
	s = subject("192.0.2.7", 81);
	assert_int_equal(judge(&r, &s).flags, 0);
	done(&r);
}

static void test_lists(void **state)
{
	struct policy_subject s = subject("198.51.100.7", 443);
	struct rig r;

	compile_with(&r,
		     "list bad = file \"bad.txt\"\ndeny to list bad\nreject to list bad\ndefault "
		     "allow\n",
		     "198.51.100.8 198.51.100.16/30 evil.example *.worse.example 2001:db8::/64 "
		     "127.0.0.1 evil.example");
	assert_int_equal(to(&r, "198.51.100.7", 1), EG_ALLOW);
	assert_int_equal(to(&r, "198.51.100.8", 1), EG_DENY);
	assert_int_equal(to(&r, "198.51.100.19", 1), EG_DENY);
	assert_int_equal(to(&r, "198.51.100.20", 1), EG_ALLOW);
	assert_int_equal(to(&r, "2001:db8::77", 1), EG_DENY);
	assert_int_equal(to(&r, "127.0.0.1", 1), EG_ALLOW); /* lists of others name no loopback */
	s.visible = EG_VISIBLE_NAME;
	s.visible_name = STR("evil.example");
	assert_int_equal(action(&r, &s), EG_DENY);
	s.visible_name = STR("worse.example");
	assert_int_equal(action(&r, &s), EG_ALLOW);
	s.visible_name = STR("a.worse.example");
	assert_int_equal(action(&r, &s), EG_DENY);
	assert_int_equal(policy_image_list(r.img, 0)->entries, 7);
	assert_null(policy_image_list(r.img, 1));
	done(&r);
}

static void refused(const char *text, const char *words)
{
	struct rig r;

	assert_err(try_compile(&r, text, NULL, NULL), -EINVAL);
	if (!r.messages.p || !strstr(r.messages.p, words))
		fail_msg("\"%s\" is not in: %s", words, r.messages.p);
	done(&r);
}

static void test_refusals(void **state)
{
	_cleanup_buf_ struct buf text = BUF_INIT(8 << 20);

	refused("list l = file \"/nonexistent/x\"\ndeny to list l\n", "there is no file");
	refused("deny to country de\n", "needs a database");
	refused("deny to asn 64496\n", "needs a database");
	for (int i = 0; i < 65; i++)
		buf_printf(&text, "deny group %d\n", 70000 + i);
	refused(text.p, "too many groups");
	buf_clear(&text);
	for (int i = 0; i < 65; i++)
		buf_printf(&text, "allow app tree of \"/x%d\"\n", i);
	refused(text.p, "tree of");
	buf_clear(&text);
	buf_puts(&text, "deny");
	for (int i = 0; i < 12; i++)
		buf_printf(&text, " except user %d port %d", i, i + 1);
	buf_puts(&text, "\n");
	refused(text.p, "too many rules");
	buf_clear(&text);
	for (int i = 0; i < 13; i++)
		buf_printf(&text, "deny container label \"l%d=1\"\n", i);
	refused(text.p, "too many mixes");
	buf_clear(&text);
	for (int i = 0; i < 20; i++)
		buf_printf(&text, "allow app \"/a/*%c*%c*\"\n", 'a' + i, 'b' + i);
	refused(text.p, "states");
}

/* Processes that live carry ids of trees and groups: they stay until nobody has named them for two loads. */
static void test_ids(void **state)
{
	struct policy_ids ids = { 0 };
	struct policy_subject s = subject("198.51.100.7", 443);
	struct rig r;
	uint64_t b;

	assert_ok(try_compile(
		&r,
		"allow app tree of \"/a\"\nallow app tree of \"/b\"\nallow group 7\ndefault deny\n",
		NULL, &ids));
	b = policy_trees_of(r.img, STR("/b"));
	assert_true(b && b != policy_trees_of(r.img, STR("/a")));
	assert_int_equal(policy_trees_of(r.img, STR("/c")), 0);
	done(&r);
	assert_ok(try_compile(
		&r,
		"allow app tree of \"/c\"\nallow app tree of \"/b\"\nallow group 8\ndefault deny\n",
		NULL, &ids));
	assert_true(policy_trees_of(r.img, STR("/b")) == b);
	assert_int_equal(policy_trees_of(r.img, STR("/a")), 0);
	assert_int_equal(ids.group[0].gid, 7);
	assert_int_equal(ids.group[1].gid, 8);
	s.exe = STR("/b");
	assert_int_equal(action(&r, &s), EG_ALLOW);
	done(&r);
	assert_err(try_compile(&r, "deny to country xx\nallow group 9\n", NULL, &ids), -EINVAL);
	assert_true(ids.group[0].used &&
		    ids.group[0].unused == 1); /* one that fails changes nothing */
	done(&r);
	assert_ok(try_compile(&r, "allow app tree of \"/b\"\ndefault deny\n", NULL, &ids));
	assert_true(policy_trees_of(r.img, STR("/b")) == b);
	assert_false(ids.group[0].used);
	assert_true(ids.group[1].used);
	assert_null(ids.tree[0].pattern);
	done(&r);
	policy_ids_free(&ids);
}

/* No row of a table crosses a page, and every table lies inside. */
static void test_layout(void **state)
{
	_cleanup_buf_ struct buf text = BUF_INIT(1 << 20);
	const struct eg_image *head;
	struct rig r;
	size_t n;

	for (int i = 0; i < 4094; i++)
		buf_printf(&text, "deny user %d to 10.%d.%d.0/24, n%d.example.org port %d\n",
			   i % 50, i / 250, i % 250, i, 1 + i);
	buf_puts(&text, "default allow\n");
	compile_with(&r, text.p, NULL);
	head = policy_image_bytes(r.img, &n);
	assert_int_equal(n % EG_IMAGE_PAGE, 0);
	assert_int_equal(head->bytes, n);
	assert_int_equal(head->words, EG_WORDS_MAX);
	assert_int_equal(head->n_rows, EG_ROWS_MAX);
	for (int i = 0; i < EG_SRC_COUNT; i++) {
		assert_int_equal(head->rows[i].at % EG_IMAGE_PAGE, 0);
		assert_true(head->rows[i].at + head->rows[i].n_classes * 16ULL * head->words <= n);
	}
	assert_int_equal(to(&r, "10.16.93.7", 4094), EG_ALLOW);
	for (int i = 0; i < 4094; i += 97) {
		struct policy_subject s = subject("198.51.100.7", (uint16_t)(1 + i));
		char name[32];

		s.uid = (uint32_t)i % 50;
		snprintf(name, sizeof(name), "n%d.example.org", i);
		s.n_names = 1;
		s.names[0] = str_of(name);
		assert_int_equal(judge(&r, &s).rule, i);
		s.n_names = 0;
		s.remote.b[12] = 10;
		s.remote.b[13] = (uint8_t)(i / 250);
		s.remote.b[14] = (uint8_t)(i % 250);
		assert_int_equal(judge(&r, &s).rule, i);
	}
	done(&r);
}

/* --- rates ------------------------------------------------------------------------------------------------------- */

static const struct eg_limit *limit_of(const struct rig *r, size_t rule)
{
	const struct eg_image *head = (const void *)r->img->bytes;
	const uint16_t *of = (const void *)(r->img->bytes + head->limit_of);
	const struct eg_limit *limits = (const void *)(r->img->bytes + head->limits);

	if (!head->limit_of || !of[rule])
		return NULL;
	assert_in_range(of[rule], 1, head->n_limits);
	return &limits[of[rule] - 1];
}

static void test_limits(void **state)
{
	struct policy_subject s = subject("198.51.100.7", 2);
	const struct eg_limit *l;
	struct eg_verdict v;
	uint64_t id;
	struct rig r;

	compile_with(&r,
		     "allow port 1\nallow port 2 limit 10mbit\naudit port 3 limit 1kbit each app\n",
		     NULL);
	assert_null(limit_of(&r, 0));
	l = limit_of(&r, 1);
	assert_int_equal(l->rate, 1250000);
	assert_int_equal(l->each, EG_EACH_NONE);
	id = l->id;
	l = limit_of(&r, 2);
	assert_int_equal(l->rate, 125);
	assert_int_equal(l->each, EG_EACH_APP);
	assert_int_not_equal(l->id, id);
	assert_ok(policy_judge(r.img, &s, &v));
	assert_true(v.flags & EG_ROW_LIMIT);
	s.port = 1;
	assert_ok(policy_judge(r.img, &s, &v));
	assert_false(v.flags & EG_ROW_LIMIT);
	done(&r);
	/* the same text is the same bucket, wherever it stands */
	compile_with(&r, "allow port 2 limit 10mbit\ndeny port 3\n", NULL);
	assert_int_equal(limit_of(&r, 0)->id, id);
	done(&r);
	compile_with(&r, "allow port 2\n", NULL);
	assert_int_equal(((const struct eg_image *)r.img->bytes)->n_limits, 0);
	assert_int_equal(((const struct eg_image *)r.img->bytes)->limits, 0);
	done(&r);
}

static void test_then_limit(void **state)
{
	static const uint8_t instead[] = { EG_ALLOW, 0 };
	struct compile_config cfg = { .from_s = NOW, .to_s = NOW + 86400, .instead = instead };
	struct rig r;

	compile_with(&r,
		     "allow port 1 limit 8mbit each user quota 1gb/day then limit 800kbit\n"
		     "allow port 2 quota 1gb/day then limit 800kbit\n",
		     NULL);
	assert_int_equal(limit_of(&r, 0)->rate, 1000000);
	assert_null(limit_of(&r, 1));
	policy_image_free(r.img);
	assert_ok(policy_compile(&r.img, r.p, &cfg, &r.messages));
	assert_int_equal(limit_of(&r, 0)->rate, 100000);
	assert_int_equal(limit_of(&r, 0)->each, EG_EACH_USER);
	assert_null(limit_of(&r, 1));
	done(&r);
}

static uint64_t segments_of(const struct rig *r, const char *addr)
{
	const struct eg_image *head = (const void *)r->img->bytes;
	struct policy_subject s = subject(addr, 1);
	struct eg_facts f;

	policy_classify(r->img, &s, &f);
	return ((const uint64_t *)(const void *)(r->img->bytes + head->addr_segments))[f.addr];
}

/* Segments are told apart though one rule names both, or none names any. */
static void test_each_segment(void **state)
{
	struct rig r;

	compile_with(&r,
		     "segment a = 10.1.0.0/16\nsegment b = 10.2.0.0/16, 2001:db8::/32\n"
		     "segment c = 10.2.3.0/24\nallow from segment a, segment b limit 1mbit each "
		     "segment\n",
		     NULL);
	assert_int_equal(segments_of(&r, "10.1.2.3"), 1);
	assert_int_equal(segments_of(&r, "10.2.0.1"), 2);
	assert_int_equal(segments_of(&r, "2001:db8::1"), 2);
	assert_int_equal(segments_of(&r, "10.2.3.4"), 6);
	assert_int_equal(segments_of(&r, "192.0.2.1"), 0);
	done(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_schedules),    cmocka_unit_test(test_priorities),
		cmocka_unit_test(test_lists),        cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_ids),          cmocka_unit_test(test_layout),
		cmocka_unit_test(test_limits),       cmocka_unit_test(test_then_limit),
		cmocka_unit_test(test_each_segment),
	};

	setenv("TZ", "UTC0", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
