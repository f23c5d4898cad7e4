/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client whose connect() and send() never pass a system call of their own: it hands them to io_uring, which runs them
 * later, with "sqpoll" in a kernel thread. flows.py looks whether they are attributed all the same.
 *
 *     uring ADDRESS PORT LOCALPORT [sqpoll]
 *
 * Exit status 77: this kernel has no io_uring for us.
 */
#include <arpa/inet.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ENTRIES 8

struct ring {
	int fd;
	struct io_uring_params params;
	struct io_uring_sqe *sqes;
	char *sq, *cq;
	unsigned queued;
};

static _Noreturn void die(const char *what)
{
	perror(what);
	exit(1);
}

static void *map(const struct ring *r, size_t size, off_t what)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r->fd, what);

	if (p == MAP_FAILED)
		die("mmap");
	return p;
}

static void ring_open(struct ring *r, bool sqpoll)
{
	*r = (struct ring){ .params.flags = sqpoll ? IORING_SETUP_SQPOLL : 0,
			    .params.sq_thread_idle = 1000 };
	r->fd = (int)syscall(SYS_io_uring_setup, ENTRIES, &r->params);
	if (r->fd < 0) {
		perror("io_uring_setup");
		exit(77);
	}
	r->sq = map(r, r->params.sq_off.array + r->params.sq_entries * sizeof(unsigned),
		    IORING_OFF_SQ_RING);
	r->cq = map(r, r->params.cq_off.cqes + r->params.cq_entries * sizeof(struct io_uring_cqe),
		    IORING_OFF_CQ_RING);
	r->sqes = map(r, r->params.sq_entries * sizeof(struct io_uring_sqe), IORING_OFF_SQES);
}

static void ring_queue(struct ring *r, const struct io_uring_sqe *sqe)
{
	unsigned *tail = (unsigned *)(r->sq + r->params.sq_off.tail);
	unsigned *array = (unsigned *)(r->sq + r->params.sq_off.array);
	unsigned at = *tail & (r->params.sq_entries - 1);

	r->sqes[at] = *sqe;
	array[at] = at;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	r->queued++;
}

/* Runs what was queued; the results must all be 0 or more. */
static void ring_run(struct ring *r)
{
	unsigned *flags = (unsigned *)(r->sq + r->params.sq_off.flags);
	unsigned *head = (unsigned *)(r->cq + r->params.cq_off.head), how = IORING_ENTER_GETEVENTS;
	struct io_uring_cqe *cqes = (struct io_uring_cqe *)(r->cq + r->params.cq_off.cqes);

	if (r->params.flags & IORING_SETUP_SQPOLL &&
	    __atomic_load_n(flags, __ATOMIC_ACQUIRE) & IORING_SQ_NEED_WAKEUP)
		how |= IORING_ENTER_SQ_WAKEUP;
	if (syscall(SYS_io_uring_enter, r->fd, r->queued, r->queued, how, NULL, 0) < 0)
		die("io_uring_enter");
	for (unsigned i = 0; i < r->queued; i++) {
		const struct io_uring_cqe *cqe = &cqes[(*head + i) & (r->params.cq_entries - 1)];

		if (cqe->res < 0) {
			fprintf(stderr, "operation %llu: %s\n", (unsigned long long)cqe->user_data,
				strerror(-cqe->res));
			exit(1);
		}
	}
}

int main(int argc, char **argv)
{
	static const char text[] = "by io_uring";
	struct sockaddr_in to = { .sin_family = AF_INET }, from = { .sin_family = AF_INET };
	struct ring r;
	int fd;

	if (argc < 4 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1)
		return 2;
	to.sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10));
	from.sin_port = htons((uint16_t)strtoul(argv[3], NULL, 10));
	ring_open(&r, argc > 4);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&from, sizeof(from)) < 0)
		die("socket");
	ring_queue(&r, &(struct io_uring_sqe){ .opcode = IORING_OP_CONNECT,
					       .flags = IOSQE_IO_LINK,
					       .fd = fd,
					       .addr = (uintptr_t)&to,
					       .off = sizeof(to),
					       .user_data = 1 });
	ring_queue(&r, &(struct io_uring_sqe){ .opcode = IORING_OP_SEND,
					       .fd = fd,
					       .addr = (uintptr_t)text,
					       .len = sizeof(text) - 1,
					       .user_data = 2 });
	ring_run(&r);
	close(fd);
	return 0;
}
