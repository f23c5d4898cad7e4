/* SPDX-License-Identifier: Apache-2.0 */
#include "attach/qdisc.h"

#include <errno.h>
#include <net/if.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/time.h"
#include "bpf/priority_abi.h"

#define SHARE_OF_LINK 98 /* percent */
#define TICK_NS 64       /* of times in tc's messages, on every kernel */
#define BURST_NS (2 * (uint64_t)NSEC_PER_MSEC)
#define PACKET_NS NSEC_PER_MSEC
#define HEADERS 64      /* before the IP header, of any kind of link */
#define PACKETS_LEAST 8 /* that may wait, however slow the link is */
#define WAITING_MOST (64U << 20)
#define NEVER_WAITS 100000000000ULL /* TBF's rate: only its cutting is wanted */

#define FILTER_PRIORITY 1
#define WALKS_MOST 8 /* while interfaces come and go */

/* --- how large ---------------------------------------------------------------------------------------------------- */

static uint64_t bytes_in(uint64_t rate, uint64_t ns)
{
	return rate * (ns / 1000) / 1000000;
}

static uint32_t within(uint64_t n, uint64_t least, uint64_t most)
{
	n = MAX(n, least);
	return (uint32_t)MIN(n, most);
}

void qdisc_plan(struct qdisc_plan *ret, uint64_t bits, uint32_t mtu)
{
	static const struct {
		uint32_t minor, share, wait_ms;
	} classes[QDISC_CLASSES] = {
		{ EG_LINK_HIGH, 75, 10 },
		{ EG_LINK_NORMAL, 20, 20 },
		{ EG_LINK_LOW, 5, 50 },
	};
	uint64_t rate = bits / 8 * SHARE_OF_LINK / 100;
	uint32_t packet = mtu + HEADERS;

	*ret = (struct qdisc_plan){
		.rate = rate,
		.burst = within(bytes_in(rate, BURST_NS), 2 * packet, WAITING_MOST),
		.quantum = packet,
		.packet = within(bytes_in(rate, PACKET_NS), packet, WAITING_MOST),
	};
	for (uint32_t i = 0; i < QDISC_CLASSES; i++)
		ret->classes[i] = (struct qdisc_class){
			.minor = classes[i].minor,
			.priority = i,
			.rate = rate * classes[i].share / 100,
			.burst = ret->burst,
			.limit = within(bytes_in(rate, classes[i].wait_ms * NSEC_PER_MSEC),
					PACKETS_LEAST * packet, WAITING_MOST),
		};
}

/* --- messages ----------------------------------------------------------------------------------------------------- */

struct message {
	char bytes[1024];
	struct nlmsghdr *head;
};

static void begin(struct message *m, uint16_t type, uint16_t flags, int ifindex, uint32_t parent,
		  uint32_t handle)
{
	struct tcmsg *t;

	m->head = mnl_nlmsg_put_header(m->bytes);
	m->head->nlmsg_type = type;
	m->head->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	t = mnl_nlmsg_put_extra_header(m->head, sizeof(*t));
	t->tcm_family = AF_UNSPEC;
	t->tcm_ifindex = ifindex;
	t->tcm_parent = parent;
	t->tcm_handle = handle;
}

int qdisc_open(struct mnl_socket **ret)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	int r;

	if (!nl)
		return -errno;
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0) {
		r = -errno;
		mnl_socket_close(nl);
		return r;
	}
	*ret = nl;
	return 0;
}

/* Sends, and hands on what comes until the kernel is done. */
static int ask(struct mnl_socket *nl, struct message *m, mnl_cb_t fn, void *ctx)
{
	static unsigned int seq;
	char answer[32768]; /* what the kernel fills at most */
	ssize_t n;
	int r = MNL_CB_OK;

	m->head->nlmsg_seq = ++seq;
	if (mnl_socket_sendto(nl, m->head, m->head->nlmsg_len) < 0)
		return -errno;
	while (r > MNL_CB_STOP) {
		n = mnl_socket_recvfrom(nl, answer, sizeof(answer));
		if (n < 0)
			return -errno;
		r = mnl_cb_run(answer, (size_t)n, m->head->nlmsg_seq, mnl_socket_get_portid(nl), fn,
			       ctx);
	}
	return r < 0 ? -errno : 0;
}

