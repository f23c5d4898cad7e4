/* SPDX-License-Identifier: Apache-2.0 */
/* Findings out to records and back, and as people read them; with texts that somebody else chose. */
#include "test.h"

#include <errno.h>
#include <jansson.h>
#include <netinet/in.h>

#include "base/cleanup.h"
#include "base/time.h"
#include "cli/finding_json.h"
#include "cli/findings.h"
#include "flow/record.h"
#include "store/eve.h"

#define T0 (1767225600ULL * NSEC_PER_SEC)

static struct evidence lines[3];

static struct finding finding(void)
{
	struct finding f = { .id = "ab12cd34",
			     .state = FINDING_UPDATE,
			     .severity = SEVERITY_HIGH,
			     .class = CLASS_C2,
			     .detector = "beacon",
			     .score_db = -7,
			     .opened_ns = T0,
			     .time_ns = T0 + 3 * NSEC_PER_SEC,
			     .first_ns = T0 + NSEC_PER_SEC,
			     .last_ns = T0 + 2 * NSEC_PER_SEC,
			     .acked = true,
			     .entity = STR("/tmp/.x (root)"),
			     .exe = STR("/tmp/.x"),
			     .user = STR("root"),
			     .entities = 3,
			     .peer = STR("c2.example"),
			     .name = STR("www.c2.example"),
			     .port = 443,
			     .proto = IPPROTO_TCP,
			     .flows_total = 41,
			     .up = 12345,
			     .down = 678,
			     .flows = { 1, (1ULL << 53) - 1 },
			     .n_flows = 2,
			     .evidence = lines,
			     .n_evidence = 3,
			     .attack = { "T1071", "T1029" },
			     .n_attack = 2,
			     .response = STR("deny to c2.example"),
			     .explain = STR("/tmp/.x to c2.example: often"),
			     .plot = { .what = "seconds", .at = { 60, 61.5F, 0 }, .n = 3 } };

	lines[0] = (struct evidence){ .id = E_REGULAR,
				      .db = 20,
				      .measured = 64.25,
				      .n = 41,
				      .what = "check-ins every 64 s ± 18 %",
				      .baseline = "p = 1e-21" };
	lines[1] = (struct evidence){
		.id = E_RARE, .db = 15, .measured = 1, .n = 9, .what = "1 of 9"
	};
	lines[2] = (struct evidence){ .id = E_PACKAGED, .db = -10, .n = 1, .what = "packaged" };
	f.addr = addr_from_v4("\x5d\xb8\xd8\x22");
	return f;
}

static json_t *record_of(const struct finding *f)
{
	static const struct eve_format format = { .vantage = EVE_HOST, .host = "h" };
	struct record r = { .type = RECORD_FINDING, .time_ns = f->time_ns, .finding = f };
	_cleanup_buf_ struct buf out = BUF_INIT(1 << 20);
	json_t *j;

	eve_format(&format, &r, &out);
	assert_false(out.failed);
	j = json_loadb(out.p, out.n, JSON_ALLOW_NUL, NULL);
	assert_non_null(j);
	return j;
}

static void assert_same(struct str a, struct str b)
{
	assert_int_equal(a.n, b.n);
	assert_memory_equal(a.p ? a.p : "", b.p ? b.p : "", a.n);
}

