// SPDX-License-Identifier: Apache-2.0
#include "intel_rig.h"

/* --- questions ------------------------------------------------------------------------------------------------------ */

static void addresses_and_ports(void **state)
{
	static const struct text_feed feeds[] = {
		{ "ports", INTEL_C2, "192.0.2.1:443 # alpha\n192.0.2.1:8080\n[2001:db8::1]:443\n",
		  0 },
		{ "any", INTEL_TOR, "192.0.2.2\n192.0.2.1\n2001:db8::2\n", 0 },
	};
	struct intel_index *ix = build_of(feeds);

	assert_string_equal(ask_addr(ix, "192.0.2.1", 443), "ports address and port c2 100 alpha");
	assert_string_equal(ask_addr(ix, "192.0.2.1", 8080), "ports address and port c2 100");
	/* another port of it: what is listed for any */
	assert_string_equal(ask_addr(ix, "192.0.2.1", 80), "any address tor 100");
	assert_string_equal(ask_addr(ix, "192.0.2.1", 0), "any address tor 100");
	assert_string_equal(ask_addr(ix, "192.0.2.2", 80), "any address tor 100");
	assert_string_equal(ask_addr(ix, "192.0.2.3", 443), "-");
	assert_string_equal(ask_addr(ix, "2001:db8::1", 443), "ports address and port c2 100");
	assert_string_equal(ask_addr(ix, "2001:db8::1", 444), "-");
	assert_string_equal(ask_addr(ix, "2001:db8::1", 0), "-");
	assert_string_equal(ask_addr(ix, "2001:db8::2", 1), "any address tor 100");
	intel_index_free(ix);
}

static void ranges_most_specific_first(void **state)
{
	static const struct text_feed feeds[] = {
		{ "wide", INTEL_SCANNER, "198.51.100.0/22\n2001:db8::/32\n203.0.113.0/24\n", 0 },
		{ "narrow", INTEL_C2,
		  "198.51.100.64/26\n198.51.100.70\n2001:db8:1::/48\n203.0.113.0-203.0.113.9\n",
		  0 },
		{ "edges", INTEL_TOR, "8.0.0.0/16\n8.2.0.0/15\n223.255.255.0/24\n1.0.0.0/24\n", 0 },
	};
	struct intel_index *ix = build_of(feeds);

	assert_string_equal(ask_addr(ix, "198.51.100.1", 1), "wide range of addresses scanner 100");
	assert_string_equal(ask_addr(ix, "198.51.100.63", 1),
			    "wide range of addresses scanner 100");
	assert_string_equal(ask_addr(ix, "198.51.100.64", 1), "narrow range of addresses c2 100");
	assert_string_equal(ask_addr(ix, "198.51.100.127", 1), "narrow range of addresses c2 100");
	assert_string_equal(ask_addr(ix, "198.51.100.128", 1),
			    "wide range of addresses scanner 100");
	assert_string_equal(ask_addr(ix, "198.51.103.255", 1),
			    "wide range of addresses scanner 100");
	assert_string_equal(ask_addr(ix, "198.51.104.0", 1), "-");
	assert_string_equal(ask_addr(ix, "198.51.99.255", 1), "-");
	assert_string_equal(ask_addr(ix, "198.51.100.70", 1), "narrow address c2 100");
	assert_string_equal(ask_addr(ix, "203.0.113.9", 1), "narrow range of addresses c2 100");
	assert_string_equal(ask_addr(ix, "203.0.113.10", 1), "wide range of addresses scanner 100");
	assert_string_equal(ask_addr(ix, "2001:db8:1::9", 1), "narrow range of addresses c2 100");
	assert_string_equal(ask_addr(ix, "2001:db8:2::9", 1),
			    "wide range of addresses scanner 100");
	assert_string_equal(ask_addr(ix, "2001:db9::", 1), "-");
	assert_string_equal(ask_addr(ix, "8.0.255.255", 1), "edges range of addresses tor 100");
	assert_string_equal(ask_addr(ix, "8.1.0.0", 1), "-");
	assert_string_equal(ask_addr(ix, "8.3.128.0", 1), "edges range of addresses tor 100");
	assert_string_equal(ask_addr(ix, "8.4.0.0", 1), "-");
	assert_string_equal(ask_addr(ix, "1.0.0.0", 1), "edges range of addresses tor 100");
	assert_string_equal(ask_addr(ix, "0.255.255.255", 1), "-");
	assert_string_equal(ask_addr(ix, "223.255.255.255", 1), "edges range of addresses tor 100");
	assert_string_equal(ask_addr(ix, "255.255.255.255", 1), "-");
	intel_index_free(ix);
}

