/* SPDX-License-Identifier: Apache-2.0 */
/* The flow table: whose packet it is, what is counted, when a flow ends, and what live sockets add to it. */
#include "flow_rig.h"

static const struct flow_config defaults;

static void tcp_counts_and_ends_with_fin(void **state)
{
	struct rig g;
	struct rig_tcp c = rig_tcp(&g, 40000, 7777);

	rig_start(&g, defaults, false);
	rig_connect(&c);
	rig_send(&c, 0, STR("zzzzz"));
	rig_send(&c, 1, STR("yyy"));
	rig_close(&c);
	rig_expect(&g, "");
	rig_wait(&g, 6 * NSEC_PER_SEC);
	rig_expect(&g, "flow 10.0.0.1:40000>192.0.2.9:7777 unknown 5/3 payload 5/3 rtt 2000 closed "
		       "tcp_fin\n");
	rig_finish(&g);
	rig_expect(&g, "");
	rig_stop(&g);
}

static void retransmits_do_not_count_as_payload(void **state)
{
	struct rig g;
	struct rig_tcp c = rig_tcp(&g, 40000, 7777);
	uint32_t at;

	rig_start(&g, defaults, false);
	rig_flags(&c, 0, TCP_SYN);
	rig_segment(&c, 0, TCP_SYN, 1000, STR_NONE); /* once more */
	rig_flags(&c, 1, TCP_SYN | TCP_ACK);
	rig_flags(&c, 0, TCP_ACK);
	at = c.seq[0];
	rig_send(&c, 0, STR("0123456789"));
	rig_segment(&c, 0, TCP_ACK, at, STR("0123456789"));
	rig_segment(&c, 0, TCP_ACK, at + 5, STR("56789ABC")); /* partly new */
	c.seq[0] += 3;
	rig_flags(&c, 1, TCP_ACK);
	/* A keep-alive: the last byte again, although acknowledged. */
	rig_segment(&c, 0, TCP_ACK, c.seq[0] - 1, STR("x"));
	rig_finish(&g);
	rig_expect(&g,
		   "flow 10.0.0.1:40000>192.0.2.9:7777 unknown 7/2 payload 13/0 again 3 rtt 2000 "
		   "established shutdown\n");
	rig_stop(&g);
}

static void reordered_segments_are_new_bytes(void **state)
{
	struct rig g;
	struct rig_tcp c = rig_tcp(&g, 40000, 7777);
	uint32_t at;

	rig_start(&g, defaults, false);
	rig_connect(&c);
	at = c.seq[1]; /* the server's numbers wrap within these */
	rig_segment(&c, 1, TCP_ACK, at + 20, STR("cccccccccc"));
	rig_segment(&c, 1, TCP_ACK, at + 40, STR("eeeeeeeeee"));
	rig_segment(&c, 1, TCP_ACK, at, STR("aaaaaaaaaabbbbbbbbbb"));
	rig_segment(&c, 1, TCP_ACK, at + 30, STR("dddddddddd"));
	rig_segment(&c, 1, TCP_ACK, at + 30, STR("dddddddddd"));
	rig_finish(&g);
	rig_expect(&g,
		   "flow 10.0.0.1:40000>192.0.2.9:7777 unknown 2/6 payload 0/50 again 1 rtt 2000 "
		   "established shutdown\n");
	rig_stop(&g);
}

static void the_opener_is_who_sent_the_syn(void **state)
{
	struct rig g;
	struct rig_tcp c = rig_tcp(&g, 40000, 443);

	rig_start(&g, defaults, false);
	/* The answer first: the capture began a moment late. */
	c.seq[0] = 1001;
	rig_flags(&c, 1, TCP_SYN | TCP_ACK);
	rig_flags(&c, 0, TCP_ACK);
	/* Mid-stream, the server's packet first. */
	c.cport = 40001;
	rig_send(&c, 1, STR("...."));
	/* Mid-stream between two high ports: whoever spoke first. */
	c.cport = 40002;
	c.sport = 40003;
	rig_send(&c, 1, STR("...."));
	rig_finish(&g);
	rig_expect(&g, "flow 10.0.0.1:40000>192.0.2.9:443 1/1 rtt 1000 established shutdown\n"
		       "flow 10.0.0.1:40001>192.0.2.9:443 unknown 0/1 payload 0/4 mid established "
		       "shutdown\n"
		       "flow 192.0.2.9:40003>10.0.0.1:40002 unknown 1/0 payload 4/0 mid "
		       "established shutdown\n");
	rig_stop(&g);
}

