/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <math.h>

#include "detect/dns_watch.h"
#include "detect/dossier.h"
#include "dns_rig.h"

static double of(const struct dns_sample *s)
{
	struct dns_total t;

	dns_sample_total(s, &t);
	return t.bytes;
}

static void test_sample_is_exact_while_few(void **state)
{
	struct dns_sample s;
	struct dns_total t;

	dns_sample_clear(&s);
	for (uint32_t i = 0; i < DNS_SAMPLE; i++)
		assert_true(dns_sample_add(&s, i * 2654435761U, 10, i % 2 ? DNS_DATA : 0));
	assert_false(dns_sample_add(&s, 0, 10, DNS_NX)); /* again */
	dns_sample_total(&s, &t);
	assert_int_equal(lround(t.bytes), 640);
	assert_int_equal(lround(t.names), 64);
	assert_int_equal(lround(100 * dns_share(&t, DNS_DATA)), 50);
	assert_int_equal(lround(6400 * dns_share(&t, DNS_NX)), 100);
	dns_sample_remove(&s, 0);
	assert_int_equal(lround(of(&s)), 630);
}

/* Names of very unequal lengths, as tunnels make them; the error the header promises, and none to one side. */
static void test_sample_error(void **state)
{
	enum { RUNS = 400, NAMES = 1000 };
	double sum = 0, squares = 0, names = 0;

	dice = 1;
	for (int run = 0; run < RUNS; run++) {
		struct dns_sample s, half;
		struct dns_total t;
		double really = 0;

		dns_sample_clear(&s);
		dns_sample_clear(&half);
		for (int i = 0; i < NAMES; i++) {
			uint8_t n = i % 20 ? 7 : 180;

			really += n;
			dns_sample_add(i < NAMES / 2 ? &half : &s, roll(UINT32_MAX), n, 0);
		}
		dns_sample_merge(&s, &half);
		dns_sample_total(&s, &t);
		sum += t.bytes / really - 1;
		names += t.names / NAMES - 1;
		squares += (t.bytes / really - 1) * (t.bytes / really - 1);
	}
	print_message("bias %.4f, standard error %.3f; of names %.4f\n", sum / RUNS,
		      sqrt(squares / RUNS), names / RUNS);
	assert_true(fabs(sum / RUNS) < 0.03);
	assert_true(fabs(names / RUNS) < 0.06);
	assert_true(sqrt(squares / RUNS) < 0.15);
}

static uint8_t traits(const char *sub)
{
	uint8_t bytes;

	return dns_name_traits(str_of(sub), &bytes);
}

static void test_names(void **state)
{
	static const char *const data[] = { "546b03f50000000000a6023ed4df184d",
					    "mzxw6ytboi2q",
					    "kx3f9a",
					    "p7rq2xbk.mmzxk4",
					    "xkqzvw",
					    "a1b2" },
				 *const words[] = { "www",
						    "mail",
						    "static-assets",
						    "host042",
						    "web-server12.prod",
						    "accounts.google",
						    "autodiscover" };
	uint8_t bytes;

	for (size_t i = 0; i < ARRAY_SIZE(data); i++)
		if (!(traits(data[i]) & DNS_DATA))
			fail_msg("%s looks like words", data[i]);
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (traits(words[i]) & DNS_DATA)
			fail_msg("%s looks like data", words[i]);
	assert_int_equal(traits("4.3.2.1"), DNS_ADDRESS);
	assert_int_equal(traits("1.0.0.0.f.e.d.c.b.a.9.8.7.6.5.4"), DNS_ADDRESS);
	assert_true(traits("546b03f500.0000a6023ed4") & DNS_HEX);
	assert_true(traits("ab\\200\\201c") & DNS_OCTETS);
	dns_name_traits(str_of("ab\\200\\201c.d"), &bytes);
	assert_int_equal(bytes, 6);
	dns_name_traits(STR_NONE, &bytes);
	assert_int_equal(bytes, 0);
	assert_true(dns_is_reverse(str_of("4.3.2.1.in-addr.arpa")));
	assert_true(dns_is_reverse(str_of("lb._dns-sd._udp.0.0.168.192.in-addr.arpa")));
	assert_true(dns_is_reverse(str_of("7.0-127.2.0.192.in-addr.arpa")));
	assert_false(dns_is_reverse(str_of("mzxw6ytboi2qmzxw6ytboi2q.1.in-addr.arpa")));
	assert_false(dns_is_reverse(str_of("in-addr.arpa.example.com")));
}

