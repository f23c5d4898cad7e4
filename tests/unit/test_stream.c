/* SPDX-License-Identifier: Apache-2.0 */
/* First bytes of flows, however the network cut and mixed them, become names, protocols and records. */
#include "flow_rig.h"

#include "quic_vectors.h"

static const struct flow_config defaults;

#define TLS_LINES                                                                   \
	"tls 10.0.0.1:40000>192.0.2.9:443 tls a.example(sni) [a.example TLS 1.2]\n" \
	"flow 10.0.0.1:40000>192.0.2.9:443 tls a.example(sni) "

static void a_hello_in_one_segment(void **state)
{
	struct buf b = BUF_INIT(65536);
	struct flow_table_stats stats;
	struct rig g;
	struct rig_tcp c = rig_tcp(&g, 40000, 443);

	rig_start(&g, defaults, false);
	rig_connect(&c);
	rig_send(&c, 0, rig_hello(&b, "A.Example", 0));
	flow_table_stats(g.t, &stats);
	rig_finish(&g);
	rig_expect(&g,
		   "tls 10.0.0.1:40000>192.0.2.9:443 tls a.example(sni) [A.Example TLS 1.2]\n"
		   "flow 10.0.0.1:40000>192.0.2.9:443 tls a.example(sni) 3/1 payload 74/0 rtt 2000 "
		   "established shutdown\n");
	rig_stop(&g);
	buf_done(&b);
}

/* Plays one hello cut into pieces at random places, in random order, some twice, and wants it read. */
static void play_shuffled(unsigned int seed, size_t pad)
{
	struct buf b = BUF_INIT(65536);
	struct rig g;
	struct rig_tcp c = rig_tcp(&g, 40000, 443);
	struct str hello = rig_hello(&b, "a.example", pad);
	size_t cuts[8] = { 0 }, n = 2 + (size_t)rand_r(&seed) % 5, order[8];
	uint32_t base;

	rig_start(&g, defaults, false);
	rig_connect(&c);
	base = c.seq[0];
	for (size_t i = 1; i < n; i++)
		cuts[i] = cuts[i - 1] + 1 + (size_t)rand_r(&seed) % ((hello.n - cuts[i - 1]) / 2);
	cuts[n] = hello.n;
	for (size_t i = 0; i < n; i++)
		order[i] = i;
	for (size_t i = n - 1; i > 0; i--) {
		size_t j = (size_t)rand_r(&seed) % (i + 1), k = order[i];

		order[i] = order[j];
		order[j] = k;
	}
	for (size_t i = 0; i < n; i++) {
		size_t from = cuts[order[i]], to = cuts[order[i] + 1];
		size_t early = MIN(from, (size_t)rand_r(&seed) % 20); /* overlaps what is before */

		rig_segment(&c, 0, TCP_ACK, base + (uint32_t)(from - early),
			    str_sub(hello, from - early, to - from + early));
		if (rand_r(&seed) % 3 == 0)
			rig_segment(&c, 0, TCP_ACK, base + (uint32_t)from,
				    str_sub(hello, from, to - from));
	}
	rig_expect(&g, "");
	rig_send(&c, 1, RIG_SERVER_HELLO);
	rig_expect(&g, "tls 10.0.0.1:40000>192.0.2.9:443 tls a.example(sni) [a.example TLS 1.3] by "
		       "0x1301\n");
	rig_stop(&g);
	buf_done(&b);
}

static void a_hello_in_any_pieces(void **state)
{
	for (unsigned int i = 0; i < 300; i++)
		play_shuffled(i, i % 2 ? 300 : 12000);
}

