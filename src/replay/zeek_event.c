/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a line of a Zeek log says, as events. A conn line is a flow that is over: one EVENT_CLOSE at its start, its end
 * in counts.last_ns. The other logs are facts about a flow of the same uid, which is the zone of both.
 */
#include "replay/zeek.h"

#include <errno.h>
#include <netinet/in.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "decode/appproto.h"
#include "decode/http.h"
#include "decode/packet.h"
#include "replay/source.h"

#define PROTO_UNKNOWN 255 /* reserved by IANA: Zeek did not say which */

static uint64_t number(struct str s, uint64_t otherwise)
{
	uint64_t v;

	return s.p && str_parse_u64(s, &v) == 0 ? v : otherwise;
}

static bool is_true(struct str s)
{
	return str_eq(s, STR("T")) || str_eq(s, STR("true"));
}

static uint8_t proto_of(const struct zeek_line *l, const struct addr *orig, uint8_t otherwise)
{
	struct str s = l->f[ZF_PROTO];

	if (str_eq(s, STR("tcp")))
		return IPPROTO_TCP;
	if (str_eq(s, STR("udp")))
		return IPPROTO_UDP;
	if (str_eq(s, STR("icmp")))
		return addr_is_v4(orig) ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	if (str_eq(s, STR("sctp")))
		return IPPROTO_SCTP;
	if (s.p)
		return (uint8_t)number(l->f[ZF_IP_PROTO], PROTO_UNKNOWN);
	return otherwise;
}

/* Never 0, which is the zone of captures. Lines without uid are joined by their addresses and ports. */
static uint64_t zone_of(const struct zeek_line *l, const struct event_key *key)
{
	struct str uid = l->f[ZF_UID];

	if (uid.n)
		return hash_bytes(uid.p, uid.n, 0) | 1;
	return hash_bytes(key, offsetof(struct event_key, proto), 0) | 1;
}

static int key_of(const struct zeek_line *l, uint8_t proto, struct event_key *ret)
{
	uint64_t sport = number(l->f[ZF_ORIG_P], UINT64_MAX),
		 dport = number(l->f[ZF_RESP_P], UINT64_MAX);

	*ret = (struct event_key){ 0 };
	if (addr_parse(l->f[ZF_ORIG_H], &ret->src) < 0 ||
	    addr_parse(l->f[ZF_RESP_H], &ret->dst) < 0 || sport > UINT16_MAX || dport > UINT16_MAX)
		return -EBADMSG;
	ret->sport = (uint16_t)sport;
	ret->dport = (uint16_t)dport;
	ret->proto = proto_of(l, &ret->src, proto);
	ret->zone = zone_of(l, ret);
	return 0;
}

static uint64_t *udp_uid(const struct zeek_emitter *z, uint64_t zone)
{
	return &z->udp_uids[(zone >> 1) % UDP_UIDS];
}

/* --- conn ---------------------------------------------------------------------------------------------------- */

static enum event_end end_of(struct str state, uint8_t proto)
{
	if (proto != IPPROTO_TCP)
		return END_TIMEOUT;
	if (str_eq(state, STR("S0")) || str_eq(state, STR("REJ")))
		return END_FAILED;
	if (str_has_prefix(state, STR("RST")))
		return END_RESET;
	if (str_eq(state, STR("S1")) ||
	    str_eq(state, STR("OTH"))) /* nobody closed it while Zeek looked */
		return END_TIMEOUT;
	return state.n ? END_FIN : END_TIMEOUT;
}

/* Letters of the originator are upper case; H is a SYN with ACK, D is data. */
static void flags_of(struct str history, struct event_counts *c)
{
	static const struct {
		char letter;
		uint8_t flags;
	} letters[] = { { 'S', TCP_SYN }, { 'H', TCP_SYN | TCP_ACK }, { 'A', TCP_ACK },
			{ 'D', TCP_ACK }, { 'F', TCP_FIN | TCP_ACK }, { 'R', TCP_RST } };

	for (size_t i = 0; i < history.n; i++)
		for (size_t j = 0; j < ARRAY_SIZE(letters); j++) {
			if (history.p[i] == letters[j].letter)
				c->tx_tcp_flags |= letters[j].flags;
			else if (history.p[i] == (letters[j].letter | 0x20))
				c->rx_tcp_flags |= letters[j].flags;
		}
}

