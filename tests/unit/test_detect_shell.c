/* SPDX-License-Identifier: Apache-2.0 */
/* Shells on connections, told from processes and flows as the kernel tells of them; real tools are tests/e2e/shells.py's. */
#include "flow_rig.h"

#include "detect/detect.h"
#include "detect/shell_join.h"
#include "flow/proc.h"

#define C2 "198.51.100.7"
#define BOOT (1000 * NSEC_PER_SEC)

static struct rig g;
static struct detect *d;
static unsigned found;
static char detector[32], entity[256], peer[64];
static enum severity level;

static void on_record(void *ctx, const struct record *r)
{
	if (d)
		detect_record(d, r);
}

static void on_finding(void *ctx, const struct finding *f)
{
	found++;
	level = f->severity;
	snprintf(detector, sizeof(detector), "%s", f->detector);
	snprintf(entity, sizeof(entity), "%.*s", STR_FMT(f->entity));
	snprintf(peer, sizeof(peer), "%.*s", STR_FMT(f->peer));
}

static void begin(void)
{
	struct flow_config cfg = { 0 };

	rig_start(&g, cfg, true);
	g.t = flow_table_free(g.t);
	cfg = (struct flow_config){ .texts = g.texts, .names = g.names, .procs = g.procs };
	assert_ok(flow_table_new(&g.t, &cfg, (struct record_out){ on_record, NULL }));
	assert_ok(detect_new(&d,
			     &(struct detect_config){ .vantage = DETECT_HOST,
						      .texts = g.texts,
						      .procs = g.procs,
						      .warm_up_ns = DETECT_WARM_UP_NS },
			     (struct finding_out){ on_finding, NULL }));
	flow_table_watch(g.t, detect_watch(d));
	detect_set_flows(d, g.t);
	found = 0;
}

static void end(void)
{
	flow_table_finish(g.t);
	d = detect_free(d);
	rig_stop(&g);
}

static void proc(enum proc_change change, uint32_t pid, uint32_t ppid, const char *exe,
		 struct stdio in, struct stdio out, struct stdio error)
{
	struct event e = { .type = EVENT_PROC, .time_ns = g.now };

	e.proc = (struct event_proc){ .change = change,
				      .pid = pid,
				      .ppid = ppid,
				      .start_ns = BOOT + pid * NSEC_PER_SEC,
				      .parent_start_ns = BOOT + ppid * NSEC_PER_SEC,
				      .comm = STR("x"),
				      .exe = str_of(exe),
				      .stdio = { in, out, error } };
	flow_table_event(g.t, &e);
	g.now += NSEC_PER_MSEC;
}

static const struct stdio none = { .kind = STDIO_NULL };

static struct stdio pipe_of(uint64_t id)
{
	return (struct stdio){ .kind = STDIO_PIPE, .id = id };
}

static struct stdio tty(uint64_t id)
{
	return (struct stdio){ .kind = STDIO_TTY, .id = id };
}

static struct stdio end_of_pair(uint32_t inode, uint32_t other)
{
	return (struct stdio){ .kind = STDIO_UNIX, .id = (uint64_t)inode << 32 | other };
}

static struct stdio inet(uint64_t cookie, const char *remote)
{
	return (struct stdio){ .kind = STDIO_INET,
			       .id = cookie,
			       .remote = rig_addr(remote),
			       .lport = 40000,
			       .rport = 4444,
			       .proto = IPPROTO_TCP };
}

static void program(uint32_t pid, const char *exe, struct stdio in, struct stdio out)
{
	proc(PROC_EXEC, pid, 1, exe, in, out, none);
}

/* A child: forked, then another program. */
static void child(uint32_t pid, uint32_t ppid, const char *exe, struct stdio in, struct stdio out)
{
	proc(PROC_FORK, pid, ppid, "", none, none, none);
	proc(PROC_EXEC, pid, ppid, exe, in, out, out);
}

