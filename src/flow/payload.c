/* SPDX-License-Identifier: Apache-2.0 */
/*
 * First bytes → decoders. A flow's bytes are in one phase at a time (enum look_phase): first "what is it?", then
 * whatever that protocol has to tell, then nothing more. A phase is shown the bytes of each side that are there
 * without a gap and not read yet, and says how many it is done with; only what it wants to see again is copied. So a
 * ClientHello that came whole in the first segment is read where the capture's buffer has it.
 */
#include <errno.h>
#include <netinet/in.h>

#include "base/cleanup.h"
#include "decode/ftp.h"
#include "decode/http.h"
#include "decode/mail.h"
#include "decode/packet.h"
#include "decode/quic.h"
#include "decode/ssh.h"
#include "flow/table.h"

#define DATAGRAM_KEPT 2048
#define HTTP_LATER_BYTES 2048
#define QUIC_TRIES 24
#define DTLS_TRIES 4

struct look {
	struct str head[2];
	bool more[2]; /* more may come behind the head */
};

static const uint32_t window[2] = { FLOW_WINDOW_CLIENT, FLOW_WINDOW_SERVER };

static uint32_t window_of(const struct flow *f, enum flow_side side)
{
	if (f->look_phase == LOOK_DNS)
		return DNS_FRAME_MAX;
	if (side == TO_CLIENT && (f->look_phase == LOOK_TLS || f->look_phase == LOOK_TLS_SERVER))
		return FLOW_WINDOW_TLS_SERVER;
	return window[side];
}

static void eat(struct look *l, enum flow_side side, size_t n)
{
	if (n)
		l->head[side] = str_sub(l->head[side], n, SIZE_MAX);
}

static void eat_all(struct look *l, enum flow_side side)
{
	eat(l, side, l->head[side].n);
}

/* Nothing more is wanted of the flow's bytes. */
void payload_stop(struct flow_table *t, struct flow *f)
{
	http_flush(t, f);
	tls_flush(t, f);
	stream_put(t, f);
	f->look_phase = LOOK_NONE;
	f->looking = 0;
}

static enum look_phase phase_of(enum app_proto app)
{
	switch (app) {
	case APP_TLS:
		return LOOK_TLS;
	case APP_HTTP:
		return LOOK_HTTP;
	case APP_SMTP:
		return LOOK_SMTP;
	case APP_IMAP:
	case APP_POP3:
	case APP_FTP:
	case APP_SOCKS:
	case APP_RDP:
	case APP_MYSQL:
	case APP_POSTGRES:
		return LOOK_INNER;
	case APP_SSH:
		return LOOK_SSH;
	case APP_DNS:
	case APP_MDNS:
	case APP_LLMNR:
		return LOOK_DNS;
	case APP_QUIC:
		return LOOK_QUIC;
	case APP_DTLS:
		return LOOK_DTLS;
	default:
		return LOOK_NONE;
	}
}

static void look_detect(struct flow *f, struct look *l)
{
	struct app_input in = {
		.ip_proto = f->key.proto,
		.sport = f->key.sport,
		.dport = f->key.dport,
		.client = l->head[TO_SERVER],
		.server = l->head[TO_CLIENT],
		.client_more = l->more[TO_SERVER],
		.server_more = l->more[TO_CLIENT],
	};
	enum app_proto app;

	if (!in.client.n && !in.server.n)
		return;
	app = app_detect(&in);
	if (app == APP_UNDECIDED)
		return;
	f->app = app;
	f->look_phase = phase_of(app);
}