/* The first of the services that is a protocol we know; QUIC before the TLS inside it. */
static enum app_proto service_of(const struct zeek_tsv *t, struct str services)
{
	enum app_proto app = APP_UNDECIDED;
	struct str one, rest = services;

	/* In JSON a set is written as one text: "http,ssl". */
	while (str_cut(&rest, t ? t->set_separator : ',', &one)) {
		enum app_proto a = app_parse(one);

		if (app == APP_UNDECIDED || app == APP_UNKNOWN || a == APP_QUIC)
			app = a;
	}
	return app == APP_UNKNOWN ? APP_UNDECIDED : app;
}

static uint64_t add_time(uint64_t ts, uint64_t duration)
{
	return duration > UINT64_MAX - ts ? UINT64_MAX : ts + duration;
}

static int emit_conn(const struct zeek_emitter *z, const struct zeek_line *l, struct event *e)
{
	struct event_counts *c = &e->close.counts;
	const struct str *f = l->f;
	uint64_t duration = 0;
	int r = key_of(l, PROTO_UNKNOWN, &e->key);

	if (r < 0)
		return r;
	if (f[ZF_DURATION].p)
		zeek_time(f[ZF_DURATION], &duration);
	e->type = EVENT_CLOSE;
	e->close.end = end_of(f[ZF_CONN_STATE], e->key.proto);
	e->close.app = service_of(z->tsv, f[ZF_SERVICE]);
	*c = (struct event_counts){
		.tx_packets = number(f[ZF_ORIG_PKTS], 0),
		.rx_packets = number(f[ZF_RESP_PKTS], 0),
		.tx_payload = number(f[ZF_ORIG_BYTES], UINT64_MAX),
		.rx_payload = number(f[ZF_RESP_BYTES], UINT64_MAX),
		.last_ns = add_time(e->time_ns, duration),
	};
	/* Logs cut down to the essentials have only the payload. */
	c->tx_bytes = number(f[ZF_ORIG_IP_BYTES], number(f[ZF_ORIG_BYTES], 0));
	c->rx_bytes = number(f[ZF_RESP_IP_BYTES], number(f[ZF_RESP_BYTES], 0));
	if (e->key.proto == IPPROTO_TCP)
		flags_of(f[ZF_HISTORY], c);
	if (e->key.proto == IPPROTO_UDP)
		*udp_uid(z, e->key.zone) = e->key.zone;
	z->out.on_event(z->out.ctx, e);
	return 0;
}

/* --- dns ----------------------------------------------------------------------------------------------------- */

static bool octet(struct str s, size_t i, uint8_t *ret)
{
	static const char digits[] = "0123456789abcdef";
	const char *high, *low;

	/* Zeek's JSON writer leaves "\x2a" in the text where its TSV writer escapes the same way. */
	if (s.n - i < 4 || s.p[i] != '\\' || s.p[i + 1] != 'x')
		return false;
	high = memchr(digits, s.p[i + 2] | 0x20, 16);
	low = memchr(digits, s.p[i + 3] | 0x20, 16);
	if (!high || !low)
		return false;
	*ret = (uint8_t)((high - digits) << 4 | (low - digits));
	return true;
}

static bool put(struct dns_message *m, char c)
{
	if (m->arena_n == sizeof(m->arena))
		return false;
	m->arena[m->arena_n++] = c;
	return true;
}