static int tell(struct mnl_socket *nl, struct message *m)
{
	return ask(nl, m, NULL, NULL);
}

/* --- what is there ------------------------------------------------------------------------------------------------ */

struct walk {
	qdisc_root_fn fn;
	void *ctx;
};

static int on_kind(const struct nlattr *a, void *ret)
{
	if (mnl_attr_get_type(a) == TCA_KIND && mnl_attr_validate(a, MNL_TYPE_NUL_STRING) == 0)
		*(const char **)ret = mnl_attr_get_str(a);
	return MNL_CB_OK;
}

static int on_qdisc(const struct nlmsghdr *head, void *ctx)
{
	const struct tcmsg *t = mnl_nlmsg_get_payload(head);
	const struct walk *w = ctx;
	const char *kind = "";

	if (head->nlmsg_type != RTM_NEWQDISC || t->tcm_parent != TC_H_ROOT)
		return MNL_CB_OK;
	mnl_attr_parse(head, sizeof(*t), on_kind, &kind);
	w->fn(w->ctx, t->tcm_ifindex, t->tcm_handle, kind);
	return MNL_CB_OK;
}

/* On a socket of its own: of a walk that was cut short something may still be on its way. */
static int walk_roots(struct walk *w)
{
	struct mnl_socket *nl;
	struct message m;
	int r = qdisc_open(&nl);

	if (r)
		return r;
	begin(&m, RTM_GETQDISC, NLM_F_DUMP, 0, 0, 0);
	r = ask(nl, &m, on_qdisc, w);
	mnl_socket_close(nl);
	return r;
}

int qdisc_each_root(qdisc_root_fn fn, void *ctx)
{
	struct walk w = { fn, ctx };
	int r = -EINTR;

	for (int i = 0; i < WALKS_MOST && r == -EINTR; i++)
		r = walk_roots(&w);
	return r;
}

bool qdisc_is_ours(uint32_t handle, const char *kind)
{
	return handle == EG_LINK_ROOT && !strcmp(kind, "htb");
}

/* --- ours --------------------------------------------------------------------------------------------------------- */

static uint32_t low_half(uint64_t rate)
{
	return (uint32_t)MIN(rate, (uint64_t)UINT32_MAX);
}

/* How long it takes at this rate, in tc's ticks. */
static uint32_t ticks(uint64_t bytes, uint64_t rate)
{
	return (uint32_t)MIN(bytes * NSEC_PER_SEC / rate / TICK_NS, (uint64_t)UINT32_MAX);
}

static int put_root(struct mnl_socket *nl, int ifindex)
{
	struct tc_htb_glob glob = { .version = 3, .rate2quantum = 10, .defcls = EG_LINK_NORMAL };
	struct nlattr *options;
	struct message m;

	begin(&m, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, ifindex, TC_H_ROOT, EG_LINK_ROOT);
	mnl_attr_put_strz(m.head, TCA_KIND, "htb");
	options = mnl_attr_nest_start(m.head, TCA_OPTIONS);
	mnl_attr_put(m.head, TCA_HTB_INIT, sizeof(glob), &glob);
	mnl_attr_nest_end(m.head, options);
	return tell(nl, &m);
}

static int put_class(struct mnl_socket *nl, int ifindex, uint32_t parent,
		     const struct qdisc_plan *plan, const struct qdisc_class *c)
{
	struct tc_htb_opt opt = {
		.rate = { .linklayer = TC_LINKLAYER_ETHERNET, .rate = low_half(c->rate) },
		.ceil = { .linklayer = TC_LINKLAYER_ETHERNET, .rate = low_half(plan->rate) },
		.buffer = ticks(c->burst, c->rate),
		.cbuffer = ticks(plan->burst, plan->rate),
		.quantum = plan->quantum,
		.prio = c->priority,
	};
	struct nlattr *options;
	struct message m;

	begin(&m, RTM_NEWTCLASS, NLM_F_CREATE | NLM_F_REPLACE, ifindex, EG_LINK_ROOT | parent,
	      EG_LINK_ROOT | c->minor);
	mnl_attr_put_strz(m.head, TCA_KIND, "htb");
	options = mnl_attr_nest_start(m.head, TCA_OPTIONS);
	mnl_attr_put(m.head, TCA_HTB_PARMS, sizeof(opt), &opt);
	mnl_attr_put_u64(m.head, TCA_HTB_RATE64, c->rate);
	mnl_attr_put_u64(m.head, TCA_HTB_CEIL64, plan->rate);
	mnl_attr_nest_end(m.head, options);
	return tell(nl, &m);
}

