/* SPDX-License-Identifier: Apache-2.0 */
/* Inputs together, and the captures of shared/data against what others counted in them. */
#include "replay_collect.h"

#include <errno.h>
#include <jansson.h>

#include "base/cleanup.h"

static void test_merge_by_time(void **state)
{
	_cleanup_free_ struct collect *c = collect_new();
	char paths[3][64];
	const char *names[3];

	for (uint32_t i = 0; i < 3; i++) {
		_cleanup_buf_ struct buf b = BUF_INIT(1u << 20);

		pcap_of(&b, 300 + i * 100, 1700000000 + 37 * i);
		write_temp(&b, ".pcap", paths[i]);
		names[i] = paths[i];
	}
	collect_run(c, names, 3, 7);
	for (int i = 0; i < 3; i++)
		unlink(paths[i]);
	assert_int_equal(c->n, 300 + 400 + 500);
	assert_false(c->unordered);
	/* In a tie the input that was named first goes first. */
	assert_int_equal(c->p[37].key.sport, 1037);
	assert_int_equal(c->p[38].key.sport, 1000);
	assert_int_equal(c->stats.first_ns, 1700000000000005000ull);
	assert_int_equal(c->stats.last_ns, (1700000000ull + 37 * 2 + 499) * 1000000000 + 5000);
}

static void test_standard_input(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT(1u << 20);
	_cleanup_free_ struct collect *c = collect_new();
	int kept = dup(STDIN_FILENO), fds[2];

	pcap_of(&b, 100, 1700000000);
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], b.p, b.n), b.n);
	close(fds[1]);
	assert_true(kept >= 0 && dup2(fds[0], STDIN_FILENO) >= 0);
	close(fds[0]);
	collect_file(c, "-");
	assert_true(dup2(kept, STDIN_FILENO) >= 0);
	close(kept);
	assert_int_equal(c->n, 100);
	assert_int_equal(c->stats.input_total, 0);
	assert_int_equal(c->stats.input_bytes, b.n);
}

static void test_budget(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT(1u << 20);
	_cleanup_free_ struct collect *c = collect_new();
	struct replay *r = NULL;
	char path[64];

	pcap_of(&b, 10, 1700000000);
	write_temp(&b, "", path);
	assert_ok(replay_new(&r, (struct event_out){ collect_event, c }, NULL, NULL));
	assert_ok(replay_add(r, path));
	unlink(path);
	assert_int_equal(replay_run(r, 4), 1);
	assert_int_equal(c->n, 4);
	assert_err(replay_add(r, path), -EBUSY);
	assert_int_equal(replay_run(r, 4), 1);
	assert_int_equal(replay_run(r, 4), 0);
	assert_int_equal(c->n, 10);
	assert_int_equal(replay_run(r, 4), 0);
	replay_free(r);
}

static void test_not_read(void **state)
{
	static const char *const texts[] = { "",
					     "hello, world\n",
					     "\xd4\xc3\xb2\xa1",
					     "{\"a\":1}\n",
					     "{\"event_type\":\"flow\",\"src_ip\":\"10.0.0.1\"}\n",
					     "#separator \\x09\n#path\tfiles\n#fields\tts\tfuid\n",
					     "\x1f\x8b\x08nonsense that is no gzip" };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		_cleanup_buf_ struct buf b = BUF_INIT(1u << 20);
		_cleanup_free_ struct collect *c = NULL;

		buf_puts(&b, texts[i]);
		c = collect_bytes(&b);
		assert_err(c->added, -EBADMSG);
		assert_true(strlen(c->complaint) > 0);
		assert_int_equal(c->n, 0);
	}
}

static void test_not_there(void **state)
{
	_cleanup_free_ struct collect *c = collect_new();
	char folder[] = "/tmp/egret-test-XXXXXX";

	collect_file(c, "/nonexistent/x.pcap");
	assert_err(c->added, -ENOENT);
	assert_non_null(strstr(c->complaint, "x.pcap"));
	assert_non_null(mkdtemp(folder));
	collect_file(c, folder);
	assert_err(c->added, -EBADMSG);
	rmdir(folder);
}

