// SPDX-License-Identifier: Apache-2.0
/*
 * Tables: abuse.ch (Feodo, SSLBL, URLhaus, ThreatFox), MISP's CSV, Zeek's intelligence files (tabs), and any table whose
 * first column that can be one is an address, a name, a URL or a hash. The header, also one behind '#', says what a column
 * is; without a header the first row does.
 */
#include "policy/list_format.h"

#include <errno.h>

#include "base/cleanup.h"

#define LINES_LOOKED_AT 200
#define COLUMNS_MAX 48
#define FIELD_MAX 4096

enum role {
	COL_OTHER,
	COL_ADDRESS,
	COL_PORT,
	COL_LAST_ADDRESS, /* of a range that COL_ADDRESS begins */
	COL_NAME,
	COL_URL,
	COL_HASH,
	COL_SHA1, /* of a file, or of a certificate */
	COL_JA3,
	COL_JA4,
	COL_VALUE, /* COL_TYPE says what it is */
	COL_TYPE,
	COL_TO_IDS,
	COL_NOTE,
	COL_CONFIDENCE, /* 0 to 100 */
	COL_SCORE,      /* of Suricata's iprep: 1 to 127 */
	COL_BASE64,     /* of Suricata's datasets of strings */
	COL_FIRST_SEEN,
	COL_LAST_SEEN,
	COL_REASON /* a note; with COL_SHA1 it is SSLBL, whose hashes are those of certificates */
};

static const struct {
	struct str word;
	enum role role;
} headings[] = {
	{ STR("dst_ip"), COL_ADDRESS },
	{ STR("dstip"), COL_ADDRESS },
	{ STR("ip"), COL_ADDRESS },
	{ STR("ip_address"), COL_ADDRESS },
	{ STR("ipaddress"), COL_ADDRESS },
	{ STR("address"), COL_ADDRESS },
	{ STR("cidr"), COL_ADDRESS },
	{ STR("network"), COL_ADDRESS },
	{ STR("prefix"), COL_ADDRESS },
	{ STR("start_ip"), COL_ADDRESS },
	{ STR("end_ip"), COL_LAST_ADDRESS },
	{ STR("dst_port"), COL_PORT },
	{ STR("dstport"), COL_PORT },
	{ STR("port"), COL_PORT },
	{ STR("domain"), COL_NAME },
	{ STR("hostname"), COL_NAME },
	{ STR("host"), COL_NAME },
	{ STR("fqdn"), COL_NAME },
	{ STR("url"), COL_URL },
	{ STR("md5"), COL_HASH },
	{ STR("sha256"), COL_HASH },
	{ STR("md5_hash"), COL_HASH },
	{ STR("sha1_hash"), COL_HASH },
	{ STR("sha256_hash"), COL_HASH },
	{ STR("sha1"), COL_SHA1 },
	{ STR("ja3"), COL_JA3 },
	{ STR("ja3_md5"), COL_JA3 },
	{ STR("ja3_fingerprint"), COL_JA3 },
	{ STR("ja4"), COL_JA4 },
	{ STR("ja4_fingerprint"), COL_JA4 },
	{ STR("ioc_value"), COL_VALUE },
	{ STR("indicator"), COL_VALUE },
	{ STR("value"), COL_VALUE },
	{ STR("ioc_type"), COL_TYPE },
	{ STR("indicator_type"), COL_TYPE },
	{ STR("type"), COL_TYPE },
	{ STR("to_ids"), COL_TO_IDS },
	{ STR("malware"), COL_NOTE },
	{ STR("malware_printable"), COL_NOTE },
	{ STR("threat"), COL_NOTE },
	{ STR("signature"), COL_NOTE },
	{ STR("comment"), COL_NOTE },
	{ STR("description"), COL_NOTE },
	{ STR("meta.desc"), COL_NOTE },
	{ STR("listingreason"), COL_REASON },
	{ STR("confidence"), COL_CONFIDENCE },
	{ STR("confidence_level"), COL_CONFIDENCE },
	{ STR("meta.confidence"), COL_CONFIDENCE },
	{ STR("first_seen_utc"), COL_FIRST_SEEN },
	{ STR("first_seen"), COL_FIRST_SEEN },
	{ STR("firstseen"), COL_FIRST_SEEN },
	{ STR("meta.first_seen"), COL_FIRST_SEEN },
	{ STR("dateadded"), COL_FIRST_SEEN },
	{ STR("date_added"), COL_FIRST_SEEN },
	{ STR("listingdate"), COL_FIRST_SEEN },
	{ STR("date"), COL_FIRST_SEEN },
	{ STR("last_seen_utc"), COL_LAST_SEEN },
	{ STR("last_seen"), COL_LAST_SEEN },
	{ STR("lastseen"), COL_LAST_SEEN },
	{ STR("meta.last_seen"), COL_LAST_SEEN },
	{ STR("last_online"), COL_LAST_SEEN },
};