/* Its handle: that of the class, in the upper half. */
static int put_leaf(struct mnl_socket *nl, int ifindex, const struct qdisc_plan *plan,
		    const struct qdisc_class *c)
{
	struct tc_tbf_qopt opt = {
		.rate = { .linklayer = TC_LINKLAYER_ETHERNET, .rate = UINT32_MAX },
		.peakrate = { .linklayer = TC_LINKLAYER_ETHERNET, .rate = UINT32_MAX },
		.limit = c->limit,
	};
	struct nlattr *options;
	struct message m;

	begin(&m, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE, ifindex, EG_LINK_ROOT | c->minor,
	      (0xe600 | c->minor) << 16);
	mnl_attr_put_strz(m.head, TCA_KIND, "tbf");
	options = mnl_attr_nest_start(m.head, TCA_OPTIONS);
	mnl_attr_put(m.head, TCA_TBF_PARMS, sizeof(opt), &opt);
	mnl_attr_put_u64(m.head, TCA_TBF_RATE64, NEVER_WAITS);
	mnl_attr_put_u64(m.head, TCA_TBF_PRATE64, 2 * NEVER_WAITS);
	mnl_attr_put_u32(m.head, TCA_TBF_BURST, WAITING_MOST);
	mnl_attr_put_u32(m.head, TCA_TBF_PBURST, plan->packet);
	mnl_attr_nest_end(m.head, options);
	return tell(nl, &m);
}

static int put_filter(struct mnl_socket *nl, int ifindex, int prog_fd)
{
	struct nlattr *options;
	struct message m;

	begin(&m, RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_REPLACE, ifindex, EG_LINK_ROOT, 1);
	((struct tcmsg *)mnl_nlmsg_get_payload(m.head))->tcm_info =
		TC_H_MAKE(FILTER_PRIORITY << 16, htons(ETH_P_ALL));
	mnl_attr_put_strz(m.head, TCA_KIND, "bpf");
	options = mnl_attr_nest_start(m.head, TCA_OPTIONS);
	mnl_attr_put_u32(m.head, TCA_BPF_FD, (uint32_t)prog_fd);
	mnl_attr_put_strz(m.head, TCA_BPF_NAME, "eg_link");
	mnl_attr_put_u32(m.head, TCA_BPF_FLAGS_GEN, TCA_CLS_FLAGS_SKIP_HW);
	mnl_attr_nest_end(m.head, options);
	return tell(nl, &m);
}

int qdisc_put(struct mnl_socket *nl, int ifindex, bool there, const struct qdisc_plan *plan,
	      int prog_fd)
{
	const struct qdisc_class all = { .minor = EG_LINK_ALL,
					 .rate = plan->rate,
					 .burst = plan->burst };
	int r = there ? 0 : put_root(nl, ifindex);

	if (r)
		return r;
	r = put_class(nl, ifindex, 0, plan, &all);
	for (size_t i = 0; !r && i < QDISC_CLASSES; i++) {
		r = put_class(nl, ifindex, EG_LINK_ALL, plan, &plan->classes[i]);
		if (!r)
			r = put_leaf(nl, ifindex, plan, &plan->classes[i]);
	}
	if (!r)
		r = put_filter(nl, ifindex, prog_fd);
	if (r)
		qdisc_remove(nl, ifindex);
	return r;
}

int qdisc_remove(struct mnl_socket *nl, int ifindex)
{
	struct message m;

	begin(&m, RTM_DELQDISC, 0, ifindex, TC_H_ROOT, EG_LINK_ROOT);
	return tell(nl, &m);
}
