/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The packet programs by BPF_PROG_TEST_RUN: packets that no stack of ours would send. The kernel lends them a socket of
 * its own, so flows are the kernel's (pid 0). Whatever comes, the verdict is 1.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/ethernet.h>
#include <time.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/cleanup.h"
#include "bpf/abi.h"
#include "bpf/host.skel.h"
#include "tests/unit/test.h"

#define MAX_RECORDS 64

static struct host_bpf *skel;
static struct ring_buffer *ring;
static struct {
	char bytes[MAX_RECORDS][5000];
	size_t size[MAX_RECORDS], n;
} told;

static int on_record(void *ctx, void *data, size_t size)
{
	if (told.n < MAX_RECORDS && size <= sizeof(told.bytes[0])) {
		memcpy(told.bytes[told.n], data, size);
		told.size[told.n++] = size;
	}
	return 0;
}

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
	ring = ring_buffer__new(bpf_map__fd(skel->maps.eg_ring), on_record, NULL, NULL);
	assert_non_null(ring);
	return 0;
}

static int teardown(void **state)
{
	ring_buffer__free(ring);
	host_bpf__destroy(skel);
	return 0;
}

/* An Ethernet frame around `packet`; cgroup programs see it from the IP header on. */
static void run(const struct bpf_program *prog, const void *packet, size_t n)
{
	static uint8_t frame[ETH_HLEN + 4200];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = ETH_HLEN + n,
		    .repeat = 1);
	int r;

	memset(frame, 0, ETH_HLEN);
	memcpy(frame + ETH_HLEN, packet, n);
	frame[12] = n && (*(const uint8_t *)packet >> 4) == 6 ? 0x86 : 0x08;
	frame[13] = frame[12] == 0x86 ? 0xdd : 0x00;
	told.n = 0;
	r = bpf_prog_test_run_opts(bpf_program__fd(prog), &opts);
	if (r == -EINVAL && n < 40)
		return; /* the kernel itself refuses to run it on so little */
	assert_ok(r);
	assert_int_equal(opts.retval, 1);
	ring_buffer__consume(ring);
}

static size_t udp4(uint8_t *p, uint16_t sport, uint16_t dport, const void *payload, size_t n)
{
	static const uint8_t head[20] = {
		0x45, [8] = 64, [9] = 17, [12] = 10, 9, 0, 1, 10, 9, 0, 2
	};

	memcpy(p, head, 20);
	p[2] = (28 + n) >> 8;
	p[3] = 28 + n;
	p[20] = sport >> 8;
	p[21] = sport;
	p[22] = dport >> 8;
	p[23] = dport;
	p[24] = (8 + n) >> 8;
	p[25] = 8 + n;
	p[26] = p[27] = 0;
	memcpy(p + 28, payload, n);
	return 28 + n;
}

static const void *record(uint32_t type)
{
	for (size_t i = 0; i < told.n; i++)
		if (((struct eg_rec *)told.bytes[i])->type == type)
			return told.bytes[i];
	return NULL;
}

static void test_udp(void **state)
{
	const struct eg_open *open;
	const struct eg_data *data;
	uint8_t p[256];

	run(skel->progs.eg_egress, p, udp4(p, 1000, 2000, "payload!", 8));
	open = record(EG_REC_OPEN);
	data = record(EG_REC_DATA);
	assert_non_null(open);
	assert_non_null(data);
	assert_int_equal(open->key.lport, 1000);
	assert_int_equal(open->key.rport, 2000);
	assert_int_equal(open->key.local[12], 10);
	assert_int_equal(open->key.remote[15], 2);
	assert_int_equal(open->key.remote[10], 0xff);
	assert_int_equal(open->owner.pid, 0);
	assert_true(open->rec.flags & EG_OWNED);
	assert_false(open->rec.flags & EG_INBOUND);
	assert_int_equal(data->len, 8);
	assert_memory_equal(data + 1, "payload!", 8);

	run(skel->progs.eg_ingress, p, udp4(p, 1000, 2000, "payload!", 8));
	open = record(EG_REC_OPEN);
	assert_non_null(open);
	assert_true(open->rec.flags & EG_INBOUND);
	assert_int_equal(open->key.lport, 2000);
	assert_int_equal(open->key.local[15], 2);
}

static void test_udp6_with_options(void **state)
{
	/* hop-by-hop and destination options before UDP */
	uint8_t p[40 + 8 + 8 + 8 + 4] = {
		0x60, [5] = 28, [6] = 0, [7] = 64, [8] = 0xfd, [23] = 1, [24] = 0xfd, [39] = 2
	};
	const struct eg_open *open;

	p[40] = 60;
	p[48] = 17;
	p[56] = 0x12;
	p[57] = 0x34;
	p[59] = 53;
	p[61] = 12;
	run(skel->progs.eg_egress, p, sizeof(p));
	open = record(EG_REC_OPEN);
	assert_non_null(open);
	assert_int_equal(open->key.proto, 17);
	assert_int_equal(open->key.lport, 0x1234);
	assert_int_equal(open->key.rport, 53);
}

static const char answer[] =
	"\x12\x34\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00\x05kNOwn\x04test\x00\x00\x01\x00\x01"
	"\xc0\x0c\x00\x01\x00\x01\x00\x00\x01\x00\x00\x04\x0a\x01\x02\x03";

static int names_of(const char *addr, struct eg_addr_names *ret)
{
	struct eg_addr key = { { [10] = 0xff, 0xff } };

	inet_pton(AF_INET, addr, key.addr + 12);
	return bpf_map_lookup_elem(bpf_map__fd(skel->maps.eg_addr_names), &key, ret);
}

