/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a policy takes from outside and what changes by itself: lists that are downloaded, the resolvers of this host,
 * /etc/hosts. One download at a time; a new list, or other resolvers, make the image anew.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/time.h"
#include "guard/internal.h"
#include "policy/routes.h"
#include "policy/fetch.h"

#define FETCH_AGAIN_S 300 /* after one that failed, whatever `refresh` says */
#define RETRY_FIRST_S 30  /* of a list that was never there: somebody waits for it */
#define HOSTS_AGAIN_S 900 /* the kernel forgets them after an hour */
#define LISTS_EVERY_S 5   /* files are looked at */
#define RESOLV "/etc/resolv.conf"
#define RESOLVED "/run/systemd/resolve/resolv.conf"
#define HOSTS "/etc/hosts"

DEFINE_CLEANUP(struct policy, policy_free);

/* ---- downloads ---- */

static struct fetch_failure *find_failure(const struct guard *g, struct str url)
{
	for (size_t i = 0; i < g->feeds.n_failures; i++)
		if (str_eq(str_of(g->feeds.failures[i].url), url))
			return (struct fetch_failure *)&g->feeds.failures[i];
	return NULL;
}

const char *feeds_failure(const struct guard *g, struct str url, int64_t *ret_at_s)
{
	const struct fetch_failure *f = find_failure(g, url);

	if (f && ret_at_s)
		*ret_at_s = f->at_s;
	return f ? f->why : NULL;
}

static void forget_failure(struct guard *g, struct str url)
{
	struct fetch_failure *f = find_failure(g, url);

	if (!f)
		return;
	free(f->url);
	free(f->why);
	*f = g->feeds.failures[--g->feeds.n_failures];
}

/* The log says it once, `policy show` as long as it lasts. */
static void note_failure(struct guard *g, struct str url, const char *why)
{
	struct fetch_failure *f = find_failure(g, url);

	if (!f || strcmp(f->why, why))
		log_warn("list %.*s: %s; what was there before stays", STR_FMT(url), why);
	forget_failure(g, url);
	if (g->feeds.n_failures == FAILURES_MAX)
		return;
	f = &g->feeds.failures[g->feeds.n_failures];
	f->url = strndup(url.p, url.n);
	f->why = strdup(why);
	f->at_s = guard_now_s(g);
	if (f->url && f->why) {
		g->feeds.n_failures++;
		return;
	}
	free(f->url);
	free(f->why);
}

static bool in_force_has(const struct guard *g, struct str url)
{
	const struct policy *p = g->built.rules ? g->built.rules->policy : NULL;

	for (size_t i = 0; p && i < p->n_lists; i++)
		if (str_eq(p->lists[i].url, url))
			return true;
	return false;
}

static void on_fetched(void *ctx, int result, const char *why)
{
	struct guard *g = ctx;
	_cleanup_free_ char *url = TAKE_PTR(g->feeds.fetching);
	struct str s = str_of(url);

	g->feeds.fetch = NULL; /* it has freed itself */
	if (result < 0)
		note_failure(g, s, why && why[0] ? why : strerror(-result));
	else
		forget_failure(g, s);
	if (result > 0 && g->built.image && in_force_has(g, s))
		guard_rebuild(g, "a list has changed");
}

static int start_fetch(struct guard *g, const struct policy_list *l)
{
	int r;

	g->feeds.fetching = strndup(l->url.p, l->url.n);
	if (!g->feeds.fetching)
		return -ENOMEM;
	r = list_fetch_start(&g->feeds.fetch, g->cfg.loop, l, g->lists, on_fetched, g);
	if (r < 0) {
		note_failure(g, l->url, strerror(-r));
		free(TAKE_PTR(g->feeds.fetching));
	}
	return r;
}

static void fetch_next(struct guard *g)
{
	const struct policy *p = g->built.rules ? g->built.rules->policy : NULL;
	int64_t now = guard_now_s(g), failed_s;

	if (!p || !g->lists || !g->cfg.loop || g->feeds.fetch)
		return;
	for (size_t i = 0; i < p->n_lists; i++) {
		const struct policy_list *l = &p->lists[i];

		if (!l->url.n || list_next_refresh(l, g->lists) > now)
			continue;
		if (feeds_failure(g, l->url, &failed_s) && now < failed_s + FETCH_AGAIN_S &&
		    now >= failed_s)
			continue;
		if (start_fetch(g, l) == 0)
			return;
	}
}

