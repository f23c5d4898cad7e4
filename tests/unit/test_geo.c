// SPDX-License-Identifier: Apache-2.0
/* MaxMind DB files that this test writes itself (format 2.0), a real one, and damaged ones. */
#include "test.h"

#include <errno.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "flow/record.h"
#include "flow/flow.h"
#include "policy/geo.h"
#include "policy/locate.h"
#include "policy/policy.h"
#include "store/eve.h"

/* --- a writer --------------------------------------------------------------------------------------------------------- */

#define NODES_MAX 4096
#define NOTHING UINT32_MAX
#define DATA 0x80000000U /* | offset in the data section */

struct tree {
	uint32_t side[NODES_MAX][2]; /* another node, DATA|offset, NOTHING */
	unsigned n;
	struct buf data;
	unsigned version; /* 4, 6 */
};

static void tree_init(struct tree *t, unsigned version)
{
	*t = (struct tree){ .n = 1, .version = version, .data = BUF_INIT(65536) };
	t->side[0][0] = t->side[0][1] = NOTHING;
}

static void put_text(struct buf *b, const char *s)
{
	buf_putc(b, (char)(2 << 5 | strlen(s)));
	buf_puts(b, s);
}

/* {"country": {"iso_code": s}} */
static uint32_t add_country(struct tree *t, const char *s)
{
	uint32_t at = (uint32_t)t->data.n;

	buf_putc(&t->data, (char)(7 << 5 | 1));
	put_text(&t->data, "country");
	buf_putc(&t->data, (char)(7 << 5 | 1));
	put_text(&t->data, "iso_code");
	put_text(&t->data, s);
	return DATA | at;
}

/* {"country_code": s} */
static uint32_t add_code(struct tree *t, const char *s)
{
	uint32_t at = (uint32_t)t->data.n;

	buf_putc(&t->data, (char)(7 << 5 | 1));
	put_text(&t->data, "country_code");
	put_text(&t->data, s);
	return DATA | at;
}

/* {"autonomous_system_number": n} */
static uint32_t add_asn(struct tree *t, uint32_t n)
{
	uint32_t at = (uint32_t)t->data.n;

	buf_putc(&t->data, (char)(7 << 5 | 1));
	put_text(&t->data, "autonomous_system_number");
	buf_putc(&t->data, (char)(6 << 5 | 4));
	for (int i = 3; i >= 0; i--)
		buf_putc(&t->data, (char)(n >> 8 * i));
	return DATA | at;
}

/* {"autonomous_system_number": n, "autonomous_system_organization": s} */
static uint32_t add_system(struct tree *t, uint32_t n, const char *s)
{
	uint32_t at = add_asn(t, n);

	t->data.p[at & ~DATA]++; /* one member more */
	buf_putc(&t->data, 2 << 5 | 29);
	buf_putc(&t->data, 30 - 29);
	buf_puts(&t->data, "autonomous_system_organization");
	put_text(&t->data, s);
	return at;
}

static void insert(struct tree *t, const char *cidr, uint32_t record)
{
	struct cidr c;
	unsigned node = 0, skip, bits;

	assert_ok(cidr_parse(str_of(cidr), &c));
	/* IPv4 lies at ::/96 of a tree of IPv6 */
	skip = addr_is_v4(&c.addr) ? 96 : 0;
	bits = c.bits;
	if (skip)
		memset(c.addr.b, 0, 12);
	for (unsigned i = t->version == 4 ? skip : 0; i < bits; i++) {
		unsigned side = c.addr.b[i / 8] >> (7 - i % 8) & 1;

		if (i == bits - 1) {
			t->side[node][side] = record;
			return;
		}
		if (t->side[node][side] == NOTHING) {
			assert_true(t->n < NODES_MAX);
			t->side[t->n][0] = t->side[t->n][1] = NOTHING;
			t->side[node][side] = t->n++;
		}
		node = t->side[node][side];
	}
}

static void put_number(struct buf *b, const char *key, uint32_t v, int bytes)
{
	put_text(b, key);
	buf_putc(b, (char)((bytes == 2 ? 5 : 6) << 5 | bytes));
	for (int i = bytes - 1; i >= 0; i--)
		buf_putc(b, (char)(v >> 8 * i));
}