struct table {
	struct list_out *o;
	char separator;
	enum role roles[COLUMNS_MAX];
	size_t columns;
	bool known; /* what the columns are */
	bool sslbl;
	char unquoted[FIELD_MAX];
};

/* --- rows to fields ---------------------------------------------------------------------------------------------- */

/*
 * Fields of one line, quotes taken off; those with a quote inside are unfolded into t->unquoted. 0: no row, an open quote
 * or too long.
 */
static size_t split(struct table *t, struct str line, struct str fields[COLUMNS_MAX])
{
	size_t n = 0, used = 0;

	for (;;) {
		struct str field;

		while (line.n && line.p[0] == ' ')
			line = str_sub(line, 1, line.n);
		if (line.n && line.p[0] == '"') {
			size_t i = 1, from = used;

			for (; i < line.n; i++) {
				if (line.p[i] == '"' && ++i < line.n && line.p[i] != '"')
					break;
				if (i >= line.n)
					break;
				if (used >= FIELD_MAX)
					return 0;
				t->unquoted[used++] = line.p[i];
			}
			if (i < 2 || line.p[i - 1] != '"')
				return 0;
			field = (struct str){ t->unquoted + from, used - from };
			line = str_trim(str_sub(line, i, line.n));
			if (line.n && line.p[0] != t->separator)
				return 0;
		} else {
			const char *end = line.n ? memchr(line.p, t->separator, line.n) : NULL;
			size_t length = end ? (size_t)(end - line.p) : line.n;

			field = str_trim(str_sub(line, 0, length));
			line = str_sub(line, length, line.n);
		}
		if (n < COLUMNS_MAX)
			fields[n++] = field;
		if (!line.n)
			return n;
		line = str_sub(line, 1, line.n);
	}
}

/* --- what the columns are ---------------------------------------------------------------------------------------- */

static enum role role_of(struct str heading)
{
	for (size_t i = 0; i < ARRAY_SIZE(headings); i++)
		if (str_eq_nocase(heading, headings[i].word))
			return headings[i].role;
	return COL_OTHER;
}

static bool is_value(enum role r)
{
	return (r >= COL_ADDRESS && r <= COL_VALUE && r != COL_PORT && r != COL_LAST_ADDRESS) ||
	       r == COL_BASE64;
}

/* True when the line is a header. Comments may be prose with commas; headings are single words. */
static bool take_header(struct table *t, struct str line)
{
	struct str fields[COLUMNS_MAX];
	enum role roles[COLUMNS_MAX];
	bool reason = false, value = false, comment = line.n && line.p[0] == '#';
	size_t n;

	while (line.n && line.p[0] == '#')
		line = str_sub(line, 1, line.n);
	line = str_trim(line);
	if (str_has_prefix(line, STR("fields\t"))) {
		t->separator = '\t';
		line = str_sub(line, strlen("fields\t"), line.n);
	}
	n = split(t, line, fields);
	for (size_t i = 0; i < n; i++) {
		if (memchr(fields[i].n ? fields[i].p : "", ' ', fields[i].n))
			return false;
		roles[i] = role_of(fields[i]);
		value = value || is_value(roles[i]);
		reason = reason || roles[i] == COL_REASON;
	}
	if (!value || (n < 2 && comment))
		return false;
	memcpy(t->roles, roles, n * sizeof(roles[0]));
	t->columns = n;
	t->known = true;
	t->sslbl = reason;
	return true;
}

