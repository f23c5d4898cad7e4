/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The compiler and the evaluator against the naive interpreter, on random policies and flows. Seeds are fixed; how far
 * they are followed is a matter of time: EGRET_PROPERTY_S seconds (10). What goes wrong is shrunk to a policy to read.
 */
#include <time.h>

#include "base/cleanup.h"
#include "base/time.h"
#include "policy_naive.h"
#include "test.h"

#define CASES_A_POLICY 1000

struct tally {
	uint64_t policies, cases, unknown, final, loose, loose_could, never, expected;
};

static int compile_text(struct policy **ret, struct policy_image **ret_img, struct str text)
{
	struct compile_config cfg = {
		.from_s = RANDOM_NOW - 86400,
		.to_s = RANDOM_NOW + RANDOM_SPAN,
		.enforce = true,
		.load_list = random_load_list,
	};
	_cleanup_buf_ struct buf messages = BUF_INIT(1 << 20);
	struct policy *p = NULL;
	int r;

	r = policy_parse(&p, "random", text, STR_NONE, &messages);
	if (r == 0)
		r = policy_compile(ret_img, p, &cfg, &messages);
	if (r < 0) {
		policy_free(p);
		if (!strstr(messages.p, "too many rules"))
			print_error("%.*s", STR_FMT(buf_str(&messages)));
		return r;
	}
	*ret = p;
	return 0;
}

/* What is wrong with the evaluator's answer; NULL: nothing. */
static const char *wrong(const struct policy *p, const struct policy_image *img,
			 const struct policy_subject *s, struct tally *t)
{
	/* The evaluator takes facts one by one; where a protocol hangs on a name, or a rule is split up by its exceptions,
	 * it may wait for a fact that turns out not to matter. */
	struct naive_answer want;
	struct eg_verdict v;

	if (policy_judge(img, s, &v) < 0)
		return "no verdict";
	naive_judge(p, s, &want);
	t->cases++;
	t->unknown += want.ways > 1;
	t->final += want.ways > 1 && want.final;
	if (v.final && !want.final)
		return "final, and it depends on what is not known yet";
	if (v.final && v.rule != want.rule)
		return "another rule";
	if (v.final && v.action != want.action)
		return "another action";
	if (want.could_pass && !v.could_pass)
		return "it could pass";
	if (want.could_drop && !v.could_drop)
		return "it could be dropped";
	if (want.ways == 1 && !v.final)
		return "everything is known, and it is not final";
	if (want.final && !v.final)
		t->loose++;
	if (v.could_pass != want.could_pass || v.could_drop != want.could_drop)
		t->loose_could++;
	return NULL;
}

static bool is_strict(const struct buf *text)
{
	return !strstr(text->p, "doh") && !strstr(text->p, "except");
}

/* --- when it goes wrong ---------------------------------------------------------------------------------------------- */

static const char *wrong_text(struct str text, const struct policy_subject *s)
{
	struct policy_image *img = NULL;
	struct policy *p = NULL;
	struct tally t = { 0 };
	const char *what;

	if (compile_text(&p, &img, text) < 0)
		return NULL;
	what = wrong(p, img, s, &t);
	policy_image_free(img);
	policy_free(p);
	return what;
}

/* Leaves out one line after the other while it stays wrong. */
static void shrink(struct buf *text, const struct policy_subject *s)
{
	_cleanup_buf_ struct buf less = BUF_INIT(1 << 20);
	size_t begin = 0;

	while (begin < text->n) {
		size_t end = begin;

		while (end < text->n && text->p[end] != '\n')
			end++;
		buf_clear(&less);
		buf_put(&less, text->p, begin);
		buf_put(&less, text->p + end + 1, text->n - end - 1);
		if (less.n && wrong_text(buf_str(&less), s)) {
			buf_clear(text);
			buf_put_str(text, buf_str(&less));
		} else {
			begin = end + 1;
		}
	}
}

static void print_subject(const struct policy_subject *s)
{
	char local[ADDR_TEXT_MAX], remote[ADDR_TEXT_MAX];

	print_error("program %.*s script %.*s cgroup %.*s user %u (known: %d) from %s to %s "
		    "protocol %u port %u (%d) app %u "
		    "visible %d %.*s time %lld container %.*s unknown %d\n",
		    STR_FMT(s->exe), STR_FMT(s->script), STR_FMT(s->cgroup), s->uid, s->uid_known,
		    addr_format(&s->local, local), addr_format(&s->remote, remote), s->proto,
		    s->port, s->has_ports, s->app, s->visible, STR_FMT(s->visible_name),
		    (long long)s->unix_s, STR_FMT(s->container ? s->container->name : STR("none")),
		    s->container_unknown);
	for (size_t i = 0; i < s->n_names; i++)
		print_error("  name %.*s\n", STR_FMT(s->names[i]));
	for (size_t i = 0; i < s->n_gids; i++)
		print_error("  group %u\n", s->gids[i]);
	for (size_t i = 0; i < s->n_ancestors; i++)
		print_error("  came from %.*s\n", STR_FMT(s->ancestors[i]));
}

static void report(struct buf *text, const struct policy_subject *s, uint64_t seed)
{
	struct policy_image *img = NULL;
	struct policy *p = NULL;
	struct naive_answer want;
	struct eg_verdict v;
	const char *what;

	shrink(text, s);
	what = wrong_text(buf_str(text), s);
	print_error("seed %llu: %s\n%.*s", (unsigned long long)seed,
		    what ? what : "it cannot be repeated", STR_FMT(buf_str(text)));
	print_subject(s);
	if (compile_text(&p, &img, buf_str(text)) == 0) {
		naive_judge(p, s, &want);
		policy_judge(img, s, &v);
		print_error("evaluator: rule %u action %u final %u could %u %u; naive: rule %zu "
			    "action %u final %d could %d %d\n",
			    v.rule, v.action, v.final, v.could_pass, v.could_drop, want.rule,
			    want.action, want.final, want.could_pass, want.could_drop);
	}
	policy_image_free(img);
	policy_free(p);
	fail();
}

