/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/sandbox.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attach/attach.h"
#include "attach/policy.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/time.h"
#include "cli/inherited.h"
#include "cli/offline.h"
#include "cli/recordings.h"
#include "guard/guard.h"
#include "pipeline.h"

#define MESSAGES_MAX (4U << 20)

struct sandbox {
	struct guard *guard;
	struct attach *attach;
	struct pipeline *pipeline;
	const char *policy;
	struct config config;
	bool watch;
	uint64_t ticked_ns;
	char lists[sizeof(((struct config *)0)->state) + 8];
};

void sandbox_pin_name(char name[SANDBOX_PIN_MAX])
{
	snprintf(name, SANDBOX_PIN_MAX, "exec-%d", (int)getpid());
}

/* --- what killed runs left --------------------------------------------------------------------------------------- */

static bool runs(uint64_t pid)
{
	return kill((pid_t)pid, 0) == 0 || errno != ESRCH;
}

static void clear_one(void *ctx, const char *name)
{
	const int *mount_fd = ctx;
	uint64_t pid;

	if (!str_has_prefix(str_of(name), STR("exec-")) ||
	    str_parse_u64(str_sub(str_of(name), 5, 16), &pid) < 0 || runs(pid))
		return;
	/* As long as something runs in its cgroup, it stays restrained. */
	if (cgroup_remove_leftover(*mount_fd, (pid_t)pid) == -EBUSY)
		return;
	if (attach_unpin_name(name) >= 0)
		log_info("took away what egret exec (pid %llu) had left", (unsigned long long)pid);
}

void sandbox_clear_leftovers(int cgroup_mount_fd)
{
	attach_pins(clear_one, &cgroup_mount_fd);
}

/* --- the policy --------------------------------------------------------------------------------------------------- */

static bool rule_words(void *ctx, uint32_t gen, uint16_t rule, struct verdict_rule *ret)
{
	const struct sandbox *s = ctx;
	struct guard_rule g;

	if (!guard_rule(s->guard, gen, rule, &g))
		return false;
	*ret = (struct verdict_rule){ .file = g.file,
				      .text = g.text,
				      .note = g.note,
				      .line = g.line,
				      .is_default = g.is_default,
				      .is_implied = g.is_implied,
				      .is_block = g.is_block };
	if (g.rule) {
		ret->action = (uint8_t)g.rule->action;
		ret->alert = (uint8_t)g.rule->alert;
		ret->alert_text = g.rule->alert_text;
		ret->log = g.rule->log;
		ret->quiet = g.rule->quiet;
	}
	return true;
}

static void on_app(void *ctx, const struct flow *f)
{
	const struct sandbox *s = ctx;

	guard_app_known(s->guard, f);
}

static const char *or_null(const char *path)
{
	return path[0] ? path : NULL;
}

static int load(struct sandbox *s, const char *policy)
{
	_cleanup_buf_ struct buf messages = BUF_INIT(MESSAGES_MAX);
	int r;

	log_set_level(LOG_WARN);
	r = guard_load_file(s->guard, policy, s->watch ? GUARD_WATCH : GUARD_ENFORCE, false,
			    &messages);
	log_set_level(LOG_INFO);
	if (messages.n)
		fwrite(messages.p, 1, messages.n, stderr);
	if (r < 0)
		log_error("%s: not in force (%s), so the command is not run", policy,
			  r == -EINVAL ? "it has mistakes" : strerror(-r));
	return r;
}

int sandbox_new(struct sandbox **ret, struct attach *attach, struct pipeline *pipeline,
		struct locator *locator, const char *policy, bool watch)
{
	struct sandbox *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return log_errno(ENOMEM, "cannot start");
	s->watch = watch;
	s->attach = attach;
	s->pipeline = pipeline;
	s->policy = policy;
	r = recordings_config(&s->config, "");
	if (r == 0) {
		snprintf(s->lists, sizeof(s->lists), "%s/lists", s->config.state);
		r = guard_new(&s->guard, &(struct guard_config){
						 .attach = attach,
						 .flows = pipeline_flows(pipeline),
						 .names = pipeline_names(pipeline),
						 .procs = pipeline_procs(pipeline),
						 .lists = s->lists,
						 .geo_country = or_null(s->config.geo_country),
						 .geo_asn = or_null(s->config.geo_asn),
						 .locator = locator,
						 .pin = !watch,
					 });
		if (r < 0)
			log_errno(r, "cannot start");
	}
	if (r == 0) {
		pipeline_set_verdicts(pipeline, (struct verdict_source){ rule_words, s });
		flow_table_on_app(pipeline_flows(pipeline), on_app, s);
		r = load(s, policy);
	}
	if (r < 0) {
		sandbox_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void sandbox_release(struct sandbox *s)
{
	int r;

	if (!s)
		return;
	guard_finish(s->guard);
	r = attach_is_pinned(s->attach) ? attach_unpin(s->attach) : 0;
	if (r < 0)
		log_errno(r,
			  "what enforces the policy could not be taken away; 'egret disarm' does");
}

struct sandbox *sandbox_free(struct sandbox *s)
{
	if (!s)
		return NULL;
	guard_free(s->guard);
	free(s);
	return NULL;
}

void sandbox_event(struct sandbox *s, const struct event *e)
{
	guard_event(s->guard, e);
}

void sandbox_ended(struct sandbox *s, const struct flow *f)
{
	guard_flow_ended(s->guard, f);
}

void sandbox_tick(struct sandbox *s, uint64_t now_ns)
{
	if (now_ns - s->ticked_ns < NSEC_PER_SEC)
		return;
	s->ticked_ns = now_ns;
	guard_tick(s->guard);
}

int sandbox_inherited(struct sandbox *s, const char *command, int fds[SANDBOX_FDS_MAX])
{
	struct offline offline = { 0 };
	int n = inherited_sockets(fds, SANDBOX_FDS_MAX), kept = 0, r;

	if (n <= 0)
		return n;
	r = offline_open(&offline, s->policy, &s->config, time_now());
	if (r < 0)
		return r;
	for (int i = 0; i < n; i++)
		if (!inherited_may_pass(fds[i], &offline, pipeline_names(s->pipeline), command))
			fds[kept++] = fds[i];
	offline_close(&offline);
	return s->watch ? 0 : kept;
}