/* Nothing of it was ever downloaded. */
static bool is_missing(const struct guard *g, const struct policy_list *l)
{
	char path[PATH_MAX];

	if (!l->url.n || l->optional)
		return false;
	cache_path(l, g->lists, "", path);
	return access(path, F_OK) < 0;
}

int feeds_need(struct guard *g, const struct policy *p, struct buf *messages)
{
	int64_t failed_s;
	const char *why;

	if (!g->lists || !g->cfg.loop)
		return 0; /* the compiler says which list is absent */
	for (size_t i = 0; i < p->n_lists; i++) {
		const struct policy_list *l = &p->lists[i];

		if (!is_missing(g, l))
			continue;
		why = feeds_failure(g, l->url, &failed_s);
		if (why && guard_now_s(g) - failed_s < RETRY_FIRST_S) {
			policy_complain(p, l->place, "error", messages,
					"list '%.*s' cannot be downloaded: %s", STR_FMT(l->name),
					why);
			return -EINVAL;
		}
		if (!g->feeds.fetch && start_fetch(g, l) < 0)
			continue;
		buf_printf(messages, "list '%.*s' is being downloaded\n", STR_FMT(l->name));
		return -EINPROGRESS;
	}
	return 0;
}

/* ---- this host's resolvers and names ---- */

static bool file_changed(const char *path, struct file_stamp *stamp)
{
	struct file_stamp now = { 0 };
	struct stat st;

	if (stat(path, &st) == 0)
		now = (struct file_stamp){
			.mtime_ns = (int64_t)st.st_mtim.tv_sec * (int64_t)NSEC_PER_SEC +
				    st.st_mtim.tv_nsec,
			.ino = st.st_ino,
			.size = (uint64_t)st.st_size,
		};
	if (!memcmp(&now, stamp, sizeof(now)))
		return false;
	*stamp = now;
	return true;
}

static void tell_resolvers(struct guard *g, const struct policy *p)
{
	struct feeds *f = &g->feeds;
	int r;

	f->n_resolvers = 0;
	for (size_t i = 0; p->resolver_mode != RESOLVERS_NONE && i < p->n_resolvers; i++)
		if (f->n_resolvers < RESOLVERS_MAX)
			f->resolvers[f->n_resolvers++] = p->resolvers[i].lo;
	if (p->n_resolvers > RESOLVERS_MAX)
		log_warn("only the first %d resolvers are trusted", RESOLVERS_MAX);
	r = attach_resolvers(g->cfg.attach, f->resolvers, f->n_resolvers);
	if (r < 0)
		log_errno(r, "cannot tell the kernel which resolvers are trusted");
}

/* Without a policy names are learned as well, so that the first one finds them: from this host's resolvers. */
static void tell_default_resolvers(struct guard *g)
{
	static const struct policy_file system = { STR("no policy"),
						   STR("resolvers system\ndefault allow\n") };
	_cleanup_buf_ struct buf messages = BUF_INIT(MESSAGES_MAX);
	_cleanup_(policy_freep) struct policy *p = NULL;

	if (policy_parse_files(&p, &system, 1, STR_NONE, &messages) == 0)
		tell_resolvers(g, p);
}

static void tell_hosts_line(struct guard *g, struct str line)
{
	struct str word;
	struct addr addr;
	bool first = true;

	for (size_t i = 0; i < line.n; i++) {
		if (line.p[i] == '#')
			line = str_sub(line, 0, i);
	}
	line = str_trim(line);
	while (line.n) {
		size_t n = 0;

		while (n < line.n && line.p[n] != ' ' && line.p[n] != '\t')
			n++;
		word = str_sub(line, 0, n);
		line = str_trim(str_sub(line, n, line.n));
		if (first && addr_parse(word, &addr) < 0)
			return;
		if (!first)
			attach_name_told(g->cfg.attach, &addr, word, 0);
		first = false;
	}
}