static void a_refused_or_unanswered_connection_failed(void **state)
{
	struct rig g;
	struct rig_tcp c = rig_tcp(&g, 40000, 81);

	rig_start(&g, defaults, false);
	rig_flags(&c, 0, TCP_SYN);
	rig_flags(&c, 1, TCP_RST | TCP_ACK);
	rig_wait(&g, 6 * NSEC_PER_SEC);
	rig_expect(&g, "flow 10.0.0.1:40000>192.0.2.9:81 1/1 resets 1 closed failed\n");
	rig_flags(&c, 0, TCP_SYN);
	rig_wait(&g, 59 * NSEC_PER_SEC);
	rig_expect(&g, "");
	rig_wait(&g, 3 * NSEC_PER_SEC);
	rig_expect(&g, "flow 10.0.0.1:40000>192.0.2.9:81 1/0 new failed\n");
	rig_stop(&g);
}

static void a_reset_ends_and_stragglers_belong_to_it(void **state)
{
	struct rig g;
	struct rig_tcp c = rig_tcp(&g, 40000, 7777);

	rig_start(&g, defaults, false);
	rig_connect(&c);
	rig_send(&c, 0, STR("hello"));
	rig_flags(&c, 1, TCP_RST);
	rig_wait(&g, 2 * NSEC_PER_SEC);
	rig_flags(&c, 0, TCP_ACK);
	rig_wait(&g, 4 * NSEC_PER_SEC);
	rig_expect(&g, "");
	rig_wait(&g, 2 * NSEC_PER_SEC);
	rig_expect(&g,
		   "flow 10.0.0.1:40000>192.0.2.9:7777 unknown 4/2 payload 5/0 resets 1 rtt 2000 "
		   "closed tcp_reset\n");
	rig_stop(&g);
}

static void ports_used_again_are_another_flow(void **state)
{
	struct rig g;
	struct rig_tcp c = rig_tcp(&g, 40000, 7777);

	rig_start(&g, defaults, false);
	rig_connect(&c);
	rig_close(&c);
	rig_segment(&c, 0, TCP_SYN, 1000, STR_NONE); /* a copy of the old SYN is none */
	rig_expect(&g, "");
	c.seq[0] = 500000;
	rig_flags(&c, 0, TCP_SYN);
	rig_expect(&g, "flow 10.0.0.1:40000>192.0.2.9:7777 5/2 again 1 rtt 2000 closed tcp_fin\n");
	rig_finish(&g);
	rig_expect(&g, "flow 10.0.0.1:40000>192.0.2.9:7777 1/0 new shutdown\n");
	rig_stop(&g);
}

static void idle_flows_time_out(void **state)
{
	struct flow_config cfg = { .tcp_idle_ns = 100 * NSEC_PER_SEC,
				   .udp_idle_ns = 40 * NSEC_PER_SEC };
	struct rig g;
	struct rig_tcp c = rig_tcp(&g, 40000, 7777);
	struct event e;

	rig_start(&g, cfg, false);
	rig_connect(&c);
	rig_udp(&g, S, 5000, D, 6000, STR("?"));
	rig_udp(&g, D, 6000, S, 5000, STR("!"));
	e = rig_event(&g, EVENT_PACKET, IPPROTO_ICMP, S, 8, D, 0);
	e.packet.packets = 1;
	flow_table_event(g.t, &e);
	rig_wait(&g, 32 * NSEC_PER_SEC);
	rig_expect(&g, "flow 10.0.0.1:8>192.0.2.9:0 1/0 new timeout\n");
	rig_wait(&g, 10 * NSEC_PER_SEC);
	rig_expect(
		&g,
		"flow 10.0.0.1:5000>192.0.2.9:6000 unknown 1/1 payload 1/1 established timeout\n");
	rig_wait(&g, 60 * NSEC_PER_SEC);
	rig_expect(&g, "flow 10.0.0.1:40000>192.0.2.9:7777 2/1 rtt 2000 established timeout\n");
	/* A packet after the time-out, before any other event: still another flow. */
	rig_udp(&g, S, 5000, D, 6000, STR("?"));
	g.now += 41 * NSEC_PER_SEC;
	rig_udp(&g, S, 5000, D, 6000, STR("?"));
	rig_expect(&g, "flow 10.0.0.1:5000>192.0.2.9:6000 unknown 1/0 payload 1/0 new timeout\n");
	rig_stop(&g);
}

