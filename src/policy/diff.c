/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/diff.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/intern.h"

#define STATEMENTS_MAX 16384
#define CELLS_MAX \
	(64U      \
	 << 20) /* of the table of longest common parts; beyond, all in between counts as changed */
#define WHO_MAX 65536

struct statement {
	struct text *text;
	struct str file;
	uint32_t line;
};

struct statements {
	struct statement *p;
	size_t n;
};

struct policy_diff {
	struct intern *texts;
	struct statements before, after;
	struct diff_line *lines;
	size_t n;
};

/* --- statements of a text ---------------------------------------------------------------------------------------- */

/* One more byte of a statement, blanks outside quotes folded to one. */
static void put_char(struct buf *b, char c, bool quoted)
{
	if (!quoted && (c == '\t' || c == '\r'))
		c = ' ';
	if (c == ' ' && !quoted && (!b->n || b->p[b->n - 1] == ' '))
		return;
	buf_putc(b, c);
}

static int end_statement(struct policy_diff *d, struct statements *to, struct buf *b,
			 struct str file, uint32_t line)
{
	struct str s = str_trim(buf_str(b));
	struct text *text;

	if (!s.n)
		return 0;
	if (to->n == STATEMENTS_MAX)
		return -E2BIG;
	text = intern_get(d->texts, s);
	if (!text)
		return -ENOMEM;
	to->p[to->n++] = (struct statement){ .text = text, .file = file, .line = line };
	return 0;
}

static size_t line_end(struct str s, size_t from)
{
	const char *end = from < s.n ? memchr(s.p + from, '\n', s.n - from) : NULL;

	return end ? (size_t)(end - s.p) : s.n;
}

/* A '\\' that ends its line: the statement goes on in the next. */
static bool goes_on(struct str s, size_t at)
{
	return at < s.n && s.p[at] == '\\' &&
	       !str_trim(str_sub(s, at + 1, line_end(s, at + 1) - at - 1)).n;
}

static int read_statements(struct policy_diff *d, struct statements *to, struct str file,
			   struct str source)
{
	_cleanup_buf_ struct buf b = BUF_INIT(POLICY_TEXT_MAX);
	uint32_t line = 1, begun = 1;
	bool quoted = false, comment = false;
	int r = 0;

	for (size_t i = 0; r == 0 && i <= source.n; i++) {
		char c = i < source.n ? source.p[i] : '\n';

		if (!comment && goes_on(source, i)) {
			i = line_end(source, i + 1);
			line++;
			put_char(&b, ' ', false);
			continue;
		}
		if (c == '\n') {
			r = end_statement(d, to, &b, file, begun);
			buf_clear(&b);
			quoted = comment = false;
			begun = ++line;
			continue;
		}
		quoted ^= c == '"' && !comment;
		comment |= c == '#' && !quoted;
		if (!comment)
			put_char(&b, c, quoted);
	}
	return r;
}

static int read_policy(struct policy_diff *d, struct statements *to, const struct policy *p)
{
	int r = 0;

	to->p = calloc(STATEMENTS_MAX, sizeof(*to->p));
	if (!to->p)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < p->n_files; i++)
		r = read_statements(d, to, p->files[i], p->sources[i]);
	return r;
}

/* --- what is common ---------------------------------------------------------------------------------------------- */

static void put_line(struct policy_diff *d, enum diff_kind kind, const struct statement *before,
		     const struct statement *after)
{
	struct diff_line *l = &d->lines[d->n++];

	*l = (struct diff_line){ .kind = kind };
	if (before) {
		l->old_text = text_str(before->text);
		l->old_file = before->file;
		l->old_line = before->line;
	}
	if (after) {
		l->new_text = text_str(after->text);
		l->new_file = after->file;
		l->new_line = after->line;
	}
}