static void opens(uint32_t pid, uint64_t cookie, const char *to, bool inbound)
{
	struct event e =
		rig_event(&g, EVENT_OPEN, IPPROTO_TCP, S, (uint16_t)(40000 + cookie % 9), to, 4444);

	e.open = (struct event_open){ .cookie = cookie,
				      .pid = pid,
				      .proc_start_ns = BOOT + pid * NSEC_PER_SEC,
				      .inbound = inbound };
	flow_table_event(g.t, &e);
	g.now += NSEC_PER_MSEC;
}

static void second(void)
{
	for (int i = 0; i < 10; i++) {
		rig_wait(&g, NSEC_PER_SEC / 10);
		detect_beat(d, g.now);
	}
	detect_tick(d, g.now);
}

static void expect_found(const char *who)
{
	assert_int_equal(found, 1);
	assert_string_equal(detector, "shell");
	assert_string_equal(entity, who);
	assert_string_equal(peer, C2 ":4444");
	assert_int_equal(level, SEVERITY_HIGH);
	end();
}

static void expect_nothing(void)
{
	second();
	second();
	assert_int_equal(found, 0);
	end();
}

static void on_its_socket(void **state)
{
	/* connect, dup2, exec: at once, before a byte has moved */
	begin();
	program(10, "/opt/app/x", none, none);
	opens(10, 77, C2, false);
	program(10, "/bin/dash", inet(77, C2), inet(77, C2));
	expect_found("/opt/app/x (uid 0)");
	/* by an interpreter, in a child; an interpreter is as good as a shell */
	begin();
	program(10, "/usr/bin/perl", none, none);
	opens(10, 77, C2, false);
	child(11, 10, "/usr/bin/python3.11", inet(77, C2), inet(77, C2));
	expect_found("/usr/bin/perl (uid 0)");
	/* the notice of the flow comes late */
	begin();
	program(10, "/opt/app/x", none, none);
	child(11, 10, "/bin/sh", inet(77, C2), inet(77, C2));
	assert_int_equal(found, 0);
	opens(10, 77, C2, false);
	second();
	expect_found("/opt/app/x (uid 0)");
	/* without a cookie, by addresses */
	begin();
	program(10, "/opt/app/x", none, none);
	opens(10, 0, C2, false);
	child(11, 10, "/bin/sh", inet(0, C2), inet(0, C2));
	expect_found("/opt/app/x (uid 0)");
}

static void not_on_a_socket(void **state)
{
	/* the other side opened it */
	begin();
	program(10, "/usr/sbin/inetd", none, none);
	opens(10, 77, C2, true);
	child(11, 10, "/bin/sh", inet(77, C2), inet(77, C2));
	expect_nothing();
	/* this machine alone */
	begin();
	program(10, "/opt/app/x", none, none);
	opens(10, 77, "127.0.0.1", false);
	child(11, 10, "/bin/sh", inet(77, "127.0.0.1"), inet(77, "127.0.0.1"));
	expect_nothing();
	/* two connections */
	begin();
	program(10, "/opt/app/x", none, none);
	opens(10, 77, C2, false);
	opens(10, 78, C2, false);
	child(11, 10, "/bin/sh", inet(77, C2), inet(78, C2));
	expect_nothing();
	/* one direction only */
	begin();
	program(10, "/opt/app/x", none, none);
	opens(10, 77, C2, false);
	child(11, 10, "/bin/sh", none, inet(77, C2));
	expect_nothing();
	/* no shell */
	begin();
	program(10, "/usr/bin/ssh", none, none);
	opens(10, 77, C2, false);
	child(11, 10, "/usr/bin/gzip", inet(77, C2), inet(77, C2));
	expect_nothing();
}