static void answers_are_told_by_their_side(void **state)
{
	struct rig g;
	struct event e;

	rig_start(&g, defaults, false);
	rig_udp(&g, D, 123, S, 40000, STR("answer"));
	rig_udp(&g, S, 40000, D, 123, STR("question"));
	rig_udp(&g, S, 68, "255.255.255.255", 67, STR("?"));
	e = rig_event(&g, EVENT_PACKET, IPPROTO_ICMP, D, 0, S, 8); /* an echo reply */
	e.packet.packets = 1;
	flow_table_event(g.t, &e);
	rig_finish(&g);
	rig_expect(
		&g,
		"flow 10.0.0.1:40000>192.0.2.9:123 unknown 1/1 payload 8/6 established shutdown\n"
		"flow 10.0.0.1:68>255.255.255.255:67 unknown 1/0 payload 1/0 new shutdown\n"
		"flow 10.0.0.1:8>192.0.2.9:0 0/1 new shutdown\n");
	rig_stop(&g);
}

static void zones_keep_equal_addresses_apart(void **state)
{
	struct rig g;
	struct event e;

	rig_start(&g, defaults, false);
	e = rig_event(&g, EVENT_PACKET, IPPROTO_UDP, S, 5000, D, 6000);
	e.packet.packets = 1;
	flow_table_event(g.t, &e);
	e.key.zone = 7;
	flow_table_event(g.t, &e);
	rig_finish(&g);
	rig_expect(&g, "flow 10.0.0.1:5000>192.0.2.9:6000 1/0 new shutdown\n"
		       "flow 10.0.0.1:5000>192.0.2.9:6000 1/0 new shutdown\n");
	rig_stop(&g);
}

static void a_full_table_ends_the_idlest_and_says_so(void **state)
{
	struct flow_config cfg = { .max_flows = 3 };
	struct flow_table_stats stats;
	struct rig g;

	rig_start(&g, cfg, false);
	for (uint16_t i = 0; i < 3; i++) {
		rig_udp(&g, S, 5000 + i, D, 6000, STR("?"));
		rig_wait(&g, 2 * NSEC_PER_SEC);
	}
	rig_udp(&g, S, 5000, D, 6000, STR("?"));
	rig_udp(&g, S, 5003, D, 6000, STR("?"));
	rig_expect(&g, "flow 10.0.0.1:5001>192.0.2.9:6000 unknown 1/0 payload 1/0 new forced\n");
	flow_table_stats(g.t, &stats);
	assert_int_equal(stats.flows_now, 3);
	assert_int_equal(stats.flows_total, 4);
	assert_int_equal(stats.loss[LOSS_TABLE_FLOWS], 1);
	assert_int_equal(stats.packets, 5);
	g.stats = true;
	rig_wait(&g, 3600 * NSEC_PER_SEC);
	rig_expect(&g, "flow 10.0.0.1:5002>192.0.2.9:6000 unknown 1/0 payload 1/0 new timeout\n"
		       "flow 10.0.0.1:5000>192.0.2.9:6000 unknown 2/0 payload 2/0 new timeout\n"
		       "flow 10.0.0.1:5003>192.0.2.9:6000 unknown 1/0 payload 1/0 new timeout\n"
		       "stats table-flows=1\n");
	rig_stop(&g);
}