/* Any ranges at all: what is found is what a look at every one of them finds. */
static void ranges_against_a_plain_search(void **state)
{
	struct {
		uint32_t lo, hi;
	} v[300];
	struct buf text = BUF_INIT(1 << 16);
	uint64_t dice = 1;
	struct intel_index *ix;

	for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
		char lo[ADDR_TEXT_MAX], hi[ADDR_TEXT_MAX];
		struct addr a, b;

		dice = dice * 6364136223846793005ULL + 1442695040888963407ULL;
		/* nested, never crossing: prefixes of 17 to 28 bits of a few blocks */
		uint32_t bits = 17 + (uint32_t)(dice >> 60) % 12, mask = ~0U << (32 - bits);

		v[i].lo = ((uint32_t)(dice >> 40) % 3 << 16 | ((uint32_t)(dice >> 16) & 0xffff) |
			   0x55000000U) &
			  mask;
		v[i].hi = v[i].lo | ~mask;
		a = addr_from_v4(&(uint32_t){ __builtin_bswap32(v[i].lo) });
		b = addr_from_v4(&(uint32_t){ __builtin_bswap32(v[i].hi) });
		buf_printf(&text, "%s-%s # %u\n", addr_format(&a, lo), addr_format(&b, hi),
			   v[i].hi - v[i].lo);
	}
	ix = build_of(((struct text_feed[]){ { "all", INTEL_C2, text.p, LIST_PLAIN } }));
	for (uint32_t i = 0; i < 4 << 16; i += 7) {
		uint32_t ip = 0x55000000U - 0x8000 + i, smallest = UINT32_MAX;
		struct addr a = addr_from_v4(&(uint32_t){ __builtin_bswap32(ip) });
		struct intel_hit hit;
		uint64_t said;

		for (size_t k = 0; k < ARRAY_SIZE(v); k++)
			if (v[k].lo <= ip && ip <= v[k].hi && v[k].hi - v[k].lo < smallest)
				smallest = v[k].hi - v[k].lo;
		assert_int_equal(intel_addr(ix, &a, 1, &hit), smallest != UINT32_MAX);
		if (smallest == UINT32_MAX)
			continue;
		assert_ok(str_parse_u64(hit.note, &said));
		assert_int_equal(said, smallest);
	}
	intel_index_free(ix);
	buf_done(&text);
}

static void names_and_what_is_below(void **state)
{
	static const struct text_feed feeds[] = {
		{ "trails", INTEL_C2, "bad.example\nduck.example:5552\n", LIST_PLAIN },
		{ "hosts", INTEL_MALWARE, "0.0.0.0 only.example.net\n", LIST_HOSTS },
		{ "rpz", INTEL_PHISHING, "$TTL 60\n*.below.example CNAME .\n", LIST_RPZ },
		{ "exact", INTEL_MINING, "pool.example.org\n", LIST_PLAIN, 0, INTEL_NAMES_EXACT },
		{ "deep", INTEL_TOR, "a.b.bad.example\n", LIST_PLAIN },
		{ "hosting", INTEL_C2, "github.io\nco.uk\n", LIST_PLAIN },
		{ "free", INTEL_SUSPICIOUS, "000webhostapp.com\n", LIST_PLAIN },
	};
	struct intel_built stats;
	struct intel_index *ix = built(feeds, ARRAY_SIZE(feeds), &stats);

	assert_string_equal(ask_name(ix, "bad.example", 0), "trails name c2 100");
	assert_string_equal(ask_name(ix, "BAD.Example.", 0), "trails name c2 100");
	assert_string_equal(ask_name(ix, "x.y.bad.example", 443), "trails name c2 100");
	assert_string_equal(ask_name(ix, "xbad.example", 0), "-");
	assert_string_equal(ask_name(ix, "example", 0), "-");
	assert_string_equal(ask_name(ix, "bad.example.com", 0), "-");
	/* the longest wins */
	assert_string_equal(ask_name(ix, "a.b.bad.example", 0), "deep name tor 100");
	assert_string_equal(ask_name(ix, "z.a.b.bad.example", 0), "deep name tor 100");
	assert_string_equal(ask_name(ix, "b.bad.example", 0), "trails name c2 100");
	assert_string_equal(ask_name(ix, "only.example.net", 0), "hosts name malware 100");
	assert_string_equal(ask_name(ix, "www.only.example.net", 0), "-");
	assert_string_equal(ask_name(ix, "below.example", 0), "-");
	assert_string_equal(ask_name(ix, "x.below.example", 0), "rpz name phishing 100");
	assert_string_equal(ask_name(ix, "pool.example.org", 0), "exact name mining 100");
	assert_string_equal(ask_name(ix, "a.pool.example.org", 0), "-");
	/* a question for the name tells, and the port when it is known; another port does not */
	assert_string_equal(ask_name(ix, "duck.example", 0), "trails name c2 100");
	assert_string_equal(ask_name(ix, "duck.example", 5552), "trails name c2 100");
	assert_string_equal(ask_name(ix, "duck.example", 443), "-");
	/* nobody is accused for whose roof he lives under */
	assert_string_equal(ask_name(ix, "github.io", 0), "hosting name c2 100");
	assert_string_equal(ask_name(ix, "someone.github.io", 0), "-");
	assert_string_equal(ask_name(ix, "bbc.co.uk", 0), "-");
	assert_string_equal(ask_name(ix, "x.000webhostapp.com", 0), "free name suspicious 100");
	assert_int_equal(stats.narrowed, 2);
	assert_string_equal(ask_name(ix, "", 0), "-");
	assert_string_equal(ask_name(ix, ".", 0), "-");
	assert_string_equal(ask_name(ix, "..bad.example", 0), "trails name c2 100");
	assert_string_equal(ask_name(ix, "a..", 0), "-");
	intel_index_free(ix);
}

