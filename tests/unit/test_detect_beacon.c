/* SPDX-License-Identifier: Apache-2.0 */
/* The beacon detector: what hides a beacon, what looks like one, what has to hold when somebody floods it. */
#include "test.h"

#include <math.h>

#include "detect/checkins.h"
#include "detect/dossier.h"
#include "detect/regularity.h"
#include "detect_rig.h"

#define SRC 0x0a000001
#define DST 0xc6336407
#define MB (1024.0 * 1024)

static uint64_t at_s(double s)
{
	return RIG_START + (uint64_t)(s * 1e9);
}

static double jitter(unsigned i, double by)
{
	return by * (2 * (double)(i * 2654435761U % 1000) / 1000 - 1);
}

static const struct evidence *said(struct rig *r, enum evidence_id id)
{
	const struct evidence *best = NULL;

	list_for_each(it, &r->d->dossier_list) {
		const struct dossier *file = container_of(it, struct dossier, link);

		for (unsigned i = 0; i < file->n; i++)
			if (file->evidence[i]->id == id &&
			    (!best || file->evidence[i]->db > best->db))
				best = file->evidence[i];
	}
	return best;
}

static int weight(struct rig *r)
{
	const struct evidence *e = said(r, E_REGULAR);

	return e ? e->db : 0;
}

static size_t memory_of(const struct rig *r)
{
	const struct detect *d = r->d;

	return pool_bytes(&d->entities) + pool_bytes(&d->peers) + pool_bytes(&d->pairs) +
	       pool_bytes(&d->sightings) + pool_bytes(&d->dossiers) + pool_bytes(&d->evidence) +
	       pool_bytes(&d->beacons->pairs) + pool_bytes(&d->beacons->streams) +
	       pool_bytes(&d->beacons->rings) + sizeof(*d->beacons) +
	       3 * DETECT_BUCKETS * sizeof(void *) + (d->ghosts ? 4 << 20 : 0);
}

static void test_tail(void **state)
{
	/* c = 2: S <= s when the share of one gap is within sqrt(1 - exp(-2 s)) / 2 of a half. */
	for (double s = 0.01; s < 2; s *= 1.7) {
		double exact = log10(sqrt(1 - exp(-2 * s)));

		assert_true(fabs(regularity_log10_lower(s, 2) - exact) < 0.07);
	}
	/* P ~ s^((c - 1) / 2) near 0 */
	assert_true(fabs(regularity_log10_lower(1e-6, 21) - regularity_log10_lower(1e-5, 21) + 10) <
		    0.01);
	assert_true(regularity_log10_lower(1e-9, 127) < -500);
	assert_true(regularity_log10_lower(0.577, 127) > -0.5);
	assert_true(regularity_log10_lower(2, 127) > -1e-6);
	for (double s = 1e-9, last = -1e9; s < 3; s *= 1.1) {
		double p = regularity_log10_lower(s, 64);

		assert_true(p >= last - 1e-6 && p <= 0);
		last = p;
	}
}

static void test_found(void **state)
{
	struct rig r;

	rig_new(&r, DETECT_FILE, 0);
	for (unsigned i = 0; i < 20; i++)
		rig_checkin(&r, SRC, DST, "c2.beacon-test.net", at_s(60 * i + jitter(i, 6)), 700);
	assert_int_equal(weight(&r), 20);
	assert_in_range(said(&r, E_REGULAR)->n, 15, 19);
	assert_true(fabs(said(&r, E_REGULAR)->measured - 60) < 3);
	assert_non_null(said(&r, E_ONE_SIZE));
	rig_free(&r);
}

/* A program that tries nine times, every five seconds, is not yet what one is that has come back for hours. */
static void test_few(void **state)
{
	struct rig r;

	rig_new(&r, DETECT_FILE, 0);
	for (unsigned i = 0; i < 10; i++)
		rig_checkin(&r, SRC, DST, NULL, at_s(5 * i), 700);
	assert_int_equal(weight(&r), 12);
	detect_finish(r.d, at_s(100));
	assert_int_equal(r.findings, 0);
	rig_free(&r);
}

