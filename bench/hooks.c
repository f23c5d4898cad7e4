/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What egret's hooks cost those who are watched. One process in a cgroup and a network namespace of its own alternates
 * short blocks of the same work with a set of hooks attached and detached, so that a noisy machine hits both alike, and
 * prints the median of the paired ratios (none / with: 1.00 is free, 0.95 is 5 % more CPU time). The row "none" measures
 * nothing against nothing and must come out at 1.00; "noop" is a pair of cgroup_skb programs that return 1; "policy" is
 * egret with a policy in force that lets the work pass, and for which the first payload matters.
 *
 *     hooks [blocks [name …]]      only these rows (none noop egret policy) and columns (bulk udp16 udp1000 …)
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <sys/wait.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "attach/cgroup2.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/str.h"
#include "bpf/host.skel.h"
#include "policy/image.h"

#define BLOCK_NS 12000000ULL
#define MAX_LINKS 32
#define MAX_SOCKS 1000

static char cgroup_path[4200], root_path[4096];
static int cgroup_fd = -1;

static _Noreturn void die(const char *what)
{
	perror(what);
	rmdir(cgroup_path);
	exit(1);
}

static uint64_t clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

/* --- hook sets ------------------------------------------------------------------------------------------------- */

struct hooks {
	const char *name;
	int (*attach)(struct hooks *h);
	int links[MAX_LINKS];
	struct bpf_link *bpf_links[MAX_LINKS];
	size_t n_links, n_bpf_links;
};

static struct host_bpf *skel;
static struct ring_buffer *ring;
static int noop_fd[2];

static int ignore_record(void *ctx, void *data, size_t size)
{
	return 0;
}

static int attach_none(struct hooks *h)
{
	return 0;
}

static int attach_noop(struct hooks *h)
{
	static const enum bpf_attach_type type[2] = { BPF_CGROUP_INET_EGRESS,
						      BPF_CGROUP_INET_INGRESS };

	for (int i = 0; i < 2; i++) {
		int fd = bpf_link_create(noop_fd[i], cgroup_fd, type[i], NULL);

		if (fd < 0)
			return -errno;
		h->links[h->n_links++] = fd;
	}
	return 0;
}

static int attach_egret(struct hooks *h)
{
	struct bpf_program *const tracing[] = {
		skel->progs.eg_tcp_destroy, skel->progs.eg_kfree_skb, skel->progs.eg_send_reset,
		skel->progs.eg_fork,        skel->progs.eg_exec,      skel->progs.eg_exit,
		skel->progs.eg_cap
	};
	struct bpf_program *const cgroup[] = { skel->progs.eg_release,  skel->progs.eg_bind4,
					       skel->progs.eg_bind6,    skel->progs.eg_connect4,
					       skel->progs.eg_connect6, skel->progs.eg_sendmsg4,
					       skel->progs.eg_sendmsg6, skel->progs.eg_egress,
					       skel->progs.eg_ingress };
	struct bpf_link *link;

	for (size_t i = 0; i < ARRAY_SIZE(tracing) + ARRAY_SIZE(cgroup); i++) {
		if (i < ARRAY_SIZE(tracing))
			link = bpf_program__attach(tracing[i]);
		else
			link = bpf_program__attach_cgroup(cgroup[i - ARRAY_SIZE(tracing)],
							  cgroup_fd);
		if (libbpf_get_error(link))
			return -errno;
		h->bpf_links[h->n_bpf_links++] = link;
	}
	return 0;
}

#define NAME_KEY ((1ULL << 40) + 12345)

static const char policy_text[] =
	"deny to **.refused.test\ndeny port 25\nallow app \"/nowhere/**\"\n"
	"allow to 10.0.0.0/8, 127.0.0.0/8\ndefault deny\n";

