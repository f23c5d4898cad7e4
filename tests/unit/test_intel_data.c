// SPDX-License-Identifier: Apache-2.0
/* Lists of others at their full size, see MANIFEST.md there: what they list is found, and nothing else is. */
#include "intel_rig.h"

#include <time.h>

#define PREFIX "lists/"

static struct str slurp(const char *path)
{
	char command[600];
	bool is_xz = strstr(path, ".xz") != NULL;
	size_t room = 64 << 20;
	char *p = malloc(room);
	struct str s;
	FILE *f;

	assert_non_null(p);
	snprintf(command, sizeof(command), "xz -dc '%s'", path);
	f = is_xz ? popen(command, "r") : fopen(path, "r");
	assert_non_null(f);
	s = (struct str){ p, fread(p, 1, room, f) };
	assert_true(s.n < room);
	if (is_xz)
		assert_int_equal(pclose(f), 0);
	else
		fclose(f);
	return s;
}

/* Feeds from the shared data into one snapshot. */
struct data_feed {
	const char *file;
	enum intel_class class;
};

static struct intel_index *built_from(const struct data_feed *feeds, size_t n)
{
	struct intel_builder *b = NULL;
	struct intel_index *ix = NULL;
	struct intel_built stats;

	assert_ok(intel_builder_new(&b, NOW, 0));
	for (size_t i = 0; i < n; i++) {
		struct intel_feed f = INTEL_FEED_INIT;
		struct list_report report = { 0 };
		char name[128], path[512];
		struct str text;

		snprintf(name, sizeof(name), PREFIX "%s", feeds[i].file);
		text = slurp(test_data(name, path));
		snprintf(f.name, sizeof(f.name), "%s", strrchr(name, '/') + 1);
		f.class = feeds[i].class;
		assert_ok(intel_builder_list(b, &f, text, NOW, &report));
		assert_true(report.bad * 1000 <= report.entries);
		free((char *)text.p);
	}
	assert_ok(intel_builder_write(b, in_folder("a"), &stats));
	intel_builder_free(b);
	print_message("%lu entries, %lu merged, %lu unusable, %lu narrowed, %lu bytes\n",
		      stats.entries, stats.merged, stats.unusable, stats.narrowed,
		      stats.file_bytes);
	assert_ok(intel_index_open(&ix, in_folder("a"), INTEL_OPEN_CHECKED));
	return ix;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names of the table, and whether one of them is `name` or above it. */
struct names {
	char **v;
	size_t n;
};

static struct names names_of(struct str text)
{
	struct names names = { malloc(2000000 * sizeof(char *)), 0 };
	struct str line, name;