/* Every check-in another name of one domain. */
static void test_changing_names(void **state)
{
	struct rig r;
	char name[64];

	rig_new(&r, DETECT_FILE, 0);
	for (unsigned i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "x%u.beacon-test.net", i);
		rig_checkin(&r, SRC, DST, name, at_s(60 * i + jitter(i, 6)), 700);
	}
	assert_int_equal(weight(&r), 20);
	assert_int_equal(r.d->beacons->streams.used, 9); /* eight names and all of them */
	rig_free(&r);
}

/*
 * Without a name each address is a peer of its own. In turn, each is as regular as both were, and it takes twice as long; at random,
 * the gaps are of one, two, three … sleeps, which still is not chance, and weighs half.
 */
static void test_two_addresses(void **state)
{
	for (int at_random = 0; at_random < 2; at_random++) {
		struct rig r;
		uint32_t x = 12345;

		rig_new(&r, DETECT_FILE, 0);
		for (unsigned i = 0; i < 150; i++) {
			x = x * 1664525 + 1013904223;
			rig_checkin(&r, SRC, DST + (at_random ? x >> 31 : i % 2), NULL,
				    at_s(60 * i + jitter(i, 6)), 700);
		}
		assert_in_range(weight(&r), at_random ? 8 : 20, 20);
		rig_free(&r);
	}
}

static void test_suspended(void **state)
{
	struct rig r;
	double t = 0;

	rig_new(&r, DETECT_FILE, 0);
	for (unsigned i = 0; i < 40; i++) {
		rig_checkin(&r, SRC, DST, "c2.beacon-test.net", at_s(t), 700);
		t += i == 13 ? 9 * 3600 : 60 + jitter(i, 6);
	}
	assert_int_equal(weight(&r), 20);
	rig_free(&r);
}

/* A question and two posts a check-in, seconds apart. */
static void test_several_requests(void **state)
{
	struct rig r;

	rig_new(&r, DETECT_FILE, 0);
	for (unsigned i = 0; i < 30; i++)
		for (unsigned k = 0; k < 3; k++)
			rig_checkin(&r, SRC, DST, "c2.beacon-test.net",
				    at_s(300 * i + jitter(i, 30) + 2.5 * k), 500 + 90 * k);
	assert_int_equal(weight(&r), 20);
	rig_free(&r);
}

/* Logs tell of connections when they end: the same check-ins, not in their order. */
static void test_order(void **state)
{
	struct rig r;
	struct addr a = addr_from_v4(&(uint32_t){ htonl(SRC) });
	struct checkins *s;

	rig_new(&r, DETECT_FILE, 0);
	for (unsigned i = 0; i < 60; i++) {
		unsigned k = i ^ (i % 8 < 6);

		rig_checkin(&r, SRC, DST, "c2.beacon-test.net", at_s(60 * k), 700);
	}
	s = pair_of(r.d, entity_of_addr(r.d, &a), peer_of_domain(r.d, STR("beacon-test.net")))
		    ->beacon->named;
	checkins_settle(s);
	assert_int_equal(s->n, 60);
	for (unsigned i = 1; i < s->n; i++)
		assert_int_equal(s->ring[i].at - s->ring[i - 1].at, 6000);
	assert_int_equal(weight(&r), 20);
	rig_free(&r);
}

