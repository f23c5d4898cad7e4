// SPDX-License-Identifier: Apache-2.0
/*
 * Record data as text: what a zone file would say, without quotes around a single string. Data of a known type that
 * does not hold what the type wants is shown in hex like unknown types, so nothing is lost or guessed.
 */
#include "decode/dns_text.h"

#include <errno.h>

#include "base/cleanup.h"

enum {
	SVC_MANDATORY = 0,
	SVC_ALPN = 1,
	SVC_NO_DEFAULT_ALPN = 2,
	SVC_PORT = 3,
	SVC_IPV4HINT = 4,
	SVC_ECH = 5,
	SVC_IPV6HINT = 6,
	SVC_DOHPATH = 7,
	SVC_OHTTP = 8,
};

/* A compressed name may reach back into the whole message, but must end inside the data. */
static int put_name(struct str msg, size_t *pos, size_t end, struct dns_text *t)
{
	int r = dns_name(msg, pos, t);

	if (r < 0 || *pos > end)
		return -EBADMSG;
	return 0;
}

static uint32_t be(const char *p, size_t n)
{
	uint32_t v = 0;

	for (size_t i = 0; i < n; i++)
		v = v << 8 | (uint8_t)p[i];
	return v;
}

static int put_addr(struct dns_text *t, struct str b, bool v6, struct addr *ret)
{
	char text[ADDR_TEXT_MAX];

	if (b.n != (v6 ? 16 : 4))
		return -EBADMSG;
	*ret = v6 ? addr_from_v6(b.p) : addr_from_v4(b.p);
	if (!v6) {
		for (size_t i = 0; i < 4; i++) {
			if (i)
				dns_text_char(t, '.');
			dns_text_u64(t, (uint8_t)b.p[i]);
		}
	} else {
		dns_text_str(t, str_of(addr_format(ret, text)));
	}
	return 0;
}

/* "10 mx.example", "0 5 5060 sip.example": numbers of 16 bits, then a name. */
static int put_numbers_name(struct str msg, size_t pos, size_t end, unsigned int n_numbers,
			    struct dns_text *t)
{
	if (end - pos < 2 * n_numbers)
		return -EBADMSG;
	for (; n_numbers; n_numbers--, pos += 2) {
		dns_text_u64(t, be(msg.p + pos, 2));
		dns_text_char(t, ' ');
	}
	return put_name(msg, &pos, end, t);
}

static int put_soa(struct str msg, size_t pos, size_t end, struct dns_text *t)
{
	int r;

	r = put_name(msg, &pos, end, t);
	if (r < 0)
		return r;
	dns_text_char(t, ' ');
	r = put_name(msg, &pos, end, t);
	if (r < 0 || end - pos < 20)
		return -EBADMSG;
	for (unsigned int i = 0; i < 5; i++, pos += 4) {
		dns_text_char(t, ' ');
		dns_text_u64(t, be(msg.p + pos, 4));
	}
	return 0;
}

static int put_txt(struct str data, struct dns_text *t)
{
	bool many = data.n && (uint8_t)data.p[0] + 1u < data.n;

	for (size_t at = 0; at < data.n;) {
		size_t n = (uint8_t)data.p[at];

		if (n > data.n - at - 1)
			return -EBADMSG;
		if (at)
			dns_text_char(t, ' ');
		if (many)
			dns_text_char(t, '"');
		dns_text_octets(t, str_sub(data, at + 1, n));
		if (many)
			dns_text_char(t, '"');
		at += 1 + n;
	}
	return 0;
}

static int put_caa(struct str data, struct dns_text *t)
{
	struct cursor c = cursor_of(data);
	uint8_t flags = cursor_u8(&c);
	struct str tag = cursor_str(&c, cursor_u8(&c));

	if (c.bad || !tag.n)
		return -EBADMSG;
	dns_text_u64(t, flags);
	dns_text_char(t, ' ');
	dns_text_octets(t, tag);
	dns_text_str(t, STR(" \""));
	dns_text_octets(t, cursor_str(&c, c.n));
	dns_text_char(t, '"');
	return 0;
}

static void put_base64(struct dns_text *t, struct str s)
{
	static const char set[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < s.n && !t->full; i += 3) {
		size_t n = MIN(s.n - i, (size_t)3);
		uint32_t v = be(s.p + i, n) << (8 * (3 - n));

		dns_text_char(t, set[v >> 18]);
		dns_text_char(t, set[v >> 12 & 63]);
		dns_text_char(t, n > 1 ? set[v >> 6 & 63] : '=');
		dns_text_char(t, n > 2 ? set[v & 63] : '=');
	}
}

static int put_alpns(struct dns_text *t, struct str v)
{
	struct cursor c = cursor_of(v);

	while (c.n) {
		struct str id = cursor_str(&c, cursor_u8(&c));

		if (c.bad || !id.n)
			return -EBADMSG;
		dns_text_octets(t, id);
		if (c.n)
			dns_text_char(t, ',');
	}
	return 0;
}

