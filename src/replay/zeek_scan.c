/* SPDX-License-Identifier: Apache-2.0 */
#include "replay/zeek_scan.h"

#include <errno.h>

#include "base/cleanup.h"

static const struct str names[ZF_COUNT] = {
#define X(id, name) [ZF_##id] = { name, sizeof(name) - 1 },
	ZEEK_FIELDS(X)
#undef X
};

/* Spread by length and two characters, which tells nearly all of them apart. */
static unsigned spread(const char *p, size_t n)
{
	return (unsigned)(n * 7 + (uint8_t)p[0] * 3u + (uint8_t)p[n - 1] * 5u) & 127;
}

struct index {
	uint8_t slot[128]; /* field + 1 */
};

static const struct index *field_index(void)
{
	static struct index in;
	static bool built;

	if (built)
		return &in;
	for (unsigned f = 0; f < ZF_COUNT; f++) {
		unsigned at = spread(names[f].p, names[f].n);

		while (in.slot[at])
			at = (at + 1) & 127;
		in.slot[at] = (uint8_t)(f + 1);
	}
	built = true;
	return &in;
}

enum zeek_field zeek_field_of(const char *p, size_t n)
{
	const struct index *in = field_index();

	if (!n)
		return ZF_NONE;
	for (unsigned at = spread(p, n); in->slot[at]; at = (at + 1) & 127) {
		unsigned f = in->slot[at] - 1u;

		if (names[f].n == n && !memcmp(names[f].p, p, n))
			return f;
	}
	if (n == 9 && !memcmp(p, "id_", 3)) {
		char dotted[9];

		memcpy(dotted, p, sizeof(dotted));
		dotted[2] = '.';
		return zeek_field_of(dotted, sizeof(dotted));
	}
	return ZF_NONE;
}

int zeek_hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		return (c | 0x20) - 'a' + 10;
	return -1;
}

/* --- TSV ----------------------------------------------------------------------------------------------------- */

/* \xHH, the only escape of Zeek's ASCII writer beside the doubled backslash. */
static size_t unescape_tsv(char *p, size_t n)
{
	char *slash = memchr(p, '\\', n);
	size_t out, at;

	if (!slash)
		return n;
	for (out = at = (size_t)(slash - p); at < n; out++) {
		if (p[at] == '\\' && n - at >= 4 && p[at + 1] == 'x' && zeek_hex(p[at + 2]) >= 0 &&
		    zeek_hex(p[at + 3]) >= 0) {
			p[out] = (char)(zeek_hex(p[at + 2]) << 4 | zeek_hex(p[at + 3]));
			at += 4;
		} else {
			at += p[at] == '\\' && n - at >= 2 && p[at + 1] == '\\';
			p[out] = p[at++];
		}
	}
	return out;
}

void zeek_tsv_init(struct zeek_tsv *t)
{
	*t = (struct zeek_tsv){ .separator = '\t',
				.set_separator = ',',
				.unset = "-",
				.unset_n = 1,
				.empty = "(empty)",
				.empty_n = 7 };
}

static void keep_mark(char mark[ZEEK_MARK_MAX], uint8_t *n, struct str value)
{
	value = str_sub(value, 0, ZEEK_MARK_MAX - 1);
	memset(mark, 0, ZEEK_MARK_MAX);
	if (value.n)
		memcpy(mark, value.p, value.n);
	*n = (uint8_t)value.n;
}

/* The next column off the front; false at the end. An empty last column is one too. */
static bool cut_column(const struct zeek_tsv *t, char **p, char *end, char **ret, size_t *ret_n)
{
	char *at = *p, *sep;

	if (!at)
		return false;
	if (t->blanks) {
		while (at < end && *at == ' ')
			at++;
		if (at == end)
			return false;
	}
	sep = memchr(at, t->blanks ? ' ' : t->separator, (size_t)(end - at));
	*ret = at;
	*ret_n = (size_t)((sep ? sep : end) - at);
	*p = sep ? sep + 1 : NULL;
	return true;
}