/* Datagrams, each from a port of its own; the answers come as flows of their own, or not at all. */
static void test_answers_apart(void **state)
{
	for (int answered = 0; answered < 2; answered++) {
		struct rig r;

		rig_new(&r, DETECT_FILE, 0);
		for (unsigned i = 0; i < 20; i++) {
			struct flow f = rig_flow(&r, SRC, DST, 7011, NULL, at_s(60 * i));
			struct flow back = rig_flow(&r, DST, SRC, 6000, NULL, at_s(60 * i + .1));

			f.key.proto = back.key.proto = IPPROTO_UDP;
			f.app = back.app = APP_UNKNOWN;
			back.direction = FLOW_INGRESS;
			rig_data(&r, &f, TO_SERVER, 120, at_s(60 * i));
			if (answered) {
				rig_data(&r, &back, TO_SERVER, 40, at_s(60 * i + .1));
				rig_end(&r, &back, at_s(60 * i + 1));
			}
			rig_end(&r, &f, at_s(60 * i + 1));
		}
		assert_int_equal(weight(&r), answered ? 20 : 10);
		rig_free(&r);
	}
}

/* One connection, payload now and then: WebSocket, IMAP IDLE, push. It may weigh something, and no finding comes of it. */
static void keeps_alive(double every, const char *name, enum app_proto app, int most)
{
	struct rig r;
	struct flow f;

	rig_new(&r, DETECT_FILE, 0);
	f = rig_flow(&r, SRC, DST, 443, name, at_s(0));
	f.app = app;
	for (unsigned i = 0; i < 200; i++) {
		rig_data(&r, &f, TO_SERVER, 40, at_s(every * i));
		rig_data(&r, &f, TO_CLIENT, 30, at_s(every * i + .05));
	}
	rig_end(&r, &f, at_s(every * 200));
	assert_true(weight(&r) <= most);
	detect_finish(r.d, at_s(every * 200));
	assert_int_equal(r.findings, 0);
	rig_free(&r);
}

static void test_keeps_alive(void **state)
{
	keeps_alive(30, "ws.beacon-test.net", APP_TLS, 10);
	keeps_alive(15, "h2.beacon-test.net", APP_TLS, 10);
	keeps_alive(29 * 60, "imap.beacon-test.net", APP_IMAP, 10);
	keeps_alive(28 * 60, "push.beacon-test.net", APP_TLS, 10);
	keeps_alive(64, "ntp.beacon-test.net", APP_NTP, 0);
}

/* Polls that open a connection each: well-known names, and what comes in. */
static void test_ordinary_polls(void **state)
{
	static const char *const names[] = { "update.microsoft.com", "deb.debian.org",
					     "api.github.com", "connectivity-check.ubuntu.com" };
	struct rig r;

	rig_new(&r, DETECT_FILE, 0);
	for (unsigned k = 0; k < 4; k++)
		for (unsigned i = 0; i < 48; i++)
			rig_checkin(&r, SRC, DST + k, names[k], at_s(1800 * i + jitter(i, 60)),
				    600);
	/* A load balancer asks whether we are well. */
	for (unsigned i = 0; i < 200; i++) {
		struct flow f = rig_flow(&r, DST + 9, SRC, 80, NULL, at_s(10 * i));

		f.direction = FLOW_INGRESS;
		rig_data(&r, &f, TO_SERVER, 90, at_s(10 * i));
		rig_data(&r, &f, TO_CLIENT, 90, at_s(10 * i + .01));
		rig_end(&r, &f, at_s(10 * i + 1));
	}
	detect_finish(r.d, at_s(86400));
	assert_int_equal(r.findings, 0);
	rig_free(&r);
}

/* apt's timer: twice a day, at random within the hour, a burst of connections. */
static void test_package_manager(void **state)
{
	struct rig r;

	rig_new(&r, DETECT_FILE, 0);
	for (unsigned i = 0; i < 14; i++)
		for (unsigned k = 0; k < 6; k++)
			rig_checkin(&r, SRC, DST, "mirror.beacon-test.net",
				    at_s(43200 * i +
					 3600 * (double)(i * 2654435761U % 1000) / 1000 + 4 * k),
				    200 + 37 * ((i * 7 + k * 3) % 11));
	detect_finish(r.d, at_s(14 * 43200));
	assert_int_equal(r.findings, 0);
	rig_free(&r);
}

