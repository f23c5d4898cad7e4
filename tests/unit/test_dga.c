// SPDX-License-Identifier: Apache-2.0
#include "test.h"

#include "detect/dga_seq.h"

#define SECOND 1000000000ull
#define SEED 42

static struct dga_score score(const char *label, const char *suffix)
{
	return dga_score(str_of(label), str_of(suffix));
}

static bool counts(const char *label, const char *suffix)
{
	return dga_counts(str_of(label), str_of(suffix));
}

/* Of a generator of even letters (12 of them), one of Base36, one of hex digits; none is in the training input. */
static const char *const random_labels[] = {
	"hqtkvwpzrnmd",     "xjbqkltrwzvs",   "pwnrkdhgxqmv", "tzkvbnqwjrhd",
	"mkqxzpwlrtgv",     "gvhwkqzjxnrt",   "rlxkwqvbtzph", "a7k2m9q4x1z8w3",
	"9f3b77c1d04e8a62", "qzv81kx02mw7rt", "vbxkqjwzhtrp", "wnqzkrxvjtlg",
};

/* Two common words each. */
static const char *const word_labels[] = {
	"gladcity",  "milkeasy",   "callguess",   "saidraise",   "songwhole",   "wrongname",
	"madetell",  "yourtold",   "pleaseafter", "riverstand",  "winterbring", "cloudsure",
	"headfresh", "quietthank", "foodspeak",   "thosegather",
};

