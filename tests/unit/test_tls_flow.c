// SPDX-License-Identifier: Apache-2.0
/* One record a handshake: what the client said and what the server answered, in whatever order and however long. */
#include "flow_rig.h"

static const struct flow_config defaults;

#define KEY "10.0.0.1:40000>192.0.2.9:443"
#define HELD "tls " KEY " tls a.example(sni) [a.example TLS 1.2]\n"
#define ANSWERED "tls " KEY " tls a.example(sni) [a.example TLS 1.3] by 0x1301\n"

static struct buf hello;

static int start(void **state)
{
	hello = BUF_INIT(65536);
	return 0;
}

static int stop(void **state)
{
	buf_done(&hello);
	return 0;
}

/* ServerHello of TLS 1.2 and a Certificate of `n` bytes that no one can read; a chain behind it. */
static struct str answer12(struct buf *b, size_t n)
{
	buf_clear(b);
	buf_put_str(b, STR("\x16\x03\x03\0\x2a\x02\0\0\x26\x03\x03"
			   "0123456789abcdef0123456789abcdef\0\xc0\x2f\0"));
	buf_put(b, "\x16\x03\x03", 3);
	rig_u16(b, n + 1010);
	buf_put(b, "\x0b\0", 2);
	rig_u16(b, n + 1006);
	buf_putc(b, 0);
	rig_u16(b, n + 1003);
	buf_putc(b, 0);
	rig_u16(b, n);
	for (size_t i = 0; i < n + 1000; i++)
		buf_putc(b, 'c');
	assert_false(b->failed);
	return buf_str(b);
}

#define ANSWERED12 "tls " KEY " tls a.example(sni) [a.example TLS 1.2] by 0xc02f certificate \n"

static struct rig_tcp begin(struct rig *g, struct flow_config cfg)
{
	struct rig_tcp c = rig_tcp(g, 40000, 443);

	rig_start(g, cfg, false);
	rig_connect(&c);
	return c;
}

static void the_record_waits_for_the_answer(void **state)
{
	struct rig g;
	struct rig_tcp c = begin(&g, defaults);

	rig_send(&c, 0, rig_hello(&hello, "a.example", 0));
	rig_expect(&g, "");
	rig_send(&c, 1, str_sub(RIG_SERVER_HELLO, 0, 20));
	rig_expect(&g, "");
	rig_send(&c, 1, str_sub(RIG_SERVER_HELLO, 20, SIZE_MAX));
	rig_expect(&g, ANSWERED);
	rig_send(&c, 1, RIG_SERVER_HELLO);
	rig_finish(&g);
	rig_expect(&g, "flow " KEY " tls a.example(sni) 3/4 payload 74/110 rtt 2000 established "
		       "shutdown\n");
	rig_stop(&g);
}

static const struct flow *seen;

static void look(void *ctx, const struct flow *f)
{
	seen = f;
}

static void the_name_does_not_wait(void **state)
{
	struct rig g;
	struct rig_tcp c = begin(&g, defaults);

	rig_send(&c, 0, rig_hello(&hello, "a.example", 0));
	flow_table_each(g.t, look, NULL);
	assert_string_equal(seen->name->p, "a.example");
	assert_non_null(seen->ja3);
	assert_non_null(seen->ja4);
	rig_expect(&g, "");
	rig_stop(&g);
}

static void certificates_of_several_segments(void **state)
{
	static const size_t sizes[] = { 0, 1, 100, 3000, 8100, 8200, 20000 };
	struct buf b = BUF_INIT(65536);

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct rig g;
		struct rig_tcp c = begin(&g, defaults);
		struct str all = answer12(&b, sizes[i]);

		rig_send(&c, 0, rig_hello(&hello, "a.example", 0));
		for (size_t at = 0; at < all.n; at += 1448)
			rig_send(&c, 1, str_sub(all, at, 1448));
		/* No certificate of no bytes, and none that ends behind the window. */
		if (sizes[i] && sizes[i] <= FLOW_WINDOW_TLS_SERVER - 62)
			rig_expect(&g, ANSWERED12);
		else
			rig_expect(&g, "tls " KEY " tls a.example(sni) [a.example TLS 1.2] by "
				       "0xc02f\n");
		rig_stop(&g);
	}
	buf_done(&b);
}

static void the_answer_is_seen_first(void **state)
{
	struct rig g;
	struct rig_tcp c = begin(&g, defaults);

	rig_send(&c, 1, RIG_SERVER_HELLO);
	rig_send(&c, 0, str_sub(rig_hello(&hello, "a.example", 0), 0, 30));
	rig_expect(&g, "");
	rig_send(&c, 0, str_sub(buf_str(&hello), 30, SIZE_MAX));
	rig_expect(&g, ANSWERED);
	rig_stop(&g);
}