static void commands_of_a_shell(void **state)
{
	/* cat reads, then commands write with their errors */
	begin();
	program(10, "/bin/bash", none, none);
	opens(10, 77, C2, false);
	child(11, 10, "/bin/cat", inet(77, C2), pipe_of(5));
	child(12, 10, "/usr/bin/id", pipe_of(5), inet(77, C2));
	expect_found("/bin/bash (uid 0)");
	/* the shell's own descriptors: any command shows them */
	begin();
	program(10, "/bin/bash", none, none);
	opens(10, 77, C2, false);
	child(11, 10, "/usr/bin/id", inet(77, C2), inet(77, C2));
	expect_found("/bin/bash (uid 0)");
	/* a script that asks and reads the answer; a report */
	begin();
	program(10, "/bin/bash", none, none);
	opens(10, 77, C2, false);
	child(11, 10, "/bin/cat", pipe_of(5), inet(77, C2));
	child(12, 10, "/bin/cat", inet(77, C2), none);
	expect_nothing();
	begin();
	program(10, "/bin/bash", none, none);
	opens(10, 77, C2, false);
	child(11, 10, "/bin/df", none, inet(77, C2));
	child(12, 10, "/usr/bin/id", none, inet(77, C2));
	expect_nothing();
}

static void relays(void **state)
{
	/* socat EXEC, ncat -e: before and after the connection, on a pair, pipes, a terminal */
	begin();
	program(10, "/usr/bin/socat", none, none);
	opens(10, 77, C2, false);
	child(11, 10, "/bin/sh", end_of_pair(8, 9), end_of_pair(8, 9));
	expect_found("/usr/bin/socat (uid 0)");
	begin();
	program(10, "/usr/bin/socat", tty(3), tty(3));
	child(11, 10, "/bin/bash", tty(4), tty(4));
	opens(10, 77, C2, false);
	second();
	expect_found("/usr/bin/socat (uid 0)");
	/* system(3) puts a fork between */
	begin();
	program(10, "/usr/bin/socat", none, none);
	opens(10, 77, C2, false);
	proc(PROC_FORK, 11, 10, "", none, none, none);
	child(12, 11, "/bin/sh", pipe_of(5), pipe_of(6));
	expect_found("/usr/bin/socat (uid 0)");
	/* sh < fifo | nc > fifo */
	begin();
	program(10, "/bin/sh", pipe_of(5), pipe_of(6));
	program(11, "/usr/bin/openssl", pipe_of(6), pipe_of(5));
	opens(11, 77, C2, false);
	second();
	expect_found("/usr/bin/openssl (uid 0)");
	/* telnet | sh | telnet */
	begin();
	program(10, "/usr/bin/telnet", none, pipe_of(5));
	program(11, "/bin/sh", pipe_of(5), pipe_of(6));
	program(12, "/usr/bin/telnet", pipe_of(6), none);
	opens(10, 77, C2, false);
	opens(12, 78, C2, false);
	second();
	expect_found("/usr/bin/telnet (uid 0)");
}

static void not_by_relays(void **state)
{
	/* curl | sh, df | nc, nc | sh */
	begin();
	program(10, "/usr/bin/curl", none, pipe_of(5));
	program(11, "/bin/sh", pipe_of(5), none);
	opens(10, 77, C2, false);
	expect_nothing();
	begin();
	program(10, "/bin/sh", none, pipe_of(5));
	program(11, "/bin/nc", pipe_of(5), none);
	opens(11, 77, C2, false);
	expect_nothing();
	begin();
	program(10, "/bin/nc", none, pipe_of(5));
	program(11, "/bin/sh", pipe_of(5), none);
	opens(10, 77, C2, false);
	expect_nothing();
	/* a ProxyCommand: shell and nc were given the same ends */
	begin();
	program(10, "/bin/sh", end_of_pair(8, 9), end_of_pair(8, 9));
	child(11, 10, "/bin/nc", end_of_pair(8, 9), end_of_pair(8, 9));
	opens(11, 77, C2, false);
	expect_nothing();
	begin();
	program(10, "/bin/sh", pipe_of(5), pipe_of(6));
	child(11, 10, "/bin/nc", pipe_of(5), pipe_of(6));
	opens(11, 77, C2, false);
	expect_nothing();
	/* a person's terminal: telnet, and the shell that its '!' starts */
	begin();
	program(10, "/usr/bin/telnet", tty(3), tty(3));
	opens(10, 77, C2, false);
	child(11, 10, "/bin/bash", tty(3), tty(3));
	expect_nothing();
	/* an agent that runs commands on pipes; socat that waits for others */
	begin();
	program(10, "/usr/bin/python3", none, none);
	opens(10, 77, C2, false);
	child(11, 10, "/bin/sh", pipe_of(5), pipe_of(6));
	expect_nothing();
	begin();
	program(10, "/usr/bin/socat", none, none);
	opens(10, 77, C2, true);
	child(11, 10, "/bin/sh", end_of_pair(8, 9), end_of_pair(8, 9));
	expect_nothing();
}

