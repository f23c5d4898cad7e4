// SPDX-License-Identifier: Apache-2.0
/* From words of any list to entries. No memory is taken, but by names in other scripts than ASCII. */
#include "policy/list_format.h"

#include <errno.h>
#include <idn2.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"

bool list_line(struct list_out *o, struct str *rest, struct str *ret_line)
{
	if (o->r < 0 || !str_cut(rest, '\n', ret_line))
		return false;
	o->line++;
	*ret_line = str_trim(*ret_line);
	return true;
}

static size_t word_length(struct str s)
{
	size_t n = 0;

	while (n < s.n && s.p[n] != ' ' && s.p[n] != '\t')
		n++;
	return n;
}

struct str list_word(struct str *line)
{
	struct str word = { line->p, word_length(*line) };

	*line = str_trim(str_sub(*line, word.n, line->n));
	return word;
}

void list_skip(struct list_out *o)
{
	o->report->skipped++;
}

void list_bad(struct list_out *o, struct str what, const char *why)
{
	struct list_report *r = o->report;
	char shown[64];
	size_t n = MIN(what.n, sizeof(shown) - 1);

	if (r->bad++)
		return;
	for (size_t i = 0; i < n; i++)
		shown[i] = what.p[i] >= ' ' && what.p[i] < 127 ? what.p[i] : '?';
	shown[n] = 0;
	r->first_bad_line = o->line;
	snprintf(r->first_bad, sizeof(r->first_bad), "'%s%s' %s", shown, n < what.n ? "..." : "",
		 why);
}

int list_put(struct list_out *o, const struct list_entry *e)
{
	struct list_entry whole = *e;

	whole.confidence = o->confidence;
	whole.seen_s = o->seen_s;
	o->report->entries++;
	o->r = o->sink.on_entry(o->sink.ctx, &whole);
	return 0;
}

/* --- names ------------------------------------------------------------------------------------------------------- */

/* 0: no byte of a name. Underscores are in names of services and of real hosts. */
static unsigned char name_byte(unsigned char c)
{
	if (c >= 'A' && c <= 'Z')
		return c | 0x20;
	if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_')
		return c;
	return 0;
}

static int ascii_name(struct str raw, unsigned least_labels, char text[LIST_NAME_MAX],
		      struct str *ret)
{
	unsigned labels = 0;
	size_t label = 0;
	bool digits = true; /* of this label */

	if (raw.n && raw.p[raw.n - 1] == '.')
		raw.n--;
	if (!raw.n || raw.n >= LIST_NAME_MAX)
		return -EINVAL;
	for (size_t i = 0; i <= raw.n; i++) {
		if (i == raw.n || raw.p[i] == '.') {
			if (!label || label > 63)
				return -EINVAL;
			labels++;
			label = 0;
			if (i == raw.n)
				break;
			digits = true;
			text[i] = '.';
			continue;
		}
		text[i] = (char)name_byte((unsigned char)raw.p[i]);
		if (!text[i])
			return -EINVAL;
		digits = digits && text[i] >= '0' && text[i] <= '9';
		label++;
	}
	/* a last label of digits: an address that is not quite one */
	if (labels < least_labels || digits)
		return -EINVAL;
	*ret = (struct str){ text, raw.n };
	return 0;
}

int list_name(struct str raw, unsigned least_labels, char text[LIST_NAME_MAX], struct str *ret)
{
	char utf8[4 * LIST_NAME_MAX];
	bool ascii = true;
	char *alabels = NULL;
	int r;

	for (size_t i = 0; i < raw.n && ascii; i++)
		ascii = (unsigned char)raw.p[i] < 0x80;
	if (ascii)
		return ascii_name(raw, least_labels, text, ret);
	if (raw.n >= sizeof(utf8) || memchr(raw.p, 0, raw.n))
		return -EINVAL;
	memcpy(utf8, raw.p, raw.n);
	utf8[raw.n] = 0;
	if (idn2_to_ascii_8z(utf8, &alabels, IDN2_NONTRANSITIONAL) != IDN2_OK)
		return -EINVAL;
	r = ascii_name(str_of(alabels), least_labels, text, ret);
	idn2_free(alabels);
	return r;
}

int list_put_name(struct list_out *o, enum list_kind kind, struct str raw, unsigned least_labels,
		  struct str note)
{
	char text[LIST_NAME_MAX];
	struct list_entry e = { .kind = kind, .note = note };
	int r = list_name(raw, least_labels, text, &e.text);