static void the_bytes_that_came_first_stay(void **state)
{
	struct buf b = BUF_INIT(65536);
	struct rig g;
	struct rig_tcp c = rig_tcp(&g, 40000, 443);
	struct str hello = rig_hello(&b, "a.example", 100);
	char lie[64];
	uint32_t base;

	memset(lie, 'L', sizeof(lie));
	rig_start(&g, defaults, false);
	rig_connect(&c);
	base = c.seq[0];
	rig_segment(&c, 0, TCP_ACK, base + 60, str_sub(hello, 60, 60));
	/* Other bytes for the same place, as an evader sends them: the receiver has the first ones. */
	rig_segment(&c, 0, TCP_ACK, base + 64, (struct str){ lie, 40 });
	rig_segment(&c, 0, TCP_ACK, base, str_sub(hello, 0, 60));
	rig_segment(&c, 0, TCP_ACK, base + 120, str_sub(hello, 120, 500));
	rig_finish(&g);
	rig_expect(&g, TLS_LINES "6/1 payload 174/0 again 1 rtt 2000 established shutdown\n");
	rig_stop(&g);
	buf_done(&b);
}

static void a_hole_that_was_acknowledged_is_not_waited_for(void **state)
{
	struct flow_table_stats stats;
	struct rig g;
	struct rig_tcp c = rig_tcp(&g, 40000, 8080);

	rig_start(&g, defaults, false);
	rig_connect(&c);
	rig_send(&c, 0, STR("GET /1 HTTP/1.1\r\nHost: a.exa"));
	c.seq[0] += 100; /* the capture missed some */
	rig_send(&c, 0, STR("GET /2 HTTP/1.1\r\nHost: b.example\r\n\r\n"));
	rig_expect(&g, "");
	rig_flags(&c, 1, TCP_ACK);
	rig_finish(&g);
	/* "a.exa" is no name: its line has no end. */
	rig_expect(
		&g,
		"http 10.0.0.1:40000>192.0.2.9:8080 http b.example(http) [GET  /1 0]\n"
		"http 10.0.0.1:40000>192.0.2.9:8080 http b.example(http) [GET b.example /2 0]\n"
		"flow 10.0.0.1:40000>192.0.2.9:8080 http b.example(http) 4/2 payload 64/0 rtt 2000 "
		"established shutdown\n");
	flow_table_stats(g.t, &stats);
	assert_int_equal(stats.loss[LOSS_TABLE_STREAMS], 0);
	rig_stop(&g);
}

static void a_hello_cut_by_the_capture_is_not_guessed(void **state)
{
	struct buf b = BUF_INIT(65536);
	struct rig g;
	struct event e;

	rig_start(&g, defaults, false);
	e = rig_event(&g, EVENT_PACKET, IPPROTO_TCP, S, 40000, D, 443);
	e.packet =
		(struct event_packet){ .packets = 1, .seq = 1, .tcp_flags = TCP_ACK, .cut = true };
	e.packet.payload = str_sub(rig_hello(&b, "a.example", 200), 0, 60);
	e.packet.payload_bytes = 279;
	flow_table_event(g.t, &e);
	rig_finish(&g);
	rig_expect(&g, "flow 10.0.0.1:40000>192.0.2.9:443 tls 1/0 payload 279/0 mid established "
		       "shutdown\n");
	rig_stop(&g);
	buf_done(&b);
}

static void streams_are_bounded_and_the_oldest_goes(void **state)
{
	struct flow_config cfg = { .max_streams = 2 };
	struct flow_table_stats stats;
	struct buf b = BUF_INIT(65536);
	struct rig g;
	struct rig_tcp c[3];
	struct str hello;

	rig_start(&g, cfg, false);
	for (int i = 0; i < 3; i++) {
		c[i] = rig_tcp(&g, (uint16_t)(40000 + i), 443);
		rig_connect(&c[i]);
		hello = rig_hello(&b, "a.example", 0);
		rig_send(&c[i], 0, str_sub(hello, 0, 30));
	}
	for (int i = 0; i < 3; i++)
		rig_send(&c[i], 0, str_sub(hello, 30, hello.n));
	for (int i = 0; i < 3; i++)
		rig_send(&c[i], 1, RIG_SERVER_HELLO);
	rig_expect(&g, "tls 10.0.0.1:40001>192.0.2.9:443 tls a.example(sni) [a.example TLS 1.3] by "
		       "0x1301\n"
		       "tls 10.0.0.1:40002>192.0.2.9:443 tls a.example(sni) [a.example TLS 1.3] by "
		       "0x1301\n");
	flow_table_stats(g.t, &stats);
	assert_int_equal(stats.loss[LOSS_TABLE_STREAMS], 1);
	rig_stop(&g);
	buf_done(&b);
}