	assert_non_null(names.v);
	while (str_cut(&text, '\n', &line)) {
		if (!str_cut(&line, ',', &name) || !name.n)
			continue;
		assert_true(names.n < 2000000);
		names.v[names.n++] = (char *)name.p;
		((char *)name.p)[name.n] = 0;
	}
	qsort(names.v, names.n, sizeof(char *), by_text);
	return names;
}

static bool has_name_or_above(const struct names *names, const char *name)
{
	for (const char *at = name; at; at = strchr(at, '.')) {
		at += *at == '.';
		if (bsearch(&at, names->v, names->n, sizeof(char *), by_text))
			return true;
	}
	return false;
}

static void a_million_names(void **state)
{
	static const struct data_feed feeds[] = { { "maltrail-domains.csv.xz", INTEL_MALWARE } };
	struct intel_index *ix = built_from(feeds, ARRAY_SIZE(feeds));
	unsigned tried = 0, narrow = 0, agreed = 0, benign = 0, hits = 0, invented = 0;
	struct intel_counts counts;
	struct str listed_text, popular, rest, one;
	struct names names;
	struct intel_hit hit;
	char path[512];

	intel_index_counts(ix, &counts);
	assert_int_equal(counts.names, 1160659);
	listed_text = slurp(test_data(PREFIX "maltrail-domains.csv.xz", path));
	names = names_of(listed_text);
	for (size_t i = 0; i < names.n; i += 1000) {
		char below[300], beside[300];
		struct str name = str_of(names.v[i]);

		/* four of the lines end in a label of digits */
		if (name.p[name.n - 1] >= '0' && name.p[name.n - 1] <= '9')
			continue;
		tried++;
		if (!intel_name(ix, name, 0, &hit))
			fail_msg("%s is not found", names.v[i]);
		snprintf(below, sizeof(below), "a.www.%s", names.v[i]);
		narrow += !intel_name(ix, str_of(below), 443, &hit);
		/* what only ends like it is nothing, unless something else of the list is */
		snprintf(beside, sizeof(beside), "q%s", names.v[i]);
		agreed += intel_name(ix, str_of(beside), 0, &hit) ==
			  has_name_or_above(&names, beside);
	}
	print_message("%u names, %u of them public suffixes that stand for themselves alone\n",
		      tried, narrow);
	assert_true(tried > 1150);
	assert_true(narrow <= 2);
	assert_in_range(agreed, tried - narrow, tried);

	popular = slurp(test_data(PREFIX "cloudflare-top10k.json", path));
	rest = popular;
	while (str_cut(&rest, '"', &one)) {
		char name[300];
		bool listed;

		if (one.n > 250 || !memchr(one.p ? one.p : "", '.', one.n) ||
		    memchr(one.p, ' ', one.n) || memchr(one.p, '/', one.n))
			continue;
		snprintf(name, sizeof(name), "%.*s", STR_FMT(one));
		benign++;
		listed = intel_name(ix, one, 0, &hit);
		hits += listed;
		invented += listed && !has_name_or_above(&names, name);
	}
	print_message("%u popular names, %u of them on the list itself, %u invented\n", benign,
		      hits, invented);
	assert_true(benign > 9900);
	assert_int_equal(invented, 0);
	free((char *)popular.p);
	free((char *)listed_text.p);
	free(names.v);
	intel_index_free(ix);
}

/* With the popular names as an allowed feed none of them is told of any more. */
static void popular_names_are_taken_back(void **state)
{
	static const struct data_feed feeds[] = {
		{ "maltrail-domains.csv.xz", INTEL_MALWARE },
		{ "maltrail-native-format/suspicious/ipinfo.txt", INTEL_SUSPICIOUS },
		{ "maltrail-native-format/suspicious/dynamic_domain.txt", INTEL_SUSPICIOUS },
		{ "maltrail-native-format/suspicious/free_web_hosting.txt", INTEL_SUSPICIOUS },
		{ "maltrail-native-format/suspicious/parking_site.txt", INTEL_SUSPICIOUS },
		{ "maltrail-native-format/blacknet.txt", INTEL_C2 },
		{ "maltrail-native-format/lokibot.txt", INTEL_C2 },
		{ "maltrail-native-format/netsupport.txt", INTEL_C2 },
		{ "maltrail-native-format/trickbot.txt", INTEL_C2 },
		{ "abuse-ch-threatfox-ip.intel", INTEL_C2 },
		{ "tor-exit.intel", INTEL_TOR },
		{ "ipsum-level3.txt", INTEL_SCANNER },
		{ "ransomware.txt", INTEL_MALWARE },
		{ "doh-domains.txt", INTEL_DOH },
		{ "doh-ipv4.txt", INTEL_DOH },
		{ "cloudflare-top10k.json", INTEL_ALLOW },
	};
	struct intel_index *ix = built_from(feeds, ARRAY_SIZE(feeds));
	unsigned cancelled = 0, hits = 0;
	struct str text, rest, one;
	struct intel_hit hit;
	char path[512];

	text = rest = slurp(test_data(PREFIX "cloudflare-top10k.json", path));
	while (str_cut(&rest, '"', &one)) {
		if (!memchr(one.p ? one.p : "", '.', one.n) || memchr(one.p, ' ', one.n) ||
		    memchr(one.p, '/', one.n))
			continue;
		hits += intel_name(ix, one, 0, &hit);
		cancelled += hit.cancelled;
	}
	print_message("%u popular names taken back\n", cancelled);
	assert_true(cancelled > 0);
	assert_int_equal(hits, 0);

	/* one of each */
	assert_string_equal(ask_addr(ix, "171.25.193.25", 443),
			    "tor-exit.intel address tor 100 CPS-TOR-INTEL");
	assert_string_equal(ask_addr(ix, "106.54.41.209", 80),
			    "abuse-ch-threatfox-ip.intel address c2 100 THREATFOX");
	assert_string_equal(ask_addr(ix, "162.255.119.77", 80),
			    "parking_site.txt range of addresses suspicious 100");
	assert_string_equal(ask_addr(ix, "77.83.174.70", 2077),
			    "netsupport.txt address and port c2 100");
	assert_string_equal(ask_url(ix, "occe.com", 80, "/image1/image/Panel/five/fre.php"),
			    "lokibot.txt URL c2 100");
	assert_string_equal(ask_url(ix, "185.185.40.152", 80, "/jeff/five/fre.php"),
			    "lokibot.txt URL c2 100");
	assert_string_equal(ask_url(ix, "198.51.100.1", 80, "/neam.meow"),
			    "trickbot.txt path of a URL c2 100");
	assert_string_equal(ask_name(ix, "1dot1dot1dot1.cloudflare-dns.com", 443),
			    "doh-domains.txt name doh 100");
	free((char *)text.p);
	intel_index_free(ix);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_million_names),
		cmocka_unit_test(popular_names_are_taken_back),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