	return r < 0 ? r : list_put(o, &e);
}

int list_put_pattern(struct list_out *o, struct str raw, struct str note)
{
	static const struct {
		struct str prefix;
		enum list_kind kind;
	} forms[] = {
		{ STR("**."), LIST_TREE },
		{ STR("*."), LIST_BELOW },
		{ STR("."), LIST_TREE },
	};

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++)
		if (str_has_prefix(raw, forms[i].prefix))
			return list_put_name(o, forms[i].kind,
					     str_sub(raw, forms[i].prefix.n, raw.n), 1, note);
	return list_put_name(o, LIST_NAME, raw, 2, note);
}

/* --- addresses --------------------------------------------------------------------------------------------------- */

static void mask(struct addr *lo, struct addr *hi, unsigned bits)
{
	for (unsigned i = 0; i < 16; i++) {
		unsigned kept = bits >= 8 * (i + 1) ? 8 : bits > 8 * i ? bits - 8 * i : 0;
		uint8_t host = (uint8_t)(0xff >> kept);

		lo->b[i] &= (uint8_t)~host;
		hi->b[i] |= host;
	}
}

static int range_of_cidr(struct str raw, struct list_entry *ret)
{
	struct cidr c;

	if (cidr_parse(raw, &c) < 0)
		return -EINVAL;
	/* "every address" is no list, whoever wrote it */
	if (c.bits <= (addr_is_v4(&c.addr) ? 96 : 0))
		return -EINVAL;
	ret->lo = ret->hi = c.addr;
	mask(&ret->lo, &ret->hi, c.bits);
	return 0;
}

static int range_of_two(struct str raw, size_t dash, struct list_entry *ret)
{
	if (addr_parse(str_trim(str_sub(raw, 0, dash)), &ret->lo) < 0 ||
	    addr_parse(str_trim(str_sub(raw, dash + 1, raw.n)), &ret->hi) < 0)
		return -EINVAL;
	if (addr_is_v4(&ret->lo) != addr_is_v4(&ret->hi) || memcmp(&ret->lo, &ret->hi, 16) > 0)
		return -EINVAL;
	return 0;
}

static int address_and_port(struct str raw, size_t at, struct list_entry *ret)
{
	uint64_t port;

	if (str_parse_u64(str_sub(raw, at + 1, raw.n), &port) < 0 || !port || port > 65535)
		return -EINVAL;
	raw.n = at;
	if (raw.p[0] == '[' && raw.p[raw.n - 1] == ']')
		raw = str_sub(raw, 1, raw.n - 2);
	ret->port = (uint16_t)port;
	return addr_parse(raw, &ret->lo) < 0 ? -EINVAL : 0;
}

int list_address(struct str raw, struct list_entry *ret)
{
	const char *slash, *dash, *colon;

	*ret = (struct list_entry){ .kind = LIST_RANGE };
	/* most lines of most lists are names: they are told by their first byte, or have no colon and no digit at it */
	if (!raw.n || raw.n > 2 * ADDR_TEXT_MAX)
		return -EINVAL;
	colon = memchr(raw.p, ':', raw.n);
	if (!colon && (raw.p[0] < '0' || raw.p[0] > '9'))
		return -EINVAL;
	slash = memchr(raw.p, '/', raw.n);
	if (slash)
		return range_of_cidr(raw, ret);
	dash = memchr(raw.p, '-', raw.n);
	if (dash)
		return range_of_two(raw, (size_t)(dash - raw.p), ret);
	if (raw.p[0] == '[')
		colon = memrchr(raw.p, ':', raw.n);
	else if (colon && memchr(colon + 1, ':', (size_t)(raw.p + raw.n - colon - 1)))
		colon = NULL;
	if (colon && colon > raw.p)
		return address_and_port(raw, (size_t)(colon - raw.p), ret) < 0
			       ? -EINVAL
			       : (ret->hi = ret->lo, 0);
	if (addr_parse(raw, &ret->lo) < 0)
		return -EINVAL;
	ret->hi = ret->lo;
	return 0;
}

int list_put_address(struct list_out *o, struct str raw, struct str note)
{
	struct list_entry e;

	if (list_address(raw, &e) < 0)
		return -EINVAL;
	e.note = note;
	return list_put(o, &e);
}

/* --- the rest ---------------------------------------------------------------------------------------------------- */

