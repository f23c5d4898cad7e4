/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A long wire between two interfaces, for kernels without netem: `bench-delay DEV DEV MICROSECONDS` hands each frame that comes
 * in on one out on the other, so much later, in order, whole as the kernel has it (GSO). Ends with its parent or by a signal.
 */
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <signal.h>
#include <time.h>
#include <arpa/inet.h>

#define FRAME_MAX (66000 + sizeof(struct virtio_net_hdr))
#define QUEUE_MAX (128U << 20) /* bytes each way; what comes on top is lost, and said at the end */
#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif

struct frame {
	struct frame *next;
	uint64_t due_ns;
	size_t n;
	uint8_t bytes[];
};

struct way {
	int from, to;
	struct frame *first, **last;
	size_t held;
	unsigned long lost;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ULL + (uint64_t)t.tv_nsec;
}

static int open_dev(const char *name)
{
	struct sockaddr_ll a = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, 0), one = 1, size = 64 << 20;

	a.sll_ifindex = (int)if_nametoindex(name);
	if (fd < 0 || !a.sll_ifindex ||
	    setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) ||
	    bind(fd, (struct sockaddr *)&a, sizeof(a))) {
		fprintf(stderr, "bench-delay: %s: %s\n", name, strerror(errno));
		exit(1);
	}
	return fd;
}

static void take(struct way *w, uint64_t delay_ns)
{
	static uint8_t bytes[FRAME_MAX];
	ssize_t n;

	while ((n = recv(w->from, bytes, sizeof(bytes), 0)) > 0) {
		struct frame *f =
			w->held + (size_t)n > QUEUE_MAX ? NULL : malloc(sizeof(*f) + (size_t)n);

		if (!f) {
			w->lost++;
			continue;
		}
		*f = (struct frame){ .due_ns = now_ns() + delay_ns, .n = (size_t)n };
		memcpy(f->bytes, bytes, (size_t)n);
		*w->last = f;
		w->last = &f->next;
		w->held += f->n;
	}
}

static void give(struct way *w, uint64_t now)
{
	while (w->first && w->first->due_ns <= now) {
		struct frame *f = w->first;

		if (send(w->to, f->bytes, f->n, 0) < 0)
			w->lost++;
		w->first = f->next;
		if (!w->first)
			w->last = &w->first;
		w->held -= f->n;
		free(f);
	}
}

static volatile sig_atomic_t over;

static void on_signal(int signo)
{
	over = 1;
}

int main(int argc, char **argv)
{
	struct way way[2] = { 0 };
	struct pollfd p[2];
	uint64_t delay_ns;

	if (argc != 4) {
		fprintf(stderr, "usage: bench-delay DEV DEV MICROSECONDS\n");
		return 2;
	}
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	prctl(PR_SET_TIMERSLACK, 1000);
	signal(SIGTERM, on_signal);
	delay_ns = strtoull(argv[3], NULL, 10) * 1000;
	for (int i = 0; i < 2; i++) {
		p[i] = (struct pollfd){ open_dev(argv[1 + i]), POLLIN, 0 };
		way[i].last = &way[i].first;
	}
	way[0].from = way[1].to = p[0].fd;
	way[1].from = way[0].to = p[1].fd;
	puts("open");
	fflush(stdout);
	while (!over) {
		uint64_t now = now_ns(), next = UINT64_MAX;
		struct timespec t;

		for (int i = 0; i < 2; i++)
			if (way[i].first && way[i].first->due_ns < next)
				next = way[i].first->due_ns;
		next = next == UINT64_MAX ? 1000000000 : next > now ? next - now : 0;
		t = (struct timespec){ (time_t)(next / 1000000000), (long)(next % 1000000000) };
		if (ppoll(p, 2, &t, NULL) < 0 && errno != EINTR)
			break;
		for (int i = 0; i < 2; i++) {
			if (p[i].revents)
				take(&way[i], delay_ns);
			give(&way[i], now_ns());
		}
	}
	fprintf(stderr, "lost %lu and %lu frames\n", way[0].lost, way[1].lost);
	return 0;
}