static void look_tls(struct flow_table *t, struct flow *f, struct look *l)
{
	struct str head = l->head[TO_SERVER];
	size_t need = 0;
	int r;

	/* What the server says before STARTTLS is over is none of TLS; nor does it answer what never comes. */
	if (f->app != APP_TLS || (!head.n && !l->more[TO_CLIENT]))
		eat_all(l, TO_CLIENT);
	if (!head.n || (f->stream && head.n < f->stream->need && l->more[TO_SERVER])) {
		if (!l->more[TO_SERVER])
			f->look_phase = LOOK_NONE;
		return;
	}
	r = tls_stream_parse(head, t->tls_scratch, &t->hello, &need);
	if (r == 0 && tls_hello_hold(t, f, &t->hello)) {
		f->stream->need = 0;
		f->looking &= (uint8_t) ~(1 << TO_SERVER);
		f->look_phase = LOOK_TLS_SERVER;
		return;
	}
	if (r == -EAGAIN && l->more[TO_SERVER]) {
		if (f->stream)
			f->stream->need = (uint32_t)MIN(need, (size_t)FLOW_WINDOW_CLIENT);
		return;
	}
	f->look_phase = LOOK_NONE;
}

/* The ServerHello, and the certificate if it comes in the clear. */
static void look_tls_server(struct flow_table *t, struct flow *f, struct look *l)
{
	struct str head = l->head[TO_CLIENT];
	bool more = l->more[TO_CLIENT];
	struct tls_server server;
	size_t need = 0;
	int r;

	eat_all(l, TO_SERVER);
	if (more && (!head.n || head.n < f->stream->need))
		return;
	r = tls_server_parse(head, t->tls_scratch, &server, &need);
	if (r == -EAGAIN && more) {
		f->stream->need = (uint32_t)MIN(need, (size_t)FLOW_WINDOW_TLS_SERVER);
		return;
	}
	if (server.known)
		tls_answered(t, f, &server);
	f->look_phase = LOOK_NONE;
}

static void look_http(struct flow_table *t, struct flow *f, struct look *l)
{
	if (l->head[TO_SERVER].n)
		eat(l, TO_SERVER, http_client(t, f, l->head[TO_SERVER], l->more[TO_SERVER]));
	if (l->head[TO_CLIENT].n && f->look_phase == LOOK_HTTP)
		eat(l, TO_CLIENT, http_server(t, f, l->head[TO_CLIENT], l->more[TO_CLIENT]));
}

static void look_smtp(struct flow_table *t, struct flow *f, struct look *l)
{
	struct smtp_envelope m = { 0 };
	int r;

	eat_all(l, TO_CLIENT);
	if (!l->head[TO_SERVER].n && l->more[TO_SERVER])
		return;
	r = smtp_client_parse(l->head[TO_SERVER], &m);
	if (r == -EAGAIN && l->more[TO_SERVER])
		return;
	if (r == -EBADMSG) {
		f->look_phase = LOOK_NONE;
		return;
	}
	if (m.helo.n || m.mail_from.n)
		facts_smtp(t, f, &m);
	if (r == 0 && m.starttls && m.tls_at <= l->head[TO_SERVER].n) {
		eat(l, TO_SERVER, m.tls_at);
		f->look_phase = LOOK_TLS;
	} else {
		f->look_phase = LOOK_NONE;
	}
}

/* How much of its client's bytes shows whether TLS will follow. */
static size_t inner_window(enum app_proto app)
{
	switch (app) {
	case APP_RDP:
	case APP_MYSQL:
	case APP_POSTGRES:
		return 64;
	case APP_SOCKS:
		return 1024;
	default:
		return FLOW_WINDOW_CLIENT;
	}
}

static void look_inner(struct flow *f, struct look *l)
{
	size_t at = app_inner_offset(f->app, l->head[TO_SERVER]);

	eat_all(l, TO_CLIENT);
	if (f->app == APP_FTP && !f->stores)
		f->stores = ftp_client_stores(at ? str_sub(l->head[TO_SERVER], 0, at)
						 : l->head[TO_SERVER]);
	if (at) {
		eat(l, TO_SERVER, at);
		f->look_phase = LOOK_TLS;
	} else if (!l->more[TO_SERVER] || l->head[TO_SERVER].n >= inner_window(f->app)) {
		f->look_phase = LOOK_NONE;
	}
}