int list_put_url(struct list_out *o, struct str raw, struct str note)
{
	static const struct str schemes[] = { STR("http://"), STR("https://"), STR("ftp://") };
	struct list_entry e = { .kind = LIST_URL, .text = raw, .note = note };

	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++)
		if (str_has_prefix_nocase(raw, schemes[i]) && raw.n > schemes[i].n)
			return list_put(o, &e);
	return -EINVAL;
}

int list_put_hash(struct list_out *o, enum list_kind kind, struct str raw, struct str note)
{
	struct list_entry e = { .kind = kind, .note = note };
	char text[128];

	if (raw.n != 32 && raw.n != 40 && raw.n != 64 && raw.n != 128)
		return -EINVAL;
	for (size_t i = 0; i < raw.n; i++) {
		text[i] = (char)name_byte((unsigned char)raw.p[i]);
		if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f')))
			return -EINVAL;
	}
	e.text = (struct str){ text, raw.n };
	return list_put(o, &e);
}

/* t13d1516h2_8daaf6152771_b186095e22b6 */
static bool is_ja4(struct str s)
{
	return s.n == 36 && s.p[10] == '_' && s.p[23] == '_' && memchr("tqd", s.p[0], 3);
}

static int put_ja4(struct list_out *o, struct str raw, struct str note)
{
	struct list_entry e = { .kind = LIST_JA4, .text = raw, .note = note };

	return is_ja4(raw) ? list_put(o, &e) : -EINVAL;
}

static bool only_digits(const char *from, struct str s)
{
	while (from < s.p + s.n && *from >= '0' && *from <= '9')
		from++;
	return from == s.p + s.n;
}

/* "/gate.php": a path on any host. Fewer bytes, or a comment's "//": nothing that tells one place from another. */
static int put_path(struct list_out *o, struct str raw, struct str note)
{
	struct list_entry e = { .kind = LIST_PATH, .text = raw, .note = note };

	if (raw.n < 3 || raw.p[0] != '/' || raw.p[1] == '/')
		return -EINVAL;
	return list_put(o, &e);
}

/* "name/path" and "name:8080" as Maltrail writes them. */
static int put_parts(struct list_out *o, struct str raw, struct str note)
{
	const char *slash = memchr(raw.p, '/', raw.n);
	size_t n = slash ? (size_t)(slash - raw.p) : raw.n;
	const char *colon = memchr(raw.p, ':', n);
	struct list_entry e = { .kind = LIST_URL, .text = raw, .note = note }, address;
	char text[LIST_NAME_MAX];
	struct str name;
	uint64_t port = 0;

	if (!slash && !colon)
		return -EINVAL;
	if (colon && str_parse_u64(str_sub(raw, (size_t)(colon + 1 - raw.p),
					   n - (size_t)(colon + 1 - raw.p)),
				   &port) < 0)
		return -EINVAL;
	name = str_sub(raw, 0, colon ? (size_t)(colon - raw.p) : n);
	if (name.n && list_name(name, 2, text, &name) < 0 &&
	    (!slash || list_address(name, &address) < 0 || only_digits(slash + 1, raw)))
		return -EINVAL; /* among them "192.0.2.1/33" and "192.0.2.1:0" */
	if (slash && name.n)
		return list_put(o, &e);
	if (slash)
		return put_path(o, raw, note);
	if (!name.n || !port || port > 65535)
		return -EINVAL;
	return list_put(
		o, &(struct list_entry){
			   .kind = LIST_NAME, .text = name, .port = (uint16_t)port, .note = note });
}

int list_put_any(struct list_out *o, struct str raw, struct str note)
{
	int r;

	r = list_put_address(o, raw, note);
	if (r < 0)
		r = list_put_pattern(o, raw, note);
	if (r < 0)
		r = list_put_hash(o, LIST_HASH, raw, note);
	if (r < 0)
		r = put_ja4(o, raw, note);
	if (r < 0)
		r = list_put_url(o, raw, note);
	if (r < 0 && raw.n)
		r = put_parts(o, raw, note);
	return r;
}

/* --- values with a word for what they are ------------------------------------------------------------------------ */

enum typed {
	T_ADDRESS,
	T_SOURCE,
	T_TREE,
	T_NAME,
	T_TREE_AND_IP,
	T_URL,
	T_HASH,
	T_FILE_HASH,
	T_CERT,
	T_JA3,
	T_JA4
};

