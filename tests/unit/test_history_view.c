/* SPDX-License-Identifier: Apache-2.0 */
/* What the questions to the history print: tables, charts, comma-separated values. */
#include <locale.h>

#include "base/cleanup.h"
#include "cli/cells.h"
#include "cli/chart.h"
#include "cli/csv.h"
#include "cli/flows_table.h"
#include "cli/segments_view.h"
#include "cli/table.h"
#include "cli/timeline_view.h"
#include "cli/usage_view.h"
#include "cli/who_view.h"
#include "test.h"

#define NOW 1795920050 /* 2026-11-29 02:40:50 UTC */
#define TEXT 16384

static void set_locale(const char *name)
{
	setenv("TZ", "Europe/Berlin", 1);
	tzset();
	setenv("LC_ALL", name, 1);
	cells_init();
}

static int in_utf8(void **state)
{
	set_locale("C.UTF-8");
	return 0;
}

static json_t *parse(const char *text)
{
	json_error_t error;
	json_t *j = json_loads(text, 0, &error);

	if (!j)
		print_error("%s: %s\n", text, error.text);
	assert_non_null(j);
	return j;
}

/* --- comma-separated values -------------------------------------------------------------------------------------- */

static const char *field(struct str text)
{
	static char shown[256];
	_cleanup_buf_ struct buf b = BUF_INIT(TEXT);

	csv_put_text(&b, text);
	snprintf(shown, sizeof(shown), "%.*s", (int)b.n, b.n ? b.p : "");
	return shown;
}

static void test_fields(void **state)
{
	assert_string_equal(field(STR("plain")), "plain");
	assert_string_equal(field(STR("")), "");
	assert_string_equal(field(STR("a,b")), "\"a,b\"");
	assert_string_equal(field(STR("a\nb")), "\"a\nb\"");
	assert_string_equal(field(STR("say \"x\"")), "\"say \"\"x\"\"\"");
	assert_string_equal(field(STR("=1+1")), "'=1+1");
	assert_string_equal(field(STR("+1")), "'+1");
	assert_string_equal(field(STR("-bash")), "'-bash");
	assert_string_equal(field(STR("@sum(a1)")), "'@sum(a1)");
	assert_string_equal(field(STR("\t=1")), "'\t=1");
	assert_string_equal(field(STR("=a,\"b\"")), "\"'=a,\"\"b\"\"\"");
	assert_string_equal(field(STR("a=b")), "a=b");
	assert_int_equal(strlen(field(STR("a\0,b"))),
			 2); /* "\"a": the NUL does not hide the comma */
}

/* --- charts ------------------------------------------------------------------------------------------------------ */

static const char *row(const uint64_t *values, size_t n, uint64_t highest)
{
	static char text[256];
	_cleanup_buf_ struct buf b = BUF_INIT(TEXT);

	chart_row(&b, values, n, highest);
	snprintf(text, sizeof(text), "%s", b.p);
	return text;
}

static void test_heights(void **state)
{
	const uint64_t values[] = { 0, 1, 12, 13, 50, 99, 100 };
	const uint64_t huge[] = { UINT64_MAX, UINT64_MAX / 2, 1, 0 };

	assert_string_equal(row(values, 7, 100), " ▁▁▂▄██");
	assert_string_equal(row(huge, 4, UINT64_MAX), "█▄▁ ");
	assert_string_equal(row(values, 1, 0), " ");
	set_locale("C");
	assert_string_equal(row(values, 7, 100), " ..:=@@");
}

static void test_neighbours_are_added(void **state)
{
	uint64_t values[] = { 1, 2, 3, 4, 5, 6, 7 };

	assert_int_equal(chart_fold(values, 7, 3), 3);
	assert_int_equal(values[0], 6);
	assert_int_equal(values[1], 15);
	assert_int_equal(values[2], 7);
}

static void test_steps_fit_the_screen(void **state)
{
	assert_int_equal(chart_step(NOW - 3600, NOW + 1, 61), 60);
	assert_int_equal(chart_step(NOW - 3600, NOW + 1, 60), 120); /* 61 minutes are touched */
	assert_int_equal(chart_step(NOW - 86400, NOW + 1, 40), 3600);
	assert_int_equal(chart_step(NOW - 30 * 86400, NOW + 1, 40), 86400);
	assert_int_equal(chart_step(0, NOW, 40), 86400);
}

static const char *axis(time_t start, unsigned step, size_t n)
{
	static char text[1024];
	_cleanup_buf_ struct buf times = BUF_INIT(TEXT), dates = BUF_INIT(TEXT);

	chart_axis(&times, &dates, start, step, n);
	snprintf(text, sizeof(text), "%s\n%s", times.n ? times.p : "", dates.n ? dates.p : "");
	return text;
}

