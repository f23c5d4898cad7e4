/* SPDX-License-Identifier: Apache-2.0 */
/* What a fleet contacts: the summary as a stranger's text, what detectors make of it, and the file as it comes, ages and is damaged. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/loop.h"
#include "core_rig.h"
#include "detect/dns_watch.h"
#include "detect/prevalence.h"
#include "sentry/internal.h"

/* 2,000 machines; what fewer than 20 contacted is not in it. */
#define SUMMARY(time)                       \
	time "\t2000\t20\t7\n"              \
	     "everybody.example\t1500\t7\n" \
	     "quarter.example\t500\t5\n"    \
	     "lately.example\t1900\t2\n"    \
	     "few.example\t63\t7\n"         \
	     "corp.lan\t1999\t7\n"

static struct prevalence *parse(const char *text)
{
	struct prevalence *p = NULL;

	assert_ok(prevalence_parse(&p, str_of(text)));
	return p;
}

static void test_parse(void **state)
{
	struct prevalence *p = parse(SUMMARY("1767225600"));
	struct prevalence_row row = prevalence_look(p, STR("few.example"));

	assert_int_equal(prevalence_head(p)->time_s, 1767225600);
	assert_int_equal(prevalence_head(p)->hosts, 2000);
	assert_int_equal(prevalence_head(p)->least, 20);
	assert_int_equal(prevalence_head(p)->days, 7);
	assert_int_equal(prevalence_head(p)->domains, 5);
	assert_int_equal(row.hosts, 63);
	assert_int_equal(row.days, 7);
	assert_int_equal(prevalence_look(p, STR("none.example")).hosts, 0);
	assert_int_equal(prevalence_look(p, STR_NONE).hosts, 0);
	prevalence_free(p);
	p = parse("1767225600\t0\t2\t7\n"); /* a fleet without traffic */
	assert_int_equal(prevalence_look(p, STR("a.example")).hosts, 0);
	prevalence_free(p);
}

static void test_strange_texts(void **state)
{
	static const char *const texts[] = {
		"",
		"\n",
		"1\t5\t2\t7",     /* no end of line */
		"1\t5\t2\n",      /* a field is missing */
		"1\t5\t2\t7\t\n", /* one too many */
		"1\t5\t0\t7\n",   /* everything would be rare */
		"1\t5\t2\t0\n",   /* no days */
		"1\t5\t2\t367\n",
		"-1\t5\t2\t7\n",
		"1\t99999999999\t2\t7\n",
		"1\t5\t2\t7\na.example\t5\n",
		"1\t5\t2\t7\na.example\t6\t1\n", /* more than there are */
		"1\t5\t2\t7\na.example\t1\t1\n", /* fewer than the least */
		"1\t5\t2\t7\na.example\t5\t8\n", /* more days than were looked at */
		"1\t5\t2\t7\na.example\t5\t0\n",
		"1\t5\t2\t7\n\t5\t1\n",        /* no name */
		"1\t5\t2\t7\na.example\t5\t1", /* cut short */
		"1\t5\t2\t7\n\n",
	};
	char name[300] = "1\t5\t2\t7\n";
	struct prevalence *p;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_err(prevalence_parse(&p, str_of(texts[i])), -EBADMSG);
	memset(name + 8, 'a', 256);
	snprintf(name + 8 + 256, 10, "\t5\t1\n");
	assert_err(prevalence_parse(&p, str_of(name)), -EBADMSG);
}

static void test_too_many_rows(void **state)
{
	_cleanup_buf_ struct buf text = BUF_INIT(PREVALENCE_BYTES_MAX + 1000);
	struct prevalence *p;

	buf_puts(&text, "1\t5\t2\t7\n");
	for (unsigned i = 0; i < PREVALENCE_ROWS_MAX; i++)
		buf_printf(&text, "a%u\t5\t1\n", i);
	assert_ok(prevalence_parse(&p, buf_str(&text)));
	assert_int_equal(prevalence_look(p, STR("a199999")).hosts, 5);
	prevalence_free(p);
	buf_puts(&text, "a\t5\t1\n");
	assert_err(prevalence_parse(&p, buf_str(&text)), -EBADMSG);
	while (text.n <= PREVALENCE_BYTES_MAX)
		buf_puts(&text, "\n");
	assert_err(prevalence_parse(&p, buf_str(&text)), -EBADMSG);
}

/* --- weights -------------------------------------------------------------------------------------------------------- */

/* Of a program that was seen to be timed, alone on its machine, and talks to `domain`. */
static int score(struct rig *r, const char *domain)
{
	struct pair *p = rig_pair(r, rig_program(r, "/opt/agent"), domain);
	struct weighed w;

	rig_say(r, p, E_REGULAR, 20);
	fusion_weigh(r->d, p, &w);
	return w.score_db;
}

