// SPDX-License-Identifier: Apache-2.0
/*
 * DER (X.690) with definite lengths and one-byte tags, which is all that certificates use. The signature and the key
 * are not looked at; what follows a field that is odd is still read where it can be.
 */
#include "decode/x509.h"

#include <errno.h>

#include "base/addr.h"
#include "base/cleanup.h"
#include "decode/cursor.h"

enum {
	DER_INTEGER = 0x02,
	DER_OCTETS = 0x04,
	DER_OID = 0x06,
	DER_BMP_STRING = 0x1e,
	DER_UNIVERSAL_STRING = 0x1c,
	DER_UTC_TIME = 0x17,
	DER_GENERALIZED_TIME = 0x18,
	DER_SEQUENCE = 0x30,
	DER_SET = 0x31,
	DER_VERSION = 0xa0,    /* [0] of a TBSCertificate */
	DER_EXTENSIONS = 0xa3, /* [3] */
	ALT_DNS = 0x82,        /* [2] of a GeneralName */
	ALT_ADDRESS = 0x87,    /* [7] */
};

struct der {
	uint8_t tag;
	struct str body, whole;
};

static struct str rest_of(const struct cursor *c)
{
	return (struct str){ (const char *)c->p, c->n };
}

/* The next element; false at the end and at what is none. */
static bool der_next(struct cursor *c, struct der *ret)
{
	struct str all = rest_of(c);
	size_t length;

	ret->tag = cursor_u8(c);
	length = cursor_u8(c);
	if (c->bad || (ret->tag & 0x1f) == 0x1f)
		return false;
	if (length & 0x80) {
		size_t n = length & 0x7f;

		if (!n || n > 3)
			return false;
		for (length = 0; n; n--)
			length = length << 8 | cursor_u8(c);
	}
	ret->body = cursor_str(c, length);
	if (c->bad)
		return false;
	ret->whole = str_sub(all, 0, all.n - c->n);
	return true;
}

/* The next element, which must be of this type. */
static bool der_take(struct cursor *c, uint8_t tag, struct der *ret)
{
	return der_next(c, ret) && ret->tag == tag;
}

/* --- names -------------------------------------------------------------------------------------------------------- */

#define OID_COMMON_NAME STR("\x55\x04\x03")

/* RFC 4514 3, and what else is seen in certificates of servers, under the names that OpenSSL prints. */
static const struct {
	struct str oid;
	const char *name;
} attributes[] = {
	{ OID_COMMON_NAME, "CN" },
	{ STR("\x55\x04\x04"), "SN" },
	{ STR("\x55\x04\x05"), "serialNumber" },
	{ STR("\x55\x04\x06"), "C" },
	{ STR("\x55\x04\x07"), "L" },
	{ STR("\x55\x04\x08"), "ST" },
	{ STR("\x55\x04\x09"), "street" },
	{ STR("\x55\x04\x0a"), "O" },
	{ STR("\x55\x04\x0b"), "OU" },
	{ STR("\x55\x04\x0c"), "title" },
	{ STR("\x55\x04\x0f"), "businessCategory" },
	{ STR("\x55\x04\x11"), "postalCode" },
	{ STR("\x55\x04\x2a"), "GN" },
	{ STR("\x55\x04\x2b"), "initials" },
	{ STR("\x55\x04\x2e"), "dnQualifier" },
	{ STR("\x55\x04\x61"), "organizationIdentifier" },
	{ STR("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01"), "emailAddress" },
	{ STR("\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x01"), "UID" },
	{ STR("\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19"), "DC" },
	{ STR("\x2b\x06\x01\x04\x01\x82\x37\x3c\x02\x01\x01"), "jurisdictionL" },
	{ STR("\x2b\x06\x01\x04\x01\x82\x37\x3c\x02\x01\x02"), "jurisdictionST" },
	{ STR("\x2b\x06\x01\x04\x01\x82\x37\x3c\x02\x01\x03"), "jurisdictionC" },
};