/* --- what policy_check() says ------------------------------------------------------------------------------------------ */

struct checked {
	bool never[EG_ROWS_MAX];  /* by rule: it can never match */
	bool unsure[EG_ROWS_MAX]; /* by expectation: it does not hold, or that was not found out */
};

static void check_policy(const struct policy *p, const struct policy_image *img, struct checked *c,
			 struct tally *t)
{
	_cleanup_buf_ struct buf messages = BUF_INIT(1 << 20);
	struct str rest, line;

	policy_check(p, img, RANDOM_NOW, &messages);
	rest = buf_str(&messages);
	while (str_cut(&rest, '\n', &line)) {
		bool never = line.n && memmem(line.p, line.n, "can never match", 15);
		uint64_t number = 0;
		size_t at = strlen("random:");

		if (!str_has_prefix(line, STR("random:")))
			continue;
		while (at < line.n && line.p[at] != ':')
			number = number * 10 + (uint64_t)(line.p[at++] - '0');
		for (size_t i = 0; i < p->n_rules && never; i++)
			c->never[i] |= p->rules[i].place.line == number;
		for (size_t i = 0; i < p->n_expects; i++)
			c->unsure[i] |= p->expects[i].place.line == number;
		t->never += never;
	}
}

static void fail_with(const char *what, uint64_t seed, uint32_t line, const struct buf *text,
		      const struct policy_subject *s)
{
	print_error("seed %llu: line %u: %s\n%.*s", (unsigned long long)seed, line, what,
		    STR_FMT(buf_str(text)));
	print_subject(s);
	fail();
}

static void check_subject(const struct policy *p, const struct policy_image *img,
			  const struct checked *c, struct policy_subject *s, const struct buf *text,
			  uint64_t seed, struct tally *t)
{
	struct eg_verdict v;

	if (policy_judge(img, s, &v) == 0 && v.final && v.rule < p->n_rules && c->never[v.rule])
		fail_with("it matches, which it never can", seed, p->rules[v.rule].place.line, text,
			  s);
	/* A flow as expectations are about: everything known, and one name or none. */
	s->unix_s = RANDOM_NOW;
	s->container_unknown = false;
	s->app = s->app == EG_APP_UNDECIDED ? EG_APP_UNKNOWN : s->app;
	s->n_names = MIN(s->n_names, (size_t)1);
	s->visible = s->n_names ? EG_VISIBLE_NAME : EG_VISIBLE_NONE;
	s->visible_name = s->names[0];
	for (size_t i = 0; i < p->n_expects; i++) {
		if (c->unsure[i] || p->expects[i].action != EG_DENY ||
		    !naive_expected(p, &p->expects[i], s) || policy_judge(img, s, &v) < 0)
			continue;
		t->expected++;
		if (!v.final || (v.action != EG_DENY && v.action != EG_REJECT))
			fail_with("expected, said to hold, and not so", seed,
				  p->expects[i].place.line, text, s);
	}
}

/* --- the run --------------------------------------------------------------------------------------------------------- */

static void one_policy(uint64_t seed, struct tally *t)
{
	_cleanup_buf_ struct buf text = BUF_INIT(1 << 20);
	struct dice d = { .state = seed * 0x9e3779b97f4a7c15ULL + 1 };
	struct checked checked = { { false }, { false } };
	bool is_checked = seed % 4 == 1;
	struct policy_image *img = NULL;
	struct policy *p = NULL;
	struct policy_subject s;

	random_policy(&d, &text);
	if (compile_text(&p, &img, buf_str(&text)) < 0)
		return;
	t->policies++;
	if (is_checked)
		check_policy(p, img, &checked, t);
	for (int i = 0; i < CASES_A_POLICY; i++) {
		uint64_t loose = t->loose;

		random_subject(&d, &s);
		if (wrong(p, img, &s, t))
			report(&text, &s, seed);
		if (t->loose != loose && is_strict(&text))
			fail_with("final, and the evaluator does not see it", seed, 0, &text, &s);
		if (is_checked)
			check_subject(p, img, &checked, &s, &text, seed, t);
	}
	policy_image_free(img);
	policy_free(p);
}

static void test_agree(void **state)
{
	const char *seconds = getenv("EGRET_PROPERTY_S");
	uint64_t limit_s = 10, end;
	struct tally t = { 0 };

	if (seconds)
		assert_ok(str_parse_u64(str_of(seconds), &limit_s));
	end = time_now_boot() + limit_s * NSEC_PER_SEC;
	for (uint64_t seed = 1; time_now_boot() < end; seed++)
		one_policy(seed, &t);
	print_message("%llu policies, %llu cases, %llu with unknown facts, of which %llu are "
		      "final; waited for %llu that are, "
		      "thought more possible than is in %llu; %llu rules that can never match, "
		      "%llu expected\n",
		      (unsigned long long)t.policies, (unsigned long long)t.cases,
		      (unsigned long long)t.unknown, (unsigned long long)t.final,
		      (unsigned long long)t.loose, (unsigned long long)t.loose_could,
		      (unsigned long long)t.never, (unsigned long long)t.expected);
	assert_true(t.policies > 10 && t.unknown > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_agree) };

	setenv("TZ", "UTC0", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