static void live_pieces_join_as_captured_packets_do(void **state)
{
	struct buf b = BUF_INIT(65536);
	struct rig g;
	struct event e;
	struct str hello;

	rig_start(&g, defaults, true);
	hello = rig_hello(&b, "a.example", 5000);
	e = rig_event(&g, EVENT_PACKET, IPPROTO_TCP, S, 40000, D, 443);
	e.dir = EVENT_DIR_TX;
	e.packet = (struct event_packet){ .seq = 999, .tcp_flags = TCP_SYN };
	flow_table_event(g.t, &e);
	for (int i = 1; i >= 0; i--) {
		e.packet = (struct event_packet){ .seq = 1000 + 3000 * (uint32_t)i,
						  .tcp_flags = TCP_ACK };
		e.packet.payload = str_sub(hello, 3000 * (size_t)i, i ? hello.n : 3000);
		e.packet.payload_bytes = (uint32_t)e.packet.payload.n;
		flow_table_event(g.t, &e);
	}
	rig_finish(&g);
	rig_expect(&g, "tls 10.0.0.1:40000>192.0.2.9:443 tls a.example(sni) [a.example TLS 1.2]\n"
		       "flow 10.0.0.1:40000>192.0.2.9:443 tls a.example(sni) 0/0 unowned "
		       "established shutdown\n");
	rig_stop(&g);
	buf_done(&b);
}

static void http_requests_meet_their_responses(void **state)
{
	struct rig g;
	struct rig_tcp c = rig_tcp(&g, 40000, 80);

	rig_start(&g, defaults, false);
	rig_connect(&c);
	rig_send(&c, 0, STR("GET /1 HTTP/1.1\r\nHost: a.example\r\n"));
	rig_send(&c, 0, STR("\r\nGET /2 HTTP/1.1\r\nHost: a.example\r\n\r\n"));
	rig_send(&c, 1,
		 STR("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody"
		     "HTTP/1.1 404 Not Found\r\nContent-"));
	rig_expect(
		&g,
		"http 10.0.0.1:40000>192.0.2.9:80 http a.example(http) [GET a.example /1 200]\n");
	rig_send(&c, 1, STR("Length: 0\r\n\r\n"));
	rig_expect(
		&g,
		"http 10.0.0.1:40000>192.0.2.9:80 http a.example(http) [GET a.example /2 404]\n");
	/* Kept alive: the next request, with a body in packets of its own, and an interim response. */
	rig_send(&c, 0, STR("POST /3 HTTP/1.1\r\nHost: b.example\r\nContent-Length: 20\r\n\r\n"));
	rig_send(&c, 0, STR("body of twenty bytes"));
	rig_send(&c, 1, STR("HTTP/1.1 100 Continue\r\n\r\n"));
	rig_send(&c, 1, STR("HTTP/1.1 201 Created\r\n\r\n"));
	rig_expect(
		&g,
		"http 10.0.0.1:40000>192.0.2.9:80 http a.example(http) [POST b.example /3 201]\n");
	rig_send(&c, 0, STR("GET /4 HTTP/1.1\r\nHost: a.example\r\n\r\n"));
	rig_finish(&g);
	rig_expect(&g,
		   "http 10.0.0.1:40000>192.0.2.9:80 http a.example(http) [GET a.example /4 0]\n"
		   "flow 10.0.0.1:40000>192.0.2.9:80 http a.example(http) 7/5 payload 185/136 rtt "
		   "2000 "
		   "established shutdown\n");
	rig_stop(&g);
}