static void put_oid(struct str oid, struct buf *out)
{
	uint64_t v = 0;
	bool first = true;

	for (size_t i = 0; i < oid.n; i++) {
		uint8_t b = (uint8_t)oid.p[i];

		v = (v & (UINT64_MAX >> 8)) << 7 | (b & 0x7f);
		if (b & 0x80)
			continue;
		if (first)
			buf_printf(out, "%u.%llu",
				   v < 40   ? 0
				   : v < 80 ? 1
					    : 2,
				   (unsigned long long)(v < 40   ? v
							: v < 80 ? v - 40
								 : v - 80));
		else
			buf_printf(out, ".%llu", (unsigned long long)v);
		first = false;
		v = 0;
	}
}

static void put_utf8(uint32_t c, struct buf *out)
{
	if (c >= 0x110000 || (c >= 0xd800 && c < 0xe000))
		c = 0xfffd;
	if (c < 0x80) {
		buf_putc(out, (char)c);
		return;
	}
	if (c < 0x800) {
		buf_putc(out, (char)(0xc0 | c >> 6));
	} else if (c < 0x10000) {
		buf_putc(out, (char)(0xe0 | c >> 12));
		buf_putc(out, (char)(0x80 | (c >> 6 & 0x3f)));
	} else {
		buf_putc(out, (char)(0xf0 | c >> 18));
		buf_putc(out, (char)(0x80 | (c >> 12 & 0x3f)));
		buf_putc(out, (char)(0x80 | (c >> 6 & 0x3f)));
	}
	buf_putc(out, (char)(0x80 | (c & 0x3f)));
}

/* BMPString is UCS-2, UniversalString UCS-4; all others are bytes that the writer of records looks over. */
static void put_value(uint8_t tag, struct str v, struct buf *out)
{
	struct cursor c = cursor_of(v);

	if (tag == DER_BMP_STRING) {
		while (c.n >= 2)
			put_utf8(cursor_u16(&c), out);
	} else if (tag == DER_UNIVERSAL_STRING) {
		while (c.n >= 4)
			put_utf8(cursor_u32(&c), out);
	} else {
		buf_put_str(out, v);
	}
}

/* AttributeTypeAndValue: the OID and the string. */
static bool next_attribute(struct cursor *set, struct der *oid, struct der *value)
{
	struct der pair;
	struct cursor c;

	if (!der_take(set, DER_SEQUENCE, &pair))
		return false;
	c = cursor_of(pair.body);
	return der_take(&c, DER_OID, oid) && der_next(&c, value);
}

static void put_attribute(struct str oid, const struct der *value, struct buf *out)
{
	const char *name = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(attributes) && !name; i++)
		if (str_eq(oid, attributes[i].oid))
			name = attributes[i].name;
	if (name)
		buf_puts(out, name);
	else
		put_oid(oid, out);
	buf_putc(out, '=');
	put_value(value->tag, value->body, out);
}

void x509_name_text(struct str name, struct buf *out)
{
	struct cursor c = cursor_of(name);
	struct der set, oid, value;
	bool first = true;

	while (der_take(&c, DER_SET, &set)) {
		struct cursor one = cursor_of(set.body);
		bool more = false; /* of several attributes in one RDN */

		while (next_attribute(&one, &oid, &value)) {
			buf_puts(out, more ? " + " : first ? "" : ", ");
			first = false;
			more = true;
			put_attribute(oid.body, &value, out);
		}
	}
}

void x509_common_name_text(const struct x509 *x, struct buf *out)
{
	put_value(x->common_name_tag, x->common_name, out);
}

static void find_common_name(struct x509 *x)
{
	struct cursor c = cursor_of(x->subject);
	struct der set, oid, value;

	while (der_take(&c, DER_SET, &set)) {
		struct cursor one = cursor_of(set.body);

		while (next_attribute(&one, &oid, &value)) {
			if (!str_eq(oid.body, OID_COMMON_NAME))
				continue;
			x->common_name = value.body;
			x->common_name_tag = value.tag;
		}
	}
}

