/* SPDX-License-Identifier: Apache-2.0 */
/* Two policies' differences as members of a JSON object, for `egret policy diff --json` and the page's replay. */
#include "base/json.h"
#include "policy/diff.h"

#define CHANGED_ROWS 20

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

size_t policy_diff_put(struct json *j, const struct policy_diff *d, struct effect *e,
		       const struct policy *after, bool all)
{
	size_t different;

	different = put_statements(j, d);
	if (e) {
		const struct effect_totals *t = effect_totals(e);

		json_object_begin(j, "effect");
		json_u64(j, "flows", t->flows);
		json_u64(j, "same", t->same);
		json_u64(j, "other_rule", t->other_rule);
		json_u64(j, "unknown", t->unknown);
		json_u64(j, "refused_now", t->refused_now.flows + t->refused_now.attempts);
		json_u64(j, "passed_now", t->passed_now.flows + t->passed_now.attempts);
		put_changed(j, "top_refused_now", e, true, after, all);
		put_changed(j, "top_passed_now", e, false, after, all);
		json_object_end(j);
	}
	return different;
}
