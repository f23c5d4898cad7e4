/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connect(), send() and sendmsg() that are no system calls: uring tcp|udp|poll MARK PORT. "poll": by a thread of the kernel.
 * Exit status 77 where there is no io_uring for us.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ENTRIES 4

struct ring {
	int fd;
	struct io_uring_params p;
	char *sq, *cq;
	struct io_uring_sqe *sqes;
};

static void *map(struct ring *r, size_t size, off_t what)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r->fd, what);

	if (p == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	return p;
}

static void ring_open(struct ring *r, unsigned int flags)
{
	*r = (struct ring){ .p.flags = flags, .p.sq_thread_idle = 1000 };
	r->fd = (int)syscall(SYS_io_uring_setup, ENTRIES, &r->p);
	if (r->fd < 0) {
		perror("io_uring_setup");
		exit(77);
	}
	r->sq = map(r, r->p.sq_off.array + r->p.sq_entries * sizeof(unsigned int),
		    IORING_OFF_SQ_RING);
	r->cq = map(r, r->p.cq_off.cqes + r->p.cq_entries * sizeof(struct io_uring_cqe),
		    IORING_OFF_CQ_RING);
	r->sqes = map(r, r->p.sq_entries * sizeof(struct io_uring_sqe), IORING_OFF_SQES);
}

/* One operation, and its result. */
static int run(struct ring *r, const struct io_uring_sqe *sqe)
{
	unsigned int *tail = (unsigned int *)(r->sq + r->p.sq_off.tail),
		     at = *tail & (r->p.sq_entries - 1);
	unsigned int *head = (unsigned int *)(r->cq + r->p.cq_off.head);
	unsigned int flags = IORING_ENTER_GETEVENTS;
	struct io_uring_cqe *cqe;

	r->sqes[at] = *sqe;
	((unsigned int *)(r->sq + r->p.sq_off.array))[at] = at;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	if (r->p.flags & IORING_SETUP_SQPOLL)
		flags |= IORING_ENTER_SQ_WAKEUP;
	if (syscall(SYS_io_uring_enter, r->fd, 1, 1, flags, NULL, 0) < 0) {
		perror("io_uring_enter");
		exit(1);
	}
	cqe = (struct io_uring_cqe *)(r->cq + r->p.cq_off.cqes) + (*head & (r->p.cq_entries - 1));
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return cqe->res;
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	struct iovec data;
	struct msghdr m = {
		.msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = &data, .msg_iovlen = 1
	};
	struct io_uring_sqe sqe = { .opcode = IORING_OP_CONNECT };
	char word[16];
	struct ring r;
	int fd, n;

	if (argc < 4)
		return 2;
	data = (struct iovec){ argv[2], strlen(argv[2]) };
	to.sin_port = htons((uint16_t)strtoul(argv[3], NULL, 10));
	inet_pton(AF_INET, "10.77.0.3", &to.sin_addr);
	ring_open(&r, argv[1][0] == 'p' ? IORING_SETUP_SQPOLL : 0);
	fd = socket(AF_INET, argv[1][0] == 'u' ? SOCK_DGRAM : SOCK_STREAM, 0);
	sqe.fd = fd;
	if (argv[1][0] == 'u') {
		sqe.opcode = IORING_OP_SENDMSG;
		sqe.addr = (uint64_t)(uintptr_t)&m;
		sqe.len = 1;
		n = run(&r, &sqe);
	} else {
		sqe.addr = (uint64_t)(uintptr_t)&to;
		sqe.off = sizeof(to);
		n = run(&r, &sqe);
		sqe = (struct io_uring_sqe){ .opcode = IORING_OP_SEND,
					     .fd = fd,
					     .addr = (uint64_t)(uintptr_t)argv[2],
					     .len = (uint32_t)strlen(argv[2]),
					     .msg_flags = MSG_NOSIGNAL };
		if (n == 0)
			n = run(&r, &sqe);
		if (n > 0)
			n = (int)recv(fd, word, sizeof(word), 0);
	}
	if (n <= 0)
		fprintf(stderr, "%s\n", strerror(-n));
	return n > 0 ? 0 : 1;
}