static void test_labels_say_when_their_column_begins(void **state)
{
	/* 2026-11-28 21:00 in Berlin, an hour a column: the first is as good a label as any. */
	assert_string_equal(axis(1795896000, 3600, 24), "   |00:00      |12:00\n   |11-29");
	/* The night in which clocks go back has two columns of 02:00. */
	assert_string_equal(axis(1792875600, 3600, 20), " |00:00       |12:00\n |10-25");
	assert_string_equal(axis(1795906800, 86400, 20), "\n    |12-03 |12-10 |12-17");
}

/* --- answers ----------------------------------------------------------------------------------------------------- */

#define EVIL "/opt/\\u001b[2J\\u202e\\u009bx"

static const char usage_rows[] =
	"[{\"app\":\"/usr/bin/"
	"curl\",\"name\":\"example.org\",\"flows\":3,\"up\":1500,\"down\":34000000,\"packets_up\":"
	"9,"
	"\"packets_down\":99,\"refused\":0,\"first\":1795900000,\"last\":1795910400},"
	"{\"app\":\"" EVIL "\",\"name\":\"\",\"flows\":1,\"up\":1,\"down\":0,\"packets_up\":1,"
	"\"packets_down\":0,\"refused\":0,"
	"\"first\":1795900000,\"last\":1795900000},"
	"{\"others\":true,\"flows\":2,\"up\":5,\"down\":6,\"packets_up\":1,\"packets_down\":0,"
	"\"refused\":0,\"first\":0,\"last\":0}]";

static const char *usage(const char *rows, const char *end, bool csv)
{
	static char text[TEXT];
	json_t *r = parse(rows), *e = parse(end);
	FILE *f = fmemopen(text, sizeof(text), "w");

	if (csv)
		usage_print_csv(f, "program, name", r);
	else
		assert_ok(usage_print(f, "program, name", r, e, 0));
	fclose(f);
	json_decref(r);
	json_decref(e);
	return text;
}

static void test_usage(void **state)
{
	assert_string_equal(usage(usage_rows,
				  "{\"end\":true,\"rows\":3,\"shown\":3,\"totals\":{\"flows\":6,"
				  "\"up\":1506,\"down\":34000006},"
				  "\"source\":\"days\",\"from\":1795820400,\"to\":1795906800,"
				  "\"notes\":[\"a\\u001b[2Jb\"]}",
				  false),
			    "APP            NAME         FLOWS      UP     DOWN  LAST\n"
			    "/usr/bin/curl  example.org      3  1.5 kB  34.0 MB  2026-11-29 01:00\n"
			    "/opt/?[2J??x   -                1     1 B      0 B  2026-11-28 22:06\n"
			    "(others)       -                2     5 B      6 B  -\n"
			    "\n"
			    "total: 6 flows, 1.5 kB up, 34.0 MB down\n"
			    "2026-11-28 00:00 to 2026-11-29 00:00, from sums by day\n"
			    "note: a?[2Jb\n");
}

/* Columns come with what is in them; so do the lines below. */
static void test_usage_with_costs(void **state)
{
	assert_string_equal(
		usage("[{\"app\":\"a\",\"name\":\"n\",\"flows\":1,\"up\":1,\"down\":2,\"refused\":"
		      "7,\"last\":1795910400,"
		      "\"cost\":[{\"amount\":1.5,\"currency\":\"USD\"},{\"amount\":0.0021,"
		      "\"currency\":\"EUR\"}]}]",
		      "{\"end\":true,\"rows\":20,\"shown\":1,\"totals\":{\"flows\":1,\"up\":1,"
		      "\"down\":2,\"refused\":7,"
		      "\"cost\":{\"amount\":1.5,\"currency\":\"USD\"}},\"source\":\"flows\","
		      "\"from\":1795820400,"
		      "\"to\":1796000000,\"notes\":[],\"forecast\":{\"up\":2000,\"down\":4000,"
		      "\"cost\":{\"amount\":3,\"currency\":\"USD\"}}}",
		      false),
		"APP  NAME  FLOWS   UP  DOWN  REFUSED                  COST  LAST\n"
		"a    n         1  1 B   2 B        7  1.50 USD + <0.01 EUR  2026-11-29 01:00\n"
		"(1 of 20 rows; --limit N shows more)\n"
		"\n"
		"total: 1 flow, 1 B up, 2 B down, 7 refused, 1.50 USD\n"
		"until 2026-11-30 01:53, if it goes on like this: 2.0 kB up, 4.0 kB down, 3.00 "
		"USD\n"
		"2026-11-28 00:00 to 2026-11-30 01:53, from single flows\n");
	assert_string_equal(
		usage("[]", "{\"end\":true,\"totals\":{},\"from\":1795820400,\"to\":1795906800}",
		      false),
		"total: 0 flows, 0 B up, 0 B down\n2026-11-28 00:00 to 2026-11-29 00:00\n");
}

