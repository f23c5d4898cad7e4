/* SPDX-License-Identifier: Apache-2.0 */
/* `egret top` without a terminal: what is laid out for which screen, what keys do, and what never gets through. */
#include "test.h"

#include <errno.h>
#include <locale.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/time.h"
#include "cli/cells.h"
#include "cli/flow_row.h"
#include "cli/top_model.h"
#include "cli/top_view.h"

#define NOW (1767225600ULL * NSEC_PER_SEC)

static struct top_model m;
static struct top_frame f;

static int set_up(void **state)
{
	setenv("LC_ALL", "C.UTF-8", 1);
	cells_init();
	top_model_init(&m);
	top_frame_init(&f);
	m.now_ns = NOW;
	return 0;
}

static int tear_down(void **state)
{
	top_model_done(&m);
	top_frame_done(&f);
	return 0;
}

static void say(const char *line)
{
	top_model_line(&m, str_of(line));
}

static struct str line_at(size_t i)
{
	return str_sub(buf_str(&f.text), f.lines[i].from, f.lines[i].n);
}

/* Every line exactly as wide as the screen, as many as it has, and nothing a terminal would obey. */
static void assert_sound(size_t rows, size_t columns)
{
	assert_int_equal(f.n_lines, rows);
	for (size_t i = 0; i < f.n_lines; i++) {
		struct str line = line_at(i);

		assert_int_equal(cell_width(line), columns);
		for (size_t k = 0; k < line.n; k++)
			assert_true((unsigned char)line.p[k] >= 0x20 && line.p[k] != 0x7f);
	}
	if (f.cursor_column != SIZE_MAX)
		assert_true(f.cursor_column < columns);
}

/* Where on the screen a text stands; -1: nowhere. */
static int row_of(const char *text)
{
	for (size_t i = 0; i < f.n_lines; i++)
		if (memmem(line_at(i).p, line_at(i).n, text, strlen(text)))
			return (int)i;
	return -1;
}

static const char three_groups[] =
	"{\"rows\":["
	"{\"label\":\"curl\",\"flows\":3,\"up\":1500,\"down\":2000000,\"up_rate\":10.5,\"down_"
	"rate\":0},"
	"{\"label\":\"evil\\u001b[31m\\u009b\\u202e\",\"flows\":2,\"up\":1,\"down\":2},"
	"{\"label\":\"\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e\","
	"\"flows\":1}],"
	"\"totals\":{\"groups\":3,\"up\":5},\"flows_now\":6,\"lost\":{\"ring-flow\":7}}";

static void test_every_screen_is_filled_exactly(void **state)
{
	static const size_t sizes[][2] = { { 24, 80 }, { 10, 40 }, { 50, 200 },
					   { 4, 20 },  { 3, 12 },  { 2, 5 },
					   { 1, 1 },   { 6, 3 },   { 512, 132 } };

	say(three_groups);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (enum top_view v = TOP_GROUPS; v <= TOP_HELP; v++) {
			m.view = v;
			m.editing = false;
			top_layout(&m, sizes[i][0], sizes[i][1], &f);
			assert_sound(sizes[i][0], sizes[i][1]);
			m.editing = true;
			snprintf(m.edit, sizeof(m.edit),
				 "name:\xe6\x97\xa5 and a long long long text");
			snprintf(m.edit_error, sizeof(m.edit_error), "column 3: no");
			top_layout(&m, sizes[i][0], sizes[i][1], &f);
			assert_sound(sizes[i][0], sizes[i][1]);
		}
	}
	top_layout(&m, 0, 80, &f);
	assert_int_equal(f.n_lines, 0);
}

static void test_groups_on_80x24_and_40x10(void **state)
{
	say(three_groups);
	top_layout(&m, 24, 80, &f);
	assert_int_equal(row_of("by program, rate first"), 1);
	assert_int_equal(row_of("LOST: ring-flow 7"), 2);
	assert_int_equal(row_of("PROGRAM"), 3);
	assert_int_equal(row_of("RECEIVED"), 3);
	assert_int_equal(row_of("curl"), 4);
	assert_int_equal(row_of("2.0 MB"), 4);
	assert_int_equal(row_of("evil?[31m??"), 5);
	assert_int_equal(f.lines[2].style, TOP_WARN);
	assert_int_equal(f.lines[4].style, TOP_SELECTED);
	top_layout(&m, 10, 40, &f);
	assert_int_equal(row_of("curl"), 4);
	assert_int_equal(row_of("RECEIVED"), -1); /* first to go */
	assert_int_equal(row_of("DOWN"), 3);
}

