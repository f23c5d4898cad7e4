// SPDX-License-Identifier: Apache-2.0
/*
 * Fingerprints of a ClientHello. JA3: Salesforce's string of decimal lists and its MD5. JA4: as FoxIO publishes it
 * (the TLS client part, BSD 3-clause); where its text leaves room, the values its own tools give for real captures
 * decide: an SSL 2 compatible hello has no lists.
 */
#include <stdlib.h>

#include "base/cleanup.h"
#include "decode/digest.h"
#include "decode/tls_internal.h"

#define EXT_SNI 0
#define EXT_ALPN 16
#define EXT_MAX ARRAY_SIZE(((struct tls_hello *)0)->extensions)
#define CIPHERS_MAX ARRAY_SIZE(((struct tls_hello *)0)->ciphers)
#define SIGNATURES_MAX ARRAY_SIZE(((struct tls_hello *)0)->signatures)

/* Longest: 256 + 128 + 64 values of up to five digits and a separator, and the point formats. */
#define TEXT_MAX (6 * (CIPHERS_MAX + EXT_MAX + 64) + 4 * 16 + 16)
#define PART_MAX \
	(5 * (CIPHERS_MAX > EXT_MAX + SIGNATURES_MAX ? CIPHERS_MAX : EXT_MAX + SIGNATURES_MAX))

static const char hex[] = "0123456789abcdef";

/* A text on the stack; sized by the most that can be written to it. */
struct line {
	char *p;
	size_t n;
};

static void put_char(struct line *l, char c)
{
	l->p[l->n++] = c;
}

static void put_dec(struct line *l, unsigned int v)
{
	char digits[10];
	size_t i = sizeof(digits);

	do
		digits[--i] = (char)('0' + v % 10);
	while (v /= 10);
	memcpy(l->p + l->n, digits + i, sizeof(digits) - i);
	l->n += sizeof(digits) - i;
}

static void put_hex4(struct line *l, uint16_t v)
{
	put_char(l, hex[v >> 12]);
	put_char(l, hex[v >> 8 & 15]);
	put_char(l, hex[v >> 4 & 15]);
	put_char(l, hex[v & 15]);
}

static void put_ja3_list(struct line *l, const uint16_t *v, size_t n)
{
	bool first = true;

	put_char(l, ',');
	for (size_t i = 0; i < n; i++) {
		if (tls_is_grease(v[i]))
			continue;
		if (!first)
			put_char(l, '-');
		put_dec(l, v[i]);
		first = false;
	}
}

static void ja3_line(const struct tls_hello *h, struct line *l)
{
	put_dec(l, h->legacy_version);
	put_ja3_list(l, h->ciphers, h->n_ciphers);
	put_ja3_list(l, h->extensions, h->n_extensions);
	put_ja3_list(l, h->groups, h->n_groups);
	put_char(l, ',');
	for (size_t i = 0; i < h->n_point_formats; i++) {
		if (i)
			put_char(l, '-');
		put_dec(l, h->point_formats[i]);
	}
}

static const char *ja4_version(uint16_t v)
{
	switch (v) {
	case 0x0304:
		return "13";
	case 0x0303:
		return "12";
	case 0x0302:
		return "11";
	case 0x0301:
		return "10";
	case 0x0300:
		return "s3";
	case 0x0002:
		return "s2";
	case 0xfeff:
		return "d1";
	case 0xfefd:
		return "d2";
	case 0xfefc:
		return "d3";
	default:
		return "00";
	}
}

static bool is_alnum(uint8_t c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

static void put_alpn(struct line *l, const struct tls_hello *h)
{
	struct str a = h->n_alpns ? h->alpns[0] : STR_NONE;
	uint8_t first, last;

	if (!a.n) {
		put_char(l, '0');
		put_char(l, '0');
		return;
	}
	first = (uint8_t)a.p[0];
	last = (uint8_t)a.p[a.n - 1];
	if (is_alnum(first) && is_alnum(last)) {
		put_char(l, (char)first);
		put_char(l, (char)last);
	} else {
		put_char(l, hex[first >> 4]);
		put_char(l, hex[last & 15]);
	}
}

static void put_two_digits(struct line *l, size_t n)
{
	n = MIN(n, (size_t)99);
	put_char(l, (char)('0' + n / 10));
	put_char(l, (char)('0' + n % 10));
}

static int compare_u16(const void *a, const void *b)
{
	return *(const uint16_t *)a - *(const uint16_t *)b;
}

/* Insertion: the lists are short and clients keep them partly ordered. Hostile ones are long: qsort. */
static void sort_u16(uint16_t *v, size_t n)
{
	if (n > 48) {
		qsort(v, n, sizeof(*v), compare_u16);
		return;
	}
	for (size_t i = 1; i < n; i++) {
		uint16_t x = v[i];
		size_t j = i;

		for (; j && v[j - 1] > x; j--)
			v[j] = v[j - 1];
		v[j] = x;
	}
}

static size_t without_grease(const uint16_t *v, size_t n, uint16_t *ret)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		if (!tls_is_grease(v[i]))
			ret[kept++] = v[i];
	return kept;
}