static void test_rarity_by_the_fleet(void **state)
{
	struct rig r;

	rig_new(&r, DETECT_HOST, 0);
	assert_int_equal(score(&r, "none.example"), -60 + 20 + 2); /* nobody to compare with */
	detect_set_prevalence(r.d, parse(SUMMARY("1767225600")));
	/* fewer than 20 of 2,000: 10 log10(2001 / 20) = 20; 20 + 0.3 x 2 */
	assert_int_equal(score(&r, "none.example"), -60 + 20 + 20);
	/* 63 of 2,000: 10 log10(2001 / 64) = 15 */
	assert_int_equal(score(&r, "few.example"), -60 + 20 + 15);
	/* a quarter: 10 log10(2001 / 501) = 6 against 10 for a name the fleet knows */
	assert_int_equal(score(&r, "quarter.example"), -60 + MAX(20 + 6 - 10, 0));
	/* three quarters: 1 against 10 */
	assert_int_equal(score(&r, "everybody.example"), -60 + 20 + 1 - 10);
	/* Nearly all, but since the day before yesterday: whatever spreads does that. */
	assert_int_equal(score(&r, "lately.example"), -60 + 20 + 2);
	/* names of one place: a machine without a domain says nothing of others */
	assert_int_equal(score(&r, "printer"), -60 + 20 + 2);
	detect_set_prevalence(r.d, NULL);
	assert_int_equal(score(&r, "none.example"), -60 + 20 + 2);
	rig_free(&r);
}

/* What this machine finds ordinary is, however rare it is in the fleet: machines have jobs of their own. */
static void test_ordinary_here(void **state)
{
	struct rig r;

	rig_new(&r, DETECT_HOST, 0);
	detect_set_prevalence(r.d, parse(SUMMARY("1767225600")));
	rig_pair(&r, rig_program(&r, "/opt/agent"), "none.example");
	for (uint32_t i = 0; i < 5; i++) {
		char exe[32];

		snprintf(exe, sizeof(exe), "/opt/%u", i);
		rig_pair(&r, rig_program(&r, exe), "none.example");
	}
	assert_int_equal(score(&r, "none.example"), -60 + 20 + 2);
	/* and what is rare here, and is not in the fleet, is ordinary, too */
	assert_int_equal(score(&r, "everybody.example"), -60 + 20 + 1 - 10);
	rig_free(&r);
}

static void test_new_here_but_not_to_others(void **state)
{
	struct rig r;

	rig_new(&r, DETECT_HOST, 0);
	rig_pass(&r, 2 * DAY);
	assert_int_equal(score(&r, "few.example"), -60 + 20 + 6); /* 6 + 0.3 x 2 */
	detect_set_prevalence(r.d, parse(SUMMARY("1767225600")));
	assert_int_equal(score(&r, "few.example"), -60 + 20 + 15);      /* it is not new any more */
	assert_int_equal(score(&r, "none.example"), -60 + 20 + 20 + 2); /* 20 + 0.3 x (6 + 2) */
	assert_int_equal(score(&r, "lately.example"), -60 + 20 + 6);    /* new to all of them */
	rig_free(&r);
}

/* Fame is what other detectors ask for: it changes with the summary, of peers and zones that are there. */
static void test_fame(void **state)
{
	struct peer *peer;
	struct zone *zone;
	struct rig r;

	rig_new(&r, DETECT_HOST, 0);
	peer = peer_of_domain(r.d, STR("everybody.example"));
	zone = zones_get(&r.d->dns->zones, 1, 1, STR("everybody.example"), 1);
	zone->is_public = true;
	assert_int_equal(peer->fame, FAME_NONE);
	detect_set_prevalence(r.d, parse(SUMMARY("1767225600")));
	assert_int_equal(peer->fame, FAME_FLEET);
	assert_int_equal(zone->fame, FAME_FLEET);
	assert_int_equal(peer_of_domain(r.d, STR("quarter.example"))->fame, FAME_FLEET);
	assert_int_equal(peer_of_domain(r.d, STR("few.example"))->fame, FAME_NONE);
	assert_int_equal(peer_of_domain(r.d, STR("lately.example"))->fame, FAME_NONE);
	assert_int_equal(peer_of_domain(r.d, STR("debian.org"))->fame,
			 popular_fame(STR("debian.org")));
	assert_int_not_equal(popular_fame(STR("debian.org")), FAME_NONE);
	detect_set_prevalence(r.d, parse("1767225600\t19\t2\t7\neverybody.example\t19\t7\n"));
	assert_int_equal(peer->fame, FAME_NONE); /* too few machines to vouch for it */
	detect_set_prevalence(r.d, NULL);
	assert_int_equal(zone->fame, FAME_NONE);
	rig_free(&r);
}

/* --- the file ------------------------------------------------------------------------------------------------------- */

static struct fixture {
	struct rig rig;
	struct loop *loop;
	struct proc_table *procs;
	struct sentry *sentry;
	char dir[64];
} fx;

static uint64_t now(void)
{
	return fx.rig.now_ns;
}