static void a_request_that_was_overtaken_is_read(void **state)
{
	struct rig g;
	struct rig_tcp c = rig_tcp(&g, 40000, 80);
	struct str get = STR("GET /2 HTTP/1.1\r\nHost: a.example\r\n\r\n");

	rig_start(&g, defaults, false);
	rig_connect(&c);
	rig_send(&c, 0, STR("GET /1 HTTP/1.1\r\nHost: a.example\r\n\r\n"));
	rig_send(&c, 1, STR("HTTP/1.1 200 OK\r\n\r\n"));
	buf_clear(&g.out);
	/* The third first. */
	rig_segment(&c, 0, TCP_ACK, c.seq[0] + (uint32_t)get.n,
		    STR("GET /3 HTTP/1.1\r\nHost: a.example\r\n\r\n"));
	rig_segment(&c, 0, TCP_ACK, c.seq[0], get);
	rig_segment(&c, 0, TCP_ACK, c.seq[0], get); /* and once more */
	c.seq[0] += 2 * (uint32_t)get.n;
	rig_send(&c, 0, STR("GET /4 HTTP/1.1\r\nHost: a.example\r\n\r\n"));
	rig_finish(&g);
	rig_expect(&g,
		   "http 10.0.0.1:40000>192.0.2.9:80 http a.example(http) [GET a.example /3 0]\n"
		   "http 10.0.0.1:40000>192.0.2.9:80 http a.example(http) [GET a.example /2 0]\n"
		   "http 10.0.0.1:40000>192.0.2.9:80 http a.example(http) [GET a.example /4 0]\n"
		   "flow 10.0.0.1:40000>192.0.2.9:80 http a.example(http) 7/2 payload 144/19 again "
		   "1 rtt 2000 "
		   "established shutdown\n");
	rig_stop(&g);
}

static void a_proxy_flow_is_named_by_the_hello_within(void **state)
{
	struct buf b = BUF_INIT(65536);
	struct rig g;
	struct rig_tcp c = rig_tcp(&g, 40000, 3128);
	struct str hello;

	rig_start(&g, defaults, false);
	rig_connect(&c);
	rig_send(&c, 0, STR("CONNECT b.example:443 HTTP/1.1\r\nHost: b.example:443\r\n\r\n"));
	rig_send(&c, 1, STR("HTTP/1.1 200 Connection established\r\n\r\n"));
	hello = rig_hello(&b, "a.example", 0);
	rig_send(&c, 0, str_sub(hello, 0, 20));
	rig_send(&c, 0, str_sub(hello, 20, hello.n));
	rig_send(&c, 1, RIG_SERVER_HELLO);
	rig_expect(&g,
		   "http 10.0.0.1:40000>192.0.2.9:3128 http b.example(http) [CONNECT b.example:443 "
		   "b.example:443 200]\n"
		   "tls 10.0.0.1:40000>192.0.2.9:3128 http a.example(sni) [a.example TLS 1.3] by "
		   "0x1301\n");
	c = rig_tcp(&g, 40001, 1080);
	rig_connect(&c);
	rig_send(&c, 0, STR("\5\1\0"));
	rig_send(&c, 1, STR("\5\0"));
	rig_send(&c, 0, STR("\5\1\0\1\xc0\0\2\1\1\xbb"));
	rig_send(&c, 1, STR("\5\0\0\1\0\0\0\0\0\0"));
	rig_send(&c, 0, hello);
	rig_send(&c, 1, RIG_SERVER_HELLO);
	rig_expect(&g, "tls 10.0.0.1:40001>192.0.2.9:1080 socks a.example(sni) [a.example TLS 1.3] "
		       "by 0x1301\n");
	rig_stop(&g);
	buf_done(&b);
}