/* Lengths of the longest common parts of what follows: cell (i, k) is of before[i…] and after[k…]. */
static uint16_t *common_parts(const struct statement *before, size_t n,
			      const struct statement *after, size_t m)
{
	uint16_t *cells;

	if ((n + 1) * (m + 1) > CELLS_MAX)
		return NULL;
	cells = calloc((n + 1) * (m + 1), sizeof(*cells));
	for (size_t i = n; cells && i-- > 0;)
		for (size_t k = m; k-- > 0;) {
			uint16_t down = cells[(i + 1) * (m + 1) + k],
				 right = cells[i * (m + 1) + k + 1];

			cells[i * (m + 1) + k] =
				before[i].text == after[k].text
					? (uint16_t)(cells[(i + 1) * (m + 1) + k + 1] + 1)
					: MAX(down, right);
		}
	return cells;
}

static void compare_middle(struct policy_diff *d, const struct statement *before, size_t n,
			   const struct statement *after, size_t m)
{
	_cleanup_free_ uint16_t *cells = common_parts(before, n, after, m);
	size_t i = 0, k = 0;

	while (i < n || k < m) {
		bool both = i < n && k < m;

		if (both && before[i].text == after[k].text)
			put_line(d, DIFF_SAME, &before[i++], &after[k++]);
		else if (k == m || (i < n && (!cells || cells[(i + 1) * (m + 1) + k] >=
								cells[i * (m + 1) + k + 1])))
			put_line(d, DIFF_REMOVED, &before[i++], NULL);
		else
			put_line(d, DIFF_ADDED, NULL, &after[k++]);
	}
}

static void compare(struct policy_diff *d)
{
	const struct statement *a = d->before.p, *b = d->after.p;
	size_t n = d->before.n, m = d->after.n, head = 0, tail = 0;

	while (head < n && head < m && a[head].text == b[head].text)
		head++;
	while (tail < n - head && tail < m - head && a[n - 1 - tail].text == b[m - 1 - tail].text)
		tail++;
	for (size_t i = 0; i < head; i++)
		put_line(d, DIFF_SAME, &a[i], &b[i]);
	compare_middle(d, a + head, n - head - tail, b + head, m - head - tail);
	for (size_t i = tail; i-- > 0;)
		put_line(d, DIFF_SAME, &a[n - 1 - i], &b[m - 1 - i]);
}

/* The same statement gone here and new there has moved. */
static void find_moves(struct policy_diff *d)
{
	for (size_t i = 0; i < d->n; i++) {
		struct diff_line *to = &d->lines[i];

		if (to->kind != DIFF_ADDED)
			continue;
		for (size_t k = 0; k < d->n; k++) {
			struct diff_line *from = &d->lines[k];

			if (from->kind != DIFF_REMOVED || !str_eq(from->old_text, to->new_text))
				continue;
			to->kind = DIFF_MOVED;
			to->old_text = from->old_text;
			to->old_file = from->old_file;
			to->old_line = from->old_line;
			from->kind = DIFF_SAME; /* told where it is now */
			from->old_line = 0;
			break;
		}
	}
}

static struct str first_word(struct str s)
{
	struct str word = s;

	str_cut(&s, ' ', &word);
	return word;
}

/* Gone and new in one place, and of one kind: changed. */
static void find_changes(struct policy_diff *d)
{
	for (size_t i = 0; i + 1 < d->n; i++) {
		struct diff_line *from = &d->lines[i], *to = &d->lines[i + 1];

		if (from->kind == DIFF_ADDED && to->kind == DIFF_REMOVED) {
			struct diff_line *swap = from;

			from = to;
			to = swap;
		}
		if (from->kind != DIFF_REMOVED || to->kind != DIFF_ADDED ||
		    !str_eq(first_word(from->old_text), first_word(to->new_text)))
			continue;
		to->kind = DIFF_CHANGED;
		to->old_text = from->old_text;
		to->old_file = from->old_file;
		to->old_line = from->old_line;
		from->kind = DIFF_SAME;
		from->old_line = 0;
		i++;
	}
}

