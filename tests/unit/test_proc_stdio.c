/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors of a living process out of /proc, with and without pidfd_getfd(2); and how images keep them. */
#include "test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/time.h"
#include "flow/proc.h"
#include "flow/proc_stdio.h"

static uint64_t start_of(pid_t pid)
{
	_cleanup_fclose_ FILE *f = NULL;
	unsigned long long ticks = 0;
	char path[32], text[1024], *at;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	assert_non_null(f);
	assert_non_null(fgets(text, sizeof(text), f));
	at = strrchr(text, ')') + 2;
	for (int field = 3; field < 22; field++)
		at = strchr(at, ' ') + 1;
	assert_int_equal(sscanf(at, "%llu", &ticks), 1);
	return ticks * (NSEC_PER_SEC / (uint64_t)sysconf(_SC_CLK_TCK));
}

/* A child that sleeps with `fd` at 0 and 1 and nothing at 2. */
static pid_t sleeper(int fd)
{
	int ready[2];
	pid_t pid;
	char c;

	assert_ok(pipe(ready));
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(fd, 0);
		dup2(fd, 1);
		close(2);
		if (write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* As sysctl kernel.yama.ptrace_scope=3 or a filter of system calls would. */
static void refuse_pidfd_getfd(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pidfd_getfd, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { ARRAY_SIZE(code), code };

	assert_ok(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	assert_ok(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog));
}

static int look(pid_t pid, bool refused, struct stdio ret[STDIO_COUNT])
{
	uint64_t start = start_of(pid);
	int told[2], r;
	pid_t who;

	if (!refused)
		return proc_stdio_now((uint32_t)pid, start, ret);
	assert_ok(pipe(told));
	who = fork();
	assert_true(who >= 0);
	if (!who) {
		refuse_pidfd_getfd();
		r = proc_stdio_now((uint32_t)pid, start, ret);
		_exit(write(told[1], ret, STDIO_COUNT * sizeof(*ret)) < 0 ? 1 : r != 0);
	}
	assert_int_equal(waitpid(who, &r, 0), who);
	assert_int_equal(read(told[0], ret, STDIO_COUNT * sizeof(*ret)),
			 STDIO_COUNT * sizeof(*ret));
	close(told[0]);
	close(told[1]);
	return r;
}

struct pair {
	int here, there;
	uint16_t lport, rport;
};

static struct pair tcp_pair(int family)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct sockaddr_in v4 = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int listener = socket(family, SOCK_STREAM, 0);
	struct sockaddr *s = family == AF_INET ? (struct sockaddr *)&v4 : (struct sockaddr *)&a;
	socklen_t len = family == AF_INET ? sizeof(v4) : sizeof(a);
	struct pair p = { .here = socket(family, SOCK_STREAM, 0) };

	if (bind(listener, s, len)) /* no IPv6 here */
		skip();
	assert_ok(listen(listener, 1));
	assert_ok(getsockname(listener, s, &len));
	assert_ok(connect(p.here, s, len));
	p.there = accept(listener, NULL, NULL);
	close(listener);
	/* the port is at the same place in both families */
	p.rport = ntohs(family == AF_INET ? v4.sin_port : a.sin6_port);
	assert_ok(getsockname(p.here, s, &len));
	p.lport = ntohs(family == AF_INET ? v4.sin_port : a.sin6_port);
	return p;
}

static void check_tcp(int family, bool refused)
{
	struct pair p = tcp_pair(family);
	struct event_key key = { .sport = p.lport, .dport = p.rport, .proto = IPPROTO_TCP };
	pid_t pid = sleeper(p.here);
	struct stdio now[STDIO_COUNT];
	uint64_t cookie;
	socklen_t len = sizeof(cookie);
	uint32_t one = htonl(INADDR_LOOPBACK);

	key.dst = family == AF_INET ? addr_from_v4(&one) : addr_from_v6(&in6addr_loopback);
	assert_ok(getsockopt(p.here, SOL_SOCKET, SO_COOKIE, &cookie, &len));
	assert_ok(look(pid, refused, now));
	assert_int_equal(now[0].kind, STDIO_INET);
	assert_int_equal(now[0].id, refused ? 0 : cookie);
	assert_int_equal(now[0].proto, IPPROTO_TCP);
	assert_int_equal(now[0].lport, p.lport);
	assert_int_equal(now[0].rport, p.rport);
	assert_memory_equal(&now[0].remote, &key.dst, sizeof(key.dst));
	assert_true(stdio_is_flow(&now[0], cookie, &key));
	assert_memory_equal(&now[0], &now[1], sizeof(now[0]));
	assert_int_equal(now[2].kind, STDIO_CLOSED);
	key.dport++;
	assert_false(stdio_is_flow(&now[0], 0, &key));
	end(pid);
	close(p.here);
	close(p.there);
}

static void a_socket_is_known_by_its_cookie(void **state)
{
	check_tcp(AF_INET, false);
	check_tcp(AF_INET6, false);
}

static void or_by_its_addresses(void **state)
{
	check_tcp(AF_INET, true);
	check_tcp(AF_INET6, true);
}

static void ends_of_a_pair_are_found(void **state)
{
	int pair[2], pipes[2];
	struct stdio now[STDIO_COUNT];
	pid_t pid;

	assert_ok(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	pid = sleeper(pair[0]);
	for (int refused = 0; refused < 2; refused++) {
		assert_ok(look(pid, refused, now));
		assert_int_equal(now[0].kind, STDIO_UNIX);
		assert_true(stdio_unix_inode(&now[0]));
		assert_int_equal(stdio_unix_peer(&now[0]), 0);
		assert_true(stdio_joined(&now[0], &now[1]));
	}
	end(pid);
	close(pair[0]);
	close(pair[1]);
	assert_ok(pipe(pipes));
	pid = sleeper(pipes[0]);
	assert_ok(look(pid, false, now));
	assert_int_equal(now[0].kind, STDIO_PIPE);
	assert_int_equal(proc_holds((uint32_t)getpid(), start_of(getpid()), &now[0]), 1);
	close(pipes[0]);
	close(pipes[1]);
	assert_int_equal(proc_holds((uint32_t)getpid(), start_of(getpid()), &now[0]), 0);
	assert_int_equal(proc_holds((uint32_t)pid, 1, &now[0]), -ESRCH);
	end(pid);
}

/* A number that is another process's by now tells nothing. */
static void only_of_that_process(void **state)
{
	struct stdio now[STDIO_COUNT];
	pid_t pid = sleeper(0);
	uint64_t start = start_of(pid);

	assert_int_equal(proc_stdio_now((uint32_t)pid, start - NSEC_PER_SEC, now), -ESRCH);
	assert_int_equal(proc_stdio_now((uint32_t)pid, start + NSEC_PER_SEC, now), -ESRCH);
	assert_ok(proc_stdio_now((uint32_t)pid, start, now));
	end(pid);
	assert_int_equal(proc_stdio_now((uint32_t)pid, start, now), -ESRCH);
	assert_int_equal(now[0].kind, STDIO_UNKNOWN);
}

static void an_image_keeps_them(void **state)
{
	struct proc_table_config cfg = { .max = 8 };
	struct event e = { .type = EVENT_PROC, .time_ns = 1 };
	struct proc_table *procs;
	struct proc *p, *child;

	assert_ok(intern_new(&cfg.texts, 100));
	assert_ok(proc_table_new(&procs, &cfg));
	e.proc = (struct event_proc){ .change = PROC_EXEC,
				      .pid = 0x7fff0000,
				      .start_ns = NSEC_PER_SEC,
				      .exe = STR("/bin/sh") };
	e.proc.stdio[0] = (struct stdio){ .kind = STDIO_INET, .id = 7 };
	e.proc.stdio[2] = (struct stdio){ .kind = STDIO_NULL };
	p = proc_table_event(procs, &e);
	assert_int_equal(p->stdio[0].id, 7);
	assert_int_equal(p->stdio[2].kind, STDIO_NULL);
	e.proc = (struct event_proc){ .change = PROC_FORK,
				      .pid = 0x7fff0001,
				      .start_ns = 2 * NSEC_PER_SEC,
				      .ppid = 0x7fff0000,
				      .parent_start_ns = NSEC_PER_SEC };
	child = proc_table_event(procs, &e);
	assert_int_equal(child->stdio[0].kind, STDIO_INET);
	e.proc.change = PROC_EXEC; /* with other descriptors */
	child = proc_table_event(procs, &e);
	assert_int_equal(child->stdio[0].kind, STDIO_UNKNOWN);
	proc_table_free(procs);
	intern_free(cfg.texts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_socket_is_known_by_its_cookie),
		cmocka_unit_test(or_by_its_addresses),
		cmocka_unit_test(ends_of_a_pair_are_found),
		cmocka_unit_test(only_of_that_process),
		cmocka_unit_test(an_image_keeps_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