static void what_is_over_makes_room_without_loss(void **state)
{
	struct flow_config cfg = { .max_flows = 2 };
	struct flow_table_stats stats;
	struct rig g;
	struct rig_tcp c = rig_tcp(&g, 40000, 7777);

	rig_start(&g, cfg, false);
	rig_udp(&g, S, 5000, D, 6000, STR("?"));
	rig_connect(&c);
	rig_close(&c);
	rig_udp(&g, S, 5001, D, 6000, STR("?"));
	rig_expect(&g, "flow 10.0.0.1:40000>192.0.2.9:7777 4/2 rtt 2000 closed tcp_fin\n");
	flow_table_stats(g.t, &stats);
	assert_int_equal(stats.loss[LOSS_TABLE_FLOWS], 0);
	rig_stop(&g);
}

static void long_flows_are_reported_while_they_live(void **state)
{
	struct flow_config cfg = { .report_every_ns = 10 * NSEC_PER_SEC };
	struct rig g;
	struct rig_tcp c = rig_tcp(&g, 40000, 7777);

	rig_start(&g, cfg, false);
	rig_connect(&c);
	rig_wait(&g, 9 * NSEC_PER_SEC);
	rig_expect(&g, "");
	rig_wait(&g, 2 * NSEC_PER_SEC);
	rig_expect(&g, "flow 10.0.0.1:40000>192.0.2.9:7777 2/1 rtt 2000 established\n");
	rig_send(&c, 0, STR("!"));
	rig_wait(&g, 10 * NSEC_PER_SEC);
	rig_expect(&g, "flow 10.0.0.1:40000>192.0.2.9:7777 3/1 payload 1/0 rtt 2000 established\n");
	rig_finish(&g);
	rig_expect(&g, "flow 10.0.0.1:40000>192.0.2.9:7777 unknown 3/1 payload 1/0 rtt 2000 "
		       "established shutdown\n");
	rig_stop(&g);
}

struct seen {
	size_t n;
	uint64_t last_id;
	enum flow_direction direction[8];
};

static void see(void *ctx, const struct flow *f)
{
	struct seen *s = ctx;

	assert_true(f->id > s->last_id && f->id < 1ULL << 53);
	s->last_id = f->id;
	s->direction[s->n++] = f->direction;
}

static void direction_is_told_by_what_is_inside(void **state)
{
	struct cidr inside;
	struct flow_config cfg = { .inside = &inside, .n_inside = 1 };
	struct seen seen = { 0 };
	struct rig g;

	assert_ok(cidr_parse(STR("203.0.113.0/24"), &inside));
	for (int own = 0; own < 2; own++) {
		seen = (struct seen){ 0 };
		rig_start(&g, own ? cfg : defaults, false);
		rig_udp(&g, S, 5000, "8.8.8.8", 6000, STR("?"));
		rig_udp(&g, "8.8.8.8", 5001, S, 6001, STR("?"));
		rig_udp(&g, S, 5002, "10.1.1.1", 6002, STR("?"));
		rig_udp(&g, S, 5003, "239.1.1.1", 6003, STR("?"));
		rig_udp(&g, "203.0.113.5", 5004, "8.8.8.8", 6004, STR("?"));
		flow_table_each(g.t, see, &seen);
		assert_int_equal(seen.n, 5);
		assert_int_equal(seen.direction[0], own ? FLOW_DIRECTION_UNKNOWN : FLOW_EGRESS);
		assert_int_equal(seen.direction[1], own ? FLOW_DIRECTION_UNKNOWN : FLOW_INGRESS);
		assert_int_equal(seen.direction[2], FLOW_DIRECTION_UNKNOWN);
		assert_int_equal(seen.direction[4], own ? FLOW_EGRESS : FLOW_DIRECTION_UNKNOWN);
		rig_stop(&g);
	}
}

