/* SPDX-License-Identifier: Apache-2.0 */
/* What was there before egret looked, and that nothing is left when it goes. */
#include <linux/bpf.h>
#include <sys/socket.h>
#include <unistd.h>
#include <bpf/bpf.h>

#include "base/cleanup.h"
#include "flow/proc_stdio.h"
#include "tests/bpf/live.h"

#define PORT 4000

/* What a second attach/ on the same cgroup tells of one flow and of ourselves. */
struct late {
	uint16_t lport;
	unsigned int opened, inbound_opened;
	struct event_open open;
	struct event_counts counts;
	enum event_end end;
	size_t bytes;
	bool self, parents_first;
	uint32_t seen[4096];
	size_t n_seen;
};

/* The kernel's walk and /proc tell of the same descriptors; but /proc does not know a UNIX socket's peer. */
static void same_as_now(const struct event_proc *p)
{
	struct stdio now[STDIO_COUNT];

	assert_ok(proc_stdio_now(p->pid, p->start_ns, now));
	for (size_t i = 0; i < STDIO_COUNT; i++) {
		assert_int_not_equal(now[i].kind, STDIO_UNKNOWN);
		assert_int_equal(p->stdio[i].kind, now[i].kind);
		if (now[i].kind == STDIO_UNIX)
			assert_int_equal(stdio_unix_inode(&p->stdio[i]), stdio_unix_inode(&now[i]));
		else
			assert_int_equal(p->stdio[i].id, now[i].id);
	}
}

static void on_proc(struct late *w, const struct event_proc *p)
{
	bool parent = !p->ppid;

	if (p->change != PROC_SEEN)
		return;
	for (size_t i = 0; i < w->n_seen; i++)
		parent |= w->seen[i] == p->ppid;
	w->parents_first &= parent;
	if (w->n_seen < ARRAY_SIZE(w->seen))
		w->seen[w->n_seen++] = p->pid;
	if (p->pid == (uint32_t)getpid()) {
		w->self = true;
		assert_true(p->exe.n > 9 && !memcmp(p->exe.p + p->exe.n - 9, "test_seed", 9));
		assert_true(p->args.n > 0);
		assert_false(p->exe_deleted);
		same_as_now(p);
	}
}

static void on_event(void *ctx, const struct event *e)
{
	struct late *w = ctx;

	if (e->type == EVENT_PROC) {
		on_proc(w, &e->proc);
		return;
	}
	if (e->type == EVENT_LOSS || e->key.sport != w->lport)
		return;
	if (e->type == EVENT_OPEN) {
		w->opened++;
		w->open = e->open;
	} else if (e->type == EVENT_COUNT) {
		w->counts = e->count;
	} else if (e->type == EVENT_CLOSE) {
		w->counts = e->close.counts;
		w->end = e->close.end;
	} else if (e->type == EVENT_PACKET) {
		w->bytes += e->packet.payload.n;
	}
}

static struct attach *look(struct live *l, struct late *w)
{
	struct attach_config cfg = { .cgroup_fd = l->cgroup_fd };
	struct attach *a = NULL;
	char error[256];

	w->parents_first = true;
	assert_ok(attach_new(&a, &cfg, (struct event_out){ on_event, w }, error));
	assert_ok(attach_seed(a));
	return a;
}

static void test_open_before(void **state)
{
	struct live *l = *state;
	int listener = live_listen(l, THERE, AF_INET, PORT),
	    c = live_socket(l, HERE, AF_INET, SOCK_STREAM, 0), s;
	struct late w = { 0 };
	struct attach *a;
	char buf[16];

	assert_ok(live_connect(c, THERE, AF_INET, PORT));
	s = live_accept(listener);
	w.lport = live_port(c);
	a = look(l, &w);
	assert_int_equal(w.opened, 1);
	assert_true(w.open.mid_stream);
	assert_false(w.open.owner_unknown);
	assert_int_equal(w.open.pid, getpid());
	assert_true(w.self);
	assert_true(w.parents_first);
	assert_true(w.n_seen > 3);

	assert_int_equal(send(c, "from now on", 11, 0), 11);
	assert_int_equal(recv(s, buf, sizeof(buf), 0), 11);
	close(s);
	assert_int_equal(recv(c, buf, sizeof(buf), 0), 0);
	close(c);
	close(listener);
	assert_ok(attach_settle(a, 500));
	assert_int_equal(w.opened, 1);
	assert_int_equal(w.end, END_FIN);
	assert_int_equal(w.counts.tx_payload, 11);
	assert_in_range(w.counts.tx_packets, 2, 3); /* data, FIN, perhaps an ACK before it */
	assert_int_equal(w.bytes, 0);               /* the beginning of the stream was not seen */
	attach_free(a);
}