static const struct {
	struct str word;
	enum typed how;
} types[] = {
	{ STR("ip-dst"), T_ADDRESS },
	{ STR("ip-dst|port"), T_ADDRESS },
	{ STR("ip:port"), T_ADDRESS },
	{ STR("ip"), T_ADDRESS },
	{ STR("ipv4"), T_ADDRESS },
	{ STR("ipv6"), T_ADDRESS },
	{ STR("cidr"), T_ADDRESS },
	{ STR("ipv4-addr"), T_ADDRESS },
	{ STR("ipv6-addr"), T_ADDRESS },
	{ STR("Intel::ADDR"), T_ADDRESS },
	{ STR("Intel::SUBNET"), T_ADDRESS },
	{ STR("ip-src"), T_SOURCE },
	{ STR("ip-src|port"), T_SOURCE },
	{ STR("domain"), T_TREE },
	{ STR("Intel::DOMAIN"), T_TREE },
	{ STR("domain-name"), T_NAME },
	{ STR("hostname"), T_NAME },
	{ STR("fqdn"), T_NAME },
	{ STR("domain|ip"), T_TREE_AND_IP },
	{ STR("url"), T_URL },
	{ STR("uri"), T_URL },
	{ STR("Intel::URL"), T_URL },
	{ STR("md5"), T_HASH },
	{ STR("sha1"), T_HASH },
	{ STR("sha256"), T_HASH },
	{ STR("sha512"), T_HASH },
	{ STR("md5_hash"), T_HASH },
	{ STR("sha1_hash"), T_HASH },
	{ STR("sha256_hash"), T_HASH },
	{ STR("Intel::FILE_HASH"), T_HASH },
	{ STR("filename|md5"), T_FILE_HASH },
	{ STR("filename|sha1"), T_FILE_HASH },
	{ STR("filename|sha256"), T_FILE_HASH },
	{ STR("x509-fingerprint-md5"), T_CERT },
	{ STR("x509-fingerprint-sha1"), T_CERT },
	{ STR("x509-fingerprint-sha256"), T_CERT },
	{ STR("Intel::CERT_HASH"), T_CERT },
	{ STR("ja3"), T_JA3 },
	{ STR("ja3_md5"), T_JA3 },
	{ STR("ja3-fingerprint-md5"), T_JA3 },
	{ STR("Intel::JA3"), T_JA3 },
	{ STR("Intel::JA4"), T_JA4 },
	{ STR("ja4"), T_JA4 },
	{ STR("ja4-fingerprint"), T_JA4 },
};

static int put_address_and_port(struct list_out *o, struct str first, struct str second,
				bool with_port, struct str note)
{
	struct list_entry e;
	uint64_t port = 0;

	if (list_address(first, &e) < 0)
		return -EINVAL;
	if (second.n && (str_parse_u64(second, &port) < 0 || port > 65535))
		return -EINVAL;
	if (port && with_port)
		e.port = (uint16_t)port;
	if (!with_port)
		e.port = 0; /* the port an attacker came from says nothing of where traffic goes */
	e.note = note;
	return list_put(o, &e);
}

static int put_as(struct list_out *o, enum typed how, struct str value, struct str note)
{
	struct str first, second = value;
	int r;

	if (!str_cut(&second, '|', &first))
		return -EINVAL;
	switch (how) {
	case T_ADDRESS:
	case T_SOURCE:
		return put_address_and_port(o, first, second, how == T_ADDRESS, note);
	case T_TREE:
		return list_put_name(o, LIST_TREE, value, 2, note);
	case T_NAME:
		return list_put_name(o, LIST_NAME, value, 2, note);
	case T_TREE_AND_IP:
		r = list_put_name(o, LIST_TREE, first, 2, note);
		return r < 0 || o->r < 0 ? r : list_put_address(o, second, note);
	case T_URL:
		r = list_put_url(o, value, note);
		return r < 0 && value.n ? put_parts(o, value, note) : r;
	case T_HASH:
		return list_put_hash(o, LIST_HASH, value, note);
	case T_FILE_HASH:
		return list_put_hash(o, LIST_HASH, second, note);
	case T_CERT:
		return list_put_hash(o, LIST_CERT, value, note);
	case T_JA3:
		return value.n == 32 ? list_put_hash(o, LIST_JA3, value, note) : -EINVAL;
	case T_JA4:
		return put_ja4(o, value, note);
	}
	return -ENOENT;
}

int list_put_typed(struct list_out *o, struct str type, struct str value, struct str note)
{
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (str_eq_nocase(type, types[i].word))
			return put_as(o, types[i].how, str_trim(value), note);
	return -ENOENT;
}