static void test_allow_table(void **state)
{
	const struct dns_allow_row *row;

	for (size_t i = 1; i < n_dns_allow_rows; i++) {
		const struct dns_allow_row *a = &dns_allow_rows[i - 1], *b = &dns_allow_rows[i];
		int order = strcmp(a->domain, b->domain);

		assert_true(order < 0 || (!order && strcmp(a->below, b->below) < 0));
		assert_true(*b->why);
	}
	row = dns_allow_find(str_of("mcafee.com"));
	assert_non_null(row);
	assert_true(dns_allow_covers(row, str_of("4z9p.avqs")));
	assert_true(dns_allow_covers(row, str_of("avqs")));
	assert_false(dns_allow_covers(row, str_of("4z9pavqs")));
	assert_false(dns_allow_covers(row, str_of("4z9p.avqs.www")));
	assert_null(dns_allow_find(str_of("mcafee.co")));
	assert_null(dns_allow_find(str_of("zzz.com")));
}

static void play(struct rig *r, uint32_t client, uint32_t server,
		 void (*next)(struct asked *, unsigned), unsigned n, double gap_s, uint64_t from_ns)
{
	for (unsigned i = 0; i < n; i++) {
		struct asked a;

		next(&a, i);
		rig_ask(r, client, server, &a, from_ns + (uint64_t)(i * gap_s * NSEC_PER_SEC));
	}
}

/* A name asked for a thousand times is one name. */
static void test_said_once(void **state)
{
	struct rig r;
	struct asked a;

	rig_new(&r, DETECT_FILE, 0);
	dnscat2(&a, 0);
	for (unsigned i = 0; i < 1000; i++)
		rig_ask(&r, CLIENT, RESOLVER, &a, RIG_START + i * NSEC_PER_SEC);
	assert_int_equal(rig_heaviest(&r).severity, SEVERITY_NONE);
	rig_free(&r);
}

/* The client is found; its resolver, which asks on, is not. */
static void test_relayed(void **state)
{
	struct heaviest h;
	struct rig r;

	rig_new(&r, DETECT_FILE, 0);
	for (unsigned i = 0; i < 1000; i++) {
		struct asked a;

		dnscat2(&a, i);
		rig_ask(&r, CLIENT, RESOLVER, &a, RIG_START + i * NSEC_PER_SEC);
		rig_ask(&r, RESOLVER, 0x08080808, &a, RIG_START + i * NSEC_PER_SEC + NSEC_PER_MSEC);
	}
	h = rig_heaviest(&r);
	assert_int_equal(h.severity, SEVERITY_HIGH);
	assert_int_equal(h.n, 1);
	assert_non_null(strstr(h.explain, "10.0.0.5 to " EVIL));
	rig_free(&r);
}

/* A few questions of somebody else about the domain are no excuse. */
static void test_relay_is_no_cover(void **state)
{
	struct heaviest h;
	struct rig r;

	rig_new(&r, DETECT_FILE, 0);
	for (unsigned i = 0; i < 200; i++) {
		struct asked a;

		dnscat2(&a, i % 4 ? i : 0);
		rig_ask(&r, RESOLVER, 0x08080808, &a, RIG_START + i * NSEC_PER_SEC);
		snprintf(a.name, sizeof(a.name), "%s." EVIL, word(i));
		rig_ask(&r, CLIENT, RESOLVER, &a, RIG_START + i * NSEC_PER_SEC);
	}
	h = rig_heaviest(&r);
	assert_int_equal(h.severity, SEVERITY_HIGH);
	assert_non_null(strstr(h.explain, "10.0.0.1 to " EVIL));
	rig_free(&r);
}

