/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attach/cgroup2.h"
#include "attach/policy.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/time.h"
#include "decode/packet.h"
#include "policy/image.h"
#include "tests/bpf/live.h"

#define MAX_FLOWS 4096
#define MAX_PROCS 512

struct live_wire_flow {
	struct event_key key; /* src is HERE */
	struct live_wire n;
	struct {
		uint32_t id;
		uint16_t sport, dport;
	} frag;
};

/* --- what attach/ tells ---------------------------------------------------------------------------------------- */

static bool same_key(const struct event_key *a, const struct event_key *b)
{
	return addr_eq(&a->src, &b->src) && addr_eq(&a->dst, &b->dst) && a->sport == b->sport &&
	       a->dport == b->dport && a->proto == b->proto;
}

static struct live_flow *flow_of(struct live *l, const struct event_key *key)
{
	for (size_t i = l->n_flows; i-- > 0;)
		if (same_key(&l->flows[i].key, key) && l->flows[i].key.zone == key->zone &&
		    !l->flows[i].closed)
			return &l->flows[i];
	if (l->n_flows == MAX_FLOWS)
		fail_msg("too many flows");
	l->flows[l->n_flows].key = *key;
	return &l->flows[l->n_flows++];
}

static void copy(char *to, size_t room, struct str s)
{
	size_t n = MIN(s.n, room - 1);

	memcpy(to, s.p ? s.p : "", n);
	to[n] = 0;
}

static void on_proc(struct live *l, const struct event_proc *e)
{
	struct live_proc *p = &l->procs[l->n_procs];

	if (l->n_procs == MAX_PROCS)
		return;
	l->n_procs++;
	p->e = *e;
	copy(p->comm, sizeof(p->comm), e->comm);
	copy(p->exe, sizeof(p->exe), e->exe);
	copy(p->args, sizeof(p->args), e->args);
	copy(p->cgroup, sizeof(p->cgroup), e->cgroup);
}

static void on_packet(struct live_flow *f, const struct event *e)
{
	int rx = e->dir == EVENT_DIR_RX;

	assert_int_not_equal(e->dir, EVENT_DIR_NONE);
	assert_int_equal(e->packet.packets, 0);
	if (e->packet.tcp_flags & TCP_SYN) {
		f->isn[rx] = e->packet.seq;
		return;
	}
	f->n_chunks[rx]++;
	memcpy(f->bytes[rx] + f->n_bytes[rx], e->packet.payload.p,
	       MIN(e->packet.payload.n, LIVE_BYTES - f->n_bytes[rx]));
	f->n_bytes[rx] += MIN(e->packet.payload.n, LIVE_BYTES - f->n_bytes[rx]);
}

static void on_verdict(struct live *l, const struct event *e)
{
	const struct event_verdict *v = &e->verdict;
	struct live_verdict *to = &l->verdicts[l->n_verdicts];

	l->refused_calls += v->calls;
	l->refused_packets += v->packets;
	l->refused_bytes += v->bytes;
	l->n_refused += v->refused;
	if (l->n_verdicts == LIVE_VERDICTS)
		return;
	l->n_verdicts++;
	to->key = e->key;
	to->v = *v;
	copy(to->visible, sizeof(to->visible), v->visible_name);
	copy(to->name, sizeof(to->name), v->who.n_names ? v->who.names[0] : STR_NONE);
}

static void on_event(void *ctx, const struct event *e)
{
	struct live *l = ctx;
	struct live_flow *f;

	if (l->also.on_event)
		l->also.on_event(l->also.ctx, e);
	switch (e->type) {
	case EVENT_PROC:
		on_proc(l, &e->proc);
		return;
	case EVENT_LOSS:
		l->lost[e->loss.reason] += e->loss.count;
		l->unreported.tx_packets += e->loss.unreported.tx_packets;
		l->unreported.tx_bytes += e->loss.unreported.tx_bytes;
		l->unreported.rx_packets += e->loss.unreported.rx_packets;
		l->unreported.rx_bytes += e->loss.unreported.rx_bytes;
		return;
	case EVENT_VERDICT:
		on_verdict(l, e);
		return;
	default:
		f = flow_of(l, &e->key);
	}
	switch (e->type) {
	case EVENT_OPEN:
		f->opened++;
		f->open = e->open;
		copy(f->comm, sizeof(f->comm), e->open.comm);
		for (size_t i = 0; i < e->open.n_names; i++)
			copy(f->names[i], sizeof(f->names[i]), e->open.names[i]);
		break;
	case EVENT_COUNT:
		f->counts = e->count;
		break;
	case EVENT_CLOSE:
		f->counts = e->close.counts;
		f->end = e->close.end;
		f->closed++;
		break;
	case EVENT_PACKET:
		on_packet(f, e);
		break;
	default:
		fail_msg("event of type %d", e->type);
	}
}