static void look_ssh(struct flow_table *t, struct flow *f, struct look *l)
{
	struct record_ssh s = { 0 };
	int r[2];

	r[0] = ssh_banner_parse(l->head[TO_SERVER], &s.client);
	r[1] = ssh_banner_parse(l->head[TO_CLIENT], &s.server);
	for (int i = 0; i < 2; i++) {
		if (r[i] == -EAGAIN && l->more[i])
			return;
		if (r[i] < 0)
			*(i ? &s.server : &s.client) = (struct ssh_banner){ 0 };
	}
	if (r[0] == 0 || r[1] == 0)
		facts_ssh(t, f, &s);
	f->look_phase = LOOK_NONE;
}

static void look_dns(struct flow_table *t, struct flow *f, struct look *l)
{
	for (int side = 0; side < 2; side++) {
		bool bad = false;

		eat(l, side, dns_frames(t, f, side, l->head[side], &bad));
		if (bad)
			f->looking &= ~(1 << side);
	}
	if (!f->looking)
		f->look_phase = LOOK_NONE;
}

static void look(struct flow_table *t, struct flow *f, struct look *l)
{
	uint8_t phase;

	do {
		phase = f->look_phase;
		switch ((enum look_phase)phase) {
		case LOOK_DETECT:
			look_detect(f, l);
			break;
		case LOOK_TLS:
			look_tls(t, f, l);
			break;
		case LOOK_TLS_SERVER:
			look_tls_server(t, f, l);
			break;
		case LOOK_HTTP:
			look_http(t, f, l);
			break;
		case LOOK_SMTP:
			look_smtp(t, f, l);
			break;
		case LOOK_INNER:
			look_inner(f, l);
			break;
		case LOOK_SSH:
			look_ssh(t, f, l);
			break;
		case LOOK_DNS:
			look_dns(t, f, l);
			break;
		case LOOK_NONE:
		case LOOK_QUIC:
		case LOOK_DTLS:
			break;
		}
	} while (f->look_phase != phase && f->look_phase != LOOK_NONE);
	if (f->look_phase == LOOK_NONE)
		payload_stop(t, f);
}

/* A stream that holds nothing any more is given back. */
static void release_if_empty(struct flow_table *t, struct flow *f)
{
	const struct flow_stream *s = f->stream;

	if (s && !s->side[0].n_ranges && !s->side[1].n_ranges && !s->n_pending && !s->quic &&
	    !s->tunnel && !tls_is_held(f))
		stream_put(t, f);
}

/* Shows the phase what is buffered on both sides. */
static void look_buffered(struct flow_table *t, struct flow *f, const bool more[2])
{
	struct look l = { 0 };
	size_t before[2];

	for (int i = 0; i < 2; i++) {
		l.head[i] = stream_head(f, i);
		l.more[i] = more[i] && l.head[i].n < window_of(f, i);
		before[i] = l.head[i].n;
	}
	look(t, f, &l);
	for (int i = 0; i < 2 && f->looking; i++)
		stream_drop(f, i, (uint32_t)(before[i] - l.head[i].n));
	release_if_empty(t, f);
}

/* The segment goes on where the phase stopped reading, and nothing of its side is buffered: no copy. */
static void look_in_place(struct flow_table *t, struct flow *f, enum flow_side side,
			  struct str bytes, bool more)
{
	struct look l = { 0 };
	uint32_t max = window_of(f, side);
	size_t other = stream_head(f, !side).n;

	l.head[side] = bytes;
	l.head[!side] = stream_head(f, !side);
	l.more[side] = more && bytes.n < max;
	l.more[!side] = !(f->tcp[!side].seen & SEEN_CUT) && other < window_of(f, !side);
	look(t, f, &l);
	if (!(f->looking & 1 << side))
		return;
	f->tcp[side].look += (uint32_t)(bytes.n - l.head[side].n);
	stream_drop(f, !side, (uint32_t)(other - l.head[!side].n));
	if (l.head[side].n && !stream_insert(t, f, side, 0, l.head[side], window_of(f, side)))
		payload_stop(t, f);
	else
		release_if_empty(t, f);
}

static void insert(struct flow_table *t, struct flow *f, enum flow_side side, uint32_t off,
		   struct str bytes, bool more)
{
	uint32_t max = window_of(f, side);
	bool both[2] = { true, true };

