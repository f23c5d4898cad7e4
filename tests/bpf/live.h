/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A place for live tests: two network namespaces joined by a pair of veth, a cgroup that attach/ watches, and a packet
 * socket on the watched end that counts what tcpdump would. One process plays both ends: a socket belongs to the
 * namespace and the cgroup in which it was made.
 *
 *        watched cgroup, HERE                                THERE
 *        10.99.0.1, fd99::1   eg-here ============ eg-there   10.99.0.2, fd99::2
 */
#pragma once

#include <netinet/in.h>

#include "attach/attach.h"
#include "tests/unit/test.h"

enum live_end { HERE, THERE };

#define LIVE_NAMES 4
#define LIVE_VERDICTS 4096
#define LIVE_BYTES 20000

/* What attach/ told of one flow. */
struct live_flow {
	struct event_key key;
	struct event_open open;
	char comm[17], names[LIVE_NAMES][256];
	struct event_counts counts;
	enum event_end end;
	unsigned int opened, closed;
	char bytes[2][LIVE_BYTES]; /* payload handed on, tx and rx, one chunk behind the other */
	size_t n_bytes[2];
	unsigned int n_chunks[2];
	uint32_t isn[2];
};

struct live_proc {
	struct event_proc e;
	char comm[17], exe[1100], args[1100], cgroup[600];
};

struct live_verdict {
	struct event_key key;
	struct event_verdict v;
	char visible[256], name[256];
};

struct live_wire {
	uint64_t tx_packets, tx_bytes, rx_packets, rx_bytes;
};

struct live {
	struct attach *attach;
	struct live_flow *flows;
	size_t n_flows;
	struct live_proc *procs;
	size_t n_procs;
	uint64_t lost[LOSS_COUNT];
	struct event_counts unreported;
	size_t n_verdicts, n_refused;
	struct live_verdict *verdicts; /* the first LIVE_VERDICTS of them */
	uint64_t refused_calls, refused_packets, refused_bytes;
	struct event_out also; /* a test's own: each event, first */
	/* private */
	int cgroup_fd, home_cgroup_fd, ns[2], home_ns, tap;
	char cgroup_path[4200];
	struct live_wire_flow *wire;
	size_t n_wire;
};

/* For cmocka_run_group_tests; exits 77 without the rights. */
int live_setup(void **state);
int live_setup_small(void **state); /* with the smallest ring */
int live_teardown(void **state);
/* Forgets what was told and captured so far; before each test. */
int live_begin(void **state);
int live_begin_clear(void **state); /* the same, without a policy */

/* Puts a policy in force: its generation. A mistake in it fails the test. */
uint32_t live_load(struct live *l, const char *text, bool enforce);

int live_socket(struct live *l, enum live_end end, int family, int type, int proto);
void live_enter(struct live *l, enum live_end end); /* THERE also means: not watched */
void live_leave(struct live *l);
struct sockaddr_storage live_addr(enum live_end end, int family, uint16_t port, socklen_t *ret_len);
/* AF_INET6 with a v4-mapped address. */
struct sockaddr_storage live_mapped(enum live_end end, uint16_t port, socklen_t *ret_len);
int live_listen(struct live *l, enum live_end end, int family, uint16_t port);
int live_connect(int fd, enum live_end to, int family, uint16_t port);
int live_accept(int listener);
void live_bind(int fd, enum live_end end, int family, uint16_t port);
uint16_t live_port(int fd);

/* Runs fn in a child of the watched cgroup and namespace and waits for it; its exit status. */
int live_run(struct live *l, int (*fn)(void *arg), void *arg);

/* Reads everything: drains, waits for late packets, sweeps. */
void live_collect(struct live *l);
struct live_flow *live_find(struct live *l, uint8_t proto, uint16_t lport, uint16_t rport);
struct live_proc *live_proc_find(struct live *l, enum proc_change change, uint32_t pid);
struct live_wire live_wire_of(struct live *l, const struct event_key *key);
void live_offload(bool on);               /* TSO and UDP segmentation of the device HERE */
void live_tool(const char *const argv[]); /* runs a program, fails the test when it fails */

/* What was told equals what was on the wire, to the packet and byte. */
#define assert_as_on_wire(l, f)                                          \
	do {                                                             \
		struct live_wire w_ = live_wire_of(l, &(f)->key);        \
                                                                         \
		assert_int_equal((f)->counts.tx_packets, w_.tx_packets); \
		assert_int_equal((f)->counts.tx_bytes, w_.tx_bytes);     \
		assert_int_equal((f)->counts.rx_packets, w_.rx_packets); \
		assert_int_equal((f)->counts.rx_bytes, w_.rx_bytes);     \
	} while (0)
