/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's look at first payloads against user space's decoders, on every flow of the shared captures: a name that the
 * kernel reads is the one that tls.c, http.c and quic.c read, and none is missed but for a reason; protocols agree wherever
 * the client's bytes alone decide.
 */
#include "first_rig.h"
#include "test.h"

#include <ctype.h>
#include <errno.h>
#include <ftw.h>
#include <netinet/in.h>

#include "base/addr.h"
#include "base/cleanup.h"
#include "decode/appproto.h"
#include "decode/http.h"
#include "decode/packet.h"
#include "decode/quic.h"
#include "decode/tls.h"
#include "replay/replay.h"

#define FLOWS 16384
#define BYTES 16384

struct peer {
	struct event_key key;
	bool used, tcp, closed, decided, compared;
	uint32_t isn;
	struct first_flow first;
	struct quic *quic;
	uint8_t bytes[BYTES], there[BYTES];
	size_t n, datagram_n;
};

static struct peer *peers[FLOWS];
static const char *file;
static struct {
	size_t flows, tls, names, none, unreadable, waiting, http, http_names, quic, quic_names,
		apps, agreed;
	size_t differ;
} sum;

static bool same_end(const struct addr *a, uint16_t p, const struct addr *b, uint16_t q)
{
	return addr_eq(a, b) && p == q;
}

/* The flow of a packet; *ret_back: it comes from the responder. */
static struct peer *peer_of(const struct event_key *k, bool syn, bool *ret_back)
{
	size_t i;

	*ret_back = false;
	for (i = 0; i < FLOWS && peers[i]; i++) {
		struct peer *p = peers[i];

		if (p->closed || p->key.proto != k->proto || p->key.zone != k->zone)
			continue;
		if (same_end(&p->key.src, p->key.sport, &k->src, k->sport) &&
		    same_end(&p->key.dst, p->key.dport, &k->dst, k->dport)) {
			if (!syn || !p->n)
				return p;
			p->closed = true; /* the port is used again */
			continue;
		}
		*ret_back = same_end(&p->key.src, p->key.sport, &k->dst, k->dport) &&
			    same_end(&p->key.dst, p->key.dport, &k->src, k->sport);
		if (*ret_back)
			return p;
	}
	if (i == FLOWS)
		return NULL;
	peers[i] = calloc(1, sizeof(*peers[i]));
	assert_non_null(peers[i]);
	peers[i]->key = *k;
	peers[i]->tcp = k->proto == IPPROTO_TCP;
	first_begin(&peers[i]->first, k->sport, k->dport);
	sum.flows++;
	return peers[i];
}

static bool is_literal(struct str s)
{
	struct addr a;

	return addr_parse(s, &a) == 0;
}

static bool same_name(struct str kernel, struct str user)
{
	if (user.n && user.p[user.n - 1] == '.')
		user.n--;
	return str_eq_nocase(kernel, user);
}

static void complain(const struct peer *p, const char *what, struct str user)
{
	print_message("%s: %s %u>%u: kernel visible %u app %u \"%.*s\", user space \"%.*s\"\n",
		      file, what, p->key.sport, p->key.dport, p->first.seen.visible,
		      p->first.seen.app, (int)first_name(&p->first).n, p->first.seen.name,
		      (int)user.n, user.p ? user.p : "");
	sum.differ++;
}

/* What user space calls the flow, and what it calls its protocol, on the client's bytes alone. */
static void compare_name(struct peer *p, struct str user, bool readable, size_t *names)
{
	struct str kernel = first_name(&p->first);

	switch (p->first.seen.visible) {
	case EG_VISIBLE_NAME:
		(*names)++;
		if (!readable || !same_name(kernel, user))
			complain(p, "name", user);
		break;
	case EG_VISIBLE_NONE:
		sum.none++;
		if (user.n && !is_literal(user))
			complain(p, "missed", user);
		break;
	case EG_VISIBLE_UNREADABLE:
		sum.unreadable++;
		if (readable && user.n)
			complain(p, "unreadable", user);
		break;
	default:
		sum.waiting++;
	}
}

static void compare_app(struct peer *p, const struct app_input *in)
{
	unsigned int user = app_detect(in), kernel = p->first.seen.app;

	if (kernel == EG_APP_DOT)
		kernel = EG_APP_TLS;
	if (kernel == EG_APP_DOQ)
		kernel = EG_APP_QUIC;
	if (user == APP_UNDECIDED || kernel == EG_APP_UNDECIDED)
		return;
	sum.apps++;
	if (user == kernel) {
		sum.agreed++;
		return;
	}
	print_message("%s: %u>%u: kernel says %s, user space %s\n", file, p->key.sport,
		      p->key.dport, app_name(kernel), app_name(user));
}

static void compare_stream(struct peer *p, bool end)
{
	static char scratch[TLS_HELLO_MAX];
	static struct tls_hello h;
	struct str bytes = { (char *)p->bytes, p->n };
	struct app_input in = { .ip_proto = IPPROTO_TCP,
				.sport = p->key.sport,
				.dport = p->key.dport,
				.client = bytes,
				.client_more = !end,
				.server_more = false };
	struct http_request r;
	size_t need;
	int ret;

	compare_app(p, &in);
	if (p->first.seen.app == EG_APP_TLS || p->first.seen.app == EG_APP_DOT) {
		sum.tls++;
		ret = tls_stream_parse(bytes, scratch, &h, &need);
		compare_name(p, ret == 0 ? h.sni : STR_NONE, ret == 0, &sum.names);
	} else if (p->first.seen.app == EG_APP_HTTP) {
		sum.http++;
		ret = http_request_parse(bytes, &r);
		compare_name(p, ret == 0 ? http_host_name(r.host) : STR_NONE, ret == 0,
			     &sum.http_names);
	} else if (p->first.seen.visible == EG_VISIBLE_NAME) {
		complain(p, "name of no hello", STR_NONE);
	}
}