static void tell_hosts(struct guard *g)
{
	_cleanup_fclose_ FILE *f = fopen(HOSTS, "re");
	_cleanup_free_ char *line = NULL;
	size_t room = 0;
	ssize_t n;

	while (f && (n = getline(&line, &room, f)) > 0)
		tell_hosts_line(g, (struct str){ line, (size_t)n });
	g->feeds.hosts_told_s = guard_now_s(g);
}

/* ---- lists in files ---- */

static const char *list_file(const struct policy_list *l, char path[PATH_MAX])
{
	if (!l->path.n || l->path.n >= PATH_MAX)
		return NULL;
	snprintf(path, PATH_MAX, "%.*s", STR_FMT(l->path));
	return path;
}

static void stamp_lists(struct guard *g)
{
	const struct policy *p = g->built.rules ? g->built.rules->policy : NULL;
	size_t n = p ? p->n_lists : 0;
	char path[PATH_MAX];

	free(g->feeds.list_stamps);
	g->feeds.list_stamps = calloc(n ? n : 1, sizeof(struct file_stamp));
	for (size_t i = 0; g->feeds.list_stamps && i < n; i++)
		if (list_file(&p->lists[i], path))
			file_changed(path, &g->feeds.list_stamps[i]);
}

/* Lists that are files, and routes, as they change; a failure leaves the stamps, and is tried again when renewals are. */
static void look_at_sources(struct guard *g)
{
	const struct policy *p = g->built.image ? g->built.rules->policy : NULL;
	int64_t now = guard_now_s(g);
	struct file_stamp stamp;
	char path[PATH_MAX];

	if (!p || !g->feeds.list_stamps || now < g->retry_at_s ||
	    (now >= g->feeds.looked_s && now < g->feeds.looked_s + LISTS_EVERY_S))
		return;
	g->feeds.looked_s = now;
	for (size_t i = 0; i < p->n_lists; i++) {
		stamp = g->feeds.list_stamps[i];
		if (!list_file(&p->lists[i], path) || !file_changed(path, &stamp))
			continue;
		guard_rebuild(g, "a list has changed");
		return;
	}
	if (routes_stamp(p) != g->feeds.routes)
		guard_rebuild(g, "routes have changed");
}

void feeds_told(struct guard *g)
{
	stamp_lists(g);
	g->feeds.routes = g->built.rules ? routes_stamp(g->built.rules->policy) : 0;
	if (!g->cfg.attach)
		return;
	if (g->built.rules)
		tell_resolvers(g, g->built.rules->policy);
	else
		tell_default_resolvers(g);
}

static void look_at_host(struct guard *g)
{
	bool changed = file_changed(RESOLV, &g->feeds.resolv);
	int64_t now = guard_now_s(g);

	changed |= file_changed(RESOLVED, &g->feeds.resolved);
	if (changed && g->built.image && g->built.rules->policy->resolver_mode == RESOLVERS_SYSTEM)
		guard_rebuild(g, RESOLV " has changed");
	else if (changed)
		feeds_told(g);
	if (file_changed(HOSTS, &g->feeds.hosts) || now >= g->feeds.hosts_told_s + HOSTS_AGAIN_S ||
	    now < g->feeds.hosts_told_s)
		tell_hosts(g);
}

/* ---- */

void feeds_start(struct guard *g)
{
	if (!g->cfg.attach)
		return;
	file_changed(RESOLV, &g->feeds.resolv);
	file_changed(RESOLVED, &g->feeds.resolved);
	file_changed(HOSTS, &g->feeds.hosts);
	tell_default_resolvers(g);
	tell_hosts(g);
}

void feeds_tick(struct guard *g)
{
	if (g->cfg.attach)
		look_at_host(g);
	look_at_sources(g);
	fetch_next(g);
}

void feeds_done(struct guard *g)
{
	g->feeds.fetch = fetch_child_cancel(g->feeds.fetch);
	free(TAKE_PTR(g->feeds.fetching));
	free(TAKE_PTR(g->feeds.list_stamps));
	while (g->feeds.n_failures)
		forget_failure(g, str_of(g->feeds.failures[0].url));
}