/* --- what is on the wire ---------------------------------------------------------------------------------------- */

static struct live_wire_flow *wire_flow(struct live *l, const struct event_key *key)
{
	for (size_t i = 0; i < l->n_wire; i++)
		if (same_key(&l->wire[i].key, key))
			return &l->wire[i];
	if (l->n_wire == MAX_FLOWS)
		fail_msg("too many flows on the wire");
	l->wire[l->n_wire].key = *key;
	return &l->wire[l->n_wire++];
}

static struct live_wire_flow *wire_fragment(struct live *l, const struct event_key *key,
					    uint32_t id)
{
	for (size_t i = 0; i < l->n_wire; i++)
		if (addr_eq(&l->wire[i].key.src, &key->src) &&
		    addr_eq(&l->wire[i].key.dst, &key->dst) && l->wire[i].frag.id == id)
			return &l->wire[i];
	return NULL;
}

/* Ports are in the first fragment only; fragments come in order here. */
static bool wire_ports(struct packet *p)
{
	struct str bytes = p->payload;

	if (!p->fragment)
		return true;
	p->proto = p->frag_proto;
	if (p->frag_offset || bytes.n < 8)
		return false;
	p->sport = (uint8_t)bytes.p[0] << 8 | (uint8_t)bytes.p[1];
	p->dport = (uint8_t)bytes.p[2] << 8 | (uint8_t)bytes.p[3];
	return true;
}

static void wire_packet(struct live *l, struct str bytes, uint32_t len, bool tx)
{
	struct event_key key = { 0 };
	struct live_wire_flow *f;
	struct packet p;
	bool first;

	if (packet_parse(101 /* raw IP */, bytes, len, &p) != PACKET_OK)
		return;
	first = wire_ports(&p);
	key.src = tx ? p.src : p.dst;
	key.dst = tx ? p.dst : p.src;
	key.sport = tx ? p.sport : p.dport;
	key.dport = tx ? p.dport : p.sport;
	key.proto = p.proto;
	f = first ? wire_flow(l, &key) : wire_fragment(l, &key, p.frag_id);
	if (!f)
		return;
	if (p.fragment)
		f->frag.id = p.frag_id;
	*(tx ? &f->n.tx_packets : &f->n.rx_packets) += 1;
	*(tx ? &f->n.tx_bytes : &f->n.rx_bytes) += p.ip_bytes;
}

static void read_tap(struct live *l)
{
	static char buf[512];

	for (;;) {
		struct sockaddr_ll from;
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(l->tap, buf, sizeof(buf), MSG_DONTWAIT | MSG_TRUNC,
				     (struct sockaddr *)&from, &len);

		if (n < 0)
			return;
		wire_packet(l, (struct str){ buf, MIN((size_t)n, sizeof(buf)) }, n,
			    from.sll_pkttype == PACKET_OUTGOING);
	}
}

struct live_wire live_wire_of(struct live *l, const struct event_key *key)
{
	return wire_flow(l, key)->n;
}

/* --- the place -------------------------------------------------------------------------------------------------- */

void live_tool(const char *const argv[])
{
	extern char **environ;
	int status = 0;
	pid_t pid;

	assert_int_equal(posix_spawnp(&pid, argv[0], NULL, NULL, (char *const *)argv, environ), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status)
		fail_msg("%s %s %s: status %x", argv[0], argv[1], argv[2] ? argv[2] : "", status);
}

#define TOOL(...) live_tool((const char *const[]){ __VA_ARGS__, NULL })