static void stream_packet(struct peer *p, const struct event_packet *e, bool syn)
{
	uint32_t off = e->seq - p->isn;
	struct str s = e->payload;

	if (syn) {
		p->isn = e->seq + 1;
		off = 0;
	} else if (!p->isn) {
		p->isn = e->seq; /* in the middle: this is the first there is */
		off = 0;
	}
	if (!s.n || off >= BYTES || p->compared)
		return;
	if (s.n > BYTES - off)
		s.n = BYTES - off;
	memcpy(p->bytes + off, s.p, s.n);
	memset(p->there + off, 1, s.n);
	while (p->n < BYTES && p->there[p->n])
		p->n++;
	if (!p->decided && !e->cut)
		p->decided = first_segment(&p->first, off, s);
	if (p->decided && p->n) {
		p->compared = true;
		compare_stream(p, false);
	}
}

static void dgram_packet(struct peer *p, const struct event_packet *e)
{
	static struct tls_hello h;
	struct app_input in = { .ip_proto = IPPROTO_UDP,
				.sport = p->key.sport,
				.dport = p->key.dport,
				.client = e->payload };
	struct quic_result r;
	size_t need;

	if (!e->payload.n || e->cut || e->packets > 1)
		return;
	if (!p->datagram_n++) {
		first_datagram(&p->first, e->payload, e->payload_bytes);
		compare_app(p, &in);
		if (p->first.seen.app == EG_APP_DTLS)
			compare_name(p, dtls_parse(e->payload, &h) == 0 ? h.sni : STR_NONE, true,
				     &sum.names);
	} else if ((uint8_t)e->payload.p[0] & 0x80) {
		first_datagram(&p->first, e->payload, e->payload_bytes);
	} else {
		return;
	}
	if ((p->first.seen.app != EG_APP_QUIC && p->first.seen.app != EG_APP_DOQ) ||
	    p->first.seen.same)
		return;
	if (!p->quic)
		assert_ok(quic_new(&p->quic));
	sum.quic++;
	if (quic_client_datagram(p->quic, e->payload, &r) == -EBADMSG)
		return;
	if (tls_hello_parse(r.crypto, TLS_OVER_QUIC, &h, &need) == 0)
		compare_name(p, h.sni, r.version == 1 || r.version == 0x6b3343cf, &sum.quic_names);
}

static void on_event(void *ctx, const struct event *e)
{
	bool syn, back;
	struct peer *p;

	(void)ctx;
	if (e->type != EVENT_PACKET || (e->key.proto != IPPROTO_TCP && e->key.proto != IPPROTO_UDP))
		return;
	syn = e->key.proto == IPPROTO_TCP && (e->packet.tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
	p = peer_of(&e->key, syn, &back);
	if (!p || back)
		return;
	if (p->tcp)
		stream_packet(p, &e->packet, syn);
	else
		dgram_packet(p, &e->packet);
}

static void forget_all(void)
{
	for (size_t i = 0; i < FLOWS && peers[i]; i++) {
		struct peer *p = peers[i];

		if (p->tcp && !p->compared && p->n)
			compare_stream(p, true);
		quic_free(p->quic);
		free(p);
		peers[i] = NULL;
	}
}

static void on_error(void *ctx, const char *message)
{
	(void)ctx;
	(void)message;
}

static int one_file(const char *path, const struct stat *st, int type, struct FTW *at)
{
	size_t n = strlen(path);
	struct replay *r;

	(void)st;
	if (type != FTW_F || n < 5 || !(strstr(path, ".pcap") || !strcmp(path + n - 4, ".cap")) ||
	    strstr(path, ".out") || strstr(path, ".test"))
		return 0;
	file = path + at->base;
	assert_ok(replay_new(&r, (struct event_out){ .on_event = on_event }, on_error, NULL));
	if (replay_add(r, path) == 0)
		while (replay_run(r, 10000) == 1)
			;
	replay_free(r);
	forget_all();
	return 0;
}

static void captures(void **state)
{
	const char *root = getenv("EGRET_DATA");
	char path[512];

	test_data("MANIFEST.md", path);
	assert_ok(nftw(root ? root : "../shared/data", one_file, 16, FTW_PHYS));
	print_message("%zu flows; TLS %zu: %zu names; HTTP %zu: %zu names; QUIC datagrams %zu: %zu "
		      "names; %zu without a name, "
		      "%zu unreadable, %zu not whole\n",
		      sum.flows, sum.tls, sum.names, sum.http, sum.http_names, sum.quic,
		      sum.quic_names, sum.none, sum.unreadable, sum.waiting);
	print_message("protocols: %zu of %zu agree\n", sum.agreed, sum.apps);
	assert_int_equal(sum.differ, 0);
	assert_true(sum.names > 700 && sum.http_names > 15 && sum.quic_names > 15);
	assert_true(sum.agreed * 1000 >= sum.apps * 990);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(captures) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