static void write_tree(const struct tree *t, const char *path)
{
	struct buf b = BUF_INIT(1 << 20);
	FILE *f = fopen(path, "wb");

	for (unsigned i = 0; i < t->n; i++)
		for (unsigned side = 0; side < 2; side++) {
			uint32_t v = t->side[i][side];

			v = v == NOTHING ? t->n : v & DATA ? t->n + 16 + (v & ~DATA) : v;
			buf_putc(&b, (char)(v >> 16));
			buf_putc(&b, (char)(v >> 8));
			buf_putc(&b, (char)v);
		}
	for (int i = 0; i < 16; i++)
		buf_putc(&b, 0);
	buf_put(&b, t->data.p, t->data.n);
	buf_puts(&b, "\xab\xcd\xefMaxMind.com");
	buf_putc(&b, (char)(7 << 5 | 9));
	put_number(&b, "node_count", t->n, 4);
	put_number(&b, "record_size", 24, 2);
	put_number(&b, "ip_version", t->version, 2);
	put_number(&b, "binary_format_major_version", 2, 2);
	put_number(&b, "binary_format_minor_version", 0, 2);
	put_text(&b, "build_epoch");
	buf_put(&b, "\x01\x02\x01", 3); /* uint64 1 */
	put_text(&b, "languages");
	buf_put(&b, "\x00\x04", 2); /* [] */
	put_text(&b, "description");
	buf_putc(&b, (char)(7 << 5)); /* {} */
	put_text(&b, "database_type");
	put_text(&b, "Test");
	assert_non_null(f);
	assert_int_equal(fwrite(b.p, 1, b.n, f), b.n);
	fclose(f);
	buf_done(&b);
}

/* --- cases ------------------------------------------------------------------------------------------------------------ */

static char path[64];

static int on_range(void *ctx, const struct addr *lo, const struct addr *hi)
{
	char a[ADDR_TEXT_MAX], b[ADDR_TEXT_MAX];

	buf_printf(ctx, "%s-%s\n", addr_format(lo, a), addr_format(hi, b));
	return 0;
}

static int stop(void *ctx, const struct addr *lo, const struct addr *hi)
{
	return -ECANCELED;
}

static void expect_country(struct geo *g, const char *country, int r, const char *want)
{
	_cleanup_buf_ struct buf b = BUF_INIT(65536);

	assert_int_equal(geo_country(g, country, on_range, &b), r);
	assert_string_equal(b.p ? b.p : "", want);
}