static const char *segments(const char *rows_text)
{
	static char text[TEXT];
	_cleanup_free_ char *written = NULL;
	json_t *rows = parse(rows_text);
	size_t size;
	FILE *f = open_memstream(&written, &size);

	assert_ok(segments_print(f, rows, 0));
	fclose(f);
	json_decref(rows);
	snprintf(text, sizeof(text), "%s", written);
	return text;
}

static void test_segments(void **state)
{
	assert_string_equal(
		segments(
			"[{\"from\":\"office\",\"to\":\"servers\",\"flows\":2,\"up\":1000,\"down\":"
			"2000},"
			"{\"from\":\"office\",\"to\":\"internet\",\"flows\":1,\"up\":5,\"down\":5},"
			"{\"from\":\"iot\",\"to\":\"servers\",\"flows\":0,\"up\":0,\"down\":0,"
			"\"refused\":7}]"),
		"FROM \\ TO              servers   internet\n"
		"office             3.0 kB in 2  10 B in 1\n"
		"iot        0 B in 0, 7 refused          .\n");
	assert_string_equal(segments("[]"), "");
}

/* Nothing is left out: the last column has all that found none of its own. */
static void test_more_segments_than_columns(void **state)
{
	_cleanup_buf_ struct buf rows = BUF_INIT(TEXT);
	const char *shown;

	for (int i = 0; i < SEGMENTS_COLUMNS + 4; i++)
		buf_printf(&rows,
			   "%s{\"from\":\"a\",\"to\":\"s%d\",\"flows\":1,\"up\":1,\"down\":0}",
			   i ? "," : "[", i);
	buf_puts(&rows, "]");
	buf_putc(&rows, 0);
	shown = segments(rows.p);
	assert_non_null(strstr(shown, "s11"));
	assert_null(strstr(shown, "s12"));
	assert_non_null(strstr(shown, "(others)"));
	assert_non_null(strstr(shown, "4 B in 4"));
}

static void test_usage_as_csv(void **state)
{
	assert_string_equal(
		usage("[{\"app\":\"=x\",\"name\":\"a,b\",\"flows\":1,\"up\":1,\"down\":2,\"packets_"
		      "up\":3,\"packets_down\":4,"
		      "\"refused\":5,\"first\":1795820400,\"last\":1795910400,\"cost\":[{"
		      "\"amount\":1.5,\"currency\":\"USD\"},"
		      "{\"amount\":0.0021,\"currency\":\"EUR\"}]}]",
		      "{}", true),
		"app,name,flows,up,down,packets_up,packets_down,refused,cost,currency,first,last\n"
		"'=x,\"a,b\",1,1,2,3,4,5,1.5;0.0021,USD;EUR,2026-11-27T23:00:00Z,2026-11-29T00:00:"
		"00Z\n");
}

static const char series[] =
	"[{\"key\":{\"app\":\"curl\",\"user\":\"" EVIL
	"\"},\"up\":[0,10,20,30],\"down\":[0,0,0,50],\"flows\":[0,1,0,1]},"
	"{\"key\":{},\"others\":true,\"up\":[1,0,0,0],\"down\":[0,0,0,0],\"flows\":[0,0,0,0]}]";
static const char series_end[] =
	"{\"end\":true,\"start\":1795906800,\"step\":3600,\"points\":4,\"totals\":{\"flows\":2,"
	"\"up\":61,\"down\":50},"
	"\"from\":1795906800,\"to\":1795921200,\"source\":\"hours\",\"notes\":[]}";

static const char *timeline(const char *by, const char *rows, bool csv)
{
	static char text[TEXT];
	json_t *r = parse(rows), *e = parse(series_end);
	FILE *f = fmemopen(text, sizeof(text), "w");

	if (csv)
		timeline_print_csv(f, by, r, e);
	else
		assert_ok(timeline_print(f, by, r, e, 0));
	fclose(f);
	json_decref(r);
	json_decref(e);
	return text;
}