/* --- times -------------------------------------------------------------------------------------------------------- */

/* n decimal digits; -1 when they are none. */
static int digits(struct cursor *c, int n)
{
	int v = 0;

	while (n--) {
		uint8_t d = (uint8_t)(cursor_u8(c) - '0');

		if (c->bad || d > 9)
			return -1;
		v = v * 10 + d;
	}
	return v;
}

/* Days since 1970-01-01 in the proleptic Gregorian calendar; the year begins in March for the leap day's sake. */
static int64_t days_of(int64_t year, int month, int day)
{
	int64_t y = year - (month <= 2), era = y / 400, of_era = y - era * 400;
	int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static bool read_zone(struct cursor *c, int64_t *seconds)
{
	uint8_t sign;
	int h, m;

	if (!c->n) /* local time, which RFC 5280 forbids: of nowhere we know */
		return true;
	sign = cursor_u8(c);
	if (sign == 'Z')
		return !c->n;
	h = digits(c, 2);
	m = digits(c, 2);
	if ((sign != '+' && sign != '-') || h < 0 || m < 0 || h > 23 || m > 59 || c->n)
		return false;
	*seconds -= (sign == '+' ? 1 : -1) * (h * 3600 + m * 60);
	return true;
}

/* UTCTime (years 1950 to 2049) and GeneralizedTime (RFC 5280 4.1.2.5), seconds and zone as lax as X.680 has them. */
static bool read_time(const struct der *d, int64_t *ret_s)
{
	struct cursor c = cursor_of(d->body);
	int year, month, day, hour, minute, second = 0;

	if (d->tag == DER_UTC_TIME) {
		year = digits(&c, 2);
		year += year < 0 ? 0 : year < 50 ? 2000 : 1900;
	} else if (d->tag == DER_GENERALIZED_TIME) {
		year = digits(&c, 4);
	} else {
		return false;
	}
	month = digits(&c, 2);
	day = digits(&c, 2);
	hour = digits(&c, 2);
	minute = digits(&c, 2);
	if (c.n && c.p[0] >= '0' && c.p[0] <= '9')
		second = digits(&c, 2);
	if (c.n && c.p[0] == '.')
		for (cursor_u8(&c); c.n && c.p[0] >= '0' && c.p[0] <= '9';)
			cursor_u8(&c);
	if (year < 0 || month < 1 || month > 12 || day < 1 || day > 31 || hour < 0 || hour > 24 ||
	    minute < 0 || minute > 59 || second < 0 || second > 60)
		return false;
	*ret_s = days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
	return read_zone(&c, ret_s);
}

static bool read_validity(struct str validity, struct x509 *x)
{
	struct cursor c = cursor_of(validity);
	struct der from, to;

	return der_next(&c, &from) && der_next(&c, &to) && read_time(&from, &x->not_before_s) &&
	       read_time(&to, &x->not_after_s);
}

/* --- alternative names -------------------------------------------------------------------------------------------- */

#define OID_ALT_NAMES STR("\x55\x1d\x11")

static struct str find_alt_names(struct str extensions)
{
	struct cursor c = cursor_of(extensions);
	struct der list, one, oid, value, names;
	bool found;

	if (!der_take(&c, DER_SEQUENCE, &list))
		return STR_NONE;
	c = cursor_of(list.body);
	while (der_take(&c, DER_SEQUENCE, &one)) {
		struct cursor e = cursor_of(one.body);

		if (!der_take(&e, DER_OID, &oid) || !str_eq(oid.body, OID_ALT_NAMES))
			continue;
		do /* `critical` may come before */
			found = der_next(&e, &value);
		while (found && value.tag != DER_OCTETS);
		if (!found)
			continue;
		e = cursor_of(value.body);
		return der_take(&e, DER_SEQUENCE, &names) ? names.body : STR_NONE;
	}
	return STR_NONE;
}

static bool next_alt_name(const struct x509 *x, size_t *at, uint8_t tag, struct str *ret)
{
	struct cursor c = cursor_of(str_sub(x->alt_names, *at, SIZE_MAX));
	struct der d;

	while (der_next(&c, &d)) {
		*at = x->alt_names.n - c.n;
		if (d.tag != tag)
			continue;
		*ret = d.body;
		return true;
	}
	return false;
}

bool x509_next_dns_name(const struct x509 *x, size_t *at, struct str *ret)
{
	return next_alt_name(x, at, ALT_DNS, ret);
}

static bool covers_address(const struct x509 *x, const struct addr *a)
{
	struct str v;
	size_t at = 0;

	for (int i = 0; i < X509_NAMES_MAX && next_alt_name(x, &at, ALT_ADDRESS, &v); i++)
		if (v.n == 4 ? addr_is_v4(a) && !memcmp(v.p, a->b + 12, 4)
			     : v.n == 16 && !memcmp(v.p, a->b, 16))
			return true;
	return false;
}

static struct str without_dot(struct str s)
{
	return s.n && s.p[s.n - 1] == '.' ? str_sub(s, 0, s.n - 1) : s;
}

static bool matches(struct str pattern, struct str name)
{
	struct str label;

	pattern = without_dot(pattern);
	if (!str_has_prefix(pattern, STR("*.")))
		return str_eq_nocase(pattern, name);
	return str_cut(&name, '.', &label) && label.n && name.n &&
	       str_eq_nocase(str_sub(pattern, 2, SIZE_MAX), name);
}

bool x509_covers(const struct x509 *x, struct str name)
{
	struct addr a;
	struct str v;
	size_t at = 0;

	name = without_dot(name);
	if (!name.n)
		return false;
	if (addr_parse(name, &a) == 0 && covers_address(x, &a))
		return true;
	if (!x->n_dns_names)
		return x->common_name.n && matches(x->common_name, name);
	for (int i = 0; i < X509_NAMES_MAX && x509_next_dns_name(x, &at, &v); i++)
		if (matches(v, name))
			return true;
	return false;
}

/* --- the certificate ---------------------------------------------------------------------------------------------- */

static int read_tbs(struct str tbs, struct x509 *x)
{
	struct cursor c = cursor_of(tbs);
	struct der d, validity;
	struct str name;
	size_t at = 0;

	if (!der_next(&c, &d) || (d.tag == DER_VERSION && !der_next(&c, &d)) ||
	    d.tag != DER_INTEGER)
		return -EBADMSG;
	x->serial = d.body;
	if (!der_take(&c, DER_SEQUENCE, &d) || !der_take(&c, DER_SEQUENCE, &d))
		return -EBADMSG;
	x->issuer = d.body;
	if (!der_take(&c, DER_SEQUENCE, &validity) || !der_take(&c, DER_SEQUENCE, &d))
		return -EBADMSG;
	x->subject = d.body;
	x->has_validity = read_validity(validity.body, x);
	x->self_issued = str_eq(x->issuer, x->subject);
	find_common_name(x);
	while (der_next(&c, &d)) /* the key, unique identifiers */
		if (d.tag == DER_EXTENSIONS)
			x->alt_names = find_alt_names(d.body);
	while (x->n_dns_names < X509_NAMES_MAX && x509_next_dns_name(x, &at, &name))
		x->n_dns_names++;
	return 0;
}

int x509_parse(struct str der, struct x509 *ret)
{
	struct cursor c = cursor_of(der);
	struct der certificate, tbs;

	*ret = (struct x509){ 0 };
	if (!der_take(&c, DER_SEQUENCE, &certificate))
		return -EBADMSG;
	ret->der = certificate.whole;
	c = cursor_of(certificate.body);
	if (!der_take(&c, DER_SEQUENCE, &tbs))
		return -EBADMSG;
	return read_tbs(tbs.body, ret);
}