static void test_names(void **state)
{
	struct eg_addr_names n;
	struct eg_name text;
	uint8_t p[512];

	/* out of a port that DNS answers do not come from: nothing is learned */
	run(skel->progs.eg_ingress, p, udp4(p, 54, 4000, answer, sizeof(answer) - 1));
	assert_int_not_equal(names_of("10.1.2.3", &n), 0);
	/* on its way out: neither */
	run(skel->progs.eg_egress, p, udp4(p, 53, 4000, answer, sizeof(answer) - 1));
	assert_int_not_equal(names_of("10.1.2.3", &n), 0);
	run(skel->progs.eg_ingress, p, udp4(p, 53, 4000, answer, sizeof(answer) - 1));
	assert_ok(names_of("10.1.2.3", &n));
	assert_int_not_equal(n.hash[0], 0);
	assert_int_equal(n.hash[1], 0);
	assert_ok(bpf_map_lookup_elem(bpf_map__fd(skel->maps.eg_names), &n.hash[0], &text));
	assert_int_equal(text.len, 10);
	assert_memory_equal(text.text, "known.test", 10);
}

/* The place that a record looks at first, then the others. */
static int place(const struct eg_addr_names *n, int nth)
{
	struct timespec t;
	uint64_t now, before = UINT64_MAX, best = 0;

	clock_gettime(CLOCK_MONOTONIC, &t);
	now = t.tv_sec * 1000000000ULL + t.tv_nsec;
	for (; nth >= 0; nth--, before = best) {
		best = 0;
		for (uint32_t i = 0; i < EG_NAMES_OF_ADDR; i++) {
			uint64_t rank = eg_name_rank(n, i, now);

			if (rank > best && rank < before)
				best = rank;
		}
	}
	return best ? (int)(best & (EG_NAMES_OF_ADDR - 1)) : -1;
}

/* More names of one address than there are places: the newest first, none twice, no place left free. */
static void test_many_names(void **state)
{
	struct eg_addr_names n;
	struct eg_name text;
	uint8_t p[512];
	char m[sizeof(answer)];

	memcpy(m, answer, sizeof(m));
	m[sizeof(m) - 2] = 99;
	for (int i = 0; i < 6; i++) {
		m[13] = 'a' + i;
		run(skel->progs.eg_ingress, p, udp4(p, 53, 4000, m, sizeof(m) - 1));
		run(skel->progs.eg_ingress, p, udp4(p, 53, 4000, m, sizeof(m) - 1));
		usleep(200); /* the clock of places ticks every 66 us */
	}
	assert_ok(names_of("10.1.2.99", &n));
	for (int i = 0; i < 6; i++) {
		int at = place(&n, i);

		assert_in_range(at, 0, EG_NAMES_OF_ADDR - 1);
		assert_ok(
			bpf_map_lookup_elem(bpf_map__fd(skel->maps.eg_names), &n.hash[at], &text));
		assert_int_equal(text.text[0], 'f' - i);
		assert_false(n.trusted[at]); /* nobody asked, and nobody is a resolver here */
	}
	assert_int_equal(place(&n, 6), -1);
	for (int i = 0; i < 20; i++) {
		m[13] = 'g' + i;
		run(skel->progs.eg_ingress, p, udp4(p, 53, 4000, m, sizeof(m) - 1));
	}
	assert_ok(names_of("10.1.2.99", &n));
	assert_int_not_equal(place(&n, EG_NAMES_OF_ADDR - 1), -1);
}

static void test_whole_dns_message(void **state)
{
	static uint8_t p[4000], m[3000];
	const struct eg_data *data;

	for (size_t i = 0; i < sizeof(m); i++)
		m[i] = i;
	run(skel->progs.eg_ingress, p, udp4(p, 53, 4000, m, sizeof(m)));
	data = record(EG_REC_DATA);
	assert_non_null(data);
	assert_int_equal(data->len, sizeof(m));
	assert_memory_equal(data + 1, m, sizeof(m));
	assert_true(data->what & EG_DATA_IS_DNS);
	run(skel->progs.eg_ingress, p, udp4(p, 54, 4000, m, sizeof(m)));
	data = record(EG_REC_DATA);
	assert_non_null(data);
	assert_int_equal(data->len, EG_UDP_BYTES_MAX);
	assert_int_equal(data->payload_bytes, sizeof(m));
}

/* Anything at all: no packet is refused, no record names more bytes than it holds. */
static void test_garbage(void **state)
{
	static uint8_t p[2000];

	srand(7);
	for (int i = 0; i < 4000; i++) {
		size_t n = 40 + rand() % 400;

		for (size_t j = 0; j < n; j++)
			p[j] = rand();
		p[0] = (rand() & 1 ? 0x40 : 0x60) | (rand() % 4 ? 5 : rand() & 15);
		if (rand() & 1)
			p[p[0] >> 4 == 4 ? 9 : 6] = rand() & 1 ? 6 : 17;
		run(rand() & 1 ? skel->progs.eg_egress : skel->progs.eg_ingress, p, n);
		for (size_t j = 0; j < told.n; j++) {
			struct eg_data *d = (struct eg_data *)told.bytes[j];

			if (d->rec.type == EG_REC_DATA)
				assert_true(sizeof(*d) + d->len <= told.size[j]);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_udp),
		cmocka_unit_test(test_udp6_with_options),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_many_names),
		cmocka_unit_test(test_whole_dns_message),
		cmocka_unit_test(test_garbage),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
