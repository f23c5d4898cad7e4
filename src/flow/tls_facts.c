// SPDX-License-Identifier: Apache-2.0
/*
 * TLS and QUIC hellos become the flow's name, its fingerprints and one record a handshake. Over TCP that record tells
 * the server's side too, so it waits, with its own time, until the answer was read, the flow's bytes are over, or
 * ANSWER_WAIT_NS. Name and fingerprints do not wait.
 */
#include "base/cleanup.h"
#include "base/time.h"
#include "decode/digest.h"
#include "flow/table.h"

#define ANSWER_WAIT_NS (10 * NSEC_PER_SEC)

static void keep_once(struct flow_table *t, struct text **at, const char *s)
{
	if (!*at && s && *s)
		*at = facts_keep(t, str_of(s));
}

/* What the flow takes from a hello. */
static void learn(struct flow_table *t, struct flow *f, const struct record_tls *tls, bool quic)
{
	facts_name(t, f, tls->sni, quic ? NAME_QUIC : NAME_SNI);
	keep_once(t, &f->ja3, tls->ja3);
	keep_once(t, &f->ja4, tls->ja4);
	facts_dns_names(t, f);
}

static void emit(struct flow_table *t, const struct flow *f, uint64_t time_ns,
		 const struct record_tls *tls, bool quic)
{
	struct record r = {
		.type = quic ? RECORD_QUIC : RECORD_TLS, .time_ns = time_ns, .flow = f, .tls = tls
	};

	record_emit(t, &r);
}

/* --- ClientHello -------------------------------------------------------------------------------------------------- */

/* Texts lie in the hello's bytes, `print` and the table's buffers. */
static void describe(struct flow_table *t, struct flow *f, const struct tls_hello *h,
		     struct tls_fingerprint *print, char version[16], struct record_tls *ret)
{
	*ret = (struct record_tls){ .sni = h->sni, .ech = h->ech, .n_alpns = h->n_alpns };
	tls_fingerprint(h, print);
	ret->version = tls_version_name(h->version, version);
	memcpy(ret->alpns, h->alpns, sizeof(ret->alpns));
	if (print->ja3[0]) {
		buf_clear(&t->ja3);
		ja3_string(h, &t->ja3);
		ret->ja3 = print->ja3;
		ret->ja3_string = buf_str(&t->ja3);
	}
	if (print->ja4[0]) {
		buf_clear(&t->ja4);
		ja4_raw(h, &t->ja4);
		ret->ja4 = print->ja4;
		ret->ja4_raw = buf_str(&t->ja4);
	}
	if (f->app == APP_TLS && app_tls_is_tor_like(h))
		f->app = APP_TOR;
	learn(t, f, ret, h->transport == TLS_OVER_QUIC);
}

void tls_hello_known(struct flow_table *t, struct flow *f, const struct tls_hello *h,
		     const char *quic_version)
{
	struct tls_fingerprint print;
	struct record_tls tls;
	char version[16];

	describe(t, f, h, &print, version, &tls);
	tls.quic_version = quic_version;
	emit(t, f, 0, &tls, h->transport == TLS_OVER_QUIC);
}

void tls_gquic(struct flow_table *t, struct flow *f, struct str sni, struct str ua,
	       const char *version)
{
	struct record_tls tls = { .sni = sni, .user_agent = ua, .quic_version = version };

	learn(t, f, &tls, true);
	emit(t, f, 0, &tls, true);
}

bool tls_is_held(const struct flow *f)
{
	return f->stream && !list_empty(&f->stream->tls.link);
}

bool tls_hello_hold(struct flow_table *t, struct flow *f, const struct tls_hello *h)
{
	struct tls_fingerprint print;
	struct flow_stream *s;
	struct tls_held *held;
	struct record_tls tls;
	char version[16];

	describe(t, f, h, &print, version, &tls);
	s = stream_get(t, f);
	if (!s || tls_is_held(f)) {
		emit(t, f, 0, &tls, false);
		return false;
	}
	http_flush(t, f); /* a CONNECT whose response was not seen */
	buf_clear(&s->heads);
	held = &s->tls;
	held->time_ns = t->now_ns;
	held->version = h->version;
	held->ech = h->ech;
	held->n_sni = (uint32_t)tls.sni.n;
	held->n_ja3_string = (uint32_t)tls.ja3_string.n;
	held->n_ja4_raw = (uint32_t)tls.ja4_raw.n;
	held->n_alpns = tls.n_alpns;
	buf_put_str(&s->heads, tls.sni);
	buf_put_str(&s->heads, tls.ja3_string);
	buf_put_str(&s->heads, tls.ja4_raw);
	for (unsigned i = 0; i < tls.n_alpns; i++) {
		held->n_alpn[i] = (uint8_t)tls.alpns[i].n;
		buf_put_str(&s->heads, tls.alpns[i]);
	}
	memcpy(held->ja3, print.ja3, sizeof(held->ja3));
	memcpy(held->ja4, print.ja4, sizeof(held->ja4));
	if (s->heads.failed) {
		buf_clear(&s->heads);
		emit(t, f, 0, &tls, false);
		return false;
	}
	list_push_back(&t->tls_waiting, &held->link);
	return true;
}

