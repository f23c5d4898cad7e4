/* SPDX-License-Identifier: Apache-2.0 */
/* Who sends mail, and how. */
#include "detect_rig_flows.h"

static struct flow *deliver(struct drig *g, const char *to, uint16_t port, struct smtp_envelope m)
{
	struct flow *f = drig_open(g, to, port, IPPROTO_TCP, APP_SMTP);

	drig_tells(g, (struct record){ .type = RECORD_SMTP, .flow = f, .smtp = &m });
	drig_moves(g, f, TO_SERVER, 900, 10);
	drig_ends(g, f);
	return f;
}

static struct smtp_envelope letter(const char *helo)
{
	return (struct smtp_envelope){ .helo = str_of(helo), .n_rcpt = 1, .data = true };
}

static struct flow *spread(struct drig *g, int servers, double every_s)
{
	struct flow *f = NULL;
	char to[32];

	for (int i = 0; i < servers; i++) {
		snprintf(to, sizeof(to), "203.0.114.%d", i + 1);
		f = drig_open(g, to, 25, IPPROTO_TCP, APP_SMTP);
		drig_moves(g, f, TO_SERVER, 900, every_s);
		drig_ends(g, f);
	}
	return f;
}

static void test_spam(void **state)
{
	struct drig *g = drig_new(DETECT_FILE);

	assert_int_equal(drig_db(g, spread(g, 9, 10), E_SPAM), 0);
	assert_int_equal(drig_db(g, spread(g, 12, 10), E_SPAM), 14);
	assert_int_equal(drig_db(g, spread(g, 40, 10), E_SPAM), evidence_rows[E_SPAM].most);
	drig_free(g);
	g = drig_new(DETECT_FILE);
	assert_int_equal(drig_db(g, spread(g, 40, 600), E_SPAM), 0); /* six an hour */
	drig_free(g);
}

/* What takes mail may hand it on to whomever. */
static void test_mta(void **state)
{
	struct drig *g = drig_new(DETECT_FILE);
	struct flow *in = drig_open(g, ME, 25, IPPROTO_TCP, APP_SMTP);
	struct smtp_envelope m = letter("mx.example.org");

	in->key.src = drig_addr(FAR);
	in->direction = FLOW_INGRESS;
	drig_tells(g, (struct record){ .type = RECORD_SMTP, .flow = in, .smtp = &m });
	drig_ends(g, in);
	assert_int_equal(drig_db(g, spread(g, 40, 10), E_SPAM), 0);
	drig_free(g);
}

static void test_letters(void **state)
{
	struct drig *g = drig_new(DETECT_FILE);
	struct smtp_envelope m = letter("User-PC");

	m.auth = true;
	assert_int_equal(drig_db(g, deliver(g, FAR, 587, m), E_MAIL_SENT),
			 evidence_rows[E_MAIL_SENT].most);
	assert_int_equal(drig_db(g, deliver(g, NEAR, 587, m), E_MAIL_SENT), 0);
	m = letter("User-PC"); /* without a password */
	assert_int_equal(drig_db(g, deliver(g, "203.0.114.11", 587, m), E_MAIL_SENT), 0);
	m = letter("mx.example.org");
	m.n_rcpt = 12;
	assert_int_equal(drig_db(g, deliver(g, "203.0.114.12", 25, m), E_BULK_MAIL),
			 evidence_rows[E_BULK_MAIL].most);
	drig_free(g);
}

/* On a host it is the program that says whether it is a mail program. */
static void test_programs(void **state)
{
	static const struct {
		const char *exe;
		bool odd;
	} programs[] = { { "/usr/bin/python3", true },
			 { "/usr/sbin/exim4", false },
			 { "/usr/bin/thunderbird", false },
			 { "/tmp/x", true } };

	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		struct drig *g = drig_new(DETECT_HOST);
		struct proc p = { .refs = 100,
				  .exe = intern_get(g->texts, str_of(programs[i].exe)) };
		struct flow *f = drig_open(g, FAR, 587, IPPROTO_TCP, APP_SMTP);
		struct smtp_envelope m = letter("host.example.org");

		m.auth = true;
		f->proc = &p;
		drig_tells(g, (struct record){ .type = RECORD_SMTP, .flow = f, .smtp = &m });
		assert_int_equal(drig_db(g, f, E_MAIL_SENT) > 0, programs[i].odd);
		drig_free(g);
	}
}

/* Many senders do not push out what one of them did. */
static void test_bounded(void **state)
{
	struct drig *g = drig_new(DETECT_FILE);
	struct flow *f;

	for (uint32_t i = 0; i < 6000; i++) {
		uint32_t from = htonl(0x0a010000 + i);

		f = drig_open(g, FAR, 25, IPPROTO_TCP, APP_SMTP);
		f->key.src = addr_from_v4(&from);
		drig_moves(g, f, TO_SERVER, 90, 0);
		drig_ends(g, f);
	}
	assert_int_equal(drig_db(g, spread(g, 12, 1), E_SPAM), 14);
	drig_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spam),    cmocka_unit_test(test_mta),
		cmocka_unit_test(test_letters), cmocka_unit_test(test_programs),
		cmocka_unit_test(test_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
