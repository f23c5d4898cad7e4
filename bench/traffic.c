/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work for bench/live.py, bench/memory.py and bench/forward.py. Over lo in whatever network namespace and cgroup it is
 * started, but for `paired`:
 *
 *     traffic cost KIND MS           what one unit costs: CPU time and time in ns (bulk: per kB; udp16, udp1000: per
 *                                    datagram sent and received; conn: per connect+accept+close), and p50 of connect()
 *     traffic paired KIND BLOCKS MS FAR ONE OTHER
 *                                    the same from here to two addresses of the network namespace at the path FAR, in
 *                                    short blocks of which every other one goes to the other address: a line a pair
 *     traffic rate N SECONDS         N new TCP connections a second, evenly; prints how many were made
 *     traffic sink HOST              takes what "hold" sends, until stdin ends
 *     traffic hold KIND N HOST       opens N sockets (tcp, udp) from 198.18.1.HOST to its sink, sends once on each,
 *                                    prints "open", keeps them until stdin ends
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NSEC 1000000000ULL
#define MAX_SOCKS 1000
#define MAX_LATENCIES (1 << 20)
#define BULK_AT_ONCE (256 * 1024)
#define SINK_PORT 4000

static uint32_t latencies[MAX_LATENCIES];
static size_t n_latencies;

static _Noreturn void die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t now(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * NSEC + (uint64_t)t.tv_nsec;
}

/* Of 198.18.0.0/16 (RFC 2544), which bench/place.py puts on lo: policy has no exception for it as for 127.0.0.0/8. */
static struct sockaddr_in here(uint32_t below, uint16_t port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons(port),
				     .sin_addr.s_addr = htonl(0xc6120000 + below) };
}

/* Namespaces of `paired`; sockets made from here on belong to the one we stand in. */
static int near_ns = -1, far_ns = -1;

static void stand(bool far)
{
	if (far_ns >= 0 && setns(far ? far_ns : near_ns, CLONE_NEWNET) < 0)
		die("setns");
}

static int bound_socket(int type, struct sockaddr_in *at)
{
	socklen_t n = sizeof(*at);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)at, n) < 0 ||
	    getsockname(fd, (struct sockaddr *)at, &n) < 0)
		die("socket");
	return fd;
}

static int listening_socket(struct sockaddr_in *at)
{
	int fd = bound_socket(SOCK_STREAM, at);

	if (listen(fd, 4096) < 0)
		die("listen");
	return fd;
}

static int connected(int type, const struct sockaddr_in *to)
{
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)to, sizeof(*to)) < 0)
		die("connect");
	return fd;
}

/* ---- cost: one unit of each kind of work ---- */

struct bench {
	int tx[MAX_SOCKS], rx[MAX_SOCKS], n, at;
	struct sockaddr_in server;
	int listener;
};

static uint64_t datagrams(struct bench *b)
{
	char data[64] = { 0 };

	for (int i = 0; i < 64; i++) {
		b->at = b->at + 1 < b->n ? b->at + 1 : 0;
		if (send(b->tx[b->at], data, sizeof(data), 0) < 0 ||
		    recv(b->rx[b->at], data, sizeof(data), 0) < 0)
			die("datagram");
	}
	return 64;
}

static uint64_t connections(struct bench *b)
{
	uint64_t from = now(CLOCK_MONOTONIC);
	int c = connected(SOCK_STREAM, &b->server), s;

	if (n_latencies < MAX_LATENCIES)
		latencies[n_latencies++] = (uint32_t)(now(CLOCK_MONOTONIC) - from);
	s = accept(b->listener, NULL, NULL);
	if (s < 0)
		die("accept");
	close(c);
	close(s);
	return 1;
}

static uint64_t bulk(struct bench *b)
{
	static char data[BULK_AT_ONCE];
	ssize_t n = send(b->tx[0], data, sizeof(data), 0), left = n;

	while (left > 0) {
		ssize_t r = recv(b->rx[0], data, (size_t)left, 0);

		if (r <= 0)
			die("recv");
		left -= r;
	}
	if (n < 0)
		die("send");
	return (uint64_t)n / 1024;
}

static void open_pairs(struct bench *b, int n)
{
	for (b->n = 0; b->n < n; b->n++) {
		struct sockaddr_in a = b->server;

		a.sin_port = 0;
		stand(true);
		b->rx[b->n] = bound_socket(SOCK_DGRAM, &a);
		stand(false);
		b->tx[b->n] = connected(SOCK_DGRAM, &a);
	}
}