static void pieces_of_the_answer_in_any_order(void **state)
{
	struct buf b = BUF_INIT(65536);
	struct rig g;
	struct rig_tcp c = begin(&g, defaults);
	struct str all = answer12(&b, 2000);
	uint32_t base;

	rig_send(&c, 0, rig_hello(&hello, "a.example", 0));
	base = c.seq[1];
	rig_segment(&c, 1, TCP_ACK, base + 1448, str_sub(all, 1448, 1448));
	rig_segment(&c, 1, TCP_ACK, base + 40, str_sub(all, 40, 100));
	rig_segment(&c, 1, TCP_ACK, base, str_sub(all, 0, 1448));
	rig_expect(&g, ANSWERED12);
	rig_stop(&g);
	buf_done(&b);
}

/* The client's bytes go on out of order meanwhile: nobody looks at them. */
static void the_client_talks_on(void **state)
{
	struct rig g;
	struct rig_tcp c = begin(&g, defaults);

	rig_send(&c, 0, rig_hello(&hello, "a.example", 0));
	c.seq[0] += 50;
	rig_send(&c, 0, STR("\x17\x03\x03\0\x10 early data here"));
	rig_flags(&c, 1, TCP_ACK);
	rig_expect(&g, "");
	rig_send(&c, 1, RIG_SERVER_HELLO);
	rig_expect(&g, ANSWERED);
	rig_stop(&g);
}

static void what_never_comes_is_not_waited_for(void **state)
{
	struct buf b = BUF_INIT(65536);
	struct rig g;
	struct rig_tcp c = begin(&g, defaults);

	/* the flow ends */
	rig_send(&c, 0, rig_hello(&hello, "a.example", 0));
	rig_finish(&g);
	rig_expect(&g, HELD "flow " KEY " tls a.example(sni) 3/1 payload 74/0 rtt 2000 established "
			    "shutdown\n");
	rig_stop(&g);
	/* ten seconds */
	c = begin(&g, defaults);
	rig_send(&c, 0, rig_hello(&hello, "a.example", 0));
	rig_wait(&g, 9 * NSEC_PER_SEC);
	rig_expect(&g, "");
	rig_wait(&g, 2 * NSEC_PER_SEC);
	rig_expect(&g, HELD);
	rig_send(&c, 1, RIG_SERVER_HELLO);
	rig_expect(&g, "");
	rig_stop(&g);
	/* ten seconds, and the certificate did not come */
	c = begin(&g, defaults);
	rig_send(&c, 0, rig_hello(&hello, "a.example", 0));
	rig_send(&c, 1, str_sub(answer12(&b, 2000), 0, 1000));
	rig_wait(&g, 11 * NSEC_PER_SEC);
	rig_expect(&g, "tls " KEY " tls a.example(sni) [a.example TLS 1.2] by 0xc02f\n");
	rig_stop(&g);
	/* the capture missed a segment that the client got */
	c = begin(&g, defaults);
	rig_send(&c, 0, rig_hello(&hello, "a.example", 0));
	rig_send(&c, 1, str_sub(buf_str(&b), 0, 500));
	c.seq[1] += 500;
	rig_send(&c, 1, str_sub(buf_str(&b), 1000, 1000));
	rig_expect(&g, "");
	rig_flags(&c, 0, TCP_ACK);
	rig_expect(&g, "tls " KEY " tls a.example(sni) [a.example TLS 1.2] by 0xc02f\n");
	rig_stop(&g);
	/* more than the window holds is missing */
	c = begin(&g, defaults);
	rig_send(&c, 0, rig_hello(&hello, "a.example", 0));
	rig_send(&c, 1, str_sub(buf_str(&b), 0, 500));
	c.seq[1] += 2 * FLOW_WINDOW_TLS_SERVER;
	rig_send(&c, 1, STR("far away"));
	rig_expect(&g, "tls " KEY " tls a.example(sni) [a.example TLS 1.2] by 0xc02f\n");
	rig_stop(&g);
	/* an alert, and plain text */
	c = begin(&g, defaults);
	rig_send(&c, 0, rig_hello(&hello, "a.example", 0));
	rig_send(&c, 1, STR("\x15\x03\x03\0\x02\x02\x28"));
	rig_expect(&g, HELD);
	rig_stop(&g);
	c = begin(&g, defaults);
	rig_send(&c, 0, rig_hello(&hello, "a.example", 0));
	rig_send(&c, 1, STR("HTTP/1.1 400 Bad Request\r\n\r\n"));
	rig_expect(&g, HELD);
	rig_stop(&g);
	buf_done(&b);
}

/* The record has the time of the hello: the seconds of the answer are not the client's. */
static uint64_t told_ns;

static void on_time(void *ctx, const struct record *r)
{
	if (r->type == RECORD_TLS)
		told_ns = r->time_ns;
}

static void the_time_is_the_hellos(void **state)
{
	struct rig g;
	struct rig_tcp c = begin(&g, defaults);
	struct flow_config cfg = { .texts = g.texts, .names = g.names };
	struct flow_table *t = NULL;
	uint64_t hello_ns;

	flow_table_free(g.t);
	assert_ok(flow_table_new(&t, &cfg, (struct record_out){ on_time, NULL }));
	g.t = t;
	c = rig_tcp(&g, 40000, 443);
	rig_connect(&c);
	hello_ns = g.now;
	rig_send(&c, 0, rig_hello(&hello, "a.example", 0));
	rig_wait(&g, NSEC_PER_SEC);
	rig_send(&c, 1, RIG_SERVER_HELLO);
	assert_int_equal(told_ns, hello_ns);
	rig_stop(&g);
}