/* As attach_policy_load() does it, which has programs of its own. */
static void load_policy(void)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE | BPF_F_INNER_MAP);
	struct compile_config cfg = { .name_key = NAME_KEY,
				      .enforce = true,
				      .to_s = INT64_MAX / 2 };
	_cleanup_buf_ struct buf messages = BUF_INIT(1 << 16);
	struct policy_image *img = NULL;
	struct policy *p = NULL;
	struct eg_image *to;
	__u32 zero = 0;
	size_t n;
	int fd;

	if (policy_parse(&p, "bench", str_of(policy_text), STR_NONE, &messages) ||
	    policy_compile(&img, p, &cfg, &messages))
		die(messages.p);
	policy_image_bytes(img, &n);
	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "eg_image", 4, EG_IMAGE_PAGE, n / EG_IMAGE_PAGE + 1,
			    &opts);
	to = fd < 0 ? MAP_FAILED : mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (to == MAP_FAILED)
		die("image");
	memcpy(to, policy_image_bytes(img, &n), n);
	to->gen = 1;
	if (bpf_map_update_elem(bpf_map__fd(skel->maps.eg_policy), &zero, &fd, BPF_ANY))
		die("policy");
	munmap(to, n);
	close(fd);
	policy_image_free(img);
	policy_free(p);
}

static int attach_policy(struct hooks *h)
{
	skel->bss->policy_gen = skel->bss->policy_refuses = skel->bss->policy_epoch = 1;
	return attach_egret(h);
}

static void detach(struct hooks *h)
{
	skel->bss->policy_epoch = skel->bss->policy_gen = skel->bss->policy_refuses = 0;

	while (h->n_links)
		close(h->links[--h->n_links]);
	while (h->n_bpf_links)
		bpf_link__destroy(h->bpf_links[--h->n_bpf_links]);
	ring_buffer__consume(ring);
}

static void load_programs(void)
{
	struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = 1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts);

	for (int i = 0; i < 2; i++) {
		opts.expected_attach_type = i ? BPF_CGROUP_INET_INGRESS : BPF_CGROUP_INET_EGRESS;
		noop_fd[i] = bpf_prog_load(BPF_PROG_TYPE_CGROUP_SKB, "noop", "GPL", insns,
					   ARRAY_SIZE(insns), &opts);
		if (noop_fd[i] < 0)
			die("no-op program");
	}
	skel = host_bpf__open();
	if (!skel)
		die("open");
	skel->rodata->has_kern_ctx = 1;
	skel->rodata->ring_wake_bytes = ~0U;
	skel->rodata->name_key = NAME_KEY;
	bpf_map__set_max_entries(skel->maps.eg_ring, 64 << 20); /* drained between blocks only */
	if (host_bpf__load(skel))
		die("load");
	ring = ring_buffer__new(bpf_map__fd(skel->maps.eg_ring), ignore_record, NULL, NULL);
	if (!ring)
		die("ring");
}

static struct hooks hook_sets[] = {
	{ "none", attach_none },
	{ "noop", attach_noop },
	{ "egret", attach_egret },
	{ "policy", attach_policy },
};

/* --- work ------------------------------------------------------------------------------------------------------ */

/*
 * Two places. On loopback both ends are in the watched cgroup. With -v the far end is another host as far as the hooks
 * can tell: in a namespace of its own behind a veth pair, and outside of the cgroup.
 */
static bool veth;
static int near_ns = -1, far_ns = -1;

#define FAR_ADDR 0x0a090002 /* 10.9.0.2 */

static struct sockaddr_in far_address(void)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(veth ? FAR_ADDR : INADDR_LOOPBACK),
	};
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die(path);
	close(fd);
}

/* Sockets made from here on belong to that end. */
static void stand(bool far)
{
	char path[4300];

	if (!veth)
		return;
	snprintf(path, sizeof(path), "%s/cgroup.procs", far ? root_path : cgroup_path);
	write_file(path, "0");
	if (setns(far ? far_ns : near_ns, CLONE_NEWNET))
		die("setns");
}

static int tx[MAX_SOCKS], rx[MAX_SOCKS], n_socks, listener = -1, pair[2];
static struct sockaddr_in peer[MAX_SOCKS];
static bool connected;
static uint32_t latencies[1 << 20];
static size_t n_latencies;

static void close_socks(void)
{
	for (int i = 0; i < n_socks; i++) {
		close(tx[i]);
		close(rx[i]);
	}
	n_socks = 0;
}