static void open_bulk(struct bench *b)
{
	int size = 4 << 20;

	b->tx[0] = connected(SOCK_STREAM, &b->server);
	b->rx[0] = accept(b->listener, NULL, NULL);
	if (b->rx[0] < 0 || setsockopt(b->tx[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) < 0)
		die("bulk");
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void cost_block(struct bench *b, uint64_t (*work)(struct bench *b), uint64_t ms,
		       double ret[3])
{
	uint64_t units = 0, cpu, from, passed;

	n_latencies = 0;
	cpu = now(CLOCK_PROCESS_CPUTIME_ID);
	from = now(CLOCK_MONOTONIC);
	do {
		units += work(b);
		passed = now(CLOCK_MONOTONIC) - from;
	} while (passed < ms * 1000000);
	cpu = now(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	qsort(latencies, n_latencies, sizeof(*latencies), by_value);
	ret[0] = (double)cpu / (double)units;
	ret[1] = (double)passed / (double)units;
	ret[2] = n_latencies ? latencies[n_latencies / 2] : 0;
}

/* One datagram back from each: what tracks connections then calls them established. */
static void answer(struct bench *b)
{
	char data[64] = { 0 };

	for (int i = 0; i < b->n; i++) {
		struct sockaddr_in from;
		socklen_t n = sizeof(from);

		if (send(b->tx[i], data, sizeof(data), 0) < 0 ||
		    recvfrom(b->rx[i], data, sizeof(data), 0, (struct sockaddr *)&from, &n) < 0 ||
		    sendto(b->rx[i], data, sizeof(data), 0, (struct sockaddr *)&from, n) < 0 ||
		    recv(b->tx[i], data, sizeof(data), 0) < 0)
			die("datagram");
	}
}

/* The first packets of each socket are looked at more closely: past those before a clock starts. */
static uint64_t (*opened(struct bench *b, const char *kind))(struct bench *b)
{
	uint64_t (*work)(struct bench * b) = !strcmp(kind, "bulk")   ? bulk
					     : !strcmp(kind, "conn") ? connections
								     : datagrams;

	stand(true);
	b->listener = listening_socket(&b->server);
	stand(false);
	if (work == bulk)
		open_bulk(b);
	else if (work == datagrams)
		open_pairs(b, !strcmp(kind, "udp16") ? 16 : MAX_SOCKS);
	for (int i = 0; i < 200; i++)
		work(b);
	return work;
}

static void cost(const char *kind, uint64_t ms)
{
	static struct bench b;
	double cost[3];

	b.server = here(1, 0);
	cost_block(&b, opened(&b, kind), ms, cost);
	printf("%.2f %.2f %.0f\n", cost[0], cost[1], cost[2]);
}

/* Which is first changes from pair to pair, so that a drifting clock rate cancels out. */
static void paired(const char *kind, uint64_t blocks, uint64_t ms, char *const address[2])
{
	static struct bench b[2];
	uint64_t (*work)(struct bench * b) = NULL;

	for (int i = 0; i < 2; i++) {
		b[i].server = (struct sockaddr_in){ .sin_family = AF_INET };
		if (inet_pton(AF_INET, address[i], &b[i].server.sin_addr) != 1)
			die(address[i]);
		work = opened(&b[i], kind);
		answer(&b[i]);
	}
	for (uint64_t i = 0; i < blocks; i++) {
		double cost[2][3];

		for (uint64_t half = 0; half < 2; half++) {
			uint64_t which = (half + i) & 1;

			work(&b[which]);
			cost_block(&b[which], work, ms, cost[which]);
		}
		printf("%.2f %.2f %.0f %.0f\n", cost[0][0], cost[1][0], cost[0][2], cost[1][2]);
	}
}

/* ---- load ---- */

static void rate(uint64_t per_second, uint64_t seconds)
{
	uint64_t start = now(CLOCK_MONOTONIC), made = 0, due;
	static struct bench b;

	b.server = here(1, 0);
	b.listener = listening_socket(&b.server);
	for (;;) {
		uint64_t passed = now(CLOCK_MONOTONIC) - start;

		if (passed >= seconds * NSEC)
			break;
		due = passed * per_second / NSEC;
		while (made < due) {
			connections(&b);
			n_latencies = 0;
			made++;
		}
		usleep(500);
	}
	printf("%llu\n", (unsigned long long)made);
}

static void allow_open_files(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		die("open files");
	files.rlim_cur = files.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		die("open files");
}

/* Connections are kept open, unread, until the process ends. */
static void sink(uint32_t host)
{
	struct sockaddr_in at = here(0x100 + host, SINK_PORT);
	struct pollfd in[3] = { { .fd = STDIN_FILENO, .events = POLLIN },
				{ .fd = bound_socket(SOCK_DGRAM, &at), .events = POLLIN },
				{ .fd = listening_socket(&at), .events = POLLIN } };
	char data[64];

	allow_open_files();
	puts("open");
	fflush(stdout);
	while (poll(in, 3, -1) > 0 && !in[0].revents) {
		if (in[1].revents && recv(in[1].fd, data, sizeof(data), 0) < 0)
			die("recv");
		if (in[2].revents && accept(in[2].fd, NULL, NULL) < 0)
			die("accept");
	}
}

static void hold(const char *kind, int n, uint32_t host)
{
	int type = !strcmp(kind, "tcp") ? SOCK_STREAM : SOCK_DGRAM;
	struct sockaddr_in to = here(0x100 + host, SINK_PORT);

	allow_open_files();
	for (int i = 0; i < n; i++) {
		struct sockaddr_in from = here(0x100 + host, 0);
		int fd = bound_socket(type, &from);

		if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 ||
		    send(fd, "held", 4, 0) < 0)
			die("connect");
	}
	puts("open");
	fflush(stdout);
	getchar();
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "cost"))
		cost(argv[2], strtoull(argv[3], NULL, 10));
	else if (argc == 8 && !strcmp(argv[1], "paired")) {
		near_ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
		far_ns = open(argv[5], O_RDONLY | O_CLOEXEC);
		if (near_ns < 0 || far_ns < 0)
			die(argv[5]);
		allow_open_files();
		paired(argv[2], strtoull(argv[3], NULL, 10), strtoull(argv[4], NULL, 10), argv + 6);
	} else if (argc == 4 && !strcmp(argv[1], "rate"))
		rate(strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10));
	else if (argc == 3 && !strcmp(argv[1], "sink"))
		sink((uint32_t)strtoul(argv[2], NULL, 10));
	else if (argc == 5 && !strcmp(argv[1], "hold"))
		hold(argv[2], (int)strtoul(argv[3], NULL, 10),
		     (uint32_t)strtoul(argv[4], NULL, 10));
	else
		return 2;
	return 0;
}