static void make_groups(unsigned n, unsigned first)
{
	_cleanup_buf_ struct buf b = BUF_INIT(1 << 20);

	buf_puts(&b, "{\"rows\":[");
	for (unsigned i = 0; i < n; i++)
		buf_printf(&b, "%s{\"label\":\"p%u\",\"flows\":%u}", i ? "," : "", first + i, i);
	buf_printf(&b, "],\"totals\":{\"groups\":%u},\"lost\":{}}", n);
	top_model_line(&m, buf_str(&b));
}

static void test_selection_follows_its_row(void **state)
{
	make_groups(100, 0);
	top_layout(&m, 12, 80, &f); /* eight rows */
	top_model_key(&m, TOP_KEY_DOWN);
	top_model_key(&m, 'j');
	assert_int_equal(m.group_cursor.at, 2);
	make_groups(100, 2); /* p2 is now the first */
	assert_int_equal(m.group_cursor.at, 0);
	make_groups(10, 50); /* gone: stays where it was */
	assert_int_equal(m.group_cursor.at, 0);
	top_model_key(&m, TOP_KEY_END);
	assert_int_equal(m.group_cursor.at, 9);
	make_groups(3, 0); /* fewer rows than that */
	assert_int_equal(m.group_cursor.at, 2);
	make_groups(0, 0);
	top_layout(&m, 12, 80, &f);
	assert_true(row_of("nothing that matches") > 0);
	assert_int_equal(top_model_key(&m, TOP_KEY_ENTER), TOP_DRAW); /* nothing to enter */
	assert_int_equal(m.view, TOP_GROUPS);
}

static void test_scrolling(void **state)
{
	make_groups(100, 0);
	top_layout(&m, 12, 80, &f);
	assert_int_equal(m.group_cursor.page, 8);
	top_model_key(&m, TOP_KEY_PAGE_DOWN);
	top_layout(&m, 12, 80, &f);
	assert_int_equal(m.group_cursor.at, 7);
	assert_int_equal(m.group_cursor.first, 0); /* no further than needed */
	top_model_key(&m, TOP_KEY_PAGE_DOWN);
	top_layout(&m, 12, 80, &f);
	assert_int_equal(m.group_cursor.at, 14);
	assert_int_equal(m.group_cursor.first, 7);
	top_model_key(&m, TOP_KEY_END);
	top_layout(&m, 12, 80, &f);
	assert_true(row_of("p99") > 0);
	top_layout(&m, 30, 80, &f); /* a taller screen is filled */
	assert_int_equal(m.group_cursor.first, 100 - 26);
	for (int i = 0; i < 200; i++)
		top_model_key(&m, TOP_KEY_UP);
	top_layout(&m, 12, 80, &f);
	assert_int_equal(m.group_cursor.first, 0);
}

static void type(const char *text)
{
	for (; *text; text++)
		top_model_key(&m, (unsigned char)*text);
}

static void test_filter_line(void **state)
{
	assert_int_equal(top_model_key(&m, '/'), TOP_DRAW);
	type("port:x");
	assert_int_equal(top_model_key(&m, TOP_KEY_ENTER), TOP_DRAW); /* refused, stays open */
	assert_true(m.editing);
	assert_non_null(strstr(m.edit_error, "column"));
	top_layout(&m, 10, 40, &f);
	assert_int_equal(row_of("/port:x"), 9);
	assert_int_equal(row_of("column"), 8);
	assert_int_equal(f.cursor_column, 7);
	top_model_key(&m, TOP_KEY_BACKSPACE);
	assert_int_equal(m.edit_error[0], 0);
	type("443");
	assert_int_equal(top_model_key(&m, TOP_KEY_ENTER), TOP_ASK);
	assert_string_equal(m.filter, "port:443");

	top_model_key(&m, '/'); /* begins with what is in force; q is a letter here */
	type(" q");
	assert_string_equal(m.edit, "port:443 q");
	top_model_key(&m, TOP_KEY_ESCAPE);
	assert_string_equal(m.filter, "port:443");
	top_model_key(&m, '/');
	top_model_key(&m, 'W' & 0x1f);
	assert_string_equal(m.edit, "");
	top_model_key(&m, 0xe9); /* é */
	top_model_key(&m, 0x65e5);
	top_model_key(&m, 0x1f600);
	assert_string_equal(m.edit, "\xc3\xa9\xe6\x97\xa5\xf0\x9f\x98\x80");
	top_model_key(&m, TOP_KEY_BACKSPACE);
	assert_string_equal(m.edit, "\xc3\xa9\xe6\x97\xa5");
	for (int i = 0; i < 3000; i++)
		top_model_key(&m, 0x65e5);
	assert_true(strlen(m.edit) < TOP_FILTER_MAX);
}