static int set_up(void **state)
{
	memset(&fx, 0, sizeof(fx));
	fx.rig.now_ns = T0;
	snprintf(fx.dir, sizeof(fx.dir), "/tmp/egret-test-prevalence-XXXXXX");
	assert_non_null(mkdtemp(fx.dir));
	assert_ok(intern_new(&fx.rig.texts, 100000));
	assert_ok(loop_new(&fx.loop));
	assert_ok(proc_table_new(&fx.procs,
				 &(struct proc_table_config){ .texts = fx.rig.texts, .max = 100 }));
	assert_ok(sentry_new(&fx.sentry, &(struct sentry_config){ .fleet = fx.dir,
								  .loop = fx.loop,
								  .texts = fx.rig.texts,
								  .procs = fx.procs,
								  .now = now,
								  .out = { rig_told, &fx.rig } }));
	return 0;
}

static int tear_down(void **state)
{
	char command[128];

	fx.sentry = sentry_free(fx.sentry);
	proc_table_free(fx.procs);
	loop_free(fx.loop);
	intern_free(fx.rig.texts);
	snprintf(command, sizeof(command), "rm -rf %s", fx.dir);
	return system(command);
}

/* As the sender does it: another file takes the place of the one that is there. */
static void put_file(const char *text)
{
	char path[96], beside[104];
	int fd;

	snprintf(path, sizeof(path), "%s/" PREVALENCE_FILE, fx.dir);
	snprintf(beside, sizeof(beside), "%s.new", path);
	fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	assert_ok(rename(beside, path));
}

static void later(uint64_t ns)
{
	fx.rig.now_ns += ns;
	sentry_tick(fx.sentry);
}

static enum fame fame_of_everybody(void)
{
	return detect_fame(sentry_detect(fx.sentry), STR("everybody.example"));
}

static void health(void *ctx, const struct feed_health *f)
{
	assert_string_equal(f->kind, "fleet");
	*(struct feed_health *)ctx = *f;
}

static struct feed_health its_health(void)
{
	struct feed_health f = { 0 };

	sentry_each_feed(fx.sentry, health, &f);
	return f;
}

static void test_file(void **state)
{
	_cleanup_buf_ struct buf out = BUF_INIT(65536);
	struct json j = JSON_INIT(&out);

	later(0);
	assert_null(its_health().kind); /* nobody has told anything */
	put_file(SUMMARY("1767225600"));
	later(31 * NSEC_PER_SEC);
	assert_int_equal(fame_of_everybody(), FAME_FLEET);
	assert_int_equal(its_health().entries, 5);
	assert_int_equal(its_health().age_s, 31);
	assert_false(its_health().expired);
	json_object_begin(&j, NULL);
	sentry_status(fx.sentry, &j);
	json_object_end(&j);
	assert_non_null(strstr(out.p, "\"fleet\":{\"hosts\":2000,\"domains\":5,\"least\":20"));

	/* A damaged one is a problem and no more: what was there before stays. */
	put_file("1767225600\t2000\t20\t7\neverybody.example\t15");
	later(31 * NSEC_PER_SEC);
	assert_int_equal(fame_of_everybody(), FAME_FLEET);
	assert_string_equal(its_health().problem.p, "it is damaged");
	later(31 * NSEC_PER_SEC);
	assert_true(its_health().problem.n);
	put_file("1767225700\t2000\t20\t7\nothers.example\t1500\t7\n");
	later(31 * NSEC_PER_SEC);
	assert_false(its_health().problem.n);
	assert_int_equal(fame_of_everybody(), FAME_NONE);
}

static void test_old_file(void **state)
{
	put_file(SUMMARY("1767225600"));
	later(DAY);
	assert_int_equal(fame_of_everybody(), FAME_FLEET);
	later(2 * DAY);
	assert_int_equal(fame_of_everybody(), FAME_FLEET);
	later(MINUTE);
	assert_int_equal(fame_of_everybody(), FAME_NONE);
	assert_true(its_health().expired);
	/* one that is old when it comes is not believed either */
	put_file(SUMMARY("1767225601"));
	later(MINUTE);
	assert_int_equal(fame_of_everybody(), FAME_NONE);
	put_file(SUMMARY("4000000000")); /* nor one of a clock that is wrong */
	later(MINUTE);
	assert_int_equal(fame_of_everybody(), FAME_NONE);
	put_file(SUMMARY("1767484800"));
	later(MINUTE);
	assert_int_equal(fame_of_everybody(), FAME_FLEET);
	assert_false(its_health().expired);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_strange_texts),
		cmocka_unit_test(test_too_many_rows),
		cmocka_unit_test(test_rarity_by_the_fleet),
		cmocka_unit_test(test_ordinary_here),
		cmocka_unit_test(test_new_here_but_not_to_others),
		cmocka_unit_test(test_fame),
		cmocka_unit_test_setup_teardown(test_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_old_file, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
