/* SPDX-License-Identifier: Apache-2.0 */
/* Whose a flow is: processes that are gone at once, that have no file, that were handed a socket, that use io_uring. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/io_uring.h>
#include <net/ethernet.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "tests/bpf/live.h"

#define PORT 4000

/* The child that live_run() made told its number by this pipe. */
static int told[2];

static void tell_pid(void)
{
	pid_t pid = getpid();

	if (write(told[1], &pid, sizeof(pid)) != sizeof(pid))
		_exit(99);
}

static uint32_t told_pid(void)
{
	pid_t pid;

	assert_int_equal(read(told[0], &pid, sizeof(pid)), sizeof(pid));
	return pid;
}

static int run_bash(void *arg)
{
	tell_pid();
	execl("/bin/bash", "bash", "-c", arg, "an argument", NULL);
	return 98;
}

static void test_short_lived(void **state)
{
	struct live *l = *state;
	struct live_proc *exec, *end;
	struct live_flow *f;
	uint32_t pid;

	assert_int_equal(live_run(l, run_bash, "echo x > /dev/udp/10.99.0.2/4000"), 0);
	pid = told_pid();
	live_collect(l);
	f = live_find(l, IPPROTO_UDP, 0, PORT);
	exec = live_proc_find(l, PROC_EXEC, pid);
	end = live_proc_find(l, PROC_EXIT, pid);
	assert_non_null(exec);
	assert_non_null(end);
	assert_int_equal(f->open.pid, pid);
	assert_int_equal(f->open.proc_start_ns, exec->e.start_ns);
	assert_int_equal(end->e.start_ns, exec->e.start_ns);
	assert_int_equal(exec->e.ppid, getpid());
	assert_int_equal(exec->e.uid, 0);
	assert_string_equal(f->comm, "bash");
	assert_true(!strcmp(exec->exe, "/usr/bin/bash") || !strcmp(exec->exe, "/bin/bash"));
	assert_memory_equal(exec->args, "bash\0-c\0echo x", 14);
	assert_false(exec->e.args_cut);
	assert_false(exec->e.exe_deleted);
	assert_string_equal(exec->cgroup + 1, l->cgroup_path);
	assert_int_equal(f->open.cgroup_id, exec->e.cgroup_id);
	assert_as_on_wire(l, f);
}

/* A child of a child: every fork is told of. */
static void test_family(void **state)
{
	struct live *l = *state;
	struct live_proc *fork = NULL;
	uint32_t pid;

	assert_int_equal(live_run(l, run_bash, "(echo x > /dev/udp/10.99.0.2/4000; true); true"),
			 0);
	pid = told_pid();
	live_collect(l);
	for (size_t i = 0; i < l->n_procs; i++)
		if (l->procs[i].e.change == PROC_FORK && l->procs[i].e.ppid == pid)
			fork = &l->procs[i];
	assert_non_null(fork);
	assert_int_equal(live_find(l, IPPROTO_UDP, 0, PORT)->open.pid, fork->e.pid);
	assert_string_equal(fork->cgroup + 1, l->cgroup_path); /* known from its parent */
}

static int run_copy(void *arg)
{
	const char *dir = arg;
	_cleanup_close_ int from = open("/bin/true", O_RDONLY | O_CLOEXEC);
	char path[64], *const argv[] = { "anything", NULL };
	struct stat st;
	int fd, run;

	tell_pid();
	if (from < 0 || fstat(from, &st))
		return 97;
	snprintf(path, sizeof(path), "%s/gone-%d", dir ? dir : "", getpid());
	fd = dir ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0700) : memfd_create("nowhere", 0);
	if (fd < 0 || sendfile(fd, from, NULL, st.st_size) != st.st_size)
		return 96;
	if (!dir) {
		fexecve(fd, argv, environ);
		return 95;
	}
	close(fd);
	run = open(path, O_PATH | O_CLOEXEC);
	unlink(path);
	fexecve(run, argv, environ);
	return 94;
}