/* In the form dns.h promises: odd octets as \DDD, names in lower case. */
static bool put_octet(struct dns_message *m, uint8_t c, bool name)
{
	if (c < ' ' || c > '~' || c == '\\' || (name && c == ' '))
		return put(m, '\\') && put(m, (char)('0' + c / 100)) &&
		       put(m, (char)('0' + c / 10 % 10)) && put(m, (char)('0' + c % 10));
	return put(m, (char)(name && c >= 'A' && c <= 'Z' ? c | 0x20 : c));
}

static bool put_text(struct dns_message *m, struct str s, bool name)
{
	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = (uint8_t)s.p[i];

		if (octet(s, i, &c))
			i += 3;
		if (!put_octet(m, c, name))
			return false;
	}
	return true;
}

/* "TXT 5 hello TXT 2 yo", where escapes make the lengths wrong: the next word "TXT" ends a text. */
static bool put_txt(struct dns_message *m, struct str s)
{
	static const char mark[] = " TXT ";
	bool many = memmem(s.p, s.n, mark, 5) != NULL, first = true;

	while (s.n >= 4) {
		const char *end = memmem(s.p, s.n, mark, 5);
		struct str one = str_sub(s, 4, (end ? (size_t)(end - s.p) : s.n) - 4), length;

		s = str_sub(s, end ? (size_t)(end - s.p) + 1 : s.n, s.n);
		str_cut(&one, ' ', &length);
		if (!((first || put(m, ' ')) && (!many || put(m, '"')) && put_text(m, one, false) &&
		      (!many || put(m, '"'))))
			return false;
		first = false;
	}
	return true;
}

enum form { FORM_NAME, FORM_TEXT, FORM_TXT };

/* Into the message's own arena. Nothing when it does not fit, which `cut` tells. */
static struct str keep(struct dns_message *m, struct str s, enum form form)
{
	size_t from = m->arena_n, n;
	bool fits;

	if (form == FORM_NAME && s.n > 1 && s.p[s.n - 1] == '.')
		s.n--;
	fits = form == FORM_TXT ? put_txt(m, s) : put_text(m, s, form == FORM_NAME);
	n = m->arena_n - from;
	if (!fits || (form == FORM_NAME && n > DNS_NAME_MAX)) {
		m->arena_n = from;
		m->cut = true;
		return STR_NONE;
	}
	return (struct str){ m->arena + from, n };
}

/* Zeek writes only what an answer says; its type follows from the form, and from what was asked. */
static uint16_t answer_type(const struct dns_record *a, struct str text, uint16_t asked)
{
	if (a->has_addr)
		return addr_is_v4(&a->addr) ? DNS_A : DNS_AAAA;
	if (str_has_prefix(text, STR("TXT ")))
		return DNS_TXT;
	if (asked == DNS_A || asked == DNS_AAAA)
		return DNS_CNAME;
	return asked;
}

static void add_answer(struct dns_message *m, struct str text, uint32_t ttl, uint16_t asked,
		       struct str *owner)
{
	struct dns_record *a = &m->answers[m->n_answers];
	enum form form = FORM_NAME;

	*a = (struct dns_record){ .name = *owner, .class = 1, .ttl = ttl };
	a->has_addr = addr_parse(text, &a->addr) == 0;
	a->type = answer_type(a, text, asked);
	if (a->has_addr)
		form = FORM_TEXT;
	else if (a->type == DNS_TXT)
		form = str_has_prefix(text, STR("TXT ")) ? FORM_TXT : FORM_TEXT;
	a->rdata = keep(m, text, form);
	if (m->cut)
		return;
	if (a->type == DNS_CNAME) /* what follows belongs to the name it leads to */
		*owner = a->rdata;
	m->n_answers++;
}