static void mail_tells_its_envelope_and_its_tls(void **state)
{
	struct buf b = BUF_INIT(65536);
	struct rig g;
	struct rig_tcp c = rig_tcp(&g, 40000, 25);

	rig_start(&g, defaults, false);
	rig_connect(&c);
	rig_send(&c, 1, STR("220 mail.example ESMTP\r\n"));
	rig_send(&c, 0, STR("EHLO me.example\r\n"));
	rig_send(&c, 1, STR("250 STARTTLS\r\n"));
	rig_send(&c, 0, STR("MAIL FROM:<a@b.example>\r\n"));
	rig_send(&c, 1, STR("250 ok\r\n"));
	rig_send(&c, 0, STR("RCPT TO:<c@d.example>\r\nDATA\r\n"));
	rig_expect(&g, "smtp 10.0.0.1:40000>192.0.2.9:25 smtp [me.example a@b.example]\n");
	c = rig_tcp(&g, 40001, 25);
	rig_connect(&c);
	rig_send(&c, 1, STR("220 mail.example ESMTP\r\n"));
	rig_send(&c, 0, STR("EHLO me.example\r\nSTARTTLS\r\n"));
	rig_send(&c, 1, STR("250 STARTTLS\r\n220 go on\r\n"));
	rig_send(&c, 0, rig_hello(&b, "mail.example", 0));
	rig_send(&c, 1, RIG_SERVER_HELLO);
	rig_expect(&g, "smtp 10.0.0.1:40001>192.0.2.9:25 smtp [me.example ]\n"
		       "tls 10.0.0.1:40001>192.0.2.9:25 smtp mail.example(sni) [mail.example TLS "
		       "1.3] by 0x1301\n");
	rig_stop(&g);
	buf_done(&b);
}

static void ssh_tells_both_banners_or_one(void **state)
{
	struct rig g;
	struct rig_tcp c = rig_tcp(&g, 40000, 22);

	rig_start(&g, defaults, false);
	rig_connect(&c);
	rig_send(&c, 1, STR("SSH-2.0-OpenSSH_9.2p1\r\n"));
	rig_send(&c, 0, STR("SSH-2.0-PuTTY_0"));
	rig_expect(&g, "");
	rig_send(&c, 0, STR(".78\r\n"));
	rig_expect(&g, "ssh 10.0.0.1:40000>192.0.2.9:22 ssh [PuTTY_0.78 OpenSSH_9.2p1]\n");
	c = rig_tcp(&g, 40001, 22);
	rig_connect(&c);
	rig_send(&c, 0, STR("SSH-2.0-Go\r\n"));
	rig_finish(&g);
	rig_expect(&g, "flow 10.0.0.1:40000>192.0.2.9:22 ssh 4/2 payload 20/23 rtt 2000 "
		       "established shutdown\n"
		       "ssh 10.0.0.1:40001>192.0.2.9:22 ssh [Go ]\n"
		       "flow 10.0.0.1:40001>192.0.2.9:22 ssh 3/1 payload 12/0 rtt 2000 established "
		       "shutdown\n");
	rig_stop(&g);
}