static size_t tagged(uint8_t *out, uint16_t vlan, bool back)
{
	static const uint8_t eth[12] = { 2, 2, 2, 2, 2, 2, 4, 4, 4, 4, 4, 4 };
	size_t n;

	memcpy(out, eth, sizeof(eth));
	out[12] = 0x81;
	out[13] = 0;
	out[14] = (uint8_t)(vlan >> 8);
	out[15] = (uint8_t)vlan;
	out[16] = 8;
	out[17] = 0;
	n = udp_frame(out + 18, 53, 4);
	if (back) {
		out[18 + 15] = 2;
		out[18 + 19] = 1;
	}
	return 18 + n;
}

/* Another VLAN is another zone, the other direction is not, and priority bits are no VLAN. */
static void test_zones(void **state)
{
	static const uint16_t vlans[] = { 5, 6, 0x6005, 0 };
	_cleanup_buf_ struct buf b = BUF_INIT(1u << 20);
	_cleanup_free_ struct collect *c = NULL;

	pcap_header(&b, 0xa1b2c3d4, 1, false);
	for (size_t i = 0; i < 8; i++) {
		uint8_t frame[128];
		size_t n = tagged(frame, vlans[i / 2], i & 1);

		pcap_record(&b, 1700000000, 0, frame, n, n, false);
	}
	c = collect_bytes(&b);
	assert_int_equal(c->n, 8);
	for (size_t i = 0; i < 8; i += 2)
		assert_int_equal(c->p[i].key.zone, c->p[i + 1].key.zone);
	assert_int_not_equal(c->p[0].key.zone, 0);
	assert_int_not_equal(c->p[0].key.zone, c->p[2].key.zone);
	assert_int_equal(c->p[0].key.zone, c->p[4].key.zone);
	assert_int_equal(c->p[6].key.zone, 0);
}

static void test_errors_are_counted(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT(1u << 20);
	_cleanup_free_ struct collect *c = NULL;
	uint8_t frame[128];
	size_t n = udp_frame(frame, 1, 1);

	pcap_header(&b, 0xa1b2c3d4, 101, false);
	pcap_record(&b, 1700000000, 0, frame, 10, n, false);
	pcap_record(&b, 1700000000, 0, frame, n, n, false);
	frame[0] = 0x41;
	pcap_record(&b, 1700000000, 0, frame, n, n, false);
	c = collect_bytes(&b);
	assert_int_equal(c->stats.packets, 3);
	assert_int_equal(c->n, 1);
	assert_int_equal(c->stats.packet_errors[PACKET_TRUNCATED], 1);
	assert_int_equal(c->stats.packet_errors[PACKET_MALFORMED], 1);
}

static void check_fact(const json_t *fact)
{
	_cleanup_free_ struct collect *c = collect_new();
	const char *file = json_string_value(json_object_get(fact, "file"));
	uint64_t errors = 0;
	char path[512];

	collect_file(c, test_data(file, path));
	for (int i = 0; i < PACKET_ERROR_COUNT; i++)
		errors += c->stats.packet_errors[i];
	if (c->stats.packets != (uint64_t)json_integer_value(json_object_get(fact, "packets")))
		print_error("%s\n", file);
	assert_int_equal(c->stats.packets, json_integer_value(json_object_get(fact, "packets")));
	assert_int_equal(c->stats.inputs_cut + c->stats.blocks_bad, 0);
	/* Every packet is an event or a counted error: none is lost on the way. */
	assert_int_equal(c->sum_packets + c->unreported_packets + errors, c->stats.packets);
	assert_int_equal(c->stats.packet_errors[PACKET_MALFORMED], 0);
}

static void test_packets_of_real_captures(void **state)
{
	char path[512], line[65536 * 8];
	FILE *f = fopen(test_data("FACTS.jsonl", path), "r");
	size_t n = 0;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		json_t *fact = json_loads(line, 0, NULL);

		assert_non_null(fact);
		check_fact(fact);
		json_decref(fact);
		n++;
	}
	fclose(f);
	assert_true(n >= 71);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_merge_by_time),
		cmocka_unit_test(test_standard_input),
		cmocka_unit_test(test_budget),
		cmocka_unit_test(test_not_read),
		cmocka_unit_test(test_not_there),
		cmocka_unit_test(test_zones),
		cmocka_unit_test(test_errors_are_counted),
		cmocka_unit_test(test_packets_of_real_captures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