static void add_answers(const struct zeek_tsv *t, const struct zeek_line *l, struct dns_message *m)
{
	struct str answers = l->f[ZF_ANSWERS], ttls = l->f[ZF_TTLS], text, ttl;
	uint16_t asked = m->n_questions ? m->questions[0].type : 0;
	struct str owner = m->n_questions ? m->questions[0].name : STR_NONE;

	while (!m->cut && zeek_list_next(t, &answers, &text)) {
		uint64_t ns = 0;

		if (m->n_answers == DNS_MAX_ANSWERS) {
			m->cut = true;
			return;
		}
		if (zeek_list_next(t, &ttls, &ttl))
			zeek_time(ttl, &ns);
		add_answer(m, text, (uint32_t)MIN(ns / 1000000000, (uint64_t)UINT32_MAX), asked,
			   &owner);
	}
}

static int emit_dns(const struct zeek_emitter *z, const struct zeek_line *l, struct event *e)
{
	struct dns_message *m = z->dns;
	const struct str *f = l->f;
	int r = key_of(l, IPPROTO_UDP, &e->key);

	if (r < 0)
		return r;
	m->id = (uint16_t)number(f[ZF_TRANS_ID], 0);
	m->response = f[ZF_RCODE].p || f[ZF_ANSWERS].n;
	m->authoritative = is_true(f[ZF_AA]);
	m->truncated = is_true(f[ZF_TC]);
	m->recursion_desired = is_true(f[ZF_RD]);
	m->recursion_available = is_true(f[ZF_RA]);
	m->opcode = 0;
	m->rcode = (uint8_t)number(f[ZF_RCODE], 0);
	m->n_questions = m->n_answers = 0;
	m->cut = false;
	m->arena_n = 0;
	if (f[ZF_QUERY].p) {
		m->questions[0] = (struct dns_question){
			.name = keep(m, f[ZF_QUERY].n ? f[ZF_QUERY] : STR("."), FORM_NAME),
			.type = (uint16_t)number(f[ZF_QTYPE], dns_type_parse(f[ZF_QTYPE_NAME])),
			.class = (uint16_t)number(f[ZF_QCLASS], 1),
		};
		m->n_questions = !m->cut;
	}
	add_answers(z->tsv, l, m);
	e->type = EVENT_FACT;
	e->fact = (struct event_fact){ .kind = FACT_DNS, .dns = m };
	z->out.on_event(z->out.ctx, e);
	return 0;
}

/* --- ssl, quic, http ----------------------------------------------------------------------------------------- */

/* As tls_version_name() has it. */
static struct str version_of(struct str zeek)
{
	static const struct str names[][2] = {
		{ STR("TLSv13"), STR("TLS 1.3") },   { STR("TLSv12"), STR("TLS 1.2") },
		{ STR("TLSv11"), STR("TLS 1.1") },   { STR("TLSv10"), STR("TLS 1.0") },
		{ STR("DTLSv10"), STR("DTLS 1.0") }, { STR("DTLSv12"), STR("DTLS 1.2") },
		{ STR("DTLSv13"), STR("DTLS 1.3") },
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (str_has_prefix(zeek, names[i][0])) /* drafts of 1.3 have a tail */
			return names[i][1];
	return zeek;
}

/* Does `s` have the shape? h: hex digit, d: digit, l: digit or small letter, a: digit or letter; others: themselves. */
static bool has_shape(struct str s, const char *shape)
{
	if (s.n != strlen(shape))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		bool digit = c >= '0' && c <= '9', small = c >= 'a' && c <= 'z';
		bool ok = shape[i] == 'h'   ? digit || (small && c <= 'f')
			  : shape[i] == 'd' ? digit
			  : shape[i] == 'l' ? digit || small
			  : shape[i] == 'a' ? digit || small || (c >= 'A' && c <= 'Z')
					    : c == shape[i];

		if (!ok)
			return false;
	}
	return true;
}

/* A damaged line is no reason to call something a fingerprint that is none. */
static bool is_ja3(struct str s)
{
	return has_shape(s, "hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh");
}

static bool is_ja4(struct str s)
{
	return has_shape(s, "llllddddaa_hhhhhhhhhhhh_hhhhhhhhhhhh") && strchr("tqd", s.p[0]) &&
	       strchr("di", s.p[3]);
}