/* More shells' flows than are watched: the newest are, what was pushed out is counted, and flows may end in any order. */
static void a_flood(void **state)
{
	struct detect_stats st;

	begin();
	program(10, "/bin/bash", none, none);
	for (uint64_t i = 1; i <= 400; i++) {
		struct event e =
			rig_event(&g, EVENT_OPEN, IPPROTO_TCP, S, (uint16_t)(1000 + i), C2, 4444);

		e.open = (struct event_open){ .cookie = i,
					      .pid = 10,
					      .proc_start_ns = BOOT + 10 * NSEC_PER_SEC };
		flow_table_event(g.t, &e);
	}
	detect_stats(d, &st);
	assert_int_equal(st.evicted_shells, 400 - 256);
	for (uint64_t i = 400; i > 3; i -= 3) {
		struct event e =
			rig_event(&g, EVENT_CLOSE, IPPROTO_TCP, S, (uint16_t)(1000 + i), C2, 4444);

		flow_table_event(g.t, &e);
		second();
	}
	child(11, 10, "/usr/bin/id", inet(399, C2), inet(399, C2));
	expect_found("/bin/bash (uid 0)");
}

/* The first events come before the first tick: the site is as young as they are. */
static void young_from_the_first_event(void **state)
{
	struct detect_stats st;

	begin();
	program(10, "/bin/bash", none, none);
	detect_stats(d, &st);
	assert_true(st.warming);
	end();
	begin();
	opens(10, 77, C2, false);
	g.now += DETECT_WARM_UP_NS;
	detect_tick(d, g.now);
	detect_stats(d, &st);
	assert_false(st.warming);
	end();
}

static void joins(void **state)
{
	struct stdio a = pipe_of(1), b = pipe_of(2), zero = pipe_of(0);
	struct stdio left = end_of_pair(8, 9), right = end_of_pair(9, 8);
	const struct stdio *s = NULL;

	assert_true(shell_feeds(&a, &a));
	assert_false(shell_feeds(&a, &b));
	assert_false(shell_feeds(&zero, &zero));
	assert_true(shell_feeds(&left, &right));
	assert_false(shell_feeds(&left, &left));
	assert_false(shell_feeds(&a, &left));
	assert_true(shell_on_socket((struct stdio[3]){ inet(7, C2), inet(7, C2), none }, &s));
	assert_int_equal(s->id, 7);
	assert_false(shell_on_socket((struct stdio[3]){ inet(7, C2), inet(8, C2), none }, &s));
	assert_false(shell_on_socket((struct stdio[3]){ inet(7, C2), none, none }, &s));
	assert_false(shell_on_socket((struct stdio[3]){ inet(0, C2), inet(0, D), none }, &s));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(on_its_socket),
		cmocka_unit_test(not_on_a_socket),
		cmocka_unit_test(commands_of_a_shell),
		cmocka_unit_test(relays),
		cmocka_unit_test(not_by_relays),
		cmocka_unit_test(a_flood),
		cmocka_unit_test(joins),
		cmocka_unit_test(young_from_the_first_event),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