static const char *const people_labels[] = {
	"facebook",  "wikipedia",  "nytimes",      "stackoverflow", "debian",     "uni-heidelberg",
	"spiegel",   "rakuten",    "mercadolibre", "booking",       "lemonde",    "kotaku",
	"sparkasse", "gazeta",     "aftonbladet",  "wordpress",     "postgresql", "eff",
	"yandex",    "deviantart", "theguardian",  "allegro",       "tokopedia",  "instructables",
	"bahn",      "ryanair",    "hmrc",         "netflix",
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void known_names(void **state)
{
	for (size_t i = 0; i < COUNT(random_labels); i++)
		assert_true(score(random_labels[i], "com").random > 0);
	for (size_t i = 0; i < COUNT(people_labels); i++)
		assert_true(score(people_labels[i], "com").random < dga_bars[DGA_RANDOM].odd);
	for (size_t i = 0; i < COUNT(word_labels); i++) {
		assert_true(score(word_labels[i], "net").words > 0);
		assert_true(score(word_labels[i], "net").random < 0);
	}
	assert_true(score("hqtkvwpzrnmd", "com").words < 0);
	/* Case is nothing. */
	assert_int_equal(score("HqTkVwPzRnMd", "COM").random, score("hqtkvwpzrnmd", "com").random);
	assert_int_equal(score("GladCity", "net").words, score("gladcity", "net").words);
}

static void what_counts(void **state)
{
	char label[70];

	assert_true(counts("example", "com"));
	assert_true(counts("example", "co.uk"));
	assert_true(counts("example", "com.br"));
	assert_true(counts("qwpzrkdj", "duckdns.org"));
	assert_true(counts("12345678", "com"));
	assert_true(counts("example", "xn--p1ai"));

	assert_false(counts("kjdhfgqwer", "")); /* Chrome's probes */
	assert_false(counts("wpad", ""));
	assert_false(counts("", "com"));
	assert_false(counts("abc", "com"));
	assert_false(counts("113", "2.0.192.in-addr.arpa"));
	assert_false(counts("12345678", "ip6.arpa"));
	assert_false(counts("printer", "local"));
	assert_false(counts("fileserver", "corp"));
	assert_false(counts("fileserver", "HOME"));
	assert_false(counts("expyuzz4wqqyqhjn", "onion"));
	assert_false(counts("xn--80ak6aa92e", "com"));
	assert_false(counts("_sip-_tcp", "com"));
	assert_false(counts("_tcp", "com"));
	assert_false(counts("d111111abcdef8", "cloudfront.net"));
	assert_false(counts("ec2-192-0-2-1", "amazonaws.com"));
	assert_false(counts("somebody", "github.io"));
	assert_false(counts("example", "1"));
	assert_false(counts("example", "c0m"));
	assert_false(counts("example", "com."));

	memset(label, 'q', sizeof(label));
	assert_true(dga_counts((struct str){ label, 63 }, STR("com")));
	assert_false(dga_counts((struct str){ label, 64 }, STR("com")));
	assert_false(dga_counts(STR_NONE, STR("com")));
	assert_false(dga_counts(STR("example"), STR_NONE));
	assert_int_equal(score("xn--80ak6aa92e", "com").random, 0);
	assert_int_equal(score("kjdhfgqwer", "").random, 0);
}

static void bounds(void **state)
{
	uint16_t f[DGA_FEATURES_MAX];
	char label[80];

	for (int c = 0; c < 256; c++) {
		memset(label, c, sizeof(label));
		for (size_t n = 0; n <= sizeof(label); n++) {
			struct str s = { label, n };
			struct dga_score r = dga_score(s, STR("com"));

			assert_true(dga_features(s, STR("com"), f) <= DGA_FEATURES_MAX);
			assert_true(dga_word_cell(s, dga_words) < DGA_CELLS);
			assert_in_range(r.random + DGA_SCORE_MAX, 0, 2 * DGA_SCORE_MAX);
			assert_in_range(r.words + DGA_SCORE_MAX, 0, 2 * DGA_SCORE_MAX);
		}
	}
	assert_true(score("0123456789", "com").random != 0);
}

static void words_to_the_end(void **state)
{
	static uint8_t filter[DGA_WORDS_SIZE];

	dga_word_add(filter, STR("glad"));
	dga_word_add(filter, STR("City"));
	dga_word_add(filter, STR("of")); /* too short to mean anything */
	assert_int_equal(dga_word_cell(STR("gladcit"), filter), 0);
	assert_int_equal(dga_word_cell(STR("gladcity1"), filter), 0);
	assert_int_equal(dga_word_cell(STR("gladofcity"), filter), 0);
	assert_int_equal(dga_word_cell(STR("glad"), filter), 2);
	assert_int_equal(dga_word_cell(STR("gladcity"), filter), 4);
	assert_int_equal(dga_word_cell(STR("GLADCITY"), filter), 4);
	assert_int_equal(dga_word_cell(STR("glad-city"), filter), 12);
	assert_int_equal(dga_word_cell(STR("gladcitygladcitycity"), filter), 8);
}

static void steps(void **state)
{
	for (enum dga_kind k = 0; k < DGA_KINDS; k++) {
		int last = dga_step(k, -DGA_SCORE_MAX);

		assert_true(last < 0 && last >= -4 * DGA_NAT);
		for (int s = -DGA_SCORE_MAX; s <= DGA_SCORE_MAX; s++) {
			assert_true(dga_step(k, s) >= last);
			last = dga_step(k, s);
		}
		assert_int_equal(last, 3 * DGA_NAT);
		assert_int_equal(dga_step(k, 0), 0);
		assert_true(dga_bars[k].rare < dga_bars[k].rarest);
		assert_true(dga_log10_p(&dga_bars[k], dga_bars[k].rarest, 10) < -5.3);
		assert_true(dga_log10_p(&dga_bars[k], dga_bars[k].rarest, 50) > -5.3);
		assert_true(dga_log10_p(&dga_bars[k], 0, 1) <= 0);
	}
}

static bool ask(struct dga_seq *q, const char *label, const char *suffix, uint64_t at,
		struct dga_verdict *v)
{
	return dga_seq_nxdomain(q, str_of(label), str_of(suffix), at, SEED, v);
}

static void ten_random_names(void **state)
{
	struct dga_seq q = { 0 };
	struct dga_verdict v = { 0 };
	size_t i;

	for (i = 0; i < COUNT(random_labels) && !v.hit; i++)
		assert_true(ask(&q, random_labels[i], "com", i * SECOND, &v));
	assert_true(v.hit);
	assert_in_range(i, 4, 10); /* never by one or two */
	assert_int_equal(v.kind, DGA_RANDOM);
	assert_int_equal(v.names, i);
	assert_int_equal(v.weight, 25);
	assert_true(v.log10_p < -5.3f);
	for (unsigned k = 0; k < DGA_EXAMPLES; k++) {
		struct str e = dga_seq_example(&q, k);

		assert_int_equal(e.n > 12, true);
		assert_str(str_sub(e, e.n - 4, 4), ".com");
	}
	assert_int_equal(dga_seq_example(&q, DGA_EXAMPLES).n, 0);
}

static void word_names(void **state)
{
	struct dga_seq q = { 0 };
	struct dga_verdict v = { 0 };

	for (size_t i = 0; i < COUNT(word_labels); i++)
		assert_true(ask(&q, word_labels[i], "net", i * SECOND, &v));
	assert_true(v.hit);
	assert_int_equal(v.kind, DGA_WORDS);
	assert_int_equal(v.weight, 15);
}

static void people_are_quiet(void **state)
{
	struct dga_seq q = { 0 };
	struct dga_verdict v;
	char label[16];

	for (size_t i = 0; i < COUNT(people_labels); i++) {
		if (!ask(&q, people_labels[i], "com", i * SECOND, &v)) {
			assert_true(strlen(people_labels[i]) < 4);
			continue;
		}
		assert_int_equal(v.weight, 0);
		assert_false(v.hit);
	}
	/* A browser's probes, of single labels. */
	for (int i = 0; i < 100; i++) {
		snprintf(label, sizeof(label), "q%cxz%ckv%cwj", 'a' + i % 26, 'a' + i % 23,
			 'a' + i % 19);
		assert_false(ask(&q, label, "", i * SECOND, &v));
	}
}

static void each_label_once(void **state)
{
	struct dga_seq q = { 0 };
	struct dga_verdict v = { 0 };

	assert_true(ask(&q, random_labels[0], "com", 0, &v));
	for (int i = 0; i < 50; i++) {
		assert_false(ask(&q, random_labels[0], "com", i * SECOND, &v));
		assert_false(ask(&q, "HQTKVWPZRNMD", "net", i * SECOND, &v));
	}
	assert_int_equal(v.names, 1);
	assert_int_equal(q.names, 1);
	assert_int_equal(q.repeated, 100);
	assert_false(v.hit);
}

/* Half of the names are people's: it takes longer, and is found. */
static void among_others(void **state)
{
	struct dga_seq q = { 0 };
	struct dga_verdict v = { 0 };

	for (size_t i = 0; i < 2; i++)
		ask(&q, people_labels[i], "com", i * SECOND, &v);
	for (size_t i = 0; i < COUNT(random_labels); i++) {
		ask(&q, random_labels[i], "com", i * SECOND, &v);
		if (i % 4 == 3)
			ask(&q, people_labels[2 + i], "com", i * SECOND, &v);
	}
	assert_true(v.weight > 0);
	assert_true(v.log10_p < -5);
}

static void windows_end(void **state)
{
	struct dga_seq q = { 0 };
	struct dga_verdict v = { 0 };
	char label[32];
	unsigned counted = 0;

	for (size_t i = 0; i < 4; i++)
		ask(&q, random_labels[i], "com", SECOND, &v);
	assert_int_equal(v.names, 4);
	/* A clock that goes back changes nothing; a day later all is new. */
	assert_true(ask(&q, random_labels[4], "com", 0, &v));
	assert_int_equal(v.names, 5);
	assert_true(ask(&q, random_labels[0], "com", 2 * SECOND + DGA_WINDOW_NS, &v));
	assert_int_equal(v.names, 1);
	assert_true(q.sum[DGA_RANDOM] <= 3 * DGA_NAT);

	for (int i = 0; i < 3 * DGA_WINDOW_NAMES; i++) {
		snprintf(label, sizeof(label), "person%d", i);
		counted += ask(&q, label, "com", 3 * SECOND + DGA_WINDOW_NS, &v);
		assert_true(v.names <= DGA_WINDOW_NAMES);
	}
	assert_true(counted > 3 * DGA_WINDOW_NAMES * 9 / 10); /* the filter's mistakes are few */
}

static void hostile(void **state)
{
	struct dga_seq q = { 0 };
	struct dga_verdict v;
	char label[64], suffix[256];
	uint32_t dice = 1;

	for (int i = 0; i < 200000; i++) {
		size_t n = (dice >> 8) % sizeof(label), m = (dice >> 16) % 40;
		struct str s;

		for (size_t k = 0; k < n; k++, dice = dice * 1664525 + 1013904223)
			label[k] =
				i & 1 ? "abcdefghijklmnopqrstuvwxyz0123456789-"[(dice >> 16) % 37]
				      : (char)(dice >> 16);
		memset(suffix, 'a' + (dice >> 20) % 26, m);
		dice = dice * 1664525 + 1013904223;
		dga_seq_nxdomain(&q, (struct str){ label, n }, (struct str){ suffix, m },
				 (uint64_t)dice << 20, SEED, &v);
		assert_true(q.sum[0] >= 0 && q.sum[1] >= 0);
		for (unsigned k = 0; k < DGA_EXAMPLES; k++) {
			s = dga_seq_example(&q, k);
			assert_true(s.n <= DGA_EXAMPLE_MAX);
		}
	}
}

static void answered_names(void **state)
{
	assert_int_equal(dga_answered_weight(STR("wikipedia"), STR("org")), 0);
	assert_true(dga_answered_weight(STR("q9zk3xv7w1jt8h2m5rbd"), STR("com")) >= 3);
	assert_int_equal(dga_answered_weight(STR("l4f2c670ab71a49680a1159d782990e1f6"), STR("ws")),
			 6);
	assert_int_equal(dga_answered_weight(STR("q9zk3xv7w1jt8h2m5rbd"), STR("cloudfront.net")),
			 0);
	assert_int_equal(dga_answered_weight(STR("xn--80ak6aa92e"), STR("com")), 0);
	assert_int_equal(dga_answered_weight(STR_NONE, STR_NONE), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_names),     cmocka_unit_test(what_counts),
		cmocka_unit_test(bounds),          cmocka_unit_test(words_to_the_end),
		cmocka_unit_test(steps),           cmocka_unit_test(ten_random_names),
		cmocka_unit_test(word_names),      cmocka_unit_test(people_are_quiet),
		cmocka_unit_test(each_label_once), cmocka_unit_test(among_others),
		cmocka_unit_test(windows_end),     cmocka_unit_test(hostile),
		cmocka_unit_test(answered_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
