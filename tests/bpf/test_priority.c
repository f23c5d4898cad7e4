/* SPDX-License-Identifier: Apache-2.0 */
/* The filter of a link's queue by BPF_PROG_TEST_RUN: TCP that only acknowledges goes first, nothing else does. */
#include <errno.h>
#include <net/ethernet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf/host.skel.h"
#include "bpf/priority_abi.h"
#include "tests/unit/test.h"

#define FIN 1
#define SYN 2
#define RST 4
#define PSH 8
#define ACK 16
#define HIGH (EG_LINK_ROOT | EG_LINK_HIGH)

static struct host_bpf *skel;

static int setup(void **state)
{
	int r;

	skel = host_bpf__open();
	assert_non_null(skel);
	skel->rodata->has_kern_ctx = 1;
	skel->rodata->name_key = 0x123456789abcdefULL;
	r = host_bpf__load(skel);
	if (r == -EPERM || r == -EACCES) {
		print_message("cannot load: %s\n", strerror(-r));
		exit(77);
	}
	assert_ok(r);
	return 0;
}

static int teardown(void **state)
{
	host_bpf__destroy(skel);
	return 0;
}

struct packet {
	bool v6;
	uint8_t proto, flags, ip_words, tcp_words;
	uint16_t payload, fragment;
	size_t cut; /* bytes that are missing at the end */
};

static uint32_t class_of(struct packet x)
{
	uint8_t f[1600] = { 0 }, *p = f + ETH_HLEN;
	size_t ip = x.v6 ? 40 : 4 * (x.ip_words ?: 5), tcp = 4 * (x.tcp_words ?: 5);
	size_t n = tcp + x.payload, bytes = x.v6 ? n : n + ip;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = f, .repeat = 1);

	f[12] = x.v6 ? 0x86 : 0x08;
	f[13] = x.v6 ? 0xdd : 0x00;
	p[0] = x.v6 ? 0x60 : 0x40 | ip / 4;
	p[x.v6 ? 4 : 2] = bytes >> 8;
	p[x.v6 ? 5 : 3] = bytes;
	p[x.v6 ? 6 : 9] = x.proto ?: 6;
	if (!x.v6) {
		p[6] = x.fragment >> 8;
		p[7] = x.fragment;
	}
	p[ip + 12] = tcp / 4 << 4;
	p[ip + 13] = x.flags;
	opts.data_size_in = ETH_HLEN + ip + n - x.cut;
	assert_ok(bpf_prog_test_run_opts(bpf_program__fd(skel->progs.eg_link), &opts));
	return opts.retval;
}

static void test_acks(void **state)
{
	for (int v6 = 0; v6 < 2; v6++) {
		assert_int_equal(class_of((struct packet){ v6, .flags = ACK }), HIGH);
		assert_int_equal(class_of((struct packet){ v6, .flags = ACK, .tcp_words = 11 }),
				 HIGH);
		/* ECN's answers are in the same byte */
		assert_int_equal(class_of((struct packet){ v6, .flags = ACK | 0x40 }), HIGH);
		assert_int_equal(class_of((struct packet){ v6, .flags = ACK, .payload = 1 }), 0);
		assert_int_equal(
			class_of((struct packet){ v6, .flags = ACK | PSH, .payload = 900 }), 0);
		assert_int_equal(class_of((struct packet){ v6, .flags = SYN }), 0);
		assert_int_equal(class_of((struct packet){ v6, .flags = SYN | ACK }), 0);
		assert_int_equal(class_of((struct packet){ v6, .flags = FIN | ACK }), 0);
		assert_int_equal(class_of((struct packet){ v6, .flags = RST | ACK }), 0);
		assert_int_equal(class_of((struct packet){ v6, .proto = 17, .flags = ACK }), 0);
	}
	assert_int_equal(class_of((struct packet){ .flags = ACK, .ip_words = 8 }), HIGH);
}

static void test_odd(void **state)
{
	assert_int_equal(class_of((struct packet){ .flags = ACK, .fragment = 0x2000 }), 0);
	assert_int_equal(class_of((struct packet){ .flags = ACK, .fragment = 1 }), 0);
	assert_int_equal(class_of((struct packet){ .flags = ACK, .tcp_words = 1 }), 0);
	assert_int_equal(class_of((struct packet){ .flags = ACK, .cut = 8 }), 0);
	assert_int_equal(class_of((struct packet){ .v6 = true, .flags = ACK, .cut = 20 }), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_acks),
					    cmocka_unit_test(test_odd) };

	return cmocka_run_group_tests(tests, setup, teardown);
}