static void open_udp(int n, bool connect_them)
{
	close_socks();
	connected = connect_them;
	stand(true);
	for (int i = 0; i < n; i++) {
		socklen_t len = sizeof(peer[i]);

		peer[i] = far_address();
		rx[i] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		if (rx[i] < 0 || bind(rx[i], (struct sockaddr *)&peer[i], sizeof(peer[i])) ||
		    getsockname(rx[i], (struct sockaddr *)&peer[i], &len))
			die("UDP");
	}
	stand(false);
	for (int i = 0; i < n; i++) {
		struct sockaddr_in a;
		socklen_t len = sizeof(a);

		tx[i] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		if (tx[i] < 0)
			die("UDP");
		if (!connect_them)
			continue;
		if (connect(tx[i], (struct sockaddr *)&peer[i], sizeof(peer[i])) ||
		    getsockname(tx[i], (struct sockaddr *)&a, &len) ||
		    connect(rx[i], (struct sockaddr *)&a, sizeof(a)))
			die("connect");
	}
	n_socks = n;
}

static void setup_udp16(void)
{
	open_udp(16, true);
}

static void setup_udp1000(void)
{
	open_udp(1000, true);
}

static void setup_sendto16(void)
{
	open_udp(16, false);
}

static void setup_sendto1000(void)
{
	open_udp(1000, false);
}

static uint64_t work_udp(void)
{
	static int at;
	char buf[64] = { 0 };

	for (int i = 0; i < 64; i++) {
		at = at + 1 < n_socks ? at + 1 : 0;
		if (connected ? send(tx[at], buf, sizeof(buf), 0) < 0
			      : sendto(tx[at], buf, sizeof(buf), 0, (struct sockaddr *)&peer[at],
				       sizeof(peer[at])) < 0)
			die("send");
		if (recv(rx[at], buf, sizeof(buf), 0) < 0)
			die("recv");
	}
	return 64;
}

static int listen_tcp(struct sockaddr_in *ret)
{
	struct sockaddr_in a = far_address();
	socklen_t len = sizeof(a);
	int fd;

	stand(true);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, 128) ||
	    getsockname(fd, (struct sockaddr *)&a, &len))
		die("listen");
	stand(false);
	*ret = a;
	return fd;
}

static struct sockaddr_in server;

static void setup_conn(void)
{
	close_socks();
	if (listener >= 0)
		close(listener);
	listener = listen_tcp(&server);
}

static uint64_t work_conn(void)
{
	for (int i = 0; i < 16; i++) {
		int c = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), s;
		uint64_t from = clock_ns(CLOCK_MONOTONIC);

		if (c < 0 || connect(c, (struct sockaddr *)&server, sizeof(server)))
			die("connect");
		if (n_latencies < ARRAY_SIZE(latencies))
			latencies[n_latencies++] = clock_ns(CLOCK_MONOTONIC) - from;
		s = accept(listener, NULL, NULL);
		if (s < 0)
			die("accept");
		close(c);
		close(s);
	}
	return 16;
}