/* The hello again, its texts in the stream's `heads`; it is held no longer. */
static void take_held(struct flow *f, char version[16], struct record_tls *ret)
{
	struct flow_stream *s = f->stream;
	struct tls_held *held = &s->tls;
	struct str all = buf_str(&s->heads);
	size_t at = held->n_sni;

	*ret = (struct record_tls){ .sni = str_sub(all, 0, at), .ech = held->ech };
	ret->version = tls_version_name(held->version, version);
	ret->ja3 = held->ja3[0] ? held->ja3 : NULL;
	ret->ja4 = held->ja4[0] ? held->ja4 : NULL;
	ret->ja3_string = str_sub(all, at, held->n_ja3_string);
	at += held->n_ja3_string;
	ret->ja4_raw = str_sub(all, at, held->n_ja4_raw);
	at += held->n_ja4_raw;
	ret->n_alpns = held->n_alpns;
	for (unsigned i = 0; i < held->n_alpns; i++) {
		ret->alpns[i] = str_sub(all, at, held->n_alpn[i]);
		at += held->n_alpn[i];
	}
	list_del(&held->link);
}

void tls_flush(struct flow_table *t, struct flow *f)
{
	struct record_tls tls;
	char version[16];

	if (!tls_is_held(f))
		return;
	take_held(f, version, &tls);
	emit(t, f, f->stream->tls.time_ns, &tls, false);
}

void tls_tick(struct flow_table *t)
{
	while (!list_empty(&t->tls_waiting)) {
		struct tls_held *held = container_of(t->tls_waiting.next, struct tls_held, link);
		struct flow *f;

		if (t->now_ns - held->time_ns < ANSWER_WAIT_NS)
			break;
		f = container_of(held, struct flow_stream, tls)->flow;
		payload_no_more(t, f);
		payload_stop(t, f);
	}
}

/* --- the server's answer ------------------------------------------------------------------------------------------ */

/* What was appended to `b` from `at` on, as far as records take it. */
static struct str since(const struct buf *b, size_t at)
{
	return b->failed ? STR_NONE : str_sub(buf_str(b), at, RECORD_CERTIFICATE_TEXT);
}

static void read_certificate(struct flow_table *t, struct str der, struct str sni, struct x509 *x,
			     struct record_certificate *ret)
{
	struct buf *b = &t->certificate;
	size_t issuer, name;

	*ret = (struct record_certificate){ 0 };
	ret->has_sha1 = digest_sha1(der, ret->sha1) == 0;
	ret->has_sha256 = digest_sha256(der, ret->sha256) == 0;
	if (x509_parse(der, x) < 0)
		return;
	ret->x509 = x;
	ret->serial = x->serial;
	ret->has_validity = x->has_validity;
	ret->not_before_s = x->not_before_s;
	ret->not_after_s = x->not_after_s;
	ret->self_issued = x->self_issued;
	ret->covers_known = sni.n;
	ret->covers_sni = x509_covers(x, sni);
	buf_clear(b);
	x509_name_text(x->subject, b);
	issuer = b->n;
	x509_name_text(x->issuer, b);
	name = b->n;
	x509_common_name_text(x, b);
	ret->subject = str_sub(since(b, 0), 0, issuer);
	ret->issuer = str_sub(since(b, issuer), 0, name - issuer);
	ret->common_name = since(b, name);
}

void tls_answered(struct flow_table *t, struct flow *f, const struct tls_server *s)
{
	struct record_certificate certificate;
	struct tls_server_print print;
	struct record_tls tls;
	struct x509 x;
	char version[16];

	if (!tls_is_held(f))
		return;
	take_held(f, version, &tls);
	tls.answered = true;
	tls.version = tls_version_name(s->version, version);
	tls.version_chosen = true;
	tls.cipher = s->cipher;
	tls.server_alpn = s->alpn;
	tls_server_fingerprint(s, &print);
	if (print.hash[0]) {
		tls.ja3s = print.hash;
		tls.ja3s_string = str_of(print.text);
	}
	if (s->certificate.n) {
		read_certificate(t, s->certificate, tls.sni, &x, &certificate);
		tls.certificate = &certificate;
	}
	emit(t, f, f->stream->tls.time_ns, &tls, false);
}