static void read_fields(struct zeek_tsv *t, struct str value)
{
	char *p = (char *)(uintptr_t)value.p, *end = p + value.n, *name;
	size_t n;

	t->blanks = t->separator == '\t' && !memchr(value.p, '\t', value.n) &&
		    memchr(value.p, ' ', value.n);
	t->n_columns = t->n_needed = 0;
	while (t->n_columns < ZEEK_COLUMNS_MAX && cut_column(t, &p, end, &name, &n)) {
		/* Labelled logs glue further names to the last one with blanks. */
		const char *blank = memchr(name, ' ', n);
		enum zeek_field f = zeek_field_of(name, blank ? (size_t)(blank - name) : n);

		t->columns[t->n_columns++] = (uint8_t)f;
		if (f != ZF_NONE)
			t->n_needed = t->n_columns;
	}
}

void zeek_tsv_header(struct zeek_tsv *t, struct str line)
{
	struct str name, value;
	size_t n = 0;
	uint8_t unused;

	line = str_trim(line);
	while (n < line.n && line.p[n] != ' ' && line.p[n] != '\t' && line.p[n] != t->separator)
		n++;
	name = str_sub(line, 0, n);
	value = str_sub(line, n + 1, line.n);
	if (!value.n)
		return;
	if (str_eq(name, STR("#separator"))) {
		char text[4];
		size_t length = MIN(value.n, sizeof(text));

		memcpy(text, value.p, length);
		if (unescape_tsv(text, length) == 1)
			t->separator = text[0];
	} else if (str_eq(name, STR("#set_separator"))) {
		t->set_separator = value.p[0];
	} else if (str_eq(name, STR("#unset_field"))) {
		keep_mark(t->unset, &t->unset_n, str_trim(value));
	} else if (str_eq(name, STR("#empty_field"))) {
		keep_mark(t->empty, &t->empty_n, str_trim(value));
	} else if (str_eq(name, STR("#path"))) {
		keep_mark(t->path, &unused, str_trim(value));
	} else if (str_eq(name, STR("#fields"))) {
		read_fields(t, value);
	}
}

bool zeek_tsv_has(const struct zeek_tsv *t, enum zeek_field f)
{
	return memchr(t->columns, f, t->n_columns) != NULL;
}

static bool is_list(unsigned f)
{
	return f == ZF_ANSWERS || f == ZF_TTLS || f == ZF_CHAIN_PRINTS;
}

int zeek_scan_tsv(const struct zeek_tsv *t, char *line, size_t n, struct zeek_line *ret)
{
	char *p = line, *end = line + n, *value;
	size_t length;

	memset(ret, 0, sizeof(*ret));
	for (unsigned i = 0; i < t->n_needed; i++) {
		unsigned f = t->columns[i];

		if (!cut_column(t, &p, end, &value, &length))
			return -EBADMSG;
		if (f == ZF_NONE || (length == t->unset_n && !memcmp(value, t->unset, length)))
			continue;
		if (length == t->empty_n && !memcmp(value, t->empty, length))
			length = 0;
		else if (
			!is_list(
				f)) /* a list's separators must stay escaped until it is taken apart */
			length = unescape_tsv(value, length);
		ret->f[f] = (struct str){ value, length };
	}
	return 0;
}

/* --- values -------------------------------------------------------------------------------------------------- */

bool zeek_list_next(const struct zeek_tsv *t, struct str *list, struct str *ret)
{
	if (!list->n)
		return false;
	if (!t)
		return zeek_json_list_next(list, ret);
	if (!str_cut(list, t->set_separator, ret))
		return false;
	ret->n = unescape_tsv((char *)(uintptr_t)ret->p, ret->n);
	return true;
}