static void test_round_trip(void **state)
{
	struct finding f = finding();
	json_t *j = record_of(&f);
	struct finding_copy c;

	assert_ok(finding_of_record(&c, j));
	assert_string_equal(c.f.id, f.id);
	assert_int_equal(c.f.state, f.state);
	assert_int_equal(c.f.severity, f.severity);
	assert_int_equal(c.f.class, f.class);
	assert_string_equal(c.f.detector, f.detector);
	assert_int_equal(c.f.score_db, f.score_db);
	assert_same(c.f.entity, f.entity);
	assert_same(c.f.peer, f.peer);
	assert_same(c.f.name, f.name);
	assert_same(c.f.explain, f.explain);
	assert_same(c.f.response, f.response);
	assert_true(c.f.acked);
	assert_int_equal(c.f.entities, 3);
	assert_int_equal(c.f.opened_ns, f.opened_ns);
	assert_int_equal(c.f.first_ns, f.first_ns);
	assert_int_equal(c.f.last_ns, f.last_ns);
	assert_int_equal(c.f.time_ns, f.time_ns);
	assert_int_equal(c.f.flows_total, 41);
	assert_int_equal(c.f.up, 12345);
	assert_int_equal(c.f.down, 678);
	assert_true(addr_eq(&c.f.addr, &f.addr));
	assert_int_equal(c.f.port, 443);
	assert_int_equal(c.f.proto, IPPROTO_TCP);
	assert_int_equal(c.f.n_flows, 2);
	assert_int_equal(c.f.flows[1], (1ULL << 53) - 1);
	assert_int_equal(c.f.n_evidence, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(c.f.evidence[i].id, lines[i].id);
		assert_int_equal(c.f.evidence[i].db, lines[i].db);
		assert_int_equal(c.f.evidence[i].n, lines[i].n);
		assert_string_equal(c.f.evidence[i].what, lines[i].what);
		assert_string_equal(c.f.evidence[i].baseline, lines[i].baseline);
	}
	assert_true(c.f.evidence[0].measured == 64.25);
	assert_int_equal(c.f.n_attack, 2);
	assert_string_equal(c.f.attack[1], "T1029");
	assert_string_equal(c.f.plot.what, "seconds");
	assert_int_equal(c.f.plot.n, 3);
	assert_true(c.f.plot.at[1] == 61.5F);
	json_decref(j);
}

static void assert_no_control(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		assert_true((unsigned char)s.p[i] >= ' ' || s.p[i] == '\n');
	assert_null(memchr(s.p, 0x7f, s.n));
	assert_null(memmem(s.p, s.n, "\xc2\x9b", 2));     /* C1: a CSI in one character */
	assert_null(memmem(s.p, s.n, "\xe2\x80\xae", 3)); /* what follows from right to left */
}

/* Every text that comes from outside, with what moves a cursor, ends a string, or is no UTF-8 at all. */
static void test_hostile_texts(void **state)
{
	static const char bad[] = "a\"\\\n\r\t\x1b[2J\x7f\xff\xc3\xc2\x9b\xe2\x80\xae\0b";
	struct str s = { bad, sizeof(bad) - 1 };
	_cleanup_buf_ struct buf out = BUF_INIT(1 << 20);
	struct finding f = finding();
	struct finding_copy c;
	json_t *j;

	f.entity = f.exe = f.user = f.peer = f.name = f.explain = f.response = s;
	memcpy(lines[0].what, bad, sizeof(bad));
	memcpy(lines[0].baseline, bad, sizeof(bad));
	j = record_of(&f);
	assert_ok(finding_of_record(&c, j));
	assert_true(c.f.entity.n && c.f.peer.n && c.f.explain.n);
	finding_format(&c.f, &out);
	assert_false(out.failed);
	assert_no_control(buf_str(&out));
	json_decref(j);
	/* Straight, as `egret read` shows it. */
	buf_clear(&out);
	finding_format(&f, &out);
	assert_no_control(buf_str(&out));
}