static void dns_over_tcp_in_pieces(void **state)
{
	struct buf b = BUF_INIT(65536), stream = BUF_INIT(65536);
	struct rig g;
	struct rig_tcp c = rig_tcp(&g, 40000, 53);
	struct str m, rest;

	rig_start(&g, defaults, false);
	rig_connect(&c);
	for (int i = 0; i < 3; i++) {
		m = rig_dns(&b, "a.example", NULL, NULL, 0);
		rig_u16(&stream, m.n);
		buf_put_str(&stream, m);
	}
	rest = buf_str(&stream);
	rig_send(&c, 0, str_sub(rest, 0, 1)); /* half a length */
	rig_send(&c, 0, str_sub(rest, 1, 40));
	rig_send(&c, 0, str_sub(rest, 41, rest.n));
	rig_expect(&g, "dns 10.0.0.1:40000>192.0.2.9:53 dns [q a.example 0]\n"
		       "dns 10.0.0.1:40000>192.0.2.9:53 dns [q a.example 0]\n"
		       "dns 10.0.0.1:40000>192.0.2.9:53 dns [q a.example 0]\n");
	buf_clear(&stream);
	m = rig_dns(&b, "a.example", NULL, "198.51.100.1", 60);
	rig_u16(&stream, m.n);
	buf_put_str(&stream, m);
	rest = buf_str(&stream);
	rig_send(&c, 1, str_sub(rest, 0, 30));
	rig_send(&c, 1, str_sub(rest, 30, rest.n));
	rig_expect(&g, "dns 10.0.0.1:40000>192.0.2.9:53 dns [r a.example 1]\n");
	rig_udp(&g, S, 5000, "198.51.100.1", 6000, STR("x"));
	c.seq[0] += 7; /* the stream goes on as something else: no more is read, nothing breaks */
	rig_send(&c, 0, STR("\0\4zzzz"));
	rig_finish(&g);
	rig_expect(&g, "flow 10.0.0.1:40000>192.0.2.9:53 dns 6/3 payload 93/54 rtt 2000 "
		       "established shutdown\n"
		       "flow 10.0.0.1:5000>198.51.100.1:6000 unknown a.example(dns) 1/0 payload "
		       "1/0 new shutdown\n");
	rig_stop(&g);
	buf_done(&b);
	buf_done(&stream);
}

static void answers_name_the_flows_of_who_asked(void **state)
{
	struct buf b = BUF_INIT(65536);
	struct rig g;
	struct rig_tcp c = rig_tcp(&g, 40000, 443);

	rig_start(&g, defaults, false);
	rig_udp(&g, S, 5000, "10.0.0.53", 53, rig_dns(&b, "www.a.example", NULL, NULL, 0));
	rig_udp(&g, "10.0.0.53", 53, S, 5000, rig_dns(&b, "www.a.example", "cdn.example", D, 60));
	rig_udp(&g, S, 5001, D, 6000, STR("x"));
	rig_udp(&g, "10.0.0.2", 5001, D, 6000, STR("x"));
	/* The hello says it better, but both are kept. */
	rig_connect(&c);
	rig_send(&c, 0, rig_hello(&b, "b.example", 0));
	rig_finish(&g);
	rig_expect(&g,
		   "dns 10.0.0.1:5000>10.0.0.53:53 dns [q www.a.example 0]\n"
		   "dns 10.0.0.1:5000>10.0.0.53:53 dns [r www.a.example 2]\n"
		   "flow 10.0.0.1:5000>10.0.0.53:53 dns 1/1 payload 31/96 established shutdown\n"
		   "flow 10.0.0.1:5001>192.0.2.9:6000 unknown www.a.example(dns) 1/0 payload 1/0 "
		   "new shutdown\n"
		   "flow 10.0.0.2:5001>192.0.2.9:6000 unknown 1/0 payload 1/0 new shutdown\n"
		   "tls 10.0.0.1:40000>192.0.2.9:443 tls b.example(sni) [b.example TLS 1.2]\n"
		   "flow 10.0.0.1:40000>192.0.2.9:443 tls b.example(sni) 3/1 payload 74/0 rtt 2000 "
		   "established shutdown\n");
	rig_stop(&g);
	buf_done(&b);
}

static void nobody_is_named_by_an_answer_he_did_not_ask_for(void **state)
{
	struct buf b = BUF_INIT(65536);
	struct rig g;

	rig_start(&g, defaults, false);
	/* The "response" comes from the side that opened the flow. */
	rig_udp(&g, D, 5000, S, 53, rig_dns(&b, "bank.example", NULL, D, 60));
	rig_udp(&g, S, 5001, D, 6000, STR("x"));
	rig_finish(&g);
	rig_expect(&g, "dns 192.0.2.9:5000>10.0.0.1:53 dns [r bank.example 1]\n"
		       "flow 192.0.2.9:5000>10.0.0.1:53 dns 1/0 payload 58/0 new shutdown\n"
		       "flow 10.0.0.1:5001>192.0.2.9:6000 unknown 1/0 payload 1/0 new shutdown\n");
	rig_stop(&g);
	buf_done(&b);
}