static void a_clock_that_jumps_harms_nobody(void **state)
{
	struct rig g;
	struct rig_tcp c = rig_tcp(&g, 40000, 7777);

	rig_start(&g, defaults, false);
	rig_connect(&c);
	g.now += 1000000 * NSEC_PER_SEC;
	rig_udp(&g, S, 5000, D, 6000, STR("?"));
	rig_expect(&g, "flow 10.0.0.1:40000>192.0.2.9:7777 2/1 rtt 2000 established timeout\n");
	/* Back again: what comes now still makes flows that live. */
	g.now = T0 + NSEC_PER_SEC;
	c.seq[0] = 77;
	c.seq[1] = 99;
	rig_connect(&c);
	rig_send(&c, 0, STR("zz"));
	rig_finish(&g);
	rig_expect(&g, "flow 10.0.0.1:5000>192.0.2.9:6000 unknown 1/0 payload 1/0 new shutdown\n"
		       "flow 10.0.0.1:40000>192.0.2.9:7777 unknown 3/1 payload 2/0 rtt 2000 "
		       "established shutdown\n");
	rig_stop(&g);
}

/* --- sockets ------------------------------------------------------------------------------------------------------ */

static void open_socket(struct rig *g, struct event_open open, uint8_t proto, uint16_t lport,
			const char *remote, uint16_t rport)
{
	struct event e = rig_event(g, EVENT_OPEN, proto, S, lport, remote, rport);

	e.open = open;
	flow_table_event(g->t, &e);
}

static void counters(struct rig *g, enum event_type type, uint8_t proto, uint16_t lport,
		     uint16_t rport, struct event_counts n, enum event_end end)
{
	struct event e = rig_event(g, type, proto, S, lport, D, rport);

	n.last_ns = g->now;
	if (type == EVENT_COUNT) {
		e.count = n;
	} else {
		e.close.counts = n;
		e.close.end = end;
	}
	flow_table_event(g->t, &e);
}

static void sockets_own_their_flows(void **state)
{
	struct rig g;
	struct event_open o = { .cookie = 1, .pid = 4242, .uid = 33, .comm = STR("curl") };

	rig_start(&g, defaults, true);
	open_socket(&g, o, IPPROTO_TCP, 40000, D, 443);
	counters(&g, EVENT_COUNT, IPPROTO_TCP, 40000, 443,
		 (struct event_counts){ .tx_packets = 3, .rx_packets = 2, .tx_payload = 100 }, 0);
	counters(&g, EVENT_CLOSE, IPPROTO_TCP, 40000, 443,
		 (struct event_counts){ .tx_packets = 5,
					.rx_packets = 4,
					.tx_payload = 120,
					.rx_payload = 7,
					.rtt_us = 1234,
					.retransmits = 2 },
		 END_FIN);
	rig_expect(&g, "flow 10.0.0.1:40000>192.0.2.9:443 unknown 5/4 payload 120/7 again 2 rtt "
		       "1234 by curl "
		       "closed tcp_fin\n");
	/* The other side opened it: it is the source. */
	o.inbound = true;
	open_socket(&g, o, IPPROTO_TCP, 22, D, 50000);
	counters(&g, EVENT_CLOSE, IPPROTO_TCP, 22, 50000,
		 (struct event_counts){ .tx_packets = 5, .rx_packets = 6 }, END_FIN);
	rig_expect(&g, "flow 192.0.2.9:50000>10.0.0.1:22 6/5 by curl closed tcp_fin\n");
	rig_stop(&g);
}

static void another_cookie_is_another_socket(void **state)
{
	struct rig g;

	rig_start(&g, defaults, true);
	open_socket(&g, (struct event_open){ .cookie = 1, .pid = 1, .comm = STR("a") }, IPPROTO_UDP,
		    40000, D, 53);
	open_socket(&g, (struct event_open){ .cookie = 1, .pid = 2, .comm = STR("b") }, IPPROTO_UDP,
		    40000, D, 53); /* passed on */
	rig_expect(&g, "");
	open_socket(&g, (struct event_open){ .cookie = 2, .pid = 3, .comm = STR("c") }, IPPROTO_UDP,
		    40000, D, 53);
	rig_expect(&g, "flow 10.0.0.1:40000>192.0.2.9:53 0/0 by b closed closed\n");
	rig_finish(&g);
	rig_expect(&g, "flow 10.0.0.1:40000>192.0.2.9:53 0/0 by c new shutdown\n");
	rig_stop(&g);
}

