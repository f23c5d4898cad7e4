// SPDX-License-Identifier: Apache-2.0
/*
 * Adblock filter lists, as far as they are about whole hosts: `||example.com^`, which is the name and all below it.
 * Everything else (parts of URLs, element hiding, rules for certain pages or requests) cannot be said of a connection and is
 * skipped, and so are the exceptions `@@`.
 */
#include "policy/list_format.h"

#include "base/cleanup.h"

#define LINES_LOOKED_AT 200

static bool is_comment(struct str line)
{
	return line.p[0] == '!' || line.p[0] == '[' ||
	       (line.p[0] == '#' && (line.n == 1 || line.p[1] == ' '));
}

/* "$important" and "$all" do not narrow a rule; others do. */
static bool is_for_all(struct str options)
{
	struct str one;

	while (str_cut(&options, ',', &one))
		if (!str_eq(one, STR("important")) && !str_eq(one, STR("all")))
			return false;
	return true;
}

/* The name of "||name^" and its options; false: a rule of another kind. */
static bool whole_host(struct str line, struct str *ret_name)
{
	const char *dollar = memchr(line.p, '$', line.n), *end;
	struct str options = STR_NONE;

	if (!str_has_prefix(line, STR("||")))
		return false;
	if (dollar) {
		options = str_sub(line, (size_t)(dollar - line.p) + 1, line.n);
		line.n = (size_t)(dollar - line.p);
	}
	line = str_sub(line, 2, line.n);
	end = memchr(line.p, '^', line.n);
	if (!end || !is_for_all(options))
		return false;
	*ret_name = (struct str){ line.p, (size_t)(end - line.p) };
	line = str_sub(line, ret_name->n + 1, line.n);
	return !line.n || str_eq(line, STR("|"));
}

static void adblock_line(struct list_out *o, struct str line)
{
	struct str name;
	int r;

	if (!whole_host(line, &name)) {
		list_skip(o);
		return;
	}
	r = list_put_address(o, name, STR_NONE);
	if (r < 0 && str_has_prefix(name, STR("*.")))
		r = list_put_name(o, LIST_BELOW, str_sub(name, 2, name.n), 1, STR_NONE);
	else if (r < 0)
		r = list_put_name(o, LIST_TREE, name, 1, STR_NONE);
	if (r == 0)
		return;
	/* "||ads.*^", "||example.com/path^": rules of the format, only not about a host */
	if (memchr(name.p, '*', name.n) || memchr(name.p, '/', name.n))
		list_skip(o);
	else
		list_bad(o, name, "is not a name");
}

static int adblock_parse(struct list_out *o, struct str text)
{
	struct str line;

	while (list_line(o, &text, &line))
		if (line.n && !is_comment(line))
			adblock_line(o, line);
	return 0;
}

static unsigned adblock_score(struct str head)
{
	struct list_report none = { 0 };
	struct list_out o = { .report = &none };
	unsigned lines = 0, score = 0;
	struct str line;

	while (lines < LINES_LOOKED_AT && list_line(&o, &head, &line)) {
		if (!line.n)
			continue;
		lines++;
		if (str_has_prefix(line, STR("[Adblock")) || str_has_prefix(line, STR("[AdGuard")))
			score += LINES_LOOKED_AT;
		score += str_has_prefix(line, STR("||")) || str_has_prefix(line, STR("@@")) ||
			 line.p[0] == '!';
	}
	return 2 * score > lines ? score : 0;
}

const struct list_reader list_adblock = { LIST_ADBLOCK, adblock_score, adblock_parse };