static void a_late_answer_names_nothing(void **state)
{
	struct buf b = BUF_INIT(65536);
	struct rig g;

	rig_start(&g, defaults, false);
	rig_udp(&g, S, 5001, D, 6000, STR("x"));
	rig_udp(&g, S, 5000, "10.0.0.53", 53, rig_dns(&b, "a.example", NULL, NULL, 0));
	rig_udp(&g, "10.0.0.53", 53, S, 5000, rig_dns(&b, "a.example", NULL, D, 60));
	buf_clear(&g.out);
	rig_finish(&g);
	rig_expect(&g,
		   "flow 10.0.0.1:5001>192.0.2.9:6000 unknown 1/0 payload 1/0 new shutdown\n"
		   "flow 10.0.0.1:5000>10.0.0.53:53 dns 1/1 payload 27/52 established shutdown\n");
	rig_stop(&g);
	buf_done(&b);
}

static struct str unhex(const char *hex, struct buf *b)
{
	buf_clear(b);
	for (; hex[0] && hex[1]; hex += 2) {
		char two[3] = { hex[0], hex[1], 0 };

		buf_putc(b, (char)strtoul(two, NULL, 16));
	}
	return buf_str(b);
}

static void quic_initials_name_their_flow(void **state)
{
	struct buf b = BUF_INIT(65536);
	struct rig g;

	rig_start(&g, defaults, false);
	rig_udp(&g, S, 5000, D, 443, unhex(rfc9001_a2, &b));
	/* The hello over two datagrams. */
	rig_udp(&g, S, 5001, D, 443, unhex(split_1, &b));
	rig_udp(&g, S, 5001, D, 443, unhex(split_2, &b));
	rig_finish(&g);
	rig_expect(&g,
		   "quic 10.0.0.1:5000>192.0.2.9:443 quic example.com(quic) [example.com TLS 1.3]\n"
		   "quic 10.0.0.1:5001>192.0.2.9:443 quic example.com(quic) [example.com TLS 1.3]\n"
		   "flow 10.0.0.1:5000>192.0.2.9:443 quic example.com(quic) 1/0 payload 1200/0 new "
		   "shutdown\n"
		   "flow 10.0.0.1:5001>192.0.2.9:443 quic example.com(quic) 2/0 payload 357/0 new "
		   "shutdown\n");
	rig_stop(&g);
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hello_in_one_segment),
		cmocka_unit_test(a_hello_in_any_pieces),
		cmocka_unit_test(the_bytes_that_came_first_stay),
		cmocka_unit_test(a_hole_that_was_acknowledged_is_not_waited_for),
		cmocka_unit_test(a_hello_cut_by_the_capture_is_not_guessed),
		cmocka_unit_test(streams_are_bounded_and_the_oldest_goes),
		cmocka_unit_test(live_pieces_join_as_captured_packets_do),
		cmocka_unit_test(http_requests_meet_their_responses),
		cmocka_unit_test(a_request_that_was_overtaken_is_read),
		cmocka_unit_test(a_proxy_flow_is_named_by_the_hello_within),
		cmocka_unit_test(mail_tells_its_envelope_and_its_tls),
		cmocka_unit_test(ssh_tells_both_banners_or_one),
		cmocka_unit_test(dns_over_tcp_in_pieces),
		cmocka_unit_test(answers_name_the_flows_of_who_asked),
		cmocka_unit_test(nobody_is_named_by_an_answer_he_did_not_ask_for),
		cmocka_unit_test(a_late_answer_names_nothing),
		cmocka_unit_test(quic_initials_name_their_flow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