static bool digits(struct str *s, unsigned n, unsigned *ret)
{
	*ret = 0;
	if (s->n < n)
		return false;
	for (unsigned i = 0; i < n; i++) {
		if (s->p[i] < '0' || s->p[i] > '9')
			return false;
		*ret = *ret * 10 + (unsigned)(s->p[i] - '0');
	}
	*s = str_sub(*s, n, s->n);
	return true;
}

/* Up to nine digits behind the point, in ns; the rest is below what we keep. */
static uint64_t fraction(struct str s, size_t *ret_n)
{
	uint64_t ns = 0, unit = 100000000;
	size_t i;

	for (i = 0; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++) {
		ns += unit * (uint64_t)(s.p[i] - '0');
		unit /= 10;
	}
	*ret_n = i;
	return ns;
}

static bool iso_time(struct str s, uint64_t *ret_ns)
{
	unsigned v[6];
	uint64_t days, ns = 0;
	size_t n = 0;

	for (unsigned i = 0; i < 6; i++) {
		if (!digits(&s, i ? 2 : 4, &v[i]))
			return false;
		if (i < 5) {
			if (!s.n || s.p[0] != "--T::"[i])
				return false;
			s = str_sub(s, 1, s.n);
		}
	}
	if (v[0] < 1970 || v[1] < 1 || v[1] > 12)
		return false;
	if (s.n && s.p[0] == '.')
		ns = fraction(str_sub(s, 1, s.n), &n);
	/* Days since 1970-01-01 of the proleptic Gregorian calendar, with years that begin in March. */
	v[0] -= v[1] <= 2;
	v[1] = (v[1] + 9) % 12;
	days = v[0] * 365ull + v[0] / 4 - v[0] / 100 + v[0] / 400 + (153 * v[1] + 2) / 5 + v[2] - 1;
	days -= 719468;
	*ret_ns = (((days * 24 + v[3]) * 60 + v[4]) * 60 + v[5]) * 1000000000ull + ns;
	return true;
}

/* "9.53e-07", as Zeek's JSON writer has small numbers. Not strtod(): its decimal point is that of the locale. */
static bool float_time(struct str s, uint64_t *ret_ns)
{
	double v = 0, unit = 1;
	bool point = false, small;
	unsigned exponent = 0;
	size_t i;

	for (i = 0; i < s.n && i < 40 && s.p[i] != 'e' && s.p[i] != 'E'; i++) {
		if (s.p[i] == '.' && !point) {
			point = true;
			continue;
		}
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		v = v * 10 + (s.p[i] - '0');
		unit *= point ? 10 : 1;
	}
	s = str_sub(s, i + 1, s.n);
	small = s.n && s.p[0] == '-';
	if (s.n && (s.p[0] == '-' || s.p[0] == '+'))
		s = str_sub(s, 1, s.n);
	if (!s.n || s.n > 3 || !digits(&s, (unsigned)s.n, &exponent))
		return false;
	v /= unit;
	for (; exponent && v > 0 && v < 1e20; exponent--)
		v = small ? v / 10 : v * 10;
	if (v > 1e10)
		return false;
	*ret_ns = (uint64_t)(v * 1e9);
	return true;
}

bool zeek_time(struct str s, uint64_t *ret_ns)
{
	uint64_t sec = 0, ns = 0;
	size_t i, n = 0;

	for (i = 0; i < s.n && i < 11 && s.p[i] >= '0' && s.p[i] <= '9'; i++)
		sec = sec * 10 + (uint64_t)(s.p[i] - '0');
	if (!i)
		return false;
	if (i < s.n && s.p[i] == '-')
		return iso_time(s, ret_ns);
	if (i < s.n && s.p[i] == '.') {
		ns = fraction(str_sub(s, i + 1, s.n), &n);
		i += 1 + n;
	}
	if (i < s.n)
		return float_time(s, ret_ns);
	if (sec > 10000000000)
		return false;
	*ret_ns = sec * 1000000000 + ns;
	return true;
}
