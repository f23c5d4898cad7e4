/* SPDX-License-Identifier: Apache-2.0 */
#include "attach/shaper.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <libmnl/libmnl.h>
#include <bpf/libbpf.h>

#include "attach/internal.h"
#include "attach/policy.h"
#include "attach/qdisc.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "bpf/host.skel.h"

static void close_netlink(struct mnl_socket **nl)
{
	if (*nl)
		mnl_socket_close(*nl);
}

static uint32_t mtu_of(struct mnl_socket *nl, const char *name)
{
	struct ifreq q = { 0 };

	memcpy(q.ifr_name, name, IFNAMSIZ);
	return ioctl(mnl_socket_get_fd(nl), SIOCGIFMTU, &q) < 0 ? 0 : (uint32_t)q.ifr_mtu;
}

/* The root queues of the links. */
struct roots {
	size_t n;
	struct root {
		int ifindex;     /* 0: there is no such interface */
		uint32_t handle; /* 0: the kernel's own choice */
		char kind[16];
	} of[SHAPER_LINKS];
};

static void on_root(void *ctx, int ifindex, uint32_t handle, const char *kind)
{
	struct roots *roots = ctx;

	for (size_t i = 0; i < roots->n; i++) {
		struct root *r = &roots->of[i];

		if (r->ifindex != ifindex)
			continue;
		r->handle = handle;
		snprintf(r->kind, sizeof(r->kind), "%s", kind);
	}
}

static void is_not(struct shaper_link *l, enum shaper_state state, const char *why)
{
	l->state = state;
	snprintf(l->why, sizeof(l->why), "%s", why);
	l->ifindex = 0;
}

static void take_up(struct attach *a, struct mnl_socket *nl, struct shaper_link *l, bool there)
{
	struct qdisc_plan plan;
	int r;

	qdisc_plan(&plan, l->bits, l->mtu);
	r = qdisc_put(nl, l->ifindex, there, &plan, bpf_program__fd(a->skel->progs.eg_link));
	if (r) {
		is_not(l, SHAPER_FAILED,
		       r == -ENOENT || r == -EOPNOTSUPP
			       ? "this kernel lacks HTB, TBF or filters by BPF (sch_htb, sch_tbf, "
				 "cls_bpf)"
			       : strerror(-r));
		return;
	}
	l->state = SHAPER_ON;
	l->why[0] = 0;
}

/* `anew`: also when all is as it was at the last look. */
static void settle(struct attach *a, struct mnl_socket *nl, struct shaper_link *l,
		   const struct root *root, bool anew)
{
	uint32_t mtu = root->ifindex ? mtu_of(nl, l->name) : 0;
	bool ours = qdisc_is_ours(root->handle, root->kind);
	char why[96];

	if (!root->ifindex || !mtu) {
		is_not(l, SHAPER_ABSENT, "there is no such interface");
		return;
	}
	if (root->handle && !ours) {
		snprintf(why, sizeof(why), "it has a queue of somebody else's: %s %x:", root->kind,
			 root->handle >> 16);
		is_not(l, SHAPER_TAKEN, why);
		return;
	}
	if (ours && !anew && l->ifindex == root->ifindex && l->mtu == mtu)
		return;
	l->ifindex = root->ifindex;
	l->mtu = mtu;
	take_up(a, nl, l, ours);
}

static int look(struct attach *a, struct mnl_socket *nl, bool anew)
{
	struct roots roots = { .n = a->n_shaped };
	int r;

	for (size_t i = 0; i < roots.n; i++)
		roots.of[i].ifindex = (int)if_nametoindex(a->shaped[i].name);
	r = qdisc_each_root(on_root, &roots);
	for (size_t i = 0; !r && i < roots.n; i++)
		settle(a, nl, &a->shaped[i], &roots.of[i], anew);
	return r;
}

/* --- those that are wanted ---------------------------------------------------------------------------------------- */

struct stray {
	const struct attach *a;
	int found[256];
	size_t n;
};

static void on_stray(void *ctx, int ifindex, uint32_t handle, const char *kind)
{
	struct stray *s = ctx;

	if (!qdisc_is_ours(handle, kind) || s->n == ARRAY_SIZE(s->found))
		return;
	for (size_t i = 0; s->a && i < s->a->n_shaped; i++)
		if ((int)if_nametoindex(s->a->shaped[i].name) == ifindex)
			return;
	s->found[s->n++] = ifindex;
}

/* Queues of ours on interfaces that are not (any more) links; `a` NULL: on any. */
static size_t remove_strays(struct mnl_socket *nl, const struct attach *a)
{
	struct stray s = { .a = a };
	size_t n = 0;

	if (qdisc_each_root(on_stray, &s))
		return 0;
	for (size_t i = 0; i < s.n; i++)
		n += !qdisc_remove(nl, s.found[i]);
	return n;
}

/* Another egretd's links are not looked for when this one never had any. */
static bool may_have_left(const struct attach *a)
{
	return a->n_shaped || attach_took_over(a);
}

int attach_set_links(struct attach *a, const struct shaper_link *links, size_t n)
{
	_cleanup_(close_netlink) struct mnl_socket *nl = NULL;
	bool before = may_have_left(a);
	int r;

	if (!n && !before)
		return 0;
	r = qdisc_open(&nl);
	if (r)
		return r;
	n = MIN(n, (size_t)SHAPER_LINKS);
	if (n)
		memcpy(a->shaped, links, n * sizeof(*links));
	a->n_shaped = n;
	if (before)
		remove_strays(nl, a);
	return n ? look(a, nl, true) : 0;
}

const struct shaper_link *attach_links(const struct attach *a, size_t *ret_n)
{
	*ret_n = a->n_shaped;
	return a->shaped;
}

void shaper_tick(struct attach *a)
{
	_cleanup_(close_netlink) struct mnl_socket *nl = NULL;
	struct shaper_link was[SHAPER_LINKS];

	if (!a->n_shaped || qdisc_open(&nl))
		return;
	memcpy(was, a->shaped, sizeof(was));
	if (look(a, nl, false))
		return; /* at the next beat */
	for (size_t i = 0; i < a->n_shaped; i++) {
		const struct shaper_link *l = &a->shaped[i];

		if (l->state == was[i].state && !strcmp(l->why, was[i].why))
			continue;
		if (l->state == SHAPER_ON)
			log_info("link %s: its priorities are in force", l->name);
		else
			log_warn("link %s is without priorities: %s", l->name, l->why);
	}
}

void shaper_stop(struct attach *a)
{
	_cleanup_(close_netlink) struct mnl_socket *nl = NULL;

	if (!a->n_shaped || qdisc_open(&nl))
		return;
	a->n_shaped = 0;
	remove_strays(nl, a);
}

size_t shaper_disarm(void)
{
	_cleanup_(close_netlink) struct mnl_socket *nl = NULL;

	return qdisc_open(&nl) ? 0 : remove_strays(nl, NULL);
}