static void setup_bulk(void)
{
	int one = 1, size = 4 << 20;

	setup_conn();
	pair[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	if (connect(pair[0], (struct sockaddr *)&server, sizeof(server)))
		die("connect");
	pair[1] = accept(listener, NULL, NULL);
	if (pair[1] < 0)
		die("accept");
	setsockopt(pair[0], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	tx[0] = pair[0];
	rx[0] = pair[1];
	n_socks = 1;
}

static uint64_t work_bulk(void)
{
	static char buf[256 * 1024];
	ssize_t n = send(pair[0], buf, sizeof(buf), 0), left = n;

	if (n < 0)
		die("send");
	while (left > 0) {
		ssize_t r = recv(pair[1], buf, left, 0);

		if (r <= 0)
			die("recv");
		left -= r;
	}
	return n;
}

static const struct work {
	const char *id, *name;
	void (*setup)(void);
	uint64_t (*once)(void);
	int warm;
	double unit; /* what one of it is called in the table: ns per this many */
	const char *unit_name;
} works[] = {
	{ "bulk", "TCP bulk", setup_bulk, work_bulk, 100, 1e9 / 1e6, "ms/GB" },
	{ "udp16", "UDP, 16 sockets", setup_udp16, work_udp, 5, 1, "ns" },
	{ "udp1000", "UDP, 1000 sockets", setup_udp1000, work_udp, 200, 1, "ns" },
	{ "sendto16", "sendto, 16 sockets", setup_sendto16, work_udp, 5, 1, "ns" },
	{ "sendto1000", "sendto, 1000 sockets", setup_sendto1000, work_udp, 200, 1, "ns" },
	{ "conn", "connect+accept+close", setup_conn, work_conn, 5, 1, "ns" },
};

/* --- measuring ------------------------------------------------------------------------------------------------- */

static int by_double(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static int by_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* CPU time of one unit of work, over one block. */
static double block(const struct work *w)
{
	uint64_t until = clock_ns(CLOCK_MONOTONIC) + BLOCK_NS,
		 from = clock_ns(CLOCK_PROCESS_CPUTIME_ID), n = 0;

	do
		n += w->once();
	while (clock_ns(CLOCK_MONOTONIC) < until);
	return (double)(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - from) / n;
}

static uint32_t p50(void)
{
	uint32_t v;

	if (!n_latencies)
		return 0;
	qsort(latencies, n_latencies, sizeof(*latencies), by_u32);
	v = latencies[n_latencies / 2];
	n_latencies = 0;
	return v;
}

static void measure(const struct work *w, struct hooks *h, int blocks)
{
	double *ratio = calloc(blocks, sizeof(*ratio)), *base = calloc(blocks, sizeof(*base));
	double *extra_p50 = calloc(blocks, sizeof(*extra_p50));

	if (!ratio || !base || !extra_p50)
		die("memory");
	/* sockets are opened under the hooks, as they are when a daemon watches */
	if (h->attach(h))
		die(h->name);
	w->setup();
	for (int i = 0; i < w->warm;
	     i++) /* past the first datagrams of each socket, which are looked at */
		w->once();
	detach(h);
	for (int i = -2; i < blocks; i++) {
		double with = 0, without = 0;
		uint32_t p50_with = 0, p50_without = 0;

		/* which comes first changes from pair to pair: a drifting clock rate cancels out */
		for (int half = 0; half < 2; half++) {
			bool on = half == (i & 1);

			if (on && h->attach(h))
				die(h->name);
			w->once(); /* the first packets of a block learn what the others know */
			n_latencies = 0;
			*(on ? &with : &without) = block(w);
			*(on ? &p50_with : &p50_without) = p50();
			if (on)
				detach(h);
		}
		if (i < 0)
			continue;
		ratio[i] = without / with;
		base[i] = without;
		extra_p50[i] = (double)p50_with - p50_without;
	}
	qsort(ratio, blocks, sizeof(*ratio), by_double);
	qsort(base, blocks, sizeof(*base), by_double);
	qsort(extra_p50, blocks, sizeof(*extra_p50), by_double);
	printf("%-22s %-6s %6.3f  (quartiles %.3f %.3f)  base %8.1f %s", w->name, h->name,
	       ratio[blocks / 2], ratio[blocks / 4], ratio[blocks * 3 / 4],
	       base[blocks / 2] * w->unit, w->unit_name);
	if (w->once == work_conn)
		printf("  connect() p50 %+.2f us", extra_p50[blocks / 2] / 1000);
	putchar('\n');
	fflush(stdout);
	free(ratio);
	free(base);
	free(extra_p50);
}

/* --- a place of our own ---------------------------------------------------------------------------------------- */

/* Runs ip(8) with the words of `line`. */
static void ip(const char *line)
{
	char text[256], *words[16] = { (char[]){ "ip" } }, *rest = text;
	size_t n = 1;
	pid_t pid;
	int status;

	snprintf(text, sizeof(text), "%s", line);
	while (n + 1 < ARRAY_SIZE(words) && (words[n] = strsep(&rest, " ")))
		n++;
	if (posix_spawnp(&pid, "ip", NULL, NULL, words, environ) ||
	    waitpid(pid, &status, 0) != pid || status)
		die(line);
}

static void quiet_ports(void)
{
	write_file("/proc/sys/net/ipv4/ip_local_port_range", "1024 65535");
	write_file("/proc/sys/net/ipv4/tcp_tw_reuse", "1");
	write_file("/proc/sys/net/ipv4/tcp_max_tw_buckets", "1024");
}

/* The namespace we are in becomes the far end; the one we end in is the near one. */
static void make_veth(void)
{
	char line[128];

	far_ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (far_ns < 0 || unshare(CLONE_NEWNET))
		die("unshare");
	near_ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	ip("link set lo up");
	ip("link add near0 type veth peer name far0");
	snprintf(line, sizeof(line), "link set far0 netns /proc/%d/fd/%d", getpid(), far_ns);
	ip(line);
	ip("addr add 10.9.0.1/24 dev near0");
	ip("link set near0 up");
	quiet_ports();
	stand(true);
	ip("addr add 10.9.0.2/24 dev far0");
	ip("link set far0 up");
	stand(false);
}

static void enter(void)
{
	struct rlimit files = { 4096, 4096 };
	struct ifreq lo = { .ifr_name = "lo" };
	char path[4300], pid[32];
	cpu_set_t cpus;
	int fd;

	if (cgroup2_mount_path(root_path, sizeof(root_path)))
		die("cgroup2");
	snprintf(cgroup_path, sizeof(cgroup_path), "%s/egret-bench-%d", root_path, getpid());
	if (mkdir(cgroup_path, 0755))
		die(cgroup_path);
	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup_path);
	snprintf(pid, sizeof(pid), "%d", getpid());
	write_file(path, pid);
	cgroup_fd = open(cgroup_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (cgroup_fd < 0 || unshare(CLONE_NEWNET))
		die("unshare");
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &lo))
		die("lo");
	lo.ifr_flags |= IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &lo))
		die("lo up");
	close(fd);
	quiet_ports();
	if (veth)
		make_veth();
	setrlimit(RLIMIT_NOFILE, &files);
	CPU_ZERO(&cpus);
	CPU_SET(sched_getcpu(), &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
}