	/* So far ahead that the gap will not close within the window. */
	if (off >= max) {
		payload_gap(t, f, side, f->tcp[side].look + off + 1);
		if (f->look_phase == LOOK_HTTP) {
			stream_drop(f, side, off);
			look_in_place(t, f, side, bytes, more);
		} else if (f->look_phase != LOOK_NONE) {
			if (tls_is_held(f))
				payload_no_more(t, f);
			payload_stop(t, f);
		}
		return;
	}
	if (!stream_insert(t, f, side, off, bytes, max)) {
		payload_stop(t, f);
		return;
	}
	both[side] = more || stream_head(f, side).n < off + bytes.n;
	if (stream_head(f, side).n)
		look_buffered(t, f, both);
}

static bool is_buffered(const struct flow *f, enum flow_side side)
{
	return f->stream && f->stream->side[side].n_ranges;
}

/* Between two messages HTTP is read packet by packet, whatever is missing before and in whatever order. */
static void between_messages(struct flow_table *t, struct flow *f, enum flow_side side,
			     uint32_t seq, struct str bytes, bool more)
{
	struct flow_tcp *s = &f->tcp[side];
	uint32_t ahead = s->look;
	bool begins = side == TO_SERVER ? http_is_request(bytes) : http_is_response(bytes);

	s->look = seq;
	/* Else it is of a body: most packets of most captures. */
	if (begins || (f->stream && f->stream->tunnel))
		look_in_place(t, f, side, bytes, more);
	else
		s->look += (uint32_t)bytes.n;
	if (!is_buffered(f, side) && (int32_t)(ahead - s->look) > 0)
		s->look = ahead;
}

/* A TCP segment with payload; `fresh` of its bytes were not seen before. */
void payload_segment(struct flow_table *t, struct flow *f, enum flow_side side,
		     const struct event *e, uint32_t fresh)
{
	const struct event_packet *p = &e->packet;
	struct flow_tcp *s = &f->tcp[side];
	uint32_t seq = p->seq + !!(p->tcp_flags & TCP_SYN);
	bool more = !p->cut && !(p->tcp_flags & (TCP_FIN | TCP_RST));
	struct str bytes = p->payload;
	int32_t off;

	if (!(s->seen & SEEN_LOOK)) {
		s->look = seq;
		s->seen |= SEEN_LOOK;
	}
	/* What the kernel hands on of messages past the window: so that both show the same. */
	if (f->look_phase == LOOK_HTTP && f->half[side].payload > window[side] &&
	    bytes.n > HTTP_LATER_BYTES) {
		bytes = str_sub(bytes, 0, HTTP_LATER_BYTES);
		more = false;
	}
	if (f->look_phase == LOOK_HTTP && !is_buffered(f, side) && fresh == p->payload_bytes) {
		between_messages(t, f, side, seq, bytes, more);
		return;
	}
	off = (int32_t)(seq - s->look);
	if (off < 0) {
		if ((uint32_t)-off >= bytes.n)
			return;
		bytes = str_sub(bytes, (size_t)-off, SIZE_MAX);
		off = 0;
	}
	if (off == 0 && !is_buffered(f, side))
		look_in_place(t, f, side, bytes, more);
	else
		insert(t, f, side, (uint32_t)off, bytes, more);
	if (p->cut && f->looking & 1 << side) {
		s->seen |= SEEN_CUT;
		if (!is_buffered(f, side))
			s->look = seq + p->payload_bytes;
	}
}

/* The other side acknowledged bytes that are not there and lie before some that are: they will never come. */
void payload_gap(struct flow_table *t, struct flow *f, enum flow_side side, uint32_t acked)
{
	uint32_t end = f->looking & 1 << side ? stream_gap_end(f, side) : 0;
	bool more[2] = { side != TO_SERVER, side != TO_CLIENT };

	if (!end || (int32_t)(acked - (f->tcp[side].look + end)) <= 0)
		return;
	look_buffered(t, f, more);
	if (f->look_phase == LOOK_NONE)
		return;
	if (f->look_phase != LOOK_HTTP) {
		payload_stop(t, f);
		return;
	}
	end = stream_gap_end(f, side);
	stream_drop(f, side, end);
	more[0] = more[1] = true;
	look_buffered(t, f, more);
}