static void drop_told(struct policy_diff *d)
{
	size_t n = 0;

	for (size_t i = 0; i < d->n; i++)
		if (d->lines[i].old_line || d->lines[i].new_line)
			d->lines[n++] = d->lines[i];
	d->n = n;
}

int policy_diff_new(struct policy_diff **ret, const struct policy *before,
		    const struct policy *after)
{
	struct policy_diff *d = calloc(1, sizeof(*d));
	int r = d ? intern_new(&d->texts, 2 * STATEMENTS_MAX) : -ENOMEM;

	if (r == 0)
		r = read_policy(d, &d->before, before);
	if (r == 0)
		r = read_policy(d, &d->after, after);
	if (r == 0 && !(d->lines = calloc(d->before.n + d->after.n + 1, sizeof(*d->lines))))
		r = -ENOMEM;
	if (r < 0) {
		policy_diff_free(d);
		return r;
	}
	compare(d);
	find_moves(d);
	drop_told(d);
	find_changes(d);
	drop_told(d);
	*ret = d;
	return 0;
}

struct policy_diff *policy_diff_free(struct policy_diff *d)
{
	if (!d)
		return NULL;
	free(d->before.p);
	free(d->after.p);
	free(d->lines);
	intern_free(d->texts);
	free(d);
	return NULL;
}

const struct diff_line *policy_diff_lines(const struct policy_diff *d, size_t *ret_n)
{
	*ret_n = d->n;
	return d->lines;
}

/* --- in effect --------------------------------------------------------------------------------------------------- */

struct effect {
	struct judge *before, *after;
	struct effect_totals totals;
	struct who_table *changed[2]; /* by whether it is refused now */
};

int effect_new(struct effect **ret, struct judge *before, struct judge *after)
{
	struct effect *e = calloc(1, sizeof(*e));

	if (!e)
		return -ENOMEM;
	e->before = before;
	e->after = after;
	if (who_table_new(&e->changed[0], WHO_MAX) < 0 ||
	    who_table_new(&e->changed[1], WHO_MAX) < 0) {
		effect_free(e);
		return -ENOMEM;
	}
	*ret = e;
	return 0;
}

struct effect *effect_free(struct effect *e)
{
	if (!e)
		return NULL;
	who_table_free(e->changed[0]);
	who_table_free(e->changed[1]);
	free(e);
	return NULL;
}

static bool same_words(const struct effect *e, uint16_t before, uint16_t after)
{
	struct verdict_rule a, b;

	policy_rule_words(judge_policy(e->before), before, &a);
	policy_rule_words(judge_policy(e->after), after, &b);
	return str_eq(a.text, b.text);
}

static void add(struct replay_sum *sum, const struct recorded *r)
{
	sum->flows += r->flows;
	sum->attempts += r->calls + r->packets;
	sum->up += r->up;
	sum->down += r->down;
}

void effect_add(struct effect *e, const struct recorded *r)
{
	struct judgement before, after;

	if (!r->egress || (r->kind == RECORDED_DROP && r->flow_id) ||
	    judge_flow(e->before, r, &before) < 0 || judge_flow(e->after, r, &after) < 0)
		return;
	e->totals.flows += r->flows;
	if (before.needs_who || after.needs_who) {
		e->totals.unknown += r->flows;
	} else if (before.refuses != after.refuses) {
		add(after.refuses ? &e->totals.refused_now : &e->totals.passed_now, r);
		who_table_add(e->changed[after.refuses], r, after.rule);
	} else {
		e->totals.same += r->flows;
		e->totals.other_rule += same_words(e, before.rule, after.rule) ? 0 : r->flows;
	}
}

const struct effect_totals *effect_totals(const struct effect *e)
{
	return &e->totals;
}

const struct replay_who *const *effect_changed(struct effect *e, bool to_refused, size_t limit,
					       size_t *ret_n, size_t *ret_more)
{
	return who_table_sorted(e->changed[to_refused], limit, ret_n, ret_more);
}