static void test_timeline(void **state)
{
	assert_string_equal(
		timeline("app,user", series, false),
		"                            HIGHEST         UP       DOWN\n"
		"curl, /opt/?[2J??x   ▁▂█       80 B       60 B       50 B\n"
		"(others)            █           1 B        1 B        0 B\n"
		"                    |00:00\n"
		"                    |11-29\n"
		"\n"
		"one column is 1 h; each row from 0 to its HIGHEST column, up and down together\n"
		"total: 2 flows, 61 B up, 50 B down\n"
		"2026-11-29 00:00 to 2026-11-29 04:00, from sums by hour\n");
	assert_non_null(strstr(
		timeline(NULL, "[{\"key\":{},\"up\":[0,10,20,30],\"down\":[0,0,0,50]}]", false),
		"up     ▃▆█       30 B       60 B\n"
		"down     █       50 B       50 B\n"));
	/* An answer that says more points than it has. */
	assert_non_null(strstr(timeline(NULL, "[{\"up\":[1]}]", false),
			       "up    █           1 B        1 B\n"));
}

static void test_timeline_as_csv(void **state)
{
	assert_string_equal(timeline("program,user", series, true),
			    "time,app,user,up,down,flows\n"
			    "2026-11-29T00:00:00Z,curl,/opt/\x1b[2J\xe2\x80\xae\xc2\x9bx,10,0,1\n"
			    "2026-11-29T01:00:00Z,curl,/opt/\x1b[2J\xe2\x80\xae\xc2\x9bx,20,0,0\n"
			    "2026-11-29T02:00:00Z,curl,/opt/\x1b[2J\xe2\x80\xae\xc2\x9bx,30,50,1\n"
			    "2026-11-28T23:00:00Z,(others),,1,0,0\n");
}

static void test_who(void **state)
{
	static char text[TEXT];
	FILE *f = fmemopen(text, sizeof(text), "w");
	json_t *j = parse(
		"{\"what\":\"203.0.113.9\",\"kind\":\"address\",\"country\":\"DE\",\"asn\":64500,"
		"\"as_org\":\"O\\u001brg\",\"flows\":1,"
		"\"up\":10,\"down\":20,\"refused\":0,\"first\":1795900000,\"last\":1795910400,"
		"\"names\":[{\"name\":\"" EVIL
		"\",\"source\":\"dns\",\"first\":1795900000,\"last\":1795910400}],\"addresses\":[],"
		"\"ports\":[{\"proto\":\"ICMP\",\"flows\":1,\"up\":10,\"down\":20}],\"rules\":[],"
		"\"findings\":[],"
		"\"timeline\":{\"start\":1795906800,\"step\":60,\"up\":[1,2],\"down\":[0,0]},"
		"\"flows_recent\":[{\"timestamp\":\"x\",\"flow\":{\"start\":\"2026-11-29T02:00:00."
		"000000+0000\"}}],"
		"\"from\":1795820400,\"to\":1795906800,\"source\":\"flows\",\"notes\":[]}");

	assert_ok(who_print(f, j, NOW * 1000000000ULL, 0));
	fclose(f);
	json_decref(j);
	assert_non_null(strstr(text, "203.0.113.9\n  country   DE\n  network   AS64500 O?rg\n"
				     "  seen      2026-11-28 22:06 to 2026-11-29 01:00\n"
				     "  in all    1 flow, 10 B up, 20 B down\n"
				     "\nNames\n"
				     "NAME          FROM  FIRST             LAST\n"
				     "/opt/?[2J??x  dns   2026-11-28 22:06  2026-11-29 01:00\n"
				     "\nPorts\n"));
	assert_non_null(strstr(text, "\nWhen\n"));
	assert_non_null(strstr(text, "up    ▄█        2 B        3 B\n"));
	assert_non_null(strstr(text, "\nLast flows\nDATE        START "));
	assert_non_null(strstr(text, "\n2026-11-29  03:00:00  (unknown)"));
	assert_null(strstr(text, "Rules"));
	assert_null(strchr(text, 0x1b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_fields, in_utf8),
		cmocka_unit_test_setup(test_heights, in_utf8),
		cmocka_unit_test_setup(test_neighbours_are_added, in_utf8),
		cmocka_unit_test_setup(test_steps_fit_the_screen, in_utf8),
		cmocka_unit_test_setup(test_labels_say_when_their_column_begins, in_utf8),
		cmocka_unit_test_setup(test_usage, in_utf8),
		cmocka_unit_test_setup(test_usage_with_costs, in_utf8),
		cmocka_unit_test_setup(test_usage_as_csv, in_utf8),
		cmocka_unit_test_setup(test_segments, in_utf8),
		cmocka_unit_test_setup(test_more_segments_than_columns, in_utf8),
		cmocka_unit_test_setup(test_timeline, in_utf8),
		cmocka_unit_test_setup(test_timeline_as_csv, in_utf8),
		cmocka_unit_test_setup(test_who, in_utf8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