static void put_hex_list(struct line *l, const uint16_t *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (i)
			put_char(l, ',');
		put_hex4(l, v[i]);
	}
}

/* The three parts of JA4, the last two as lists still. */
struct ja4_parts {
	char a[10];
	char b[PART_MAX], c[PART_MAX];
	size_t n_b, n_c;
};

static void ja4_c(const struct tls_hello *h, uint16_t *extensions, size_t n, struct line *l)
{
	uint16_t signatures[SIGNATURES_MAX];
	size_t kept = 0, n_signatures;

	for (size_t i = 0; i < n; i++)
		if (extensions[i] != EXT_SNI && extensions[i] != EXT_ALPN)
			extensions[kept++] = extensions[i];
	sort_u16(extensions, kept);
	put_hex_list(l, extensions, kept);
	n_signatures = without_grease(h->signatures, h->n_signatures, signatures);
	if (n_signatures) {
		put_char(l, '_');
		put_hex_list(l, signatures, n_signatures);
	}
}

static void ja4_split(const struct tls_hello *h, struct ja4_parts *ret)
{
	static const char transports[] = {
		[TLS_OVER_TCP] = 't', [TLS_OVER_QUIC] = 'q', [TLS_OVER_DTLS] = 'd'
	};
	uint16_t ciphers[CIPHERS_MAX], extensions[EXT_MAX];
	struct line a = { ret->a, 0 }, b = { ret->b, 0 }, c = { ret->c, 0 };
	const char *version = ja4_version(h->version);
	size_t n_ciphers = h->ssl2 ? 0 : without_grease(h->ciphers, h->n_ciphers, ciphers);
	size_t n_extensions = without_grease(h->extensions, h->n_extensions, extensions);
	bool has_sni = false;

	for (size_t i = 0; i < n_extensions; i++)
		has_sni |= extensions[i] == EXT_SNI;
	put_char(&a, transports[h->transport]);
	put_char(&a, version[0]);
	put_char(&a, version[1]);
	put_char(&a, has_sni ? 'd' : 'i');
	put_two_digits(&a, n_ciphers);
	put_two_digits(&a, n_extensions);
	put_alpn(&a, h);

	sort_u16(ciphers, n_ciphers);
	put_hex_list(&b, ciphers, n_ciphers);
	ja4_c(h, extensions, n_extensions, &c);
	ret->n_b = b.n;
	ret->n_c = c.n;
}

/* The first 12 hex digits of the part's SHA-256; zeros when the part is empty. */
static int put_hash12(struct line *l, const char *part, size_t n)
{
	uint8_t sum[SHA256_SIZE] = { 0 };
	int r = n ? digest_sha256((struct str){ part, n }, sum) : 0;

	for (size_t i = 0; i < 6; i++) {
		put_char(l, hex[sum[i] >> 4]);
		put_char(l, hex[sum[i] & 15]);
	}
	return r;
}

static void fill_ja3(const struct tls_hello *h, char ret[JA3_HASH_MAX])
{
	uint8_t sum[MD5_SIZE];
	char text[TEXT_MAX];
	struct line l = { text, 0 };

	ja3_line(h, &l);
	if (digest_md5((struct str){ text, l.n }, sum) < 0)
		return;
	for (size_t i = 0; i < sizeof(sum); i++) {
		ret[2 * i] = hex[sum[i] >> 4];
		ret[2 * i + 1] = hex[sum[i] & 15];
	}
	ret[2 * sizeof(sum)] = 0;
}

static void fill_ja4(const struct tls_hello *h, char ret[JA4_MAX])
{
	struct ja4_parts parts;
	struct line l = { ret, 0 };
	int r;

	ja4_split(h, &parts);
	memcpy(ret, parts.a, sizeof(parts.a));
	l.n = sizeof(parts.a);
	put_char(&l, '_');
	r = put_hash12(&l, parts.b, parts.n_b);
	put_char(&l, '_');
	if (!r)
		r = put_hash12(&l, parts.c, parts.n_c);
	ret[r < 0 ? 0 : l.n] = 0;
}

void tls_fingerprint(const struct tls_hello *h, struct tls_fingerprint *ret)
{
	ret->ja3[0] = 0;
	ret->ja4[0] = 0;
	if (h->cut)
		return;
	if (!h->ssl2)
		fill_ja3(h, ret->ja3);
	fill_ja4(h, ret->ja4);
}

void ja3_string(const struct tls_hello *h, struct buf *out)
{
	char text[TEXT_MAX];
	struct line l = { text, 0 };

	if (h->cut || h->ssl2)
		return;
	ja3_line(h, &l);
	buf_put(out, text, l.n);
}

void ja4_raw(const struct tls_hello *h, struct buf *out)
{
	struct ja4_parts parts;

	if (h->cut)
		return;
	ja4_split(h, &parts);
	buf_put(out, parts.a, sizeof(parts.a));
	buf_putc(out, '_');
	buf_put(out, parts.b, parts.n_b);
	buf_putc(out, '_');
	buf_put(out, parts.c, parts.n_c);
}