static void assert_request(const char *want)
{
	_cleanup_buf_ struct buf b = BUF_INIT(8192);

	top_model_request(&m, &b);
	assert_str(buf_str(&b), want);
}

static const char flow[] =
	"{\"event_type\":\"flow\",\"flow_id\":%u,\"src_ip\":\"10.0.0.1\",\"dest_ip\":\"192.0.2.%"
	"u\","
	"\"dest_port\":443,\"proto\":\"TCP\",\"app_proto\":\"tls\","
	"\"flow\":{\"bytes_toserver\":1500,\"bytes_toclient\":7,\"start\":\"2026-01-01T00:00:00."
	"000000+0000\","
	"\"state\":\"established\"},\"process\":{\"name\":\"cu\\nrl\"},\"egret\":{}}";

static void say_flow(unsigned id)
{
	char text[1024];

	snprintf(text, sizeof(text), flow, id, id);
	say(text);
}

static void test_drill_down_and_back(void **state)
{
	say(three_groups);
	assert_request("{\"ask\":\"top\",\"filter\":\"\",\"sort\":\"rate\",\"limit\":1000,\"by\":"
		       "\"program\"}");
	assert_int_equal(top_model_key(&m, 'N'), TOP_ASK);
	assert_int_equal(m.by, ROLLUP_NAME);
	top_model_key(&m, 'p');
	say(three_groups);
	assert_int_equal(top_model_key(&m, TOP_KEY_ENTER), TOP_ASK);
	assert_request("{\"ask\":\"flows\",\"filter\":\"\",\"sort\":\"last\",\"limit\":1000,"
		       "\"ended\":true,"
		       "\"group\":{\"by\":\"program\",\"label\":\"curl\"}}");
	say_flow(5);
	say_flow(6);
	assert_int_equal(json_array_size(m.flows), 0); /* not before it is whole */
	say("{\"end\":true,\"matched\":2,\"shown\":2}");
	assert_true(m.complete);
	top_layout(&m, 10, 120, &f);
	assert_int_equal(row_of("program curl: 2 of 2 flows"), 1);
	assert_int_equal(row_of("192.0.2.5"), 4);
	assert_true(row_of("cu?rl") > 0);
	assert_true(row_of("tcp/tls") > 0);
	top_layout(&m, 10, 40, &f);
	assert_sound(10, 40);

	top_model_key(&m, TOP_KEY_DOWN);
	assert_int_equal(top_model_key(&m, TOP_KEY_ENTER), TOP_ASK);
	assert_int_equal(m.view, TOP_RECORD);
	top_layout(&m, 24, 80, &f);
	assert_true(row_of("\"flow_id\": 6,") > 0);
	assert_request("{\"ask\":\"flows\",\"filter\":\"\",\"sort\":\"last\",\"limit\":1000,"
		       "\"ended\":true,"
		       "\"group\":{\"by\":\"program\",\"label\":\"curl\"}}");
	say_flow(5); /* 6 is gone: its last record stays */
	say("{\"end\":true,\"matched\":1,\"shown\":1}");
	top_layout(&m, 24, 80, &f);
	assert_true(row_of("\"flow_id\": 6,") > 0);
	assert_true(row_of("gone") > 0);
	top_layout(&m, 8, 80, &f);
	top_model_key(&m, TOP_KEY_END);
	top_layout(&m, 8, 80, &f);
	assert_true(row_of("  \"egret\": {}") > 0);
	top_model_key(&m, '?');
	assert_int_equal(m.view, TOP_HELP);
	top_model_key(&m, TOP_KEY_ESCAPE);
	assert_int_equal(m.view, TOP_RECORD);
	top_model_key(&m, TOP_KEY_ESCAPE);
	assert_int_equal(m.view, TOP_FLOWS);
	assert_int_equal(top_model_key(&m, TOP_KEY_ESCAPE), TOP_ASK);
	assert_int_equal(m.view, TOP_GROUPS);
	assert_int_equal(top_model_key(&m, 'q'), TOP_QUIT);
}