/* --- datagrams ---------------------------------------------------------------------------------------------------- */

static void look_quic(struct flow_table *t, struct flow *f, struct str bytes)
{
	struct quic *quic = stream_quic(t, f);
	struct quic_result q = { 0 };
	char version[16];
	size_t need;
	int r;

	if (!quic) {
		payload_stop(t, f);
		return;
	}
	r = quic_client_datagram(quic, bytes, &q);
	if (r == 0 && q.gquic_sni.n) {
		tls_gquic(t, f, q.gquic_sni, q.gquic_ua, quic_version_name(q.version, version));
		payload_stop(t, f);
		return;
	}
	if (r == 0 && q.crypto.n) {
		r = tls_hello_parse(q.crypto, TLS_OVER_QUIC, &t->hello, &need);
		if (r == 0)
			tls_hello_known(t, f, &t->hello, quic_version_name(q.version, version));
		if (r != -EAGAIN) {
			payload_stop(t, f);
			return;
		}
	}
	if (++f->look_tries >= QUIC_TRIES)
		payload_stop(t, f);
}

static void look_dtls(struct flow_table *t, struct flow *f, struct str bytes)
{
	if (dtls_parse(bytes, &t->hello) == 0)
		tls_hello_known(t, f, &t->hello, NULL);
	else if (++f->look_tries < DTLS_TRIES)
		return;
	payload_stop(t, f);
}

static bool is_dns_port(uint16_t port)
{
	return port == 53 || port == 5353 || port == 5355;
}

static bool detect_dns(struct flow_table *t, struct flow *f, enum flow_side side, struct str bytes)
{
	if (!(is_dns_port(f->key.dport) || is_dns_port(f->key.sport)) ||
	    !dns_datagram(t, f, side, bytes))
		return false;
	f->look_phase = LOOK_DNS;
	return true;
}

/* The first datagram of each side tells what it is. */
static void detect_datagram(struct flow_table *t, struct flow *f, enum flow_side side,
			    struct str bytes)
{
	struct look l = { 0 };

	l.head[side] = bytes;
	l.head[!side] = stream_head(f, !side);
	l.more[TO_SERVER] = !l.head[TO_SERVER].n;
	l.more[TO_CLIENT] = !l.head[TO_CLIENT].n;
	look_detect(f, &l);
	if (f->look_phase == LOOK_NONE || (f->app == APP_UNDECIDED && !l.more[0] && !l.more[1])) {
		payload_stop(t, f);
		return;
	}
	if (f->look_phase != LOOK_DETECT) {
		stream_put(t, f);
		return;
	}
	if (stream_head(f, side).n)
		return;
	if (!stream_insert(t, f, side, 0, bytes, DATAGRAM_KEPT))
		payload_stop(t, f);
}

void payload_datagram(struct flow_table *t, struct flow *f, enum flow_side side,
		      const struct event_packet *p)
{
	if (f->look_phase == LOOK_DETECT) {
		if (detect_dns(t, f, side, p->payload))
			return;
		detect_datagram(t, f, side, p->payload);
	}
	if (f->look_phase == LOOK_DNS)
		dns_datagram(t, f, side, p->payload);
	else if (f->look_phase == LOOK_QUIC && side == TO_SERVER)
		look_quic(t, f, p->payload);
	else if (f->look_phase == LOOK_DTLS && side == TO_SERVER)
		look_dtls(t, f, p->payload);
}

void payload_no_more(struct flow_table *t, struct flow *f)
{
	bool more[2] = { false, false };

	if (f->look_phase != LOOK_NONE)
		look_buffered(t, f, more);
}

void payload_end(struct flow_table *t, struct flow *f)
{
	payload_no_more(t, f);
	if (f->app == APP_UNDECIDED && f->payload_known && !(f->flags & FLOW_LOG) &&
	    (f->half[0].payload || f->half[1].payload))
		f->app = APP_UNKNOWN;
	payload_stop(t, f);
}