/* --- from a log --------------------------------------------------------------------------------------------------- */

static const char *copy(struct str s, char *to, size_t size)
{
	if (!s.n || s.n >= size)
		return NULL;
	memcpy(to, s.p, s.n);
	to[s.n] = 0;
	return to;
}

/* Zeek writes "TLSv13" and "DTLSv12" where everybody else writes "TLS 1.3" and "DTLS 1.2". */
static const char *log_version(struct str s, char text[24])
{
	struct str dtls = STR("DTLSv1"), tls = STR("TLSv1");
	struct str p = str_has_prefix(s, dtls) ? dtls : tls;

	if (!str_has_prefix(s, p) || s.n != p.n + 1)
		return copy(s, text, 24);
	memcpy(text, p.p, p.n - 2);
	text[p.n - 2] = ' ';
	text[p.n - 1] = '1';
	text[p.n] = '.';
	text[p.n + 1] = s.p[s.n - 1];
	text[p.n + 2] = 0;
	return text;
}

static int nibble(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool from_hex(struct str hex, uint8_t *to, size_t n)
{
	if (hex.n != 2 * n)
		return false;
	for (size_t i = 0; i < n; i++) {
		int high = nibble(hex.p[2 * i]), low = nibble(hex.p[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		to[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

/* The CN of a name in the form of RFC 4514, "CN=www.example.org,O=Example\, Inc.,C=US"; escapes are left in. */
static struct str log_common_name(struct str name)
{
	bool begins = true;

	for (size_t i = 0; i < name.n; i++) {
		struct str rest = str_sub(name, i, SIZE_MAX);
		size_t n = 0;

		if (begins && str_has_prefix_nocase(rest, STR("CN="))) {
			rest = str_sub(rest, 3, SIZE_MAX);
			while (n < rest.n && rest.p[n] != ',')
				n += rest.p[n] == '\\' ? 2 : 1;
			return str_sub(rest, 0, n);
		}
		begins = name.p[i] == ',' || name.p[i] == '+';
		i += name.p[i] == '\\';
	}
	return STR_NONE;
}

static void log_certificate(const struct event_fact *fact, struct record_certificate *ret)
{
	*ret = (struct record_certificate){
		.subject = str_sub(fact->subject, 0, RECORD_CERTIFICATE_TEXT),
		.issuer = str_sub(fact->issuer, 0, RECORD_CERTIFICATE_TEXT),
		.self_issued = fact->subject.n && str_eq(fact->subject, fact->issuer),
		.covers_known = fact->covers_sni != FACT_UNKNOWN,
		.covers_sni = fact->covers_sni == FACT_YES,
	};
	ret->common_name = log_common_name(ret->subject);
	ret->has_sha1 = from_hex(fact->fingerprint, ret->sha1, sizeof(ret->sha1));
	ret->has_sha256 = from_hex(fact->fingerprint, ret->sha256, sizeof(ret->sha256));
}

void tls_log(struct flow_table *t, struct flow *f, const struct event_fact *fact)
{
	char ja3[JA3_HASH_MAX], ja4[JA4_MAX], ja3s[JA3S_HASH_MAX], version[24];
	struct record_tls tls = { .sni = fact->sni };
	struct record_certificate certificate;

	tls.version = log_version(fact->tls_version, version);
	tls.version_chosen = tls.version;
	tls.ja3 = copy(fact->ja3, ja3, sizeof(ja3));
	tls.ja4 = copy(fact->ja4, ja4, sizeof(ja4));
	tls.ja3s = copy(fact->ja3s, ja3s, sizeof(ja3s));
	if (fact->alpn.n)
		tls.alpns[tls.n_alpns++] = fact->alpn;
	if (fact->subject.n || fact->issuer.n || fact->fingerprint.n) {
		log_certificate(fact, &certificate);
		tls.certificate = &certificate;
	}
	if (f->app == APP_UNDECIDED)
		f->app = fact->quic ? APP_QUIC : APP_TLS;
	learn(t, f, &tls, fact->quic);
	emit(t, f, 0, &tls, fact->quic);
}