static void test_orders_and_hold(void **state)
{
	say(three_groups);
	assert_int_equal(top_model_key(&m, 's'), TOP_ASK);
	assert_string_equal(top_model_order(&m), "up");
	for (int i = 0; i < 5; i++)
		top_model_key(&m, 's');
	assert_string_equal(top_model_order(&m), "rate");
	top_model_key(&m, ' ');
	make_groups(50, 0);
	assert_int_equal(m.n_groups, 3); /* held */
	top_layout(&m, 10, 80, &f);
	assert_true(row_of("HELD") == 0);
	top_model_key(&m, ' ');
	make_groups(50, 0);
	assert_int_equal(m.n_groups, 50);
	assert_ok(top_model_set_sort(&m, "flows"));
	assert_err(top_model_set_sort(&m, "moon"), -EINVAL);
	assert_err(top_model_set_by(&m, "moon"), -EINVAL);
}

static void test_answers_that_make_no_sense(void **state)
{
	static const char *const lines[] = {
		"",
		"x",
		"[]",
		"{\"rows\":5}",
		"{\"rows\":[1,\"x\",{}],\"totals\":[]}",
		"{\"end\":1}",
		"{\"rows\":[{\"label\":7,\"flows\":-1,\"up_rate\":\"x\"}]}",
		"{\"flow_id\":\"x\"}",
		"{\"flow_id\":3,\"flow\":{\"start\":\"yesterday\"}}",
		"{\"end\":true}",
	};

	for (int view = TOP_GROUPS; view <= TOP_HELP; view++) {
		for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
			m.view = (enum top_view)view;
			say(lines[i]);
			top_layout(&m, 12, 60, &f);
			assert_sound(12, 60);
		}
	}
	say("{\"error\":\"too many\\u001b[2J live views\"}");
	top_layout(&m, 12, 60, &f);
	assert_sound(12, 60);
	assert_int_equal(row_of("too many?[2J live views"), 2);
}

static void test_silence_is_told(void **state)
{
	make_groups(3, 0);
	m.now_ns += 3 * NSEC_PER_SEC;
	top_layout(&m, 12, 60, &f);
	assert_int_equal(row_of("no answer"), -1);
	m.now_ns += 5 * NSEC_PER_SEC;
	top_layout(&m, 12, 60, &f);
	assert_int_equal(row_of("no answer for 8 s"), 2);
	make_groups(3, 0);
	top_layout(&m, 12, 60, &f);
	assert_int_equal(row_of("no answer"), -1);
}

static void test_plain_picture(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT(1 << 16);
	struct str rest, line;
	int n = 0;

	say(three_groups);
	top_print(&m, 2, 100, &b);
	rest = buf_str(&b);
	while (str_cut(&rest, '\n', &line)) {
		assert_true(cell_width(line) <= 100);
		n++;
	}
	assert_int_equal(n, 4); /* head, two rows, total */
	assert_null(memchr(b.p, 0x1b, b.n));
	assert_non_null(memmem(b.p, b.n, "(total)", 7));
}