static void join_cgroup(int fd)
{
	_cleanup_close_ int procs = openat(fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);

	assert_true(procs >= 0 && write(procs, "0", 1) == 1);
}

void live_enter(struct live *l, enum live_end end)
{
	assert_ok(setns(l->ns[end], CLONE_NEWNET));
	join_cgroup(end == HERE ? l->cgroup_fd : l->home_cgroup_fd);
}

void live_leave(struct live *l)
{
	assert_ok(setns(l->home_ns, CLONE_NEWNET));
	join_cgroup(l->home_cgroup_fd);
}

static int new_netns(void)
{
	int fd;

	assert_ok(unshare(CLONE_NEWNET));
	fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	TOOL("ip", "link", "set", "lo", "up");
	return fd;
}

static void make_wires(struct live *l)
{
	char there[32];

	l->home_ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	l->ns[THERE] = new_netns();
	snprintf(there, sizeof(there), "/proc/self/fd/%d", l->ns[THERE]);
	l->ns[HERE] = new_netns();
	/* the tool inherits the fd by its number */
	fcntl(l->ns[THERE], F_SETFD, 0);
	TOOL("ip", "link", "add", "eg-here", "type", "veth", "peer", "name", "eg-there", "netns",
	     there);
	fcntl(l->ns[THERE], F_SETFD, FD_CLOEXEC);
	TOOL("ip", "address", "add", "10.99.0.1/24", "dev", "eg-here");
	TOOL("ip", "address", "add", "10.99.0.3/24", "dev", "eg-here");
	TOOL("ip", "address", "add", "fd99::1/64", "dev", "eg-here", "nodad");
	TOOL("ip", "link", "set", "eg-here", "up");
	assert_ok(setns(l->ns[THERE], CLONE_NEWNET));
	TOOL("ip", "address", "add", "10.99.0.2/24", "dev", "eg-there");
	TOOL("ip", "address", "add", "fd99::2/64", "dev", "eg-there", "nodad");
	TOOL("ip", "link", "set", "eg-there", "up");
	assert_ok(setns(l->home_ns, CLONE_NEWNET));
}

static void make_tap(struct live *l)
{
	struct sockaddr_ll a = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	int size = 64 << 20;

	assert_ok(setns(l->ns[HERE], CLONE_NEWNET));
	l->tap = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(l->tap >= 0);
	a.sll_ifindex = if_nametoindex("eg-here");
	assert_ok(setsockopt(l->tap, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)));
	assert_ok(bind(l->tap, (struct sockaddr *)&a, sizeof(a)));
	assert_ok(setns(l->home_ns, CLONE_NEWNET));
}

static int open_home_cgroup(int root)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/self/cgroup", "re");
	char line[4096];

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, "0::/", 4)) {
			line[strcspn(line, "\n")] = 0;
			return openat(root, line[4] ? line + 4 : ".",
				      O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		}
	return -1;
}

static char left_behind[4200];

/* Where a failed assertion ends the set-up, no teardown follows. */
static void clear_up(void)
{
	_cleanup_close_ int root = left_behind[0] ? cgroup2_open() : -1;

	if (root >= 0)
		unlinkat(root, left_behind, AT_REMOVEDIR);
}