static void those_pushed_out_are_written(void **state)
{
	struct flow_config cfg = { .max_streams = 4 };
	struct flow_table_stats stats;
	struct rig g;
	struct rig_tcp c[8];
	struct str out;
	int n = 0;

	rig_start(&g, cfg, false);
	for (int i = 0; i < 8; i++) {
		c[i] = rig_tcp(&g, (uint16_t)(40000 + i), 443);
		rig_connect(&c[i]);
		rig_send(&c[i], 0, rig_hello(&hello, "a.example", 0));
	}
	flow_table_stats(g.t, &stats);
	assert_int_equal(stats.loss[LOSS_TABLE_STREAMS], 4);
	for (int i = 0; i < 8; i++)
		rig_send(&c[i], 1, RIG_SERVER_HELLO);
	out = buf_str(&g.out);
	for (struct str line; str_cut(&out, '\n', &line); n++)
		assert_true(str_has_prefix(line, STR("tls 10.0.0.1:4000")) &&
			    (line.p[line.n - 1] == '1') == (n >= 4));
	assert_int_equal(n, 8);
	rig_stop(&g);
}

static void names_longer_than_can_be_held(void **state)
{
	struct rig g;
	struct rig_tcp c = begin(&g, defaults);
	char *name = malloc(16001);

	memset(name, 'n', 16000);
	name[16000] = 0;
	rig_send(&c, 0, rig_hello(&hello, name, 0));
	/* Written at once, or later: in any case whole, and once. */
	rig_send(&c, 1, RIG_SERVER_HELLO);
	assert_true(str_has_prefix(buf_str(&g.out), STR("tls " KEY " tls [nnnn")));
	assert_true(g.out.n > 16000 && g.out.n < 16200);
	rig_stop(&g);
	free(name);
}

static struct record_certificate told_certificate;
static char told_name[64], told_ja3s[33];

static void on_certificate(void *ctx, const struct record *r)
{
	if (r->type != RECORD_TLS)
		return;
	told_certificate = *r->tls->certificate;
	snprintf(told_name, sizeof(told_name), "%.*s", STR_FMT(told_certificate.common_name));
	snprintf(told_ja3s, sizeof(told_ja3s), "%s", r->tls->ja3s);
}

static void what_a_log_says_of_it(void **state)
{
	struct rig g;
	struct flow_table *t = NULL;
	struct flow_config cfg;
	struct event e;

	rig_start(&g, defaults, false);
	cfg = (struct flow_config){ .texts = g.texts, .names = g.names };
	flow_table_free(g.t);
	assert_ok(flow_table_new(&t, &cfg, (struct record_out){ on_certificate, NULL }));
	g.t = t;
	e = rig_event(&g, EVENT_FACT, IPPROTO_TCP, S, 40000, D, 443);
	e.fact = (struct event_fact){
		.kind = FACT_TLS,
		.sni = STR("a.example"),
		.subject = STR("O=Odd\\,CN=no,CN=b.example\\, Inc.,C=US"),
		.issuer = STR("CN=CA"),
		.fingerprint = STR("bc3a6953a08963c9be9fceb75dbe83f7c225ac8e"),
		.covers_sni = FACT_NO,
		.ja3s = STR("ec74a5c51106f0419184d0dd08fb05bc"),
	};
	flow_table_event(t, &e);
	assert_string_equal(told_name, "b.example\\, Inc.");
	assert_true(told_certificate.has_sha1 && !told_certificate.has_sha256);
	assert_memory_equal(told_certificate.sha1, "\xbc\x3a\x69\x53", 4);
	assert_true(told_certificate.covers_known && !told_certificate.covers_sni);
	assert_false(told_certificate.self_issued);
	assert_null(told_certificate.x509);
	assert_string_equal(told_ja3s, "ec74a5c51106f0419184d0dd08fb05bc");
	e.fact.subject = e.fact.issuer;
	e.fact.fingerprint = STR("zz3a6953a08963c9be9fceb75dbe83f7c225ac8e");
	flow_table_event(t, &e);
	assert_true(told_certificate.self_issued && !told_certificate.has_sha1);
	rig_stop(&g);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_record_waits_for_the_answer),
		TEST(the_name_does_not_wait),
		TEST(certificates_of_several_segments),
		TEST(the_answer_is_seen_first),
		TEST(pieces_of_the_answer_in_any_order),
		TEST(the_client_talks_on),
		TEST(what_never_comes_is_not_waited_for),
		TEST(the_time_is_the_hellos),
		TEST(those_pushed_out_are_written),
		TEST(names_longer_than_can_be_held),
		TEST(what_a_log_says_of_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