static void a_lost_open_loses_no_bytes(void **state)
{
	struct flow_table_stats stats;
	struct rig g;
	struct event e = { .type = EVENT_LOSS, .time_ns = T0 };

	rig_start(&g, defaults, true);
	counters(&g, EVENT_COUNT, IPPROTO_TCP, 40000, 443,
		 (struct event_counts){ .tx_packets = 3, .tx_bytes = 300, .rx_packets = 2 }, 0);
	open_socket(&g, (struct event_open){ .cookie = 9, .owner_unknown = true }, IPPROTO_TCP,
		    40001, D, 443);
	counters(&g, EVENT_CLOSE, IPPROTO_TCP, 40001, 443, (struct event_counts){ .tx_packets = 1 },
		 END_CLOSED);
	rig_expect(&g, "flow 10.0.0.1:40001>192.0.2.9:443 1/0 unowned new failed\n");
	e.loss = (struct event_loss){ .reason = LOSS_RING_FLOW,
				      .count = 4,
				      .unreported = { .tx_packets = 7, .tx_bytes = 700 } };
	flow_table_event(g.t, &e);
	flow_table_event(g.t, &e);
	flow_table_stats(g.t, &stats);
	assert_int_equal(stats.loss[LOSS_RING_FLOW], 8);
	assert_int_equal(stats.unreported.tx_packets, 14);
	assert_int_equal(stats.unreported.tx_bytes, 1400);
	assert_int_equal(stats.packets, 6);
	assert_int_equal(stats.bytes, 300);
	rig_finish(&g);
	rig_expect(&g, "flow 10.0.0.1:40000>192.0.2.9:443 3/2 unowned established shutdown\n");
	rig_stop(&g);
}

static void both_ends_on_one_host_are_two_flows(void **state)
{
	struct rig g;
	struct event e;

	rig_start(&g, defaults, true);
	for (int server = 0; server < 2; server++) {
		e = rig_event(&g, EVENT_OPEN, IPPROTO_TCP, "127.0.0.1", server ? 80 : 40000,
			      "127.0.0.1", server ? 40000 : 80);
		e.open = (struct event_open){ .cookie = 1 + server,
					      .pid = 10 + server,
					      .inbound = server,
					      .comm = server ? STR("nginx") : STR("curl") };
		flow_table_event(g.t, &e);
	}
	rig_finish(&g);
	rig_expect(&g, "flow 127.0.0.1:40000>127.0.0.1:80 0/0 by curl new shutdown\n"
		       "flow 127.0.0.1:40000>127.0.0.1:80 0/0 by nginx new shutdown\n");
	rig_stop(&g);
}

static void an_early_notice_is_turned_round_when_the_open_comes(void **state)
{
	struct rig g;

	rig_start(&g, defaults, true);
	counters(&g, EVENT_COUNT, IPPROTO_TCP, 22, 50000,
		 (struct event_counts){ .tx_packets = 3, .rx_packets = 8 }, 0);
	open_socket(&g, (struct event_open){ .pid = 7, .inbound = true, .comm = STR("sshd") },
		    IPPROTO_TCP, 22, D, 50000);
	rig_finish(&g);
	rig_expect(&g, "flow 192.0.2.9:50000>10.0.0.1:22 8/3 by sshd established shutdown\n");
	rig_stop(&g);
}

