/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/policy_diff.h"

#include <stdio.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "cli/ask_policy.h"

#define ANSWER_MAX (64U << 20)
#define CHANGED_ROWS 20

json_t *policy_in_force(void)
{
	_cleanup_buf_ struct buf request = BUF_INIT(256);
	struct json j = JSON_INIT(&request);

	policy_request_begin(&j, "text");
	json_object_end(&j);
	return policy_request_send(buf_str(&request), -1);
}

static void put_side(struct json *j, const char *key, struct str file, uint32_t line,
		     struct str text)
{
	if (!line)
		return;
	json_object_begin(j, key);
	json_str(j, "file", file);
	json_u64(j, "line", line);
	json_str(j, "text", text);
	json_object_end(j);
}

static size_t put_statements(struct json *j, const struct policy_diff *d)
{
	static const char *const kinds[] = { "same", "added", "removed", "moved", "changed" };
	const struct diff_line *lines;
	size_t n, different = 0;

	json_array_begin(j, "statements");
	lines = policy_diff_lines(d, &n);
	for (size_t i = 0; i < n; i++) {
		if (lines[i].kind == DIFF_SAME)
			continue;
		different++;
		json_object_begin(j, NULL);
		json_text(j, "kind", kinds[lines[i].kind]);
		put_side(j, "before", lines[i].old_file, lines[i].old_line, lines[i].old_text);
		put_side(j, "after", lines[i].new_file, lines[i].new_line, lines[i].new_text);
		json_object_end(j);
	}
	json_array_end(j);
	return different;
}

static void put_changed(struct json *j, const char *key, struct effect *e, bool to_refused,
			const struct policy *p, bool all)
{
	const struct replay_who *const *rows;
	struct verdict_rule words;
	size_t n, more;

	rows = effect_changed(e, to_refused, all ? 0 : CHANGED_ROWS, &n, &more);
	json_array_begin(j, key);
	for (size_t i = 0; i < n; i++) {
		policy_rule_words(p, rows[i]->rule, &words);
		json_object_begin(j, NULL);
		json_str(j, "program", rows[i]->program);
		json_str(j, "to", rows[i]->target);
		json_str(j, "port", rows[i]->port);
		json_u64(j, "flows", rows[i]->sum.flows);
		json_u64(j, "attempts", rows[i]->sum.attempts);
		json_str(j, "rule", words.text);
		json_object_end(j);
	}
	json_array_end(j);
}

size_t policy_diff_json(const struct policy_diff *d, struct effect *e, const struct policy *after,
			bool all)
{
	_cleanup_buf_ struct buf out = BUF_INIT(ANSWER_MAX);
	struct json j = JSON_INIT(&out);
	size_t different;

	json_object_begin(&j, NULL);
	different = put_statements(&j, d);
	if (e) {
		const struct effect_totals *t = effect_totals(e);

		json_object_begin(&j, "effect");
		json_u64(&j, "flows", t->flows);
		json_u64(&j, "same", t->same);
		json_u64(&j, "other_rule", t->other_rule);
		json_u64(&j, "unknown", t->unknown);
		json_u64(&j, "refused_now", t->refused_now.flows + t->refused_now.attempts);
		json_u64(&j, "passed_now", t->passed_now.flows + t->passed_now.attempts);
		put_changed(&j, "top_refused_now", e, true, after, all);
		put_changed(&j, "top_passed_now", e, false, after, all);
		json_object_end(&j);
	}
	json_object_end(&j);
	printf("%.*s\n", (int)out.n, out.p);
	return different;
}