/* A search list makes three names of each; they are forgotten when the name itself turns out to exist. */
static void test_search_list(void **state)
{
	static const char *const suffixes[] = { ".default.svc.cluster.local", ".svc.cluster.local",
						".cluster.local", "" };
	struct rig r;

	dice = 1;
	rig_new(&r, DETECT_FILE, 0);
	for (unsigned i = 0; i < 4000; i++) {
		struct asked a = { .type = DNS_A };
		_cleanup_buf_ struct buf name = BUF_INIT(60);

		put_random(&name, BASE32, 12);
		buf_printf(&name, ".site%u.com", i);
		for (size_t k = 0; k < ARRAY_SIZE(suffixes); k++) {
			snprintf(a.name, sizeof(a.name), "%.*s%s", STR_FMT(buf_str(&name)),
				 suffixes[k]);
			a.rcode = *suffixes[k] ? 3 : 0;
			snprintf(a.rdata, sizeof(a.rdata), "%s", *suffixes[k] ? "" : "203.0.113.9");
			rig_ask(&r, CLIENT, RESOLVER, &a, RIG_START + i * NSEC_PER_SEC);
		}
	}
	assert_int_equal(rig_heaviest(&r).severity, SEVERITY_NONE);
	/* The same names, were they never asked for without the suffix. */
	for (unsigned i = 0; i < 300; i++) {
		struct asked a = { .type = DNS_A, .rcode = 3 };
		_cleanup_buf_ struct buf name = BUF_INIT(60);

		put_random(&name, BASE32, 12);
		snprintf(a.name, sizeof(a.name), "%.*s.site%u.com.cluster.local",
			 STR_FMT(buf_str(&name)), i);
		rig_ask(&r, CLIENT, RESOLVER, &a, RIG_START + (5000 + i) * NSEC_PER_SEC);
	}
	assert_int_equal(rig_heaviest(&r).severity, SEVERITY_HIGH);
	rig_free(&r);
}

static void unknown_cdn(struct asked *a, unsigned i)
{
	cdn_hashes(a, i);
	snprintf(a->name + strlen(a->name) - strlen("akamaiedge.net"), 40, "our-own-cdn.net");
}

/* What three others here have said to it for a while is ordinary here, up to four times the threshold. */
static void test_ordinary_here(void **state)
{
	struct heaviest h;
	struct rig r;

	rig_new(&r, DETECT_FILE, 0);
	for (uint32_t client = 0; client < 6; client++)
		play(&r, CLIENT + client, RESOLVER, unknown_cdn, 90, 10,
		     RIG_START + client * 1000 * NSEC_PER_SEC);
	h = rig_heaviest(&r);
	assert_true(h.severity <= SEVERITY_LOW);
	play(&r, CLIENT + 7, RESOLVER, unknown_cdn, 140, 10, RIG_START + 7000 * NSEC_PER_SEC);
	assert_true(rig_heaviest(&r).severity <= SEVERITY_LOW);
	/* Ten times as much is not. */
	play(&r, CLIENT + 8, RESOLVER, unknown_cdn, 3000, 1, RIG_START + 9000 * NSEC_PER_SEC);
	assert_int_equal(rig_heaviest(&r).severity, SEVERITY_HIGH);
	rig_free(&r);
}

/* Two hundred thousand domains that come once do not push out a tunnel of one name a minute, nor do ones that come a little. */
static void test_flood(void **state)
{
	struct heaviest h;
	struct rig r;

	rig_new(&r, DETECT_FILE, 0);
	for (unsigned i = 0; i < 220000; i++) {
		struct asked a = { .type = DNS_A };
		uint64_t now = RIG_START + i * 200 * NSEC_PER_MSEC;

		snprintf(a.name, sizeof(a.name), "%s%u.d%u.com", word(i), i % 10,
			 i < 200000 ? i : 200000 + i / 10);
		rig_ask(&r, CLIENT, RESOLVER, &a, now);
		if (i % 300)
			continue;
		drip(&a, i);
		rig_ask(&r, CLIENT, RESOLVER, &a, now);
	}
	h = rig_heaviest(&r);
	assert_int_equal(h.severity, SEVERITY_HIGH);
	assert_int_equal(h.n, 1);
	assert_string_equal(h.peer, EVIL);
	assert_true(r.d->dns->zones.evicted > 130000);
	assert_true(r.d->dns->zones.zones.used <= 65536);
	rig_free(&r);
}