static void packet_sockets_are_told(void **state)
{
	struct rig g;
	struct event e = { .type = EVENT_PROC, .time_ns = T0 };

	rig_start(&g, defaults, true);
	e.proc = (struct event_proc){
		.change = PROC_EXEC, .pid = 5, .start_ns = 100, .exe = STR("/usr/bin/tcpdump")
	};
	flow_table_event(g.t, &e);
	rig_expect(&g, "");
	e.proc.change = PROC_PACKET_SOCKET;
	flow_table_event(g.t, &e);
	rig_expect(&g, "packet-socket tcpdump\n");
	rig_stop(&g);
}

/* --- a log's flows ------------------------------------------------------------------------------------------------ */

static void a_log_line_waits_for_its_facts(void **state)
{
	struct rig g;
	struct event e;

	rig_start(&g, defaults, false);
	e = rig_event(&g, EVENT_CLOSE, IPPROTO_TCP, S, 40000, D, 443);
	e.key.zone = 5;
	e.close = (struct event_close){ .counts = { .tx_packets = 3,
						    .rx_packets = 4,
						    .tx_payload = 10,
						    .rx_payload = 20,
						    .last_ns = T0 + 100 * NSEC_PER_SEC },
					.end = END_FIN,
					.app = APP_TLS };
	flow_table_event(g.t, &e);
	rig_wait(&g, 100 * NSEC_PER_SEC);
	e.type = EVENT_FACT;
	e.time_ns = g.now;
	e.fact = (struct event_fact){ .kind = FACT_TLS,
				      .sni = STR("a.example"),
				      .tls_version = STR("TLSv13") };
	flow_table_event(g.t, &e);
	rig_expect(&g, "tls 10.0.0.1:40000>192.0.2.9:443 tls a.example(sni) [a.example TLS 1.3]\n");
	rig_wait(&g, 50 * NSEC_PER_SEC);
	rig_expect(&g, "");
	rig_wait(&g, 75 * NSEC_PER_SEC);
	rig_expect(&g, "flow 10.0.0.1:40000>192.0.2.9:443 tls a.example(sni) 3/4 payload 10/20 "
		       "closed tcp_fin\n");
	rig_stop(&g);
}

static void facts_may_come_before_their_line(void **state)
{
	struct http_request q = { .method = STR("GET"),
				  .url = STR("/"),
				  .host = STR("b.example:8080") };
	struct rig g;
	struct event e;

	rig_start(&g, defaults, false);
	e = rig_event(&g, EVENT_FACT, IPPROTO_TCP, S, 40000, D, 8080);
	e.fact = (struct event_fact){ .kind = FACT_HTTP, .http = &q, .http_status = 404 };
	flow_table_event(g.t, &e);
	rig_expect(&g, "http 10.0.0.1:40000>192.0.2.9:8080 http b.example(http) [GET "
		       "b.example:8080 / 404]\n");
	e.type = EVENT_CLOSE;
	e.time_ns = T0 - NSEC_PER_SEC;
	e.close = (struct event_close){ .counts = { .tx_packets = 1,
						    .tx_payload = UINT64_MAX,
						    .rx_payload = UINT64_MAX,
						    .last_ns = T0 },
					.end = END_RESET };
	flow_table_event(g.t, &e);
	rig_finish(&g);
	rig_expect(
		&g,
		"flow 10.0.0.1:40000>192.0.2.9:8080 http b.example(http) 1/0 closed tcp_reset\n");
	rig_stop(&g);
}

/* --- words -------------------------------------------------------------------------------------------------------- */