static bool is_hash(struct str s)
{
	if (s.n != 32 && s.n != 40 && s.n != 64)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!memchr("0123456789abcdefABCDEF", s.p[i], 22))
			return false;
	return true;
}

static enum role role_of_value(struct str s)
{
	char text[LIST_NAME_MAX];
	struct list_entry e;
	struct str name;

	if (list_address(s, &e) == 0)
		return COL_ADDRESS;
	if (str_has_prefix_nocase(s, STR("http://")) || str_has_prefix_nocase(s, STR("https://")))
		return COL_URL;
	if (list_name(s, 2, text, &name) == 0)
		return COL_NAME;
	if (is_hash(s))
		return COL_HASH;
	return list_base64(s, text, &name) == 0 ? COL_BASE64 : COL_OTHER;
}

static bool is_number(struct str s, uint64_t most)
{
	uint64_t v;

	return str_parse_u64(s, &v) == 0 && v <= most;
}

/* The first column that can be something; two addresses side by side are a range. */
static void guess(struct table *t, const struct str *fields, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		enum role role = role_of_value(fields[i]);
		uint64_t port;

		if (role == COL_OTHER)
			continue;
		t->roles[i] = role;
		t->known = true;
		if (i + 1 >= n)
			break;
		if (role == COL_ADDRESS && role_of_value(fields[i + 1]) == COL_ADDRESS)
			t->roles[i + 1] = COL_LAST_ADDRESS;
		else if (role == COL_ADDRESS && n == 2 &&
			 str_parse_u64(fields[i + 1], &port) == 0 && port && port < 65536)
			t->roles[i + 1] = COL_PORT;
		else if (role == COL_ADDRESS && n == 3 && is_number(fields[1], 60) &&
			 is_number(fields[2], 127))
			t->roles[2] = COL_SCORE; /* Suricata's iprep: address, category, score */
		else if (n == 2 && role == COL_BASE64 && is_number(fields[i + 1], UINT16_MAX))
			t->roles[i + 1] = COL_CONFIDENCE; /* its datarep */
		else if (n == 2)
			t->roles[i + 1] = COL_NOTE;
		break;
	}
	t->columns = n;
}

/* --- rows to entries --------------------------------------------------------------------------------------------- */

static struct str column(const struct table *t, const struct str *fields, size_t n, enum role role)
{
	for (size_t i = 0; i < n && i < t->columns; i++)
		if (t->roles[i] == role)
			return fields[i];
	return STR_NONE;
}

static int put_range(struct table *t, struct str first, struct str last, struct str port,
		     struct str note)
{
	struct list_entry e, end;
	uint64_t number = 0;

	if (list_address(first, &e) < 0)
		return -EINVAL;
	if (port.n && (str_parse_u64(port, &number) < 0 || number > 65535))
		return -EINVAL;
	if (last.n) {
		if (list_address(last, &end) < 0 || addr_is_v4(&end.lo) != addr_is_v4(&e.lo) ||
		    memcmp(&e.lo, &end.hi, sizeof(e.lo)) > 0)
			return -EINVAL;
		e.hi = end.hi;
	}
	e.note = note;
	if (number && addr_eq(&e.lo, &e.hi))
		e.port = (uint16_t)number;
	return list_put(t->o, &e);
}

static int put_base64(struct list_out *o, struct str raw, struct str note)
{
	char text[LIST_NAME_MAX];
	struct str value;
	int r = list_base64(raw, text, &value);

	return r < 0 ? r : list_put_any(o, value, note);
}

/* What the row says of its values: numbers that are none, and times that are none, say nothing. */
static void take_facts(struct table *t, const struct str *fields, size_t n)
{
	uint64_t v = 0;

	t->o->confidence = 0;
	if (str_parse_u64(column(t, fields, n, COL_CONFIDENCE), &v) == 0)
		t->o->confidence = (uint8_t)MIN(v, (uint64_t)100);
	else if (str_parse_u64(column(t, fields, n, COL_SCORE), &v) == 0)
		t->o->confidence = (uint8_t)(MIN(v, (uint64_t)127) * 100 / 127);
	t->o->seen_s = list_time(column(t, fields, n, COL_LAST_SEEN));
	if (!t->o->seen_s)
		t->o->seen_s = list_time(column(t, fields, n, COL_FIRST_SEEN));
}