/* A server that listened before: its clients are whole flows, and its own. */
static void test_listening_before(void **state)
{
	struct live *l = *state;
	int listener = live_listen(l, HERE, AF_INET, PORT),
	    c = live_socket(l, THERE, AF_INET, SOCK_STREAM, 0), s;
	struct late w = { .lport = PORT };
	struct attach *a = look(l, &w);
	char buf[16];

	assert_int_equal(w.opened, 0);
	assert_ok(live_connect(c, HERE, AF_INET, PORT));
	s = live_accept(listener);
	assert_int_equal(send(c, "hello", 5, 0), 5);
	assert_int_equal(recv(s, buf, sizeof(buf), 0), 5);
	close(c);
	assert_int_equal(recv(s, buf, sizeof(buf), 0), 0);
	close(s);
	close(listener);
	assert_ok(attach_settle(a, 500));
	assert_int_equal(w.opened, 1);
	assert_true(w.open.inbound);
	assert_false(w.open.mid_stream);
	assert_int_equal(w.open.pid, getpid());
	assert_int_equal(w.counts.rx_packets, 5); /* SYN, ACK, data, FIN, ACK */
	assert_int_equal(w.bytes, 5);
	attach_free(a);
}

static void test_unconnected_before(void **state)
{
	struct live *l = *state;
	int c = live_socket(l, HERE, AF_INET, SOCK_DGRAM, 0);
	struct late w = { 0 };
	struct attach *a;
	socklen_t len;
	struct sockaddr_storage to = live_addr(THERE, AF_INET, PORT, &len);

	assert_int_equal(sendto(c, "x", 1, 0, (struct sockaddr *)&to, len), 1);
	w.lport = live_port(c);
	a = look(l, &w);
	assert_int_equal(sendto(c, "y", 1, 0, (struct sockaddr *)&to, len), 1);
	close(c);
	assert_ok(attach_settle(a, 100));
	assert_int_equal(w.opened, 1);
	assert_int_equal(w.open.pid, getpid());
	assert_int_equal(w.counts.tx_packets, 1);
	attach_free(a);
}

/* A count without an end: sweeps tell of it, and only when it moved. */
static void test_swept(void **state)
{
	struct live *l = *state;
	int listener = live_listen(l, THERE, AF_INET, PORT),
	    c = live_socket(l, HERE, AF_INET, SOCK_STREAM, 0), s;
	struct live_flow *f;

	assert_ok(live_connect(c, THERE, AF_INET, PORT));
	s = live_accept(listener);
	assert_int_equal(send(c, "still open", 10, 0), 10);
	live_collect(l);
	f = live_find(l, IPPROTO_TCP, live_port(c), PORT);
	assert_int_equal(f->closed, 0);
	assert_as_on_wire(l, f);
	f->counts = (struct event_counts){ 0 };
	usleep(50000);
	attach_sweep(l->attach);
	f->counts = (struct event_counts){ 0 };
	usleep(50000);
	attach_sweep(l->attach);
	assert_int_equal(f->counts.tx_packets, 0);
	close(s); /* the address is free again when the client's end waits, not the server's */
	close(c);
	close(listener);
}

static int programs_on(int cgroup_fd, enum bpf_attach_type type)
{
	__u32 ids[64], n = 64;

	assert_ok(bpf_prog_query(cgroup_fd, type, 0, NULL, ids, &n));
	return n;
}

static void test_nothing_left(void **state)
{
	static const enum bpf_attach_type types[] = {
		BPF_CGROUP_INET_INGRESS,     BPF_CGROUP_INET_EGRESS,     BPF_CGROUP_INET4_CONNECT,
		BPF_CGROUP_INET6_CONNECT,    BPF_CGROUP_INET4_POST_BIND, BPF_CGROUP_INET6_POST_BIND,
		BPF_CGROUP_INET_SOCK_RELEASE
	};
	struct live *l = *state;
	struct late w = { 0 };
	int before[ARRAY_SIZE(types)];
	struct attach *a;

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		before[i] = programs_on(l->cgroup_fd, types[i]);
	a = look(l, &w);
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		assert_int_equal(programs_on(l->cgroup_fd, types[i]), before[i] + 1);
	attach_free(a);
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		assert_int_equal(programs_on(l->cgroup_fd, types[i]), before[i]);
	attach_free(NULL);
}

static void test_stats(void **state)
{
	struct live *l = *state;
	struct attach_stats st;
	int c = live_socket(l, HERE, AF_INET, SOCK_DGRAM, 0);

	attach_drain(l->attach);
	attach_stats(l->attach, &st);
	assert_int_equal(st.ring_bytes_used, 0);
	assert_ok(live_connect(c, THERE, AF_INET, PORT));
	assert_int_equal(send(c, "x", 1, 0), 1);
	close(c);
	attach_stats(l->attach, &st);
	assert_in_range(st.ring_bytes_used, 300, 3000); /* its beginning, its payload, its end */
	assert_true(st.bpf_bytes > 1 << 20 && st.bpf_bytes < 128 << 20);
	assert_int_equal(st.map_capacity_peers, 256);
}

int main(void)
{
#define LIVE_TEST(f) cmocka_unit_test_setup(f, live_begin)
	const struct CMUnitTest tests[] = {
		LIVE_TEST(test_open_before),        LIVE_TEST(test_listening_before),
		LIVE_TEST(test_unconnected_before), LIVE_TEST(test_swept),
		LIVE_TEST(test_nothing_left),       LIVE_TEST(test_stats),
	};

	return cmocka_run_group_tests(tests, live_setup, live_teardown);
}
