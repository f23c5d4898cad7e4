/* SPDX-License-Identifier: Apache-2.0 */
/* A ring much too small for what happens: notices are lost and counted, bytes are not. */
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "tests/bpf/live.h"

#define PORT 4000
#define FLOWS 1500

/* All that was told, flow by flow, and what lost its flow: together they are what was on the wire. */
static void assert_nothing_missing(struct live *l, uint8_t proto, uint64_t tx_packets,
				   uint64_t tx_bytes)
{
	uint64_t packets = l->unreported.tx_packets, bytes = l->unreported.tx_bytes;

	for (size_t i = 0; i < l->n_flows; i++) {
		struct live_flow *f = &l->flows[i];

		if (f->key.proto != proto || f->key.dport != PORT)
			continue;
		packets += f->counts.tx_packets;
		bytes += f->counts.tx_bytes;
	}
	assert_int_equal(packets, tx_packets);
	assert_int_equal(bytes, tx_bytes);
}

static void test_flood_of_datagrams(void **state)
{
	struct live *l = *state;
	int s = live_socket(l, THERE, AF_INET, SOCK_DGRAM, 0);
	socklen_t len;
	struct sockaddr_storage a = live_addr(THERE, AF_INET, PORT, &len);
	size_t n = 0;

	live_bind(s, THERE, AF_INET, PORT);
	live_enter(l, HERE);
	for (int i = 0; i < FLOWS; i++) {
		int c = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

		assert_true(c >= 0);
		assert_int_equal(sendto(c, "flood", 5, 0, (struct sockaddr *)&a, len), 5);
		close(c);
	}
	live_leave(l);
	close(s);
	live_collect(l);
	assert_true(l->lost[LOSS_RING_FLOW] > 0);
	assert_true(l->lost[LOSS_RING_PAYLOAD] > 0);
	assert_nothing_missing(l, IPPROTO_UDP, FLOWS, FLOWS * 33);
	/* each flow is told of all the same, and over: its end waited for the sweep */
	for (size_t i = 0; i < l->n_flows; i++)
		if (l->flows[i].key.proto == IPPROTO_UDP) {
			assert_int_equal(l->flows[i].opened, 1);
			assert_int_equal(l->flows[i].closed, 1);
			n++;
		}
	assert_int_equal(n, FLOWS);
}

static void test_flood_of_connections(void **state)
{
	struct live *l = *state;
	int listener = live_listen(l, THERE, AF_INET, PORT);
	uint64_t packets = 0, bytes = 0;
	size_t n = 0;

	live_enter(l, HERE);
	for (int i = 0; i < FLOWS / 3; i++) {
		int c = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), s;

		assert_true(c >= 0);
		assert_ok(live_connect(c, THERE, AF_INET, PORT));
		s = live_accept(listener);
		assert_int_equal(send(c, "hello", 5, 0), 5);
		close(s);
		close(c);
	}
	live_leave(l);
	close(listener);
	live_collect(l);
	live_collect(l);
	assert_true(l->lost[LOSS_RING_FLOW] > 0);
	for (size_t i = 0; i < l->n_flows; i++)
		if (l->flows[i].key.dport == PORT && l->flows[i].key.proto == IPPROTO_TCP) {
			struct live_wire w = live_wire_of(l, &l->flows[i].key);

			packets += w.tx_packets;
			bytes += w.tx_bytes;
			n += l->flows[i].closed;
		}
	assert_int_equal(n, FLOWS / 3);
	assert_nothing_missing(l, IPPROTO_TCP, packets, bytes);
}

int main(void)
{
#define LIVE_TEST(f) cmocka_unit_test_setup(f, live_begin)
	const struct CMUnitTest tests[] = {
		LIVE_TEST(test_flood_of_datagrams),
		LIVE_TEST(test_flood_of_connections),
	};

	return cmocka_run_group_tests(tests, live_setup_small, live_teardown);
}