static void names_of_any_length(void **state)
{
	struct intel_index *ix = build_of(
		((struct text_feed[]){ { "trails", INTEL_C2, "bad.example\n", LIST_PLAIN } }));
	struct buf name = BUF_INIT(4096);

	/* 126 labels and the name are 250 bytes */
	for (int i = 0; i < 119; i++)
		buf_puts(&name, "a.");
	buf_puts(&name, "bad.example");
	assert_int_equal(name.n, 249);
	assert_string_equal(ask_name(ix, name.p, 0), "trails name c2 100");
	for (int i = 0; i < 100; i++)
		buf_puts(&name, ".example");
	assert_string_equal(ask_name(ix, name.p, 0), "-");
	buf_done(&name);
	intel_index_free(ix);
}

static void urls(void **state)
{
	static const struct text_feed feeds[] = {
		{ "urls", INTEL_MALWARE,
		  "http://Host.Example/a/b.php\nhttp://host.example/q.php?id=1\nhost.example:8080/"
		  "x\n"
		  "meuble.example/black/\nhttp://192.0.2.2/five/fre.php\nhttps://enc.example/"
		  "%7Euser/%2f%2Fx\n"
		  "http://192.0.2.77\nhttps://192.0.2.78:444/\nhttp://whole.example/\nhttp://"
		  "[2001:db8::7]/z/z\n",
		  LIST_PLAIN },
		{ "paths", INTEL_C2, "/neam.meow\n/x.a\n", LIST_PLAIN },
	};
	struct intel_built stats;
	struct intel_index *ix = built(feeds, ARRAY_SIZE(feeds), &stats);

	assert_string_equal(ask_url(ix, "host.example", 80, "/a/b.php"), "urls URL malware 100");
	assert_string_equal(ask_url(ix, "HOST.example:80", 80, "/a/b.php?x=1"),
			    "urls URL malware 100");
	assert_string_equal(ask_url(ix, "host.example", 0, "/a/b.php/more#f"),
			    "urls URL malware 100");
	assert_string_equal(ask_url(ix, "host.example", 80, "/a/b.phpx"), "-");
	assert_string_equal(ask_url(ix, "host.example", 80, "/a"), "-");
	assert_string_equal(ask_url(ix, "host.example", 80, "/A/b.php"), "-");
	/* with a query: that one only */
	assert_string_equal(ask_url(ix, "host.example", 80, "/q.php?id=1"), "urls URL malware 100");
	assert_string_equal(ask_url(ix, "host.example", 80, "/q.php?id=2"), "-");
	assert_string_equal(ask_url(ix, "host.example", 80, "/q.php"), "-");
	/* ports are part of the place, whichever side says them */
	assert_string_equal(ask_url(ix, "host.example:8080", 8080, "/x"), "urls URL malware 100");
	assert_string_equal(ask_url(ix, "host.example", 8080, "/x/y"), "urls URL malware 100");
	assert_string_equal(ask_url(ix, "host.example", 80, "/x"), "-");
	assert_string_equal(ask_url(ix, "meuble.example", 80, "/black/in.php"),
			    "urls URL malware 100");
	assert_string_equal(ask_url(ix, "meuble.example", 80, "/black"), "urls URL malware 100");
	assert_string_equal(ask_url(ix, "meuble.example", 80, "/blacker"), "-");
	assert_string_equal(ask_url(ix, "192.0.2.2", 80, "/five/fre.php"), "urls URL malware 100");
	assert_string_equal(ask_url(ix, "[2001:db8::7]:80", 80, "/z/z"), "urls URL malware 100");
	assert_string_equal(ask_url(ix, "enc.example", 443, "/~user/%2F%2fx"),
			    "urls URL malware 100");
	/* no path: the host itself */
	assert_string_equal(ask_addr(ix, "192.0.2.77", 80), "urls address and port malware 100");
	assert_string_equal(ask_addr(ix, "192.0.2.77", 443), "-");
	assert_string_equal(ask_addr(ix, "192.0.2.78", 444), "urls address and port malware 100");
	assert_string_equal(ask_name(ix, "whole.example", 443), "urls name malware 100");
	/* a path alone: exactly it, anywhere; short ones are nothing */
	assert_string_equal(ask_url(ix, "any.example", 80, "/neam.meow"),
			    "paths path of a URL c2 100");
	assert_string_equal(ask_url(ix, "any.example", 80, "/neam.meow?1"),
			    "paths path of a URL c2 100");
	assert_string_equal(ask_url(ix, "any.example", 80, "/a/neam.meow"), "-");
	assert_string_equal(ask_url(ix, "any.example", 80, "/x.a"), "-");
	assert_int_equal(stats.unusable, 1);
	assert_string_equal(ask_url(ix, "", 80, "/"), "-");
	assert_string_equal(ask_url(ix, "host.example", 80, ""), "-");
	assert_string_equal(ask_url(ix, "[::1", 80, "/a"), "-");
	intel_index_free(ix);
}