/* What was found, below the rows; nothing where nothing was. */
static void test_notice(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT(1 << 16);
	struct str at;

	m.now_ns = 1767225900ULL * NSEC_PER_SEC;
	say("{\"rows\":[],\"totals\":{},\"findings\":{\"open\":0}}");
	top_print(&m, 0, 100, &b);
	assert_null(memmem(b.p, b.n, "findings", 8));
	say("{\"rows\":[],\"totals\":{},\"findings\":{\"open\":3,\"last\":{\"id\":\"a\",\"state\":"
	    "\"open\","
	    "\"level\":\"high\",\"entity\":\"/tmp/\\u001b[2Jx (root)\",\"peer\":\"c2.example\","
	    "\"time_ms\":1767225600000}}}");
	buf_clear(&b);
	top_print(&m, 0, 100, &b);
	assert_non_null(strstr(b.p, "findings: 3 open; the last, high: /tmp/"));
	assert_non_null(strstr(b.p, "x (root) -> c2.example, 5 m 0 s ago"));
	assert_null(memchr(b.p, 0x1b, b.n));
	top_layout(&m, 24, 80, &f);
	assert_int_equal(f.n_lines, 24);
	at = (struct str){ f.text.p + f.lines[22].from, f.lines[22].n };
	assert_true(str_has_prefix(at, STR("findings: 3 open; the last, high: /tmp/")));
	assert_int_equal(f.lines[22].style, TOP_WARN);
	top_layout(&m, 5, 80, &f); /* no room for news */
	assert_int_equal(f.n_lines, 5);
	assert_null(memmem(f.text.p, f.text.n, "findings", 8));
	/* Over, and nothing open any more. */
	say("{\"rows\":[],\"totals\":{},\"findings\":{\"open\":0,\"last\":{\"id\":\"a\",\"state\":"
	    "\"closed\","
	    "\"level\":\"high\",\"entity\":\"x\",\"peer\":\"y\",\"time_ms\":1767225600000}}}");
	buf_clear(&b);
	top_print(&m, 0, 100, &b);
	assert_non_null(strstr(b.p, "findings: 0 open; the last, high and over: x -> y, "));
	/* Nonsense is no news. */
	say("{\"rows\":[],\"totals\":{},\"findings\":[7]}");
	say("{\"rows\":[],\"totals\":{},\"findings\":{\"open\":-1,\"last\":{\"entity\":7,\"time_"
	    "ms\":\"x\"}}}");
	top_layout(&m, 24, 80, &f);
	assert_int_equal(f.n_lines, 24);
}

static void test_cells(void **state)
{
	static const struct {
		const char *in;
		size_t width;
		bool right;
		const char *want;
	} cases[] = {
		{ "abc", 5, false, "abc  " },
		{ "abc", 5, true, "  abc" },
		{ "abcdef", 5, false, "abcd\xe2\x80\xa6" },
		{ "abcdef", 6, false, "abcdef" },
		{ "abcdef", 1, false, "\xe2\x80\xa6" },
		{ "abcdef", 0, false, "" },
		{ "\xe6\x97\xa5\xe6\x9c\xac", 4, false, "\xe6\x97\xa5\xe6\x9c\xac" },
		{ "\xe6\x97\xa5\xe6\x9c\xac", 3, false, "\xe6\x97\xa5\xe2\x80\xa6" },
		{ "\xe6\x97\xa5\xe6\x9c\xac", 2, false, " \xe2\x80\xa6" },
		{ "e\xcc\x81x", 3, false, "e\xcc\x81x " }, /* a combining mark takes no column */
		{ "a\x1b[0m\r\n\t\x7f", 9, false, "a?[0m????" },
		{ "\xc2\x9b"
		  "1m",
		  3, false, "?1m" },
		{ "\xe2\x80\xae\xef\xbb\xbf", 2, false, "??" },
		{ "\xff\xc3\xc0\xaf\xed\xa0\x80\xf5", 9, false, "???????? " },
	};
	_cleanup_buf_ struct buf b = BUF_INIT(1024);

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		buf_clear(&b);
		cell_put(&b, str_of(cases[i].in), cases[i].width, cases[i].right);
		assert_str(buf_str(&b), cases[i].want);
		assert_int_equal(cell_width(buf_str(&b)), cases[i].width);
	}
	setenv("LC_ALL", "C", 1);
	cells_init();
	buf_clear(&b);
	cell_put(&b,
		 str_of("\xc3\xa9"
			"abcdef"),
		 4, false);
	assert_str(buf_str(&b), "?ab~");
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_every_screen_is_filled_exactly),
		TEST(test_groups_on_80x24_and_40x10),
		TEST(test_selection_follows_its_row),
		TEST(test_scrolling),
		TEST(test_filter_line),
		TEST(test_drill_down_and_back),
		TEST(test_orders_and_hold),
		TEST(test_answers_that_make_no_sense),
		TEST(test_silence_is_told),
		TEST(test_plain_picture),
		TEST(test_notice),
		TEST(test_cells),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