static int set_up(void **state, size_t ring_bytes)
{
	struct live *l = calloc(1, sizeof(*l));
	_cleanup_close_ int root = -1;
	char error[256], name[64];
	struct attach_config cfg = { .ring_bytes = ring_bytes };
	int r;

	if (geteuid()) {
		print_message("not root\n");
		exit(77);
	}
	root = cgroup2_open();
	if (root < 0) {
		print_message("no cgroup v2: %s\n", strerror(-root));
		exit(77);
	}
	assert_non_null(l);
	l->flows = calloc(MAX_FLOWS, sizeof(*l->flows));
	l->procs = calloc(MAX_PROCS, sizeof(*l->procs));
	l->wire = calloc(MAX_FLOWS, sizeof(*l->wire));
	l->verdicts = calloc(LIVE_VERDICTS, sizeof(*l->verdicts));
	assert_true(l->flows && l->procs && l->wire && l->verdicts);
	snprintf(name, sizeof(name), "egret-test-%d", getpid());
	snprintf(l->cgroup_path, sizeof(l->cgroup_path), "%s", name);
	l->home_cgroup_fd = open_home_cgroup(root);
	if (mkdirat(root, name, 0755)) {
		print_message("cannot make a cgroup: %s\n", strerror(errno));
		exit(77);
	}
	snprintf(left_behind, sizeof(left_behind), "%s", name);
	atexit(clear_up);
	l->cgroup_fd = openat(root, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(l->cgroup_fd >= 0 && l->home_cgroup_fd >= 0);
	*state = l;
	cfg.cgroup_fd = l->cgroup_fd;
	cfg.max_peers = 256;
	if (getenv("EGRET_TEST_DEBUG"))
		log_set_level(LOG_DEBUG);
	r = attach_new(&l->attach, &cfg, (struct event_out){ on_event, l }, error);
	if (r) {
		print_message("%s\n", error);
		if (r == -EPERM || r == -EACCES || r == -ENOENT)
			exit(77);
		return -1;
	}
	make_wires(l);
	make_tap(l);
	return 0;
}

int live_setup(void **state)
{
	return set_up(state, 0);
}

int live_setup_small(void **state)
{
	return set_up(state, 65536);
}

int live_teardown(void **state)
{
	struct live *l = *state;
	_cleanup_close_ int root = cgroup2_open();
	int r = -1;

	live_leave(l);
	attach_free(l->attach);
	close(l->tap);
	close(l->ns[HERE]);
	close(l->ns[THERE]);
	close(l->home_ns);
	close(l->cgroup_fd);
	close(l->home_cgroup_fd);
	/* children may still be on their way out */
	for (int i = 0; r && i < 100; i++) {
		r = unlinkat(root, l->cgroup_path, AT_REMOVEDIR);
		if (r)
			poll(NULL, 0, 20);
	}
	free(l->flows);
	free(l->procs);
	free(l->wire);
	free(l->verdicts);
	free(l);
	return r;
}

int live_begin(void **state)
{
	struct live *l = *state;

	live_leave(l);
	live_collect(l);
	memset(l->flows, 0, l->n_flows * sizeof(*l->flows));
	memset(l->wire, 0, l->n_wire * sizeof(*l->wire));
	memset(l->procs, 0, l->n_procs * sizeof(*l->procs));
	memset(l->lost, 0, sizeof(l->lost));
	memset(&l->unreported, 0, sizeof(l->unreported));
	l->n_flows = l->n_wire = l->n_procs = 0;
	l->n_verdicts = l->n_refused = 0;
	l->refused_calls = l->refused_packets = l->refused_bytes = 0;
	return 0;
}

void live_collect(struct live *l)
{
	poll(NULL, 0, 20); /* the last ACK is on its way */
	/* closes are held back a second in case more comes */
	for (int i = 0; i < 250; i++) {
		struct attach_stats st;

		assert_ok(attach_settle(l->attach, 300));
		attach_stats(l->attach, &st);
		if (!st.held_closes)
			break;
		poll(NULL, 0, 10);
	}
	assert_ok(attach_sweep(l->attach));
	read_tap(l);
}

struct live_flow *live_find(struct live *l, uint8_t proto, uint16_t lport, uint16_t rport)
{
	for (size_t i = 0; i < l->n_flows; i++) {
		struct live_flow *f = &l->flows[i];

		if (f->key.proto == proto && (!lport || f->key.sport == lport) &&
		    (!rport || f->key.dport == rport))
			return f;
	}
	fail_msg("no flow of protocol %u, ports %u and %u", proto, lport, rport);
	return NULL;
}

struct live_proc *live_proc_find(struct live *l, enum proc_change change, uint32_t pid)
{
	for (size_t i = 0; i < l->n_procs; i++)
		if (l->procs[i].e.change == change && l->procs[i].e.pid == pid)
			return &l->procs[i];
	return NULL;
}

/* --- sockets ---------------------------------------------------------------------------------------------------- */

int live_socket(struct live *l, enum live_end end, int family, int type, int proto)
{
	int fd, one = 1;

	live_enter(l, end);
	fd = socket(family, type | SOCK_CLOEXEC, proto);
	assert_true(fd >= 0);
	live_leave(l);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	return fd;
}

struct sockaddr_storage live_addr(enum live_end end, int family, uint16_t port, socklen_t *ret_len)
{
	struct sockaddr_storage s = { .ss_family = family };
	struct sockaddr_in *v4 = (struct sockaddr_in *)&s;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&s;

	if (family == AF_INET) {
		v4->sin_port = htons(port);
		inet_pton(AF_INET, end == HERE ? "10.99.0.1" : "10.99.0.2", &v4->sin_addr);
		*ret_len = sizeof(*v4);
	} else {
		v6->sin6_port = htons(port);
		inet_pton(AF_INET6, end == HERE ? "fd99::1" : "fd99::2", &v6->sin6_addr);
		*ret_len = sizeof(*v6);
	}
	return s;
}

struct sockaddr_storage live_mapped(enum live_end end, uint16_t port, socklen_t *ret_len)
{
	struct sockaddr_storage s = { .ss_family = AF_INET6 };
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&s;

	v6->sin6_port = htons(port);
	inet_pton(AF_INET6, end == HERE ? "::ffff:10.99.0.1" : "::ffff:10.99.0.2", &v6->sin6_addr);
	*ret_len = sizeof(*v6);
	return s;
}

void live_bind(int fd, enum live_end end, int family, uint16_t port)
{
	socklen_t len;
	struct sockaddr_storage a = live_addr(end, family, port, &len);

	assert_ok(bind(fd, (struct sockaddr *)&a, len));
}

int live_listen(struct live *l, enum live_end end, int family, uint16_t port)
{
	int fd = live_socket(l, end, family, SOCK_STREAM, 0);

	live_bind(fd, end, family, port);
	assert_ok(listen(fd, 64));
	return fd;
}

int live_connect(int fd, enum live_end to, int family, uint16_t port)
{
	socklen_t len;
	struct sockaddr_storage a = live_addr(to, family, port, &len);

	return connect(fd, (struct sockaddr *)&a, len) ? -errno : 0;
}

int live_accept(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

uint16_t live_port(int fd)
{
	struct sockaddr_in6 a;
	socklen_t len = sizeof(a);

	assert_ok(getsockname(fd, (struct sockaddr *)&a, &len));
	return ntohs(a.sin6_port); /* at the same place in both families */
}

int live_run(struct live *l, int (*fn)(void *arg), void *arg)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (!pid) {
		live_enter(l, HERE);
		_exit(fn(arg)); /* nothing of the parent's is to be cleared up */
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void live_offload(bool on)
{
	static const unsigned int what[] = { ETHTOOL_STSO, ETHTOOL_SGSO };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	/* generic segmentation stays on: then the stack makes GSO packets that the device does not take */
	struct ethtool_value v = { .cmd = what[0], .data = on };
	struct ifreq ifr = { .ifr_name = "eg-here", .ifr_data = (void *)&v };

	assert_true(fd >= 0);
	assert_ok(ioctl(fd, SIOCETHTOOL, &ifr));
	close(fd);
}

int live_begin_clear(void **state)
{
	struct live *l = *state;

	assert_ok(attach_policy_clear(l->attach));
	return live_begin(state);
}

uint32_t live_load(struct live *l, const char *text, bool enforce)
{
	struct compile_config cfg = {
		.name_key = attach_name_key(l->attach),
		.enforce = enforce,
		.from_s = time_now() / NSEC_PER_SEC - 3600,
		.to_s = time_now() / NSEC_PER_SEC + 86400,
	};
	_cleanup_buf_ struct buf messages = BUF_INIT(1 << 16);
	struct policy_image *img = NULL;
	struct policy *p = NULL;
	uint32_t gen = 0;
	char error[256];
	const void *bytes;
	size_t n;

	if (policy_parse(&p, "test", str_of(text), STR_NONE, &messages) ||
	    policy_compile(&img, p, &cfg, &messages))
		fail_msg("%s", messages.p);
	bytes = policy_image_bytes(img, &n);
	if (attach_policy_load(l->attach, bytes, n, &gen, error))
		fail_msg("%s", error);
	policy_image_free(img);
	policy_free(p);
	assert_int_equal(attach_policy_gen(l->attach), gen);
	return gen;
}