static void hashes(void **state)
{
	static const struct text_feed feeds[] = {
		{ "sslbl", INTEL_C2,
		  "# Listingdate,SHA1,Listingreason\n"
		  "2026-09-01 00:00:00,4B4A96BCEDA49EF45B8CFD74CB7AB8AFE20C9A13,Cobalt C&C\n",
		  LIST_AUTO },
		{ "ja3", INTEL_MALWARE,
		  "# ja3_md5,Firstseen,Lastseen,Listingreason\n"
		  "b386946a5a44d1ddcc843bc75336dfce,2017-07-14 18:08:15,2019-07-27 "
		  "20:42:54,Dridex\n",
		  LIST_AUTO },
		{ "zeek", INTEL_C2,
		  "#fields\tindicator\tindicator_type\tmeta.desc\n"
		  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\tIntel::CERT_"
		  "HASH\tx\n"
		  "44d88612fea8a8f36de82e1278abb02f\tIntel::FILE_HASH\ty\n",
		  LIST_AUTO },
		{ "plain", INTEL_C2, "t13d1516h2_8daaf6152771_b186095e22b6\n", LIST_PLAIN },
	};
	struct intel_built stats;
	struct intel_index *ix = built(feeds, ARRAY_SIZE(feeds), &stats);

	assert_string_equal(ask_hash(ix, INTEL_CERT, "4b4a96bceda49ef45b8cfd74cb7ab8afe20c9a13"),
			    "sslbl certificate c2 100 Cobalt C&C");
	assert_string_equal(ask_hash(ix, INTEL_CERT,
				     "4B:4A:96:BC:ED:A4:9E:F4:5B:8C:FD:74:CB:7A:B8:AF:E2:0C:9A:13"),
			    "sslbl certificate c2 100 Cobalt C&C");
	assert_string_equal(
		ask_hash(ix, INTEL_CERT,
			 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
		"zeek certificate c2 100 x");
	assert_string_equal(ask_hash(ix, INTEL_JA3, "b386946a5a44d1ddcc843bc75336dfce"),
			    "ja3 JA3 malware 100 Dridex");
	assert_string_equal(ask_hash(ix, INTEL_CERT, "b386946a5a44d1ddcc843bc75336dfce"), "-");
	assert_string_equal(ask_hash(ix, INTEL_JA3, "4b4a96bceda49ef45b8cfd74cb7ab8afe20c9a13"),
			    "-");
	assert_string_equal(ask_hash(ix, INTEL_JA4, "t13d1516h2_8daaf6152771_b186095e22b6"),
			    "plain JA4 c2 100");
	assert_string_equal(ask_hash(ix, INTEL_NAME, "t13d1516h2_8daaf6152771_b186095e22b6"), "-");
	assert_string_equal(ask_hash(ix, INTEL_JA3, ""), "-");
	assert_int_equal(stats.unusable, 1);
	intel_index_free(ix);
}

static void what_allow_takes_back(void **state)
{
	static const struct text_feed feeds[] = {
		{ "bad", INTEL_C2,
		  "popular.example\nevil.popular.example\n192.0.2.1\n192.0.2.65:443\n198.51.100.0/"
		  "24\n203.0.113.5\n"
		  "http://popular.example/evil\nhttp://popular.example/login\n/"
		  "popular.html\n2001:db8::5\nbad.cdn.example\n",
		  LIST_PLAIN },
		{ "warning", INTEL_ALLOW,
		  "{\"list\":[\"popular.example\",\"192.0.2.0/25\",\"198.51.100.7\",\"2001:db8::/"
		  "64\"]}",
		  LIST_AUTO },
		{ "pages", INTEL_ALLOW, "http://popular.example/login\n*.cdn.example\n",
		  LIST_PLAIN },
	};
	struct intel_index *ix = build_of(feeds);

	assert_string_equal(ask_name(ix, "popular.example", 0), "bad cancelled by warning");
	/* the name between is popular itself, what is listed is below it and is another's */
	assert_string_equal(ask_name(ix, "www.popular.example", 0), "bad cancelled by warning");
	assert_string_equal(ask_name(ix, "evil.popular.example", 0), "bad name c2 100");
	assert_string_equal(ask_addr(ix, "192.0.2.1", 1), "bad cancelled by warning");
	assert_string_equal(ask_addr(ix, "192.0.2.65", 443), "bad cancelled by warning");
	assert_string_equal(ask_addr(ix, "198.51.100.7", 443), "bad cancelled by warning");
	assert_string_equal(ask_addr(ix, "198.51.100.8", 443), "bad range of addresses c2 100");
	assert_string_equal(ask_addr(ix, "203.0.113.5", 443), "bad address c2 100");
	assert_string_equal(ask_addr(ix, "2001:db8::5", 443), "bad cancelled by warning");
	assert_string_equal(ask_addr(ix, "192.0.2.2", 1), "-");
	assert_string_equal(ask_url(ix, "popular.example", 0, "/evil"), "bad URL c2 100");
	assert_string_equal(ask_url(ix, "popular.example", 0, "/login"), "bad cancelled by pages");
	assert_string_equal(ask_url(ix, "popular.example", 0, "/popular.html"),
			    "bad cancelled by warning");
	assert_string_equal(ask_url(ix, "other.example", 0, "/popular.html"),
			    "bad path of a URL c2 100");
	/* allowed alone is nothing */
	assert_string_equal(ask_name(ix, "x.cdn.example", 0), "-");
	intel_index_free(ix);
}

static void what_several_feeds_say(void **state)
{
	static const struct text_feed feeds[] = {
		{ "scanner", INTEL_SCANNER, "192.0.2.1\nsame.example\n", LIST_PLAIN },
		{ "weak", INTEL_C2, "192.0.2.1\nsame.example\n", LIST_PLAIN, 10 },
		{ "strong", INTEL_C2, "192.0.2.1\nsame.example\n192.0.2.0/24\n", LIST_PLAIN, 90 },
		{ "ranges", INTEL_SCANNER, "192.0.2.0/24\n", LIST_PLAIN },
		{ "maltrail", INTEL_MALWARE,
		  "one.example,malware/esfur\ntwo.example,suspicious/bad_history\n", LIST_CSV, 80 },
	};
	struct intel_built stats;
	struct intel_index *ix = built(feeds, ARRAY_SIZE(feeds), &stats);
	struct intel_counts counts;

	assert_string_equal(ask_addr(ix, "192.0.2.1", 9), "strong address c2 90");
	assert_string_equal(ask_name(ix, "same.example", 0), "strong name c2 90");
	assert_string_equal(ask_addr(ix, "192.0.2.9", 9), "strong range of addresses c2 90");
	assert_string_equal(ask_name(ix, "a.one.example", 0),
			    "maltrail name malware 80 malware/esfur");
	assert_string_equal(ask_name(ix, "two.example", 0),
			    "maltrail name suspicious 80 suspicious/bad_history");
	assert_int_equal(stats.entries, 10);
	assert_int_equal(stats.merged, 4);
	intel_index_counts(ix, &counts);
	assert_int_equal(counts.indicators, 5);
	assert_int_equal(counts.addresses, 1);
	assert_int_equal(counts.names, 3);
	assert_int_equal(counts.ranges4, 1);
	assert_int_equal(counts.feeds, 5);
	assert_int_equal(counts.built_s, NOW);
	intel_index_free(ix);
}

static void addresses_of_no_internet(void **state)
{
	static const struct text_feed feeds[] = {
		{ "bogons", INTEL_C2,
		  "127.0.0.1\n127.0.0.0/8\n10.0.0.0/8\n192.168.0.0/"
		  "16\n224.0.0.1\n0.0.0.0\n::1\nfe80::/10\n10.1.2.3\n"
		  "169.254.169.254\n",
		  LIST_PLAIN },
	};
	struct intel_built stats;
	struct intel_index *ix = built(feeds, ARRAY_SIZE(feeds), &stats);

	assert_string_equal(ask_addr(ix, "127.0.0.1", 80), "-");
	assert_string_equal(ask_addr(ix, "10.9.9.9", 80), "-");
	/* somebody who writes one address of a house means it */
	assert_string_equal(ask_addr(ix, "10.1.2.3", 80), "bogons address c2 100");
	assert_int_equal(stats.unusable, 9);
	intel_index_free(ix);
}

static void too_many_ports_of_one_address(void **state)
{
	struct buf text = BUF_INIT(1 << 20);
	struct intel_built stats;
	struct intel_index *ix;

	for (unsigned port = 1; port <= 1000; port++)
		buf_printf(&text, "192.0.2.1:%u\n", port);
	ix = built(&(struct text_feed){ "ports", INTEL_C2, text.p, LIST_PLAIN }, 1, &stats);
	assert_int_equal(stats.unusable, 1000 - INTEL_RUN_MAX);
	assert_string_equal(ask_addr(ix, "192.0.2.1", 1), "ports address and port c2 100");
	assert_string_equal(ask_addr(ix, "192.0.2.1", INTEL_RUN_MAX),
			    "ports address and port c2 100");
	assert_string_equal(ask_addr(ix, "192.0.2.1", INTEL_RUN_MAX + 1), "-");
	buf_done(&text);
	intel_index_free(ix);
}

/* More that is different than there is room for: notes and dates go, no place is lost. */
static void too_many_different_records(void **state)
{
	struct intel_feed feed = INTEL_FEED_INIT;
	struct intel_builder *b = NULL;
	struct intel_index *ix = NULL;
	struct intel_built stats;
	struct intel_hit hit;
	uint32_t n = INTEL_RECORDS_MAX + 5000;

	snprintf(feed.name, sizeof(feed.name), "many");
	assert_ok(intel_builder_new(&b, NOW, 0));
	assert_ok(intel_builder_feed(b, &feed, NOW));
	for (uint32_t i = 0; i < n; i++) {
		struct addr a = addr_from_v4(&(uint32_t){ __builtin_bswap32(0x0b000000U + i) });

		assert_ok(intel_builder_add(
			b, &(struct list_entry){ .lo = a,
						 .hi = a,
						 .port = (uint16_t)(1 + i % 2000),
						 .seen_s = NOW - (int64_t)(i / 2000) * DAY,
						 .note = STR("x") }));
	}
	assert_ok(intel_builder_write(b, in_folder("a"), &stats));
	intel_builder_free(b);
	assert_int_equal(stats.dates_lost, 5000);
	assert_int_equal(stats.unusable, 0);
	assert_ok(intel_index_open(&ix, in_folder("a"), INTEL_OPEN_CHECKED));
	for (uint32_t i = 0; i < n; i += i < n - 6000 ? 997 : 1) {
		struct addr a = addr_from_v4(&(uint32_t){ __builtin_bswap32(0x0b000000U + i) });

		assert_true(intel_addr(ix, &a, (uint16_t)(1 + i % 2000), &hit));
		assert_int_equal(hit.dated, i < INTEL_RECORDS_MAX);
		assert_int_equal(hit.note.n, i < INTEL_RECORDS_MAX);
	}
	intel_index_free(ix);
}

/* --- weight --------------------------------------------------------------------------------------------------------- */

static void weights(void **state)
{
	struct intel_hit hit = { .kind = INTEL_ADDR_PORT,
				 .class = INTEL_C2,
				 .confidence = 100,
				 .dated = true,
				 .seen_s = NOW };

	assert_int_equal(intel_weight(&hit, NOW), 45);
	assert_int_equal(intel_weight(&hit, NOW - DAY), 45);
	assert_int_equal(intel_weight(&hit, NOW + 7 * DAY), 34);
	assert_int_equal(intel_weight(&hit, NOW + 14 * DAY), 0);
	assert_int_equal(intel_weight(&hit, NOW + 1000 * DAY), 0);
	hit.confidence = 50;
	assert_int_equal(intel_weight(&hit, NOW), 23);
	hit.confidence = 255;
	assert_int_equal(intel_weight(&hit, NOW), 45);
	hit.kind = INTEL_NAME;
	assert_int_equal(intel_weight(&hit, NOW + 14 * DAY), 39);
	/* what the user put there himself keeps half until its feed expires */
	hit.lasting = true;
	assert_int_equal(intel_weight(&hit, NOW + 1000 * DAY), 20);
	hit.cancelled = true;
	assert_int_equal(intel_weight(&hit, NOW), 0);
	for (unsigned kind = 0; kind < INTEL_KIND_COUNT; kind++) {
		hit = (struct intel_hit){
			.kind = kind, .class = INTEL_ALLOW, .confidence = 100, .seen_s = NOW
		};
		assert_int_equal(intel_weight(&hit, NOW), 0);
		hit.class = INTEL_SCANNER;
		assert_int_equal(intel_weight(&hit, NOW), 1);
		/* nothing that is only a service accuses anybody by itself */
		for (unsigned class = INTEL_TOR; class < INTEL_MINING; class ++) {
			hit.class = class;
			assert_in_range(intel_weight(&hit, NOW), 1, 12);
		}
	}
	hit.kind = INTEL_KIND_COUNT;
	assert_int_equal(intel_weight(&hit, NOW), 0);
}

static void dates_and_confidence(void **state)
{
	static const char table[] = "first_seen,last_seen,ip,port,confidence,malware\n"
				    "2026-01-01,2026-09-20,192.0.2.1,443,75,Qak\n"
				    "2026-09-01,,192.0.2.2,443,,Emo\n"
				    ",,192.0.2.3,443,40,\n";
	static const struct text_feed feeds[] = {
		{ "file", INTEL_C2, table, LIST_CSV, 80 },
		{ "url", INTEL_C2, "192.0.2.4\n", LIST_PLAIN, 0, 0, true },
	};
	struct intel_index *ix = build_of(feeds);
	struct addr a = addr_of("192.0.2.1");
	struct intel_hit hit;

	assert_true(intel_addr(ix, &a, 443, &hit));
	assert_true(hit.dated);
	assert_int_equal(hit.seen_s, 1789862400); /* 2026-09-20 */
	assert_int_equal(hit.confidence, 60);
	assert_str(hit.note, "Qak");
	a = addr_of("192.0.2.2");
	assert_true(intel_addr(ix, &a, 443, &hit));
	assert_int_equal(hit.seen_s, 1788220800);
	assert_int_equal(hit.confidence, 80);
	assert_int_equal(intel_weight(&hit, NOW), 0);
	a = addr_of("192.0.2.3");
	assert_true(intel_addr(ix, &a, 443, &hit));
	assert_false(hit.dated);
	assert_true(hit.lasting);
	assert_int_equal(hit.seen_s, NOW);
	assert_int_equal(hit.confidence, 32);
	assert_int_equal(hit.note.n, 0);
	a = addr_of("192.0.2.4");
	assert_true(intel_addr(ix, &a, 443, &hit));
	assert_false(hit.dated || hit.lasting);
	assert_int_equal(intel_weight(&hit, NOW), 30);
	assert_int_equal(intel_weight(&hit, NOW + 7 * DAY), 0);
	intel_index_free(ix);
}

static void notes(void **state)
{
	struct buf text = BUF_INIT(4096);
	struct intel_index *ix;
	struct intel_hit hit;

	buf_puts(&text, "a.example # ");
	for (int i = 0; i < 119; i++)
		buf_putc(&text, 'x');
	buf_puts(&text, "\xc3\xbc\xc3\xbc\xc3\xbc\n"
			"b.example # tab\there\n");
	ix = build_of(((struct text_feed[]){ { "n", INTEL_C2, text.p, LIST_PLAIN } }));
	assert_true(intel_name(ix, STR("a.example"), 0, &hit));
	assert_int_equal(hit.note.n, 119);
	assert_true(intel_name(ix, STR("b.example"), 0, &hit));
	assert_str(hit.note, "tab here");
	intel_index_free(ix);
	buf_done(&text);
}

/* --- damaged files -------------------------------------------------------------------------------------------------- */

static int write_and_open(const void *p, size_t n, enum intel_open_mode mode)
{
	struct intel_index *ix = NULL;
	FILE *f = fopen(in_folder("b"), "w");
	int r;

	assert_non_null(f);
	assert_int_equal(fwrite(p, 1, n, f), n);
	fclose(f);
	r = intel_index_open(&ix, in_folder("b"), mode);
	intel_index_free(ix);
	return r;
}

static void damaged_files(void **state)
{
	static const struct text_feed feeds[] = {
		{ "x", INTEL_C2, "a.example # note\n192.0.2.0/24\n", LIST_PLAIN }
	};
	size_t n;
	uint8_t *p;

	intel_index_free(build_of(feeds));
	p = file_bytes(in_folder("a"), &n);
	assert_ok(write_and_open(p, n, INTEL_OPEN_CHECKED));
	/* cut short, longer, empty */
	for (size_t cut = 0; cut < n; cut += n / 50 + 1)
		assert_err(write_and_open(p, cut, INTEL_OPEN_QUICK), -EBADMSG);
	assert_err(write_and_open(p, n - 1, INTEL_OPEN_QUICK), -EBADMSG);
	/* a bit anywhere: in the head it always shows, elsewhere when all is read */
	for (size_t i = 0; i < n; i += i < sizeof(struct intel_head) ? 1 : 4099) {
		p[i] ^= 4;
		assert_err(write_and_open(p, n, INTEL_OPEN_CHECKED), -EBADMSG);
		if (i < sizeof(struct intel_head))
			assert_err(write_and_open(p, n, INTEL_OPEN_QUICK), -EBADMSG);
		p[i] ^= 4;
	}
	free(p);
	assert_err(write_and_open("", 0, INTEL_OPEN_QUICK), -EBADMSG);
	struct intel_index *ix = NULL;
	assert_err(intel_index_open(&ix, in_folder("none"), INTEL_OPEN_QUICK), -ENOENT);
	assert_err(intel_index_open(&ix, folder, INTEL_OPEN_QUICK), -EBADMSG);
}

static void an_empty_snapshot(void **state)
{
	struct intel_index *ix = built(NULL, 0, NULL);
	struct intel_feed_state feed;

	assert_string_equal(ask_addr(ix, "192.0.2.1", 1), "-");
	assert_string_equal(ask_addr(ix, "2001:db8::1", 1), "-");
	assert_string_equal(ask_name(ix, "a.example", 1), "-");
	assert_string_equal(ask_url(ix, "a.example", 1, "/x"), "-");
	assert_string_equal(ask_hash(ix, INTEL_JA3, "b386946a5a44d1ddcc843bc75336dfce"), "-");
	assert_false(intel_index_feed(ix, 0, &feed));
	intel_index_free(ix);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_and_ports),
		cmocka_unit_test(ranges_most_specific_first),
		cmocka_unit_test(ranges_against_a_plain_search),
		cmocka_unit_test(names_and_what_is_below),
		cmocka_unit_test(names_of_any_length),
		cmocka_unit_test(urls),
		cmocka_unit_test(hashes),
		cmocka_unit_test(what_allow_takes_back),
		cmocka_unit_test(what_several_feeds_say),
		cmocka_unit_test(addresses_of_no_internet),
		cmocka_unit_test(too_many_ports_of_one_address),
		cmocka_unit_test(too_many_different_records),
		cmocka_unit_test(weights),
		cmocka_unit_test(dates_and_confidence),
		cmocka_unit_test(notes),
		cmocka_unit_test(damaged_files),
		cmocka_unit_test(an_empty_snapshot),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
