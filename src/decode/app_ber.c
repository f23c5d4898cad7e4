// SPDX-License-Identifier: Apache-2.0
/* Signatures of protocols in ASN.1 (BER), and of STUN: over TCP and UDP alike. */
#include "base/cleanup.h"
#include "decode/app_match.h"

#define TAG_INTEGER 0x02
#define TAG_OCTETS 0x04
#define TAG_SEQUENCE 0x30

struct element {
	uint8_t tag;
	size_t length;
};

/* Tag and length; false when they are not there or in a form nobody sends. */
static bool read_element(struct cursor *c, struct element *ret)
{
	uint8_t first;

	ret->tag = cursor_u8(c);
	first = cursor_u8(c);
	ret->length = first;
	if (first & 0x80) {
		if (first < 0x81 || first > 0x84)
			return false;
		ret->length = 0;
		for (first &= 0x7f; first; first--)
			ret->length = ret->length << 8 | cursor_u8(c);
	}
	return !c->bad;
}

static bool read_integer(struct cursor *c, uint32_t *ret)
{
	struct element e;

	*ret = 0;
	if (!read_element(c, &e) || e.tag != TAG_INTEGER || !e.length || e.length > 4)
		return false;
	while (e.length--)
		*ret = *ret << 8 | cursor_u8(c);
	return !c->bad;
}

/* The outer SEQUENCE must be as long as the datagram; in a stream, not absurdly long. */
static bool outer_fits(const struct app_input *in, const struct cursor *c, size_t length)
{
	if (in->ip_proto == IPPROTO_UDP)
		return length == c->n;
	return length <= 1 << 24;
}

static bool is_ldap(const struct app_input *in, struct str s)
{
	struct cursor c = cursor_of(s);
	struct element outer, op;
	uint32_t id, version;

	if (!read_element(&c, &outer) || outer.tag != TAG_SEQUENCE ||
	    !outer_fits(in, &c, outer.length) || !read_integer(&c, &id) || !read_element(&c, &op) ||
	    op.length + 3 > outer.length)
		return false;
	switch (op.tag) {
	case 0x60: /* bind: version, name */
		return read_integer(&c, &version) && (version == 2 || version == 3) && c.n &&
		       c.p[0] == TAG_OCTETS;
	case 0x63: /* search: base object, then scope as an enumeration */
		if (!read_element(&c, &op) || op.tag != TAG_OCTETS)
			return false;
		cursor_take(&c, op.length);
		return !c.bad && c.n > 2 && c.p[0] == 0x0a && c.p[1] == 1 && c.p[2] <= 2;
	case 0x77: /* extended: an object identifier as text */
		return c.n > 4 && c.p[0] == 0x80 && c.p[2] == '1' && c.p[3] == '.';
	case 0x61: /* bind response: result code as an enumeration */
	case 0x65:
		return c.n > 2 && c.p[0] == 0x0a && c.p[1] == 1;
	default:
		return false;
	}
}

enum app_match app_match_ldap(const struct app_input *in)
{
	struct str s = in->client.n ? in->client : in->server;

	if (is_ldap(in, s))
		return APP_YES;
	return s.n && s.p[0] == TAG_SEQUENCE && s.n < 16 ? APP_MORE : APP_NO;
}

/*
 * KDC requests and replies: an application tag around a SEQUENCE with the protocol version 5 and the same number as
 * message type. AS-REQ 10, AS-REP 11, TGS-REQ 12, TGS-REP 13, KRB-ERROR 30; contexts [1],[2] or [0],[1].
 */
static bool is_kerberos(struct str s)
{
	struct cursor c = cursor_of(s);
	struct element app, seq, context;
	uint32_t version, type;

	if (!read_element(&c, &app) || !read_element(&c, &seq) || seq.tag != TAG_SEQUENCE ||
	    seq.length >= app.length || !read_element(&c, &context) ||
	    (context.tag != 0xa1 && context.tag != 0xa0) || context.length != 3 ||
	    !read_integer(&c, &version) || version != 5 || !read_element(&c, &context) ||
	    context.length != 3 || !read_integer(&c, &type))
		return false;
	return (app.tag & 0xe0) == 0x60 && type == (app.tag & 0x1fu) &&
	       ((type >= 10 && type <= 15) || type == 30);
}

enum app_match app_match_kerberos(const struct app_input *in)
{
	struct str s = in->client.n ? in->client : in->server;
	struct cursor c = cursor_of(s);
	uint32_t length;

	if (in->ip_proto == IPPROTO_UDP)
		return is_kerberos(s) ? APP_YES : APP_NO;
	length = cursor_u32(&c); /* over TCP its length stands before the message */
	if (!s.n || length > 1 << 20)
		return APP_NO;
	if (is_kerberos(str_sub(s, 4, s.n)))
		return APP_YES;
	return s.n < 4 + 24 && s.p[0] == 0 && (!c.n || (c.p[0] & 0xe0) == 0x60) ? APP_MORE : APP_NO;
}

enum app_match app_match_snmp(const struct app_input *in)
{
	struct cursor c = cursor_of(in->client.n ? in->client : in->server);
	struct element e;
	uint32_t version;

	if (!read_element(&c, &e) || e.tag != TAG_SEQUENCE || !outer_fits(in, &c, e.length) ||
	    !read_integer(&c, &version) || !read_element(&c, &e))
		return APP_NO;
	if (version == 3) /* header data: a SEQUENCE that begins with an id */
		return e.tag == TAG_SEQUENCE && c.n && c.p[0] == TAG_INTEGER ? APP_YES : APP_NO;
	cursor_take(&c, e.length); /* community */
	if (c.bad || version > 1 || e.tag != TAG_OCTETS)
		return APP_NO;
	return c.n && c.p[0] >= 0xa0 && c.p[0] <= 0xa8 ? APP_YES : APP_NO;
}

/* RFC 8489: two zero bits, a length that the datagram does not exceed, the magic cookie (Microsoft's have no whole words). */
static enum app_match stun_side(struct str s, bool datagram)
{
	struct cursor c = cursor_of(s);
	uint16_t type = cursor_u16(&c), length = cursor_u16(&c);
	uint32_t cookie = cursor_u32(&c);

	if (!s.n || (!c.bad && cookie != 0x2112a442))
		return APP_NO;
	if (type & 0xc000)
		return APP_NO;
	if (c.bad || s.n < 20)
		return datagram || s.p[0] > 1 ? APP_NO : APP_MORE;
	return !datagram || s.n <= 20u + length ? APP_YES : APP_NO;
}

enum app_match app_match_stun(const struct app_input *in)
{
	bool datagram = in->ip_proto == IPPROTO_UDP;

	return app_either(stun_side(in->client, datagram), stun_side(in->server, datagram));
}