static int put_value(struct table *t, enum role role, const struct str *fields, size_t n,
		     struct str v, struct str note)
{
	struct str type = column(t, fields, n, COL_TYPE), ids = column(t, fields, n, COL_TO_IDS);
	int r;

	switch (role) {
	case COL_ADDRESS:
		return put_range(t, v, column(t, fields, n, COL_LAST_ADDRESS),
				 column(t, fields, n, COL_PORT), note);
	case COL_NAME:
		r = list_put_name(t->o, LIST_TREE, v, 2, note);
		return r < 0 ? list_put_any(t->o, v, note) : r;
	case COL_URL:
		return list_put_url(t->o, v, note);
	case COL_HASH:
		return list_put_hash(t->o, LIST_HASH, v, note);
	case COL_SHA1:
		return list_put_hash(t->o, t->sslbl ? LIST_CERT : LIST_HASH, v, note);
	case COL_JA3:
		return v.n == 32 ? list_put_hash(t->o, LIST_JA3, v, note) : -EINVAL;
	case COL_BASE64:
		return put_base64(t->o, v, note);
	case COL_JA4:
		return list_put_typed(t->o, STR("ja4"), v, note);
	case COL_VALUE:
		if (str_eq(ids, STR("0")) || str_eq_nocase(ids, STR("false")))
			return -ENOENT;
		return type.n ? list_put_typed(t->o, type, v, note) : list_put_any(t->o, v, note);
	default:
		return -ENOENT;
	}
}

static void row(struct table *t, const struct str *fields, size_t n, struct str line)
{
	struct str note = column(t, fields, n, COL_NOTE);
	bool found = false;

	if (!note.n)
		note = column(t, fields, n, COL_REASON);
	take_facts(t, fields, n);
	for (size_t i = 0; i < n && i < t->columns && t->o->r >= 0; i++) {
		int r;

		/* "n/a", "None", nothing: tables have holes */
		if (!is_value(t->roles[i]) || fields[i].n < 3 ||
		    str_eq_nocase(fields[i], STR("n/a")) || str_eq_nocase(fields[i], STR("none")))
			continue;
		found = true;
		r = put_value(t, t->roles[i], fields, n, fields[i], note);
		if (r == -ENOENT)
			list_skip(t->o);
		else if (r < 0)
			list_bad(t->o, fields[i], "is not what its column should hold");
	}
	if (!found)
		list_bad(t->o, line, "is a row without a value");
}

static int csv_parse(struct list_out *o, struct str text)
{
	struct table t = { .o = o, .separator = ',' };
	struct str line, fields[COLUMNS_MAX];
	bool rows = false;

	while (list_line(o, &text, &line)) {
		size_t n;

		if (!line.n)
			continue;
		if (line.p[0] == '#') {
			if (!rows)
				take_header(&t, line);
			continue;
		}
		if (!t.known && memchr(line.p, ';', line.n) && !memchr(line.p, ',', line.n))
			t.separator = ';';
		if (!rows && take_header(&t, line))
			continue;
		rows = true;
		n = split(&t, line, fields);
		if (!t.known)
			guess(&t, fields, n);
		if (!n)
			list_bad(o, line, "has a quote that does not end");
		else
			row(&t, fields, n, line);
	}
	return 0;
}

static unsigned csv_score(struct str head)
{
	struct list_report none = { 0 };
	struct list_out o = { .report = &none };
	struct table t = { .o = &o, .separator = ',' };
	struct str line, fields[COLUMNS_MAX];
	unsigned lines = 0, score = 0;
	const char *comment;

	while (lines < LINES_LOOKED_AT && list_line(&o, &head, &line)) {
		if (!line.n)
			continue;
		if (line.p[0] == '#' || !lines) {
			if (take_header(&t, line))
				score += 2;
			if (line.p[0] == '#')
				continue;
		}
		lines++;
		/* commas behind a '#' are those of a comment */
		comment = memchr(line.p, '#', line.n);
		if (comment)
			line.n = (size_t)(comment - line.p);
		score += split(&t, line, fields) > 1;
	}
	return 2 * score > lines ? score : 0;
}

const struct list_reader list_csv = { LIST_CSV, csv_score, csv_parse };