static int put_hints(struct dns_text *t, struct str v, bool v6)
{
	size_t size = v6 ? 16 : 4;
	struct addr a;

	if (!v.n || v.n % size)
		return -EBADMSG;
	for (size_t i = 0; i < v.n; i += size) {
		if (i)
			dns_text_char(t, ',');
		put_addr(t, str_sub(v, i, size), v6, &a);
	}
	return 0;
}

static void put_svc_key(struct dns_text *t, unsigned int key)
{
	static const char *const names[] = {
		[SVC_MANDATORY] = "mandatory",
		[SVC_ALPN] = "alpn",
		[SVC_NO_DEFAULT_ALPN] = "no-default-alpn",
		[SVC_PORT] = "port",
		[SVC_IPV4HINT] = "ipv4hint",
		[SVC_ECH] = "ech",
		[SVC_IPV6HINT] = "ipv6hint",
		[SVC_DOHPATH] = "dohpath",
		[SVC_OHTTP] = "ohttp",
	};

	if (key < ARRAY_SIZE(names)) {
		dns_text_str(t, str_of(names[key]));
	} else {
		dns_text_str(t, STR("key"));
		dns_text_u64(t, key);
	}
}

static int put_svc_value(struct dns_text *t, unsigned int key, struct str v)
{
	switch (key) {
	case SVC_MANDATORY:
		if (v.n % 2)
			return -EBADMSG;
		for (size_t i = 0; i < v.n; i += 2) {
			if (i)
				dns_text_char(t, ',');
			put_svc_key(t, be(v.p + i, 2));
		}
		return 0;
	case SVC_ALPN:
		return put_alpns(t, v);
	case SVC_PORT:
		if (v.n != 2)
			return -EBADMSG;
		dns_text_u64(t, be(v.p, 2));
		return 0;
	case SVC_IPV4HINT:
	case SVC_IPV6HINT:
		return put_hints(t, v, key == SVC_IPV6HINT);
	case SVC_ECH:
		put_base64(t, v);
		return 0;
	default:
		dns_text_octets(t, v);
		return 0;
	}
}

/* RFC 9460: priority, target, then parameters. The target is never compressed; dns_name() reads it all the same. */
static int put_svcb(struct str msg, size_t pos, size_t end, struct dns_text *t, bool *ret_ech)
{
	struct cursor c;
	int r;

	r = put_numbers_name(msg, pos, end, 1, t);
	if (r < 0)
		return r;
	pos += 2;
	r = dns_name(msg, &pos, NULL);
	if (r < 0)
		return r;
	c = cursor_of(str_sub(msg, pos, end - pos));
	while (c.n) {
		unsigned int key = cursor_u16(&c);
		struct str v = cursor_str(&c, cursor_u16(&c));

		if (c.bad)
			return -EBADMSG;
		dns_text_char(t, ' ');
		put_svc_key(t, key);
		if (v.n) {
			dns_text_char(t, '=');
			r = put_svc_value(t, key, v);
			if (r < 0)
				return r;
		}
		if (key == SVC_ECH)
			*ret_ech = true;
	}
	return 0;
}

static int put_known(struct str msg, size_t pos, size_t end, struct dns_text *t,
		     struct dns_record *r)
{
	struct str data = str_sub(msg, pos, end - pos);
	int err;

	switch (r->type) {
	case DNS_A:
	case DNS_AAAA:
		err = put_addr(t, data, r->type == DNS_AAAA, &r->addr);
		r->has_addr = !err;
		return err;
	case DNS_CNAME:
	case DNS_NS:
	case DNS_PTR:
	case DNS_DNAME:
		return put_name(msg, &pos, end, t);
	case DNS_MX:
		return put_numbers_name(msg, pos, end, 1, t);
	case DNS_SRV:
		return put_numbers_name(msg, pos, end, 3, t);
	case DNS_SOA:
		return put_soa(msg, pos, end, t);
	case DNS_TXT:
		return put_txt(data, t);
	case DNS_CAA:
		return put_caa(data, t);
	case DNS_SVCB:
	case DNS_HTTPS:
		return put_svcb(msg, pos, end, t, &r->ech);
	default:
		return -EOPNOTSUPP;
	}
}

void dns_rdata(struct str msg, size_t pos, size_t n, struct dns_message *m, struct dns_record *r)
{
	struct dns_text t = dns_text_start(m);

	if (!n) /* an update's "delete" has none */
		return;
	if (put_known(msg, pos, pos + n, &t, r) < 0) {
		t = dns_text_start(m);
		r->ech = false;
		dns_text_hex(&t, str_sub(msg, pos, n));
	}
	if (t.full)
		m->cut = true;
	r->rdata = dns_text_end(&t);
}