/* Hooks of others above us are part of the base then, and hide most of what ours add. */
static void warn_of_others(void)
{
	__u32 ids[8], n = 8;

	if (!bpf_prog_query(cgroup_fd, BPF_CGROUP_INET_EGRESS, BPF_F_QUERY_EFFECTIVE, NULL, ids,
			    &n) &&
	    n)
		fprintf(stderr,
			"hooks: %u program(s) of others watch this cgroup too: the ratios are too "
			"good\n",
			n);
}

static void leave(void)
{
	char path[4200];

	close_socks();
	host_bpf__destroy(skel);
	snprintf(path, sizeof(path), "%s/cgroup.procs", root_path);
	write_file(path, "0");
	rmdir(cgroup_path);
}

/* Named itself, or none of its kind was. */
static bool wanted(int argc, char **argv, const char *name, bool (*of_kind)(const char *name))
{
	bool any = false;

	for (int i = 2; i < argc; i++) {
		if (!strcmp(argv[i], name))
			return true;
		any |= of_kind(argv[i]);
	}
	return !any;
}

static bool is_row(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(hook_sets); i++)
		if (!strcmp(hook_sets[i].name, name))
			return true;
	return false;
}

static bool is_work(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(works); i++)
		if (!strcmp(works[i].id, name))
			return true;
	return false;
}

int main(int argc, char **argv)
{
	uint64_t blocks = 100;

	if (argc > 1 && !strcmp(argv[1], "-v")) {
		veth = true;
		argv++;
		argc--;
	}
	if (argc > 1 &&
	    (str_parse_u64(str_of(argv[1]), &blocks) || blocks < 1 || blocks > 100000)) {
		fprintf(stderr, "usage: hooks [-v] [blocks [name ...]]\n");
		return 2;
	}
	enter();
	warn_of_others();
	load_programs();
	load_policy();
	for (size_t i = 0; i < ARRAY_SIZE(works); i++)
		for (size_t j = 0; j < ARRAY_SIZE(hook_sets); j++)
			if (wanted(argc, argv, hook_sets[j].name, is_row) &&
			    wanted(argc, argv, works[i].id, is_work))
				measure(&works[i], &hook_sets[j], blocks);
	leave();
	return 0;
}
