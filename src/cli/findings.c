/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/findings.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/human.h"
#include "base/time.h"

#define MAX_SHOWN 200
#define TEXT_MAX 16384

struct shown {
	int db;
	char *text;
};

struct findings {
	struct shown all[MAX_SHOWN];
	size_t n, more;
	size_t by_severity[SEVERITY_CRITICAL + 1];
};

int findings_new(struct findings **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

struct findings *findings_free(struct findings *fs)
{
	for (size_t i = 0; fs && i < fs->n; i++)
		free(fs->all[i].text);
	free(fs);
	return NULL;
}

/* U+202A to U+202E and U+2066 to U+2069 turn the direction of what follows, so that a name reads as another. */
static bool turns(const unsigned char *p, size_t n)
{
	return n == 3 && p[0] == 0xe2 &&
	       ((p[1] == 0x80 && p[2] >= 0xaa && p[2] <= 0xae) ||
		(p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9));
}

void finding_put_clean(struct buf *out, struct str s)
{
	while (s.n) {
		const unsigned char *p = (const unsigned char *)s.p;
		size_t n = str_utf8(s);
		bool is_c1 = n == 2 && p[0] == 0xc2 && p[1] < 0xa0;

		if (!n || *p < ' ' || *p == 0x7f || is_c1 || turns(p, n))
			buf_putc(out, '?');
		else
			buf_put(out, p, n);
		s = str_sub(s, n ? n : 1, s.n);
	}
}

static void put_evidence(struct buf *out, const struct evidence *e)
{
	const struct evidence_row *row = &evidence_rows[e->id];

	buf_printf(out, "  %+4d dB  %-9s ", e->db, evidence_group_name(row->group));
	finding_put_clean(out, str_of(e->what));
	if (e->baseline[0]) {
		buf_puts(out, " (");
		finding_put_clean(out, str_of(e->baseline));
		buf_putc(out, ')');
	}
	if (e->n > 1)
		buf_printf(out, "; n = %llu", (unsigned long long)e->n);
	buf_putc(out, '\n');
}

/* A record may hold anything. */
static float drawable(float v)
{
	return v > 0 && v < 1e30F ? v : 0;
}

/* Eighths of a line's height, on a logarithmic scale where the values spread over more than a power of ten. */
static void put_plot(struct buf *out, const struct finding *f)
{
	static const char *const bars[] = { "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" };
	float least = INFINITY, most = 0;

	for (size_t i = 0; i < f->plot.n; i++) {
		most = fmaxf(most, drawable(f->plot.at[i]));
		if (drawable(f->plot.at[i]) > 0)
			least = fminf(least, f->plot.at[i]);
	}
	if (!f->plot.what || f->plot.n < 2 || most <= 0)
		return;
	buf_puts(out, "  ");
	for (size_t i = 0; i < f->plot.n; i++) {
		float at = drawable(f->plot.at[i]);
		float v = at <= 0             ? 0
			  : most / least > 10 ? logf(at / least) / logf(most / least)
					      : at / most;

		buf_puts(out, bars[(int)(fminf(fmaxf(v, 0), 1) * 7.99F)]);
	}
	buf_puts(out, "  ");
	finding_put_clean(out, str_of(f->plot.what));
	buf_printf(out, ", at most %.3g\n", (double)most);
}

static void put_flows(struct buf *out, const struct finding *f)
{
	char up[HUMAN_TEXT_MAX], down[HUMAN_TEXT_MAX], first[TIME_TEXT_MAX], took[TIME_TEXT_MAX];

	buf_printf(out, "  %llu flow%s, %s up, %s down, %s from %s",
		   (unsigned long long)f->flows_total, f->flows_total == 1 ? "" : "s",
		   human_bytes(f->up, up), human_bytes(f->down, down),
		   duration_format(f->last_ns - f->first_ns, took),
		   time_format(f->first_ns, first));
	if (f->n_flows)
		buf_puts(out, "; ids");
	for (size_t i = 0; i < f->n_flows; i++)
		buf_printf(out, " %llu", (unsigned long long)f->flows[i]);
	buf_putc(out, '\n');
	if (f->n_attack)
		buf_puts(out, "  ATT&CK");
	for (size_t i = 0; i < f->n_attack; i++) {
		buf_puts(out, i ? ", " : " ");
		finding_put_clean(out, str_of(f->attack[i]));
	}
	if (f->n_attack)
		buf_putc(out, '\n');
}

void finding_format(const struct finding *f, struct buf *out)
{
	buf_printf(out, "%-8s %s, ", severity_name(f->severity) ?: "none",
		   finding_class_name(f->class) ?: "-");
	finding_put_clean(out, str_of(f->detector ?: "-"));
	buf_printf(out, ", score %+d dB%s", f->score_db, f->acked ? ", acknowledged" : "");
	buf_puts(out, *f->id ? "  id " : "");
	finding_put_clean(out, str_of(f->id));
	buf_puts(out, "\n  ");
	finding_put_clean(out, f->explain);
	buf_putc(out, '\n');
	for (size_t i = 0; i < f->n_evidence; i++)
		put_evidence(out, &f->evidence[i]);
	put_plot(out, f);
	put_flows(out, f);
}

void finding_format_short(const struct finding *f, struct buf *out)
{
	char since[TIME_TEXT_MAX], last[TIME_TEXT_MAX];

	time_format(f->opened_ns, since);
	time_format(f->last_ns, last);
	buf_printf(out, "%s  %-8s %-6s %-11s %+4d dB  %.19s  last %.19s%s%s\n  ",
		   *f->id ? f->id : "--------", severity_name(f->severity) ?: "none",
		   finding_class_name(f->class) ?: "-", f->detector ?: "-", f->score_db,
		   f->opened_ns ? since : "-                  ", last,
		   f->state == FINDING_CLOSED ? "  closed" : "", f->acked ? "  acknowledged" : "");
	finding_put_clean(out, f->explain);
	if (f->response.n) {
		buf_puts(out, "\n  response: ");
		finding_put_clean(out, f->response);
	}
	buf_putc(out, '\n');
}

void findings_add(struct findings *fs, const struct finding *f)
{
	struct buf out = BUF_INIT(TEXT_MAX);
	size_t at = fs->n;

	fs->by_severity[f->severity]++;
	if (fs->n == MAX_SHOWN) {
		fs->more++;
		return;
	}
	finding_format(f, &out);
	while (at && fs->all[at - 1].db < f->score_db)
		at--;
	memmove(fs->all + at + 1, fs->all + at, (fs->n - at) * sizeof(*fs->all));
	fs->all[at] = (struct shown){ f->score_db, out.p };
	fs->n++;
}

void findings_print(const struct findings *fs, FILE *to, unsigned width)
{
	const char *sep = " ";

	fputs("\nFindings:", to);
	for (int s = SEVERITY_CRITICAL; s > SEVERITY_NONE; s--) {
		if (!fs->by_severity[s])
			continue;
		fprintf(to, "%s%zu %s", sep, fs->by_severity[s], severity_name(s));
		sep = ", ";
	}
	fputs(fs->n ? "\n" : " none\n", to);
	for (size_t i = 0; i < fs->n; i++)
		fprintf(to, "\n%s", fs->all[i].text ?: "(no memory to show it)\n");
	if (fs->more)
		fprintf(to, "\n%zu more are not shown: --json has them all\n", fs->more);
}

size_t findings_count(const struct findings *fs)
{
	return fs->n + fs->more;
}