static void test_memfd(void **state)
{
	struct live *l = *state;
	struct live_proc *p;

	assert_int_equal(live_run(l, run_copy, NULL), 0);
	live_collect(l);
	p = live_proc_find(l, PROC_EXEC, told_pid());
	assert_non_null(p);
	assert_true(p->e.exe_memfd);
	assert_true(p->e.exe_deleted);
	assert_string_equal(p->exe, "memfd:nowhere");
	assert_string_equal(p->args, "anything");
}

static void test_deleted(void **state)
{
	struct live *l = *state;
	char want[64];
	struct live_proc *p;
	uint32_t pid;

	assert_int_equal(live_run(l, run_copy, "/tmp"), 0);
	pid = told_pid();
	live_collect(l);
	p = live_proc_find(l, PROC_EXEC, pid);
	assert_non_null(p);
	assert_true(p->e.exe_deleted);
	assert_false(p->e.exe_memfd);
	snprintf(want, sizeof(want), "/tmp/gone-%u", pid);
	assert_string_equal(p->exe, want);
	assert_true(p->e.exe_inode > 0);
}

static void test_long_args(void **state)
{
	struct live *l = *state;
	static char script[3000];
	struct live_proc *p;

	memset(script, ' ', sizeof(script) - 1);
	memcpy(script, "true #", 6);
	assert_int_equal(live_run(l, run_bash, script), 0);
	live_collect(l);
	p = live_proc_find(l, PROC_EXEC, told_pid());
	assert_non_null(p);
	assert_true(p->e.args_cut);
	assert_int_equal(p->e.args.n, 1024);
}

/* A socket made by one process and sent over a Unix socket to another, which uses it. */
static int take_socket(void *arg)
{
	char control[CMSG_SPACE(sizeof(int))], byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = sizeof(control) };
	socklen_t len;
	struct sockaddr_storage a = live_addr(THERE, AF_INET, PORT, &len);
	int fd;

	tell_pid();
	if (recvmsg(*(int *)arg, &m, 0) != 1 || !CMSG_FIRSTHDR(&m))
		return 93;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
	return sendto(fd, "handed over", 11, 0, (struct sockaddr *)&a, len) == 11 ? 0 : 92;
}

static void test_passed(void **state)
{
	struct live *l = *state;
	int fd = live_socket(l, HERE, AF_INET, SOCK_DGRAM, 0), ends[2];
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { "x", 1 };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	socklen_t len;
	struct sockaddr_storage a = live_addr(THERE, AF_INET, PORT, &len);
	struct live_flow *f;

	assert_int_equal(sendto(fd, "mine first", 10, 0, (struct sockaddr *)&a, len), 10);
	live_collect(l);
	f = live_find(l, IPPROTO_UDP, 0, PORT);
	assert_int_equal(f->open.pid, getpid());
	assert_ok(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends));
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	assert_int_equal(sendmsg(ends[0], &m, 0), 1);
	assert_int_equal(live_run(l, take_socket, &ends[1]), 0);
	close(fd);
	close(ends[0]);
	close(ends[1]);
	live_collect(l);
	assert_int_equal(f->opened, 2);
	assert_int_equal(f->open.pid, told_pid());
	assert_as_on_wire(l, f);
}

static int open_packet(void *arg)
{
	int raw = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP),
	    fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_IP));

	tell_pid();
	return raw >= 0 && fd >= 0 ? 0 : 91;
}

/* No cgroup hook sees what goes through a packet socket: it is told of who has one. A raw IP socket is none. */
static void test_packet_socket(void **state)
{
	struct live *l = *state;
	struct live_proc *p;
	uint32_t pid;
	size_t n = 0;

	assert_int_equal(live_run(l, open_packet, NULL), 0);
	pid = told_pid();
	live_collect(l);
	p = live_proc_find(l, PROC_PACKET_SOCKET, pid);
	assert_non_null(p);
	assert_int_equal(p->e.packet_proto, ETH_P_IP);
	for (size_t i = 0; i < l->n_procs; i++)
		n += l->procs[i].e.change == PROC_PACKET_SOCKET && l->procs[i].e.pid == pid;
	assert_int_equal(n, 1);
}