static void test_restart(void **state)
{
	_cleanup_buf_ struct buf file = BUF_INIT(1 << 20);
	struct rig r;

	dice = 1;
	rig_new(&r, DETECT_GATEWAY, 0);
	r.d->dns->seed = 1; /* the same estimates each time */
	/* 250 names of 8 letters a day: not enough for a day, but for a week of which one half comes later. */
	play(&r, CLIENT, RESOLVER, drip, 800, 350, RIG_START);
	assert_int_equal(rig_heaviest(&r).n, 0);
	assert_ok(detect_save(r.d, &file));
	rig_free(&r);
	rig_new(&r, DETECT_GATEWAY, 0);
	assert_ok(detect_load(r.d, buf_str(&file)));
	play(&r, CLIENT, RESOLVER, drip, 800, 350, RIG_START + 800 * 350 * NSEC_PER_SEC);
	assert_int_equal(rig_heaviest(&r).severity, SEVERITY_HIGH);
	rig_free(&r);

	/* Not without what was saved; and what is cut anywhere is no danger. */
	rig_new(&r, DETECT_GATEWAY, 0);
	r.d->dns->seed = 1;
	play(&r, CLIENT, RESOLVER, drip, 800, 350, RIG_START + 800 * 350 * NSEC_PER_SEC);
	assert_int_equal(rig_heaviest(&r).n, 0);
	rig_free(&r);

	for (size_t n = 0; n < file.n; n += 1 + file.n / 500) {
		rig_new(&r, DETECT_GATEWAY, 0);
		assert_true(detect_load(r.d, str_sub(buf_str(&file), 0, n)) < 0);
		rig_free(&r);
	}
}

static void test_servers(void **state)
{
	struct rig r;
	struct asked a;
	struct heaviest h;

	dice = 1;
	rig_new(&r, DETECT_FILE, 0);
	for (unsigned i = 0; i < 1000; i++) {
		browsing(&a, i);
		rig_ask(&r, CLIENT, i % 50 ? RESOLVER : 0x2d2d2d2d, &a,
			RIG_START + i * NSEC_PER_SEC);
	}
	h = rig_heaviest(&r);
	assert_int_equal(h.severity, SEVERITY_NONE); /* weak: never by itself */
	/* Names of a famous owner's are not famous when somebody else is asked for them. */
	for (unsigned i = 0; i < 20; i++) {
		tunnel(&a, DNS_TXT, "", BASE32, 100, "avqs.mcafee.com");
		rig_ask(&r, CLIENT, RESOLVER, &a, RIG_START + (1000 + i) * NSEC_PER_SEC);
	}
	assert_int_equal(rig_heaviest(&r).severity, SEVERITY_NONE);
	for (unsigned i = 0; i < 40; i++) {
		tunnel(&a, DNS_TXT, "", BASE32, 100, "avqs.mcafee.com");
		rig_ask(&r, CLIENT, 0x08080808, &a, RIG_START + (1500 + i) * NSEC_PER_SEC);
	}
	/* Everybody's resolver asks the owner too. */
	assert_int_equal(rig_heaviest(&r).severity, SEVERITY_NONE);
	for (unsigned i = 0; i < 40; i++) {
		tunnel(&a, DNS_TXT, "", BASE32, 100, "avqs.mcafee.com");
		rig_ask(&r, CLIENT, 0x2d2d2d2d, &a, RIG_START + (2000 + i) * NSEC_PER_SEC);
	}
	h = rig_heaviest(&r);
	assert_int_equal(h.severity, SEVERITY_HIGH);
	assert_string_equal(h.peer, "mcafee.com");
	rig_free(&r);
}