/* Of the server's own certificate: the first of its chain, or what an old script of Zeek's users adds. */
static struct str fingerprint_of(const struct zeek_emitter *z, const struct str *f)
{
	struct str list = f[ZF_CHAIN_PRINTS], first;

	return zeek_list_next(z->tsv, &list, &first) ? first : f[ZF_SHA1];
}

static int emit_tls(const struct zeek_emitter *z, enum zeek_log log, const struct zeek_line *l,
		    struct event *e)
{
	const struct str *f = l->f;
	bool quic = log == ZEEK_QUIC, dtls = str_has_prefix(f[ZF_VERSION], STR("DTLS"));
	int r = key_of(l, quic || dtls ? IPPROTO_UDP : IPPROTO_TCP, &e->key);

	if (r < 0)
		return r;
	if (quic)
		*udp_uid(z, e->key.zone) = e->key.zone;
	else if (!dtls && *udp_uid(z, e->key.zone) == e->key.zone) {
		e->key.proto = IPPROTO_UDP;
		quic = true;
	}
	e->type = EVENT_FACT;
	e->fact = (struct event_fact){
		.kind = FACT_TLS,
		.sni = f[ZF_SERVER_NAME],
		.ja3 = is_ja3(f[ZF_JA3]) ? f[ZF_JA3] : STR_NONE,
		.ja4 = is_ja4(f[ZF_JA4]) ? f[ZF_JA4] : STR_NONE,
		.alpn = log == ZEEK_QUIC ? f[ZF_CLIENT_PROTOCOL] : f[ZF_NEXT_PROTOCOL],
		.ja3s = is_ja3(f[ZF_JA3S]) ? f[ZF_JA3S] : STR_NONE,
		.subject = f[ZF_SUBJECT],
		.issuer = f[ZF_ISSUER],
		.fingerprint = fingerprint_of(z, f),
		.covers_sni = !f[ZF_SNI_MATCHES].n         ? FACT_UNKNOWN
			      : is_true(f[ZF_SNI_MATCHES]) ? FACT_YES
							   : FACT_NO,
		.quic = quic,
	};
	if (log == ZEEK_SSL) /* quic.log has the version of QUIC there */
		e->fact.tls_version = version_of(f[ZF_VERSION]);
	z->out.on_event(z->out.ctx, e);
	return 0;
}

static int emit_http(const struct zeek_emitter *z, const struct zeek_line *l, struct event *e)
{
	const struct str *f = l->f;
	struct http_request h = {
		.method = f[ZF_METHOD],
		.url = f[ZF_URI],
		.host = f[ZF_HOST],
		.user_agent = f[ZF_USER_AGENT],
		.minor = str_eq(f[ZF_VERSION], STR("1.0")) ? 0 : 1,
		.complete = true,
	};
	int r = key_of(l, IPPROTO_TCP, &e->key);

	if (r < 0)
		return r;
	e->type = EVENT_FACT;
	e->fact = (struct event_fact){ .kind = FACT_HTTP, .http = &h };
	e->fact.http_status = (uint16_t)MIN(number(f[ZF_STATUS_CODE], 0), (uint64_t)999);
	z->out.on_event(z->out.ctx, e);
	return 0;
}

int zeek_emit(const struct zeek_emitter *z, enum zeek_log log, const struct zeek_line *line)
{
	struct event e = { .dir = EVENT_DIR_NONE };

	if (log == ZEEK_OTHER)
		return 0;
	if (!zeek_time(line->f[ZF_TS], &e.time_ns))
		return -EBADMSG;
	switch (log) {
	case ZEEK_CONN:
		return emit_conn(z, line, &e);
	case ZEEK_DNS:
		return emit_dns(z, line, &e);
	case ZEEK_HTTP:
		return emit_http(z, line, &e);
	default:
		return emit_tls(z, log, line, &e);
	}
}