/* One request through a ring of one entry; its result. */
struct ring {
	int fd;
	struct io_uring_params p;
	char *sq, *cq;
	struct io_uring_sqe *sqes;
};

static bool ring_open(struct ring *r)
{
	memset(r, 0, sizeof(*r));
	r->fd = syscall(SYS_io_uring_setup, 1, &r->p);
	if (r->fd < 0)
		return false;
	r->sq = mmap(NULL, r->p.sq_off.array + r->p.sq_entries * 4, PROT_READ | PROT_WRITE,
		     MAP_SHARED, r->fd, IORING_OFF_SQ_RING);
	r->cq = mmap(NULL, r->p.cq_off.cqes + r->p.cq_entries * sizeof(struct io_uring_cqe),
		     PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, IORING_OFF_CQ_RING);
	r->sqes = mmap(NULL, sizeof(*r->sqes), PROT_READ | PROT_WRITE, MAP_SHARED, r->fd,
		       IORING_OFF_SQES);
	return r->sq != MAP_FAILED && r->cq != MAP_FAILED && r->sqes != MAP_FAILED;
}

static int ring_do(struct ring *r, const struct io_uring_sqe *sqe)
{
	uint32_t *tail = (uint32_t *)(r->sq + r->p.sq_off.tail),
		 *head = (uint32_t *)(r->cq + r->p.cq_off.head);
	uint32_t *array = (uint32_t *)(r->sq + r->p.sq_off.array);
	struct io_uring_cqe *cqes = (struct io_uring_cqe *)(r->cq + r->p.cq_off.cqes);
	int res;

	r->sqes[0] = *sqe;
	array[*tail & (r->p.sq_entries - 1)] = 0;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, r->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) != 1)
		return -EIO;
	res = cqes[*head & (r->p.cq_entries - 1)].res;
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return res;
}

static int use_ring(void *arg)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len;
	struct sockaddr_storage a = live_addr(THERE, AF_INET, PORT, &len);
	struct io_uring_sqe connect_to = {
		.opcode = IORING_OP_CONNECT, .fd = fd, .addr = (uintptr_t)&a, .off = len
	};
	struct io_uring_sqe send_it = { .opcode = IORING_OP_SEND,
					.fd = fd,
					.addr = (uintptr_t) "GET /ring",
					.len = 9,
					.flags = IOSQE_ASYNC };
	struct ring r;

	tell_pid();
	if (!ring_open(&r))
		return 77;
	return ring_do(&r, &connect_to) == 0 && ring_do(&r, &send_it) == 9 ? 0 : 90;
}

static void test_io_uring(void **state)
{
	struct live *l = *state;
	int listener = live_listen(l, THERE, AF_INET, PORT), r = live_run(l, use_ring, NULL);
	struct live_flow *f;
	uint32_t pid = told_pid();

	close(listener);
	if (r == 77)
		skip();
	assert_int_equal(r, 0);
	live_collect(l);
	f = live_find(l, IPPROTO_TCP, 0, PORT);
	assert_int_equal(f->open.pid, pid);
	assert_int_equal(f->n_bytes[0], 9);
	assert_as_on_wire(l, f);
}

int main(void)
{
#define LIVE_TEST(f) cmocka_unit_test_setup(f, live_begin)
	const struct CMUnitTest tests[] = {
		LIVE_TEST(test_short_lived),   LIVE_TEST(test_family),    LIVE_TEST(test_memfd),
		LIVE_TEST(test_deleted),       LIVE_TEST(test_long_args), LIVE_TEST(test_passed),
		LIVE_TEST(test_packet_socket), LIVE_TEST(test_io_uring),
	};

	if (pipe2(told, O_CLOEXEC))
		return 1;
	return cmocka_run_group_tests(tests, live_setup, live_teardown);
}