/* Many names of data, each resolved and then used: what a content network nobody knows looks like. */
static void test_followed(void **state)
{
	struct heaviest h;
	struct rig r;
	struct asked a;

	dice = 1;
	for (int used = 0; used < 2; used++) {
		rig_new(&r, DETECT_FILE, 0);
		/* Others, who make it rare. */
		for (uint32_t i = 0; i < 20; i++)
			play(&r, CLIENT + 100 + i, RESOLVER, browsing, 5, 1, RIG_START);
		for (unsigned i = 0; i < 400; i++) {
			uint64_t now = RIG_START + (10 + i) * NSEC_PER_SEC;
			struct name name = { .refs = 1 };
			struct flow f;

			unknown_cdn(&a, i);
			rig_ask(&r, CLIENT, RESOLVER, &a, now);
			f = rig_flow(&r, CLIENT, 0xcb007107, 443, NULL, now + NSEC_PER_SEC);
			name.asked = intern_get(r.texts, str_of(a.name));
			f.names[0] = &name;
			f.n_names = used;
			rig_end(&r, &f, now + 2 * NSEC_PER_SEC);
			intern_put(r.texts, name.asked);
		}
		h = rig_heaviest(&r);
		if (used ? h.severity > SEVERITY_LOW : h.severity < SEVERITY_HIGH)
			fail_msg("%d: %s", used, h.explain);
		rig_free(&r);
	}
}

/* What comes back: a name that never changes, answers that do. */
static void test_down(void **state)
{
	struct heaviest h;
	struct rig r;

	dice = 1;
	rig_new(&r, DETECT_FILE, 0);
	for (unsigned i = 0; i < 200; i++) {
		struct asked a;

		tunnel(&a, DNS_TXT, "", BASE32, 4, EVIL);
		snprintf(a.name, sizeof(a.name), "tasks." EVIL);
		rig_ask(&r, CLIENT, RESOLVER, &a, RIG_START + i * 60 * NSEC_PER_SEC);
	}
	h = rig_heaviest(&r);
	assert_int_equal(h.severity, SEVERITY_LOW);
	assert_non_null(strstr(h.explain, "distinct answers"));
	rig_free(&r);
}

static void test_one_way(void **state)
{
	struct rig r;

	dice = 1;
	for (int responses = 0; responses < 2; responses++) {
		rig_new(&r, DETECT_FILE, 0);
		for (unsigned i = 0; i < 100; i++) {
			struct flow f = rig_flow(&r, CLIENT, RESOLVER, 53, NULL,
						 RIG_START + i * NSEC_PER_SEC);
			struct asked a;

			f.key.proto = IPPROTO_UDP;
			f.app = APP_DNS;
			dnscat2(&a, i);
			rig_dns_message(&r, &f, &a, responses, RIG_START + i * NSEC_PER_SEC);
			rig_end(&r, &f, RIG_START + i * NSEC_PER_SEC);
		}
		assert_int_equal(rig_heaviest(&r).severity, SEVERITY_HIGH);
		rig_free(&r);
	}
}

/* Of a server here: whoever asks it is meant, not the server. Of names for the link: nobody. */
static void test_who(void **state)
{
	struct rig r;

	for (int mdns = 0; mdns < 2; mdns++) {
		struct heaviest h;

		rig_new(&r, DETECT_HOST, 0);
		for (unsigned i = 0; i < 100; i++) {
			struct flow f = rig_flow(&r, 0x0a000063, RESOLVER, 53, NULL,
						 RIG_START + i * NSEC_PER_SEC);
			struct asked a;

			f.key.proto = IPPROTO_UDP;
			f.app = mdns ? APP_MDNS : APP_DNS;
			f.direction = FLOW_REPLY;
			dnscat2(&a, i);
			rig_dns_message(&r, &f, &a, false, RIG_START + i * NSEC_PER_SEC);
			rig_end(&r, &f, RIG_START + i * NSEC_PER_SEC);
		}
		h = rig_heaviest(&r);
		assert_int_equal(h.n, !mdns);
		if (!mdns)
			assert_non_null(strstr(h.explain, "10.0.0.99 to "));
		rig_free(&r);
	}
}

/* --- doh ------------------------------------------------------------------------------------------------------------- */