static void countries(void **state)
{
	struct tree *t = malloc(sizeof(*t));
	char error[256];
	struct geo *g = NULL;
	uint32_t nl, de;

	assert_non_null(t);
	tree_init(t, 6);
	nl = add_country(t, "NL");
	de = add_code(t, "DE");
	insert(t, "192.0.2.0/25", nl);
	insert(t, "192.0.2.128/25", nl); /* one range with the one before */
	insert(t, "192.0.3.1/32", nl);
	insert(t, "198.51.100.0/24", de);
	insert(t, "255.255.255.255/32", nl);
	insert(t, "2001:db8::/32", nl);
	insert(t, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128", de);
	/* 2002::/16 is IPv4 once more, as real files have it */
	insert(t, "2002::/16", 0);
	for (unsigned node = 0, depth = 0; depth < 16; depth++) {
		unsigned side = 0x2002 >> (15 - depth) & 1;

		if (depth == 15) {
			unsigned v4 = 0;

			for (unsigned i = 0; i < 96; i++)
				v4 = t->side[v4][0];
			t->side[node][side] = v4;
		}
		node = t->side[node][side];
	}
	write_tree(t, path);
	assert_ok(geo_open(&g, path, NULL, error));
	expect_country(
		g, "NL", 0,
		"192.0.2.0-192.0.2.255\n192.0.3.1-192.0.3.1\n255.255.255.255-255.255.255.255\n"
		"2001:db8::-2001:db8:ffff:ffff:ffff:ffff:ffff:ffff\n");
	expect_country(g, "DE", 0,
		       "198.51.100.0-198.51.100.255\n"
		       "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff-ffff:ffff:ffff:ffff:ffff:ffff:ffff:"
		       "ffff\n");
	expect_country(g, "FR", -ESRCH, "");
	assert_int_equal(geo_country(g, "NL", stop, NULL), -ECANCELED);
	assert_int_equal(geo_asn(g, 1, on_range, NULL), -ENOENT);
	assert_null(geo_free(g));
	buf_done(&t->data);
	free(t);
}

static void systems(void **state)
{
	struct tree *t = malloc(sizeof(*t));
	_cleanup_buf_ struct buf b = BUF_INIT(4096);
	char error[256];
	struct geo *g = NULL;

	assert_non_null(t);
	tree_init(t, 4);
	insert(t, "192.0.2.0/24", add_asn(t, 64500));
	insert(t, "198.51.100.0/24", add_asn(t, 4200000001U));
	insert(t, "203.0.113.0/24", add_asn(t, 64500));
	write_tree(t, path);
	assert_ok(geo_open(&g, NULL, path, error));
	assert_int_equal(geo_asn(g, 64500, on_range, &b), 0);
	assert_str(buf_str(&b), "192.0.2.0-192.0.2.255\n203.0.113.0-203.0.113.255\n");
	buf_clear(&b);
	assert_int_equal(geo_asn(g, 4200000001U, on_range, &b), 0);
	assert_str(buf_str(&b), "198.51.100.0-198.51.100.255\n");
	assert_int_equal(geo_asn(g, 1, on_range, &b), -ESRCH);
	assert_int_equal(geo_country(g, "NL", on_range, &b), -ENOENT);
	geo_free(g);
	buf_done(&t->data);
	free(t);
}

static struct geo_facts facts_of(struct geo *g, const char *address)
{
	struct geo_facts f;
	struct addr a;

	assert_ok(addr_parse(str_of(address), &a));
	geo_find(g, &a, &f);
	return f;
}

static void one_address(void **state)
{
	struct tree *t = malloc(sizeof(*t));
	char error[256];
	struct geo *g = NULL;
	struct geo_facts f;

	assert_non_null(t);
	tree_init(t, 6);
	insert(t, "192.0.2.0/24", add_country(t, "NL"));
	insert(t, "198.51.100.0/24", add_code(t, "nl")); /* no code of ISO 3166 */
	insert(t, "203.0.113.0/24", add_system(t, 64500, "Example, Inc."));
	insert(t, "2001:db8::/32", add_system(t, 64501, "Six"));
	write_tree(t, path);
	assert_ok(geo_open(&g, path, path, error));
	f = facts_of(g, "192.0.2.7");
	assert_string_equal(f.country, "NL");
	assert_int_equal(f.asn, 0);
	assert_int_equal(f.as_org.n, 0);
	assert_string_equal(facts_of(g, "198.51.100.1").country, "");
	f = facts_of(g, "203.0.113.255");
	assert_string_equal(f.country, "");
	assert_int_equal(f.asn, 64500);
	assert_str(f.as_org, "Example, Inc.");
	assert_int_equal(facts_of(g, "2001:db8:1::1").asn, 64501);
	assert_int_equal(facts_of(g, "203.0.114.0").asn, 0);
	assert_int_equal(facts_of(g, "2001:db9::1").asn, 0);
	assert_int_equal(facts_of(NULL, "203.0.113.255").asn, 0);
	/* the file may be written over in its place */
	assert_ok(truncate(path, 0));
	assert_int_equal(facts_of(g, "203.0.113.1").asn, 64500);
	geo_free(g);
	buf_done(&t->data);
	/* a tree of IPv4 knows no IPv6 */
	tree_init(t, 4);
	insert(t, "203.0.113.0/24", add_asn(t, 64500));
	write_tree(t, path);
	assert_ok(geo_open(&g, NULL, path, error));
	assert_int_equal(facts_of(g, "203.0.113.1").asn, 64500);
	assert_int_equal(facts_of(g, "2001:db8::1").asn, 0);
	geo_free(g);
	buf_done(&t->data);
	free(t);
}

static const struct location *at(struct locator *l, const char *address)
{
	struct addr a;

	assert_ok(addr_parse(str_of(address), &a));
	return locator_find(l, &a);
}

static void places(void **state)
{
	static const char text[] = "segment lab = 10.2.0.0/16, 192.0.2.0/24\n"
				   "segment office = 10.0.0.0/8, fd00:1::/64\n"
				   "segment dmz = interface eth1\ndefault allow\n";
	_cleanup_buf_ struct buf messages = BUF_INIT(65536);
	struct tree *t = malloc(sizeof(*t));
	struct policy *p = NULL;
	struct locator *l = NULL;
	char error[256];
	struct geo *g = NULL;

	assert_non_null(t);
	tree_init(t, 6);
	insert(t, "192.0.2.0/24", add_country(t, "NL"));
	write_tree(t, path);
	assert_ok(geo_open(&g, path, NULL, error));
	assert_ok(policy_parse(&p, "p.egret", STR(text), STR_NONE, &messages));
	assert_ok(locator_new(&l));
	assert_str(at(l, "10.2.3.4")->segment, "private");
	assert_str(at(l, "192.0.2.1")->segment, "reserved");
	assert_str(at(l, "198.41.0.4")->segment, "internet");
	assert_str(at(l, "::1")->segment, "loopback");
	assert_str(at(l, "64:ff9b::10.2.3.4")->segment, "private"); /* by way of NAT64 */
	assert_string_equal(at(l, "192.0.2.1")->country, "");

	locator_set_geo(l, g);
	assert_ok(locator_set_policy(l, p));
	policy_free(p);                                /* nothing of it is needed any more */
	assert_str(at(l, "10.2.3.4")->segment, "lab"); /* the first of two */
	assert_str(at(l, "64:ff9b::10.2.3.4")->segment, "lab");
	assert_str(at(l, "10.3.0.0")->segment, "office");
	assert_str(at(l, "fd00:1::5")->segment, "office");
	assert_str(at(l, "fd00:1:0:1::5")->segment, "private");
	assert_str(at(l, "192.0.2.1")->segment, "lab");
	assert_string_equal(at(l, "192.0.2.1")->country, "NL");
	assert_string_equal(at(l, "64:ff9b::192.0.2.1")->country, "NL");

	locator_set_geo(l, NULL);
	assert_ok(locator_set_policy(l, NULL));
	assert_str(at(l, "10.2.3.4")->segment, "private");
	assert_string_equal(at(l, "192.0.2.1")->country, "");
	assert_null(locator_free(l));
	assert_null(locator_free(NULL));
	geo_free(g);
	buf_done(&t->data);
	free(t);
}

/* A flow record says where both sides lie, and whose the other side is: that of the opener when it opened the flow. */
static void in_records(void **state)
{
	_cleanup_buf_ struct buf out = BUF_INIT(65536);
	struct tree *t = malloc(sizeof(*t));
	struct flow f = { .direction = FLOW_EGRESS, .key = { .proto = 6 } };
	struct record r = { .type = RECORD_FLOW, .flow = &f };
	struct locator *l = NULL;
	char error[256];
	struct geo *g = NULL;

	assert_non_null(t);
	tree_init(t, 6);
	insert(t, "203.0.113.0/24", add_system(t, 64500, "Example, \"Inc.\""));
	write_tree(t, path);
	assert_ok(geo_open(&g, NULL, path, error));
	assert_ok(locator_new(&l));
	locator_set_geo(l, g);
	assert_ok(addr_parse(STR("10.0.0.5"), &f.key.src));
	assert_ok(addr_parse(STR("203.0.113.7"), &f.key.dst));
	eve_format(&(struct eve_format){ .vantage = EVE_HOST, .locator = l }, &r, &out);
	buf_putc(&out, 0);
	assert_non_null(strstr(out.p, "\"segment\":{\"from\":\"private\",\"to\":\"reserved\"},"
				      "\"asn\":64500,\"as_org\":\"Example, \\\"Inc.\\\"\""));
	assert_null(strstr(out.p, "\"country\""));
	buf_clear(&out);
	f.direction = FLOW_REPLY; /* the other side is the opener: nothing is known of 10.0.0.5 */
	eve_format(&(struct eve_format){ .vantage = EVE_HOST, .locator = l }, &r, &out);
	buf_putc(&out, 0);
	assert_non_null(strstr(out.p, "\"segment\""));
	assert_null(strstr(out.p, "\"asn\""));
	buf_clear(&out);
	eve_format(&(struct eve_format){ .vantage = EVE_HOST }, &r, &out);
	buf_putc(&out, 0);
	assert_null(strstr(out.p, "\"segment\""));
	locator_free(l);
	geo_free(g);
	buf_done(&t->data);
	free(t);
}

static void none_and_no_database(void **state)
{
	char error[256] = "";
	struct geo *g = NULL;
	FILE *f;

	assert_ok(geo_open(&g, NULL, "", error));
	assert_int_equal(geo_country(g, "NL", on_range, NULL), -ENOENT);
	geo_free(g);
	assert_null(geo_free(NULL));
	assert_int_equal(geo_country(NULL, "NL", on_range, NULL), -ENOENT);
	g = NULL;
	assert_int_equal(geo_open(&g, "/nonexistent/geo.mmdb", NULL, error), -ENOENT);
	assert_null(g);
	assert_true(strstr(error, "/nonexistent/geo.mmdb") != NULL);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs("this is no database\n", f);
	fclose(f);
	assert_int_equal(geo_open(&g, path, NULL, error), -EINVAL);
	assert_true(strstr(error, path) != NULL);
}

/* Nodes that point back, and a few nodes shared so that there are 2^31 ways through them. */
static void trees_without_end(void **state)
{
	struct tree *t = malloc(sizeof(*t));
	char error[256];
	struct geo *g = NULL;

	assert_non_null(t);
	for (int shared = 0; shared < 2; shared++) {
		tree_init(t, 4);
		t->n = shared ? 31 : 2;
		for (unsigned i = 0; i < t->n; i++)
			t->side[i][0] = t->side[i][1] = shared ? i + 1 : 1 - i;
		if (shared)
			t->side[30][0] = t->side[30][1] = NOTHING;
		add_country(t, "NL");
		write_tree(t, path);
		assert_ok(geo_open(&g, path, NULL, error));
		assert_int_equal(geo_country(g, "NL", on_range, NULL), -EBADMSG);
		geo_free(g);
		buf_done(&t->data);
	}
	free(t);
}

static void every_byte_changed(void **state)
{
	struct tree *t = malloc(sizeof(*t));
	struct buf out = BUF_INIT(1 << 20);
	char error[256], *bytes = malloc(1 << 20);
	size_t n;
	FILE *f;

	assert_true(t && bytes);
	tree_init(t, 4);
	insert(t, "192.0.2.0/24", add_country(t, "NL"));
	insert(t, "198.51.100.0/30", add_country(t, "DE"));
	write_tree(t, path);
	f = fopen(path, "rb");
	n = fread(bytes, 1, 1 << 20, f);
	fclose(f);
	for (size_t i = 0; i < n; i++) {
		struct geo *g = NULL;

		bytes[i] ^= (char)0xff;
		f = fopen(path, "wb");
		assert_int_equal(fwrite(bytes, 1, n, f), n);
		fclose(f);
		bytes[i] ^= (char)0xff;
		if (geo_open(&g, path, path, error) < 0)
			continue;
		buf_clear(&out);
		geo_country(g, "NL", on_range, &out);
		geo_asn(g, 1, on_range, &out);
		facts_of(g, "192.0.2.1");
		facts_of(g, "198.51.100.1");
		geo_free(g);
	}
	buf_done(&out);
	buf_done(&t->data);
	free(t);
	free(bytes);
}

static int in_order(void *ctx, const struct addr *lo, const struct addr *hi)
{
	struct addr *last = ctx;

	assert_true(memcmp(lo, hi, sizeof(*lo)) <= 0);
	assert_true(memcmp(last, lo, sizeof(*lo)) < 0);
	*last = *hi;
	return 0;
}

static void a_real_database(void **state)
{
	char xz[512], command[1200], error[256], known[ADDR_TEXT_MAX];
	struct addr last = { 0 };
	struct geo *g = NULL;

	test_data("lists/geo-whois-asn-country-ipv4.mmdb.xz", xz);
	snprintf(command, sizeof(command), "xz -dc '%s' >'%s'", xz, path);
	assert_int_equal(system(command), 0);
	assert_ok(geo_open(&g, path, NULL, error));
	assert_int_equal(geo_country(g, "AU", in_order, &last), 0);
	assert_true(addr_is_v4(&last));
	print_message("the last address of AU is %s\n", addr_format(&last, known));
	assert_int_equal(geo_country(g, "QQ", in_order, &last), -ESRCH);
	geo_free(g);
}

static int begin(void **state)
{
	int fd;

	snprintf(path, sizeof(path), "/tmp/egret-geo-XXXXXX");
	fd = mkstemp(path);
	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

static int end(void **state)
{
	return unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(countries),         cmocka_unit_test(systems),
		cmocka_unit_test(one_address),       cmocka_unit_test(places),
		cmocka_unit_test(in_records),        cmocka_unit_test(none_and_no_database),
		cmocka_unit_test(trees_without_end), cmocka_unit_test(every_byte_changed),
		cmocka_unit_test(a_real_database),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