/* A record is a file's, or another program's: whatever is wrong in it, what comes out has its limits. */
static void test_records_that_make_no_sense(void **state)
{
	static const char *const wrong[] = {
		"{}",
		"[]",
		"{\"egret\":{}}",
		"{\"egret\":{\"finding\":7}}",
		"{\"egret\":{\"finding\":[]}}",
		"{\"egret\":7}",
	};
	static const char *const odd[] = {
		"{\"egret\":{\"finding\":{}}}",
		"{\"egret\":{\"finding\":{\"id\":7,\"state\":[],\"level\":\"worst\",\"class\":{},"
		"\"detector\":null,\"score_db\":\"x\",\"entity\":{},\"opened\":\"yesterday\","
		"\"flows\":{},"
		"\"evidence\":[7,{},{\"kind\":\"no "
		"such\"}],\"attack\":[7,\"T9\"],\"plot\":{\"what\":\"x\","
		"\"at\":[\"x\",null,1e308,-1]}}}}",
		"{\"dest_ip\":\"x\",\"dest_port\":99999999999,\"proto\":\"QUIC\",\"egret\":{"
		"\"finding\":"
		"{\"id\":\"0123456789abcdef0123456789\",\"flows\":[1,2,3,4,5,6,7,8,9,10,11,12,13,"
		"14,15,16,"
		"17,18],\"attack\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\","
		"\"0123456789abcdef0123456789\"],\"score_db\":9223372036854775807,\"flows_total\":-"
		"1,"
		"\"evidence\":[{\"kind\":\"regular\",\"weight_db\":99999999,\"n\":-5,\"measured\":"
		"1e400}]}}}",
	};
	_cleanup_buf_ struct buf out = BUF_INIT(1 << 20);
	struct finding_copy c;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		json_t *j = json_loads(wrong[i], JSON_REJECT_DUPLICATES, NULL);

		assert_err(finding_of_record(&c, j), -EINVAL);
		json_decref(j);
	}
	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		json_t *j = json_loads(odd[i], 0, NULL);

		if (!j)
			continue; /* 1e400 is no number to jansson */
		assert_ok(finding_of_record(&c, j));
		assert_true(c.f.n_flows <= FINDING_FLOWS && c.f.n_attack <= 8);
		assert_true(c.f.plot.n <= FINDING_PLOT && c.f.n_evidence <= FINDING_EVIDENCE);
		buf_clear(&out);
		finding_format(&c.f, &out);
		assert_false(out.failed);
		assert_no_control(buf_str(&out));
		json_decref(j);
	}
}

/* More lists than there is room for. */
static void test_limits(void **state)
{
	_cleanup_buf_ struct buf text = BUF_INIT(1 << 20);
	struct finding_copy c;
	json_t *j;

	buf_puts(&text, "{\"egret\":{\"finding\":{\"evidence\":[");
	for (int i = 0; i < 100; i++)
		buf_printf(&text, "%s{\"kind\":\"regular\",\"what\":\"%0300d\"}", i ? "," : "", i);
	buf_puts(&text, "],\"plot\":{\"what\":\"x\",\"at\":[");
	for (int i = 0; i < 1000; i++)
		buf_printf(&text, "%s%d", i ? "," : "", i);
	buf_puts(&text, "]}}}}");
	j = json_loadb(text.p, text.n, 0, NULL);
	assert_non_null(j);
	assert_ok(finding_of_record(&c, j));
	assert_int_equal(c.f.n_evidence, FINDING_EVIDENCE);
	assert_int_equal(strlen(c.f.evidence[0].what), sizeof(c.f.evidence[0].what) - 1);
	assert_int_equal(c.f.plot.n, FINDING_PLOT);
	json_decref(j);
}

static void test_list_is_heaviest_first(void **state)
{
	struct finding f = finding();
	struct findings *all;
	char *text = NULL;
	size_t n = 0;
	FILE *to = open_memstream(&text, &n);

	assert_ok(findings_new(&all));
	assert_int_equal(findings_count(all), 0);
	for (int i = 0; i < 210; i++) {
		f.score_db = i == 100 ? 99 : i % 10;
		f.severity = i == 100 ? SEVERITY_CRITICAL : SEVERITY_MEDIUM;
		findings_add(all, &f);
	}
	assert_int_equal(findings_count(all), 210);
	findings_print(all, to, 80);
	fclose(to);
	assert_non_null(strstr(text, "Findings: 1 critical, 209 medium\n"));
	assert_ptr_equal(strstr(text, "score"), strstr(text, "score +99 dB"));
	assert_non_null(strstr(text, "10 more are not shown"));
	free(text);
	findings_free(all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_hostile_texts),
		cmocka_unit_test(test_records_that_make_no_sense),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_list_is_heaviest_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