/* From the specification's baseline (community-id-spec, baseline/baseline_deflt.json), seed 0. */
static void community_ids_are_those_of_the_specification(void **state)
{
	static const struct {
		uint8_t proto;
		const char *src, *dst;
		uint16_t sport, dport;
		const char *id;
	} cases[] = {
		{ IPPROTO_TCP, "128.232.110.120", "66.35.250.204", 34855, 80,
		  "1:LQU9qZlK+B5F3KDmev6m5PMibrg=" },
		{ IPPROTO_TCP, "66.35.250.204", "128.232.110.120", 80, 34855,
		  "1:LQU9qZlK+B5F3KDmev6m5PMibrg=" },
		{ IPPROTO_UDP, "192.168.1.52", "8.8.8.8", 54585, 53,
		  "1:d/FP5EW3wiY1vCndhwleRRKHowQ=" },
		{ IPPROTO_ICMP, "192.168.0.89", "192.168.0.1", 8, 0,
		  "1:X0snYXpgwiv9TZtqg64sgzUn6Dk=" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct flow f = { .key = { .proto = cases[i].proto,
					   .src = rig_addr(cases[i].src),
					   .dst = rig_addr(cases[i].dst),
					   .sport = cases[i].sport,
					   .dport = cases[i].dport } };
		char text[32];

		flow_community_id(&f, text);
		assert_string_equal(text, cases[i].id);
	}
}

static void memory_stays_below_a_kibibyte_a_flow(void **state)
{
	struct flow_config cfg = { .max_flows = 100000 };
	struct flow_table_stats stats;
	struct buf hello = BUF_INIT(4096);
	struct rig g;
	char name[64], remote[32];

	rig_start(&g, cfg, false);
	g.texts = intern_free(g.texts);
	assert_ok(intern_new(&g.texts, 1000000));
	g.t = flow_table_free(g.t);
	g.names = name_table_free(g.names);
	assert_ok(name_table_new(&g.names, g.texts, 200000));
	cfg.texts = g.texts;
	cfg.names = g.names;
	assert_ok(flow_table_new(&g.t, &cfg, (struct record_out){ rig_on_record, &g }));
	for (uint32_t i = 0; i < 100000; i++) {
		struct rig_tcp c = rig_tcp(&g, (uint16_t)(1024 + i % 60000), 443);

		snprintf(remote, sizeof(remote), "198.%u.%u.%u", 18 + i / 65536, i / 256 % 256,
			 i % 256);
		snprintf(name, sizeof(name), "host-%u.some-name.example", i);
		c.server = remote;
		g.now = T0;
		rig_segment(&c, 0, TCP_ACK, 1, rig_hello(&hello, name, 0));
		buf_clear(&g.out);
	}
	flow_table_stats(g.t, &stats);
	assert_int_equal(stats.flows_now, 100000);
	/* Each with a name of its own. */
	assert_int_equal(intern_count(g.texts), 100000 + 2);
	assert_true((stats.memory_bytes + intern_bytes(g.texts)) / 100000 < 1024);
	buf_done(&hello);
	rig_stop(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tcp_counts_and_ends_with_fin),
		cmocka_unit_test(retransmits_do_not_count_as_payload),
		cmocka_unit_test(reordered_segments_are_new_bytes),
		cmocka_unit_test(the_opener_is_who_sent_the_syn),
		cmocka_unit_test(a_refused_or_unanswered_connection_failed),
		cmocka_unit_test(a_reset_ends_and_stragglers_belong_to_it),
		cmocka_unit_test(ports_used_again_are_another_flow),
		cmocka_unit_test(idle_flows_time_out),
		cmocka_unit_test(answers_are_told_by_their_side),
		cmocka_unit_test(zones_keep_equal_addresses_apart),
		cmocka_unit_test(a_full_table_ends_the_idlest_and_says_so),
		cmocka_unit_test(what_is_over_makes_room_without_loss),
		cmocka_unit_test(long_flows_are_reported_while_they_live),
		cmocka_unit_test(direction_is_told_by_what_is_inside),
		cmocka_unit_test(a_clock_that_jumps_harms_nobody),
		cmocka_unit_test(sockets_own_their_flows),
		cmocka_unit_test(another_cookie_is_another_socket),
		cmocka_unit_test(a_lost_open_loses_no_bytes),
		cmocka_unit_test(both_ends_on_one_host_are_two_flows),
		cmocka_unit_test(an_early_notice_is_turned_round_when_the_open_comes),
		cmocka_unit_test(packet_sockets_are_told),
		cmocka_unit_test(a_log_line_waits_for_its_facts),
		cmocka_unit_test(facts_may_come_before_their_line),
		cmocka_unit_test(community_ids_are_those_of_the_specification),
		cmocka_unit_test(memory_stays_below_a_kibibyte_a_flow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