static int weight(struct rig *r, enum evidence_id id)
{
	int db = 0;

	list_for_each(it, &r->d->pair_lru) {
		const struct pair *p = container_of(it, struct pair, lru);

		for (unsigned i = 0; p->dossier && i < p->dossier->n; i++)
			if (p->dossier->evidence[i]->id == id)
				db = p->dossier->evidence[i]->db;
	}
	return db;
}

/* What a program, or a machine (NULL), that connects there gives for `id`. */
static int doh(const char *exe, uint32_t dst, uint16_t port, const char *sni, bool ech,
	       enum evidence_id id)
{
	struct record_tls tls = { .sni = str_of(sni ?: ""), .ech = ech };
	static bool late; /* the hello's record comes before its flow's name is settled, or after */
	struct proc proc = { .refs = 1 };
	struct flow f;
	struct rig r;
	int db;

	late = !late;
	rig_new(&r, exe ? DETECT_HOST : DETECT_FILE, 0);
	proc.exe = exe ? intern_get(r.texts, str_of(exe)) : NULL;
	f = rig_flow(&r, CLIENT, dst, port, sni, RIG_START);
	f.proc = exe ? &proc : NULL;
	if (late)
		rig_data(&r, &f, TO_SERVER, 20000, RIG_START);
	detect_record(r.d, &(struct record){ .type = RECORD_TLS,
					     .time_ns = RIG_START + 4 * NSEC_PER_SEC,
					     .flow = &f,
					     .tls = &tls });
	rig_data(&r, &f, TO_SERVER, 20000, RIG_START + 4 * NSEC_PER_SEC);
	rig_end(&r, &f, RIG_START + 5 * NSEC_PER_SEC);
	db = weight(&r, id);
	assert_int_equal(rig_heaviest(&r).n, 0); /* never by itself */
	intern_put(r.texts, proc.exe);
	detect_free(r.d);
	intern_free(r.texts);
	return db;
}

static void test_doh(void **state)
{
	assert_int_equal(doh("/usr/bin/python3", 0x01010101, 443, NULL, false, E_DOH), 4);
	assert_int_equal(doh("/opt/agent/agent", 0x05050505, 443, "dns.google", false, E_DOH), 4);
	assert_int_equal(doh("/usr/bin/curl", 0x05050505, 443, "cloudflare-dns.com", false, E_DOH),
			 3);
	assert_int_equal(doh("/usr/bin/curl", 0x05050505, 853, "dns.example.org", false, E_DOH), 3);
	assert_int_equal(doh("/usr/lib/firefox/firefox", 0x01010101, 443, NULL, false, E_DOH), 0);
	assert_int_equal(doh("/usr/bin/curl", 0x05050505, 443, "notdns.google", false, E_DOH), 0);
	assert_int_equal(doh("/usr/bin/curl", 0x05050505, 443, "www.example.org", false, E_DOH), 0);
	assert_int_equal(doh(NULL, 0x01010101, 443, NULL, false, E_DOH), 2);
	assert_int_equal(doh("/usr/bin/curl", 0x05050505, 443, "cloudflare-ech.com", true, E_ECH),
			 3);
	assert_int_equal(doh("/usr/bin/curl", 0x05050505, 443, "cloudflare-ech.com", false, E_ECH),
			 0);
	assert_int_equal(
		doh("/usr/lib/firefox/firefox", 0x05050505, 443, "cloudflare-ech.com", true, E_ECH),
		0);
	assert_int_equal(doh(NULL, 0x05050505, 443, "cloudflare-ech.com", true, E_ECH), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sample_is_exact_while_few),
		cmocka_unit_test(test_sample_error),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_allow_table),
		cmocka_unit_test(test_said_once),
		cmocka_unit_test(test_relayed),
		cmocka_unit_test(test_relay_is_no_cover),
		cmocka_unit_test(test_search_list),
		cmocka_unit_test(test_ordinary_here),
		cmocka_unit_test(test_flood),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_servers),
		cmocka_unit_test(test_followed),
		cmocka_unit_test(test_down),
		cmocka_unit_test(test_one_way),
		cmocka_unit_test(test_who),
		cmocka_unit_test(test_doh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
