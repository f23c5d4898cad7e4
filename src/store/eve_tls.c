// SPDX-License-Identifier: Apache-2.0
/* The objects of TLS and QUIC: a client's hello, and over TCP what the server answered, under Suricata's names. */
#include <stdio.h>
#include <time.h>

#include "flow/record.h"
#include "store/eve_parts.h"

static void put_filled(struct json *j, const char *key, struct str v)
{
	if (v.n)
		json_str(j, key, v);
}

static void put_ja3(struct json *j, const char *key, const char *hash, struct str string)
{
	if (!hash)
		return;
	json_object_begin(j, key);
	json_text(j, "hash", hash);
	put_filled(j, "string", string);
	json_object_end(j);
}

static void put_hello(struct json *j, const struct record_tls *t)
{
	put_filled(j, "sni", t->sni);
	if (t->n_alpns) {
		json_array_begin(j, "alpns");
		for (unsigned i = 0; i < t->n_alpns; i++)
			json_str(j, NULL, t->alpns[i]);
		json_array_end(j);
	}
	put_ja3(j, "ja3", t->ja3, t->ja3_string);
	json_text(j, "ja4", t->ja4);
}

/* "cc:aa:48", up to SERIAL_MAX bytes: RFC 5280 allows 20. */
#define SERIAL_MAX 64
static void put_octets(struct json *j, const char *key, const uint8_t *p, size_t n,
		       const char *digits)
{
	char text[3 * SERIAL_MAX];

	if (!n || n > SERIAL_MAX)
		return;
	for (size_t i = 0; i < n; i++) {
		text[3 * i] = digits[p[i] >> 4];
		text[3 * i + 1] = digits[p[i] & 15];
		text[3 * i + 2] = ':';
	}
	json_str(j, key, (struct str){ text, 3 * n - 1 });
}

static void put_hex(struct json *j, const char *key, const uint8_t *p, size_t n)
{
	char text[65];

	json_text(j, key, str_hex(p, n, text));
}

/* "2017-03-23T00:00:00", in UTC. */
static void put_calendar(struct json *j, const char *key, int64_t seconds)
{
	time_t t = (time_t)seconds;
	char text[64];
	struct tm tm;

	if (!gmtime_r(&t, &tm))
		return;
	snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d", tm.tm_year + 1900,
		 tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
	json_text(j, key, text);
}

static void put_certificate(struct json *j, const struct record_certificate *c)
{
	put_filled(j, "subject", c->subject);
	put_filled(j, "issuerdn", c->issuer);
	put_octets(j, "serial", (const uint8_t *)c->serial.p, c->serial.n, "0123456789ABCDEF");
	if (c->has_sha1)
		put_octets(j, "fingerprint", c->sha1, sizeof(c->sha1), "0123456789abcdef");
	if (c->has_validity) {
		put_calendar(j, "notbefore", c->not_before_s);
		put_calendar(j, "notafter", c->not_after_s);
	}
}

void eve_put_tls(struct json *j, const struct record_tls *t)
{
	json_object_begin(j, "tls");
	json_text(j, "version", t->version);
	put_hello(j, t);
	put_ja3(j, "ja3s", t->ja3s, t->ja3s_string);
	if (t->certificate)
		put_certificate(j, t->certificate);
	json_object_end(j);
}

void eve_put_quic(struct json *j, const struct record_tls *t)
{
	json_object_begin(j, "quic");
	json_text(j, "version", t->quic_version);
	put_hello(j, t);
	put_filled(j, "ua", t->user_agent);
	json_object_end(j);
}

void eve_put_tls_egret(struct json *j, const struct record_tls *t)
{
	const struct record_certificate *c = t->certificate;
	char cipher[8];

	json_bool(j, "ech", t->ech);
	put_filled(j, "ja4_r", t->ja4_raw);
	if (t->answered) {
		snprintf(cipher, sizeof(cipher), "0x%04x", t->cipher);
		json_text(j, "cipher", cipher);
	}
	put_filled(j, "alpn", t->server_alpn);
	if (!c)
		return;
	json_object_begin(j, "certificate");
	if (c->has_sha256)
		put_hex(j, "sha256", c->sha256, sizeof(c->sha256));
	if (c->subject.n || c->x509)
		json_bool(j, "self_issued", c->self_issued);
	if (c->covers_known)
		json_bool(j, "covers_sni", c->covers_sni);
	if (c->x509)
		json_u64(j, "dns_names", c->x509->n_dns_names);
	json_object_end(j);
}