/*
 * A million peers from the program that also beacons, in a table so small that it turns over three times from one check-in to the
 * next.
 */
static void test_flood(void **state)
{
	struct rig r;
	unsigned n = 0;
	char name[64];

	rig_new(&r, DETECT_FILE, 16384);
	for (unsigned i = 0; i < 20; i++) {
		rig_checkin(&r, SRC, DST, "c2.beacon-test.net", at_s(300 * i + jitter(i, 30)), 700);
		for (unsigned k = 0; k < 50000; k++, n++) {
			snprintf(name, sizeof(name), "n%u.flood%u.net", n, n);
			rig_checkin(&r, SRC, 0x0b000000 + n, n % 2 ? name : NULL,
				    at_s(300 * i + 35 + k * .0045), 100 + n % 1000);
		}
	}
	assert_int_equal(n, 1000000);
	assert_int_equal(weight(&r), 20);
	assert_true(r.d->stats.evicted_pairs > 900000);
	print_message("flood: %.1f MiB\n", (double)memory_of(&r) / MB);
	assert_true((double)memory_of(&r) < 32 * MB);
	rig_free(&r);
}

/* More sources than entities are kept: the newest are looked at all the same. */
static void test_spoofed_sources(void **state)
{
	struct rig r;

	rig_new(&r, DETECT_GATEWAY, 0);
	for (unsigned n = 0; n < 200000; n++)
		rig_checkin(&r, 0x0b000000 + n, 0x0c000000 + n, NULL, at_s(n * .001), 100);
	for (unsigned i = 0; i < 20; i++)
		rig_checkin(&r, SRC, DST, "c2.beacon-test.net", at_s(300 + 60 * i), 700);
	assert_int_equal(weight(&r), 20);
	assert_true((double)memory_of(&r) < 128 * MB);
	print_message("200,000 sources: %.1f MiB\n", (double)memory_of(&r) / MB);
	rig_free(&r);
}

static void test_restart(void **state)
{
	struct buf file = BUF_INIT(1 << 20);
	struct rig a, b;
	struct addr src = addr_from_v4(&(uint32_t){ htonl(SRC) });
	struct checkins *x, *y;

	rig_new(&a, DETECT_GATEWAY, 0);
	rig_new(&b, DETECT_GATEWAY, 0);
	for (unsigned i = 0; i < 30; i++)
		rig_checkin(&a, SRC, DST, i % 3 ? "a.beacon-test.net" : "b.beacon-test.net",
			    at_s(3600 * i + jitter(i, 600)), 700 + i);
	assert_ok(detect_save(a.d, &file));
	assert_ok(detect_load(b.d, buf_str(&file)));
	x = pair_of(a.d, entity_of_addr(a.d, &src), peer_of_domain(a.d, STR("beacon-test.net")))
		    ->beacon->all;
	y = pair_of(b.d, entity_of_addr(b.d, &src), peer_of_domain(b.d, STR("beacon-test.net")))
		    ->beacon->all;
	assert_int_equal(x->n, 30);
	assert_int_equal(y->n, 30);
	assert_memory_equal(x->ring, y->ring, 30 * sizeof(*x->ring));
	assert_int_equal(x->total, y->total);
	assert_int_equal(b.d->beacons->streams.used, 3);
	buf_done(&file);
	rig_free(&a);
	rig_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tail),
		cmocka_unit_test(test_found),
		cmocka_unit_test(test_few),
		cmocka_unit_test(test_changing_names),
		cmocka_unit_test(test_two_addresses),
		cmocka_unit_test(test_suspended),
		cmocka_unit_test(test_several_requests),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_answers_apart),
		cmocka_unit_test(test_keeps_alive),
		cmocka_unit_test(test_ordinary_polls),
		cmocka_unit_test(test_package_manager),
		cmocka_unit_test(test_flood),
		cmocka_unit_test(test_spoofed_sources),
		cmocka_unit_test(test_restart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
