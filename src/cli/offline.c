/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/offline.h"

#include <errno.h>
#include <stdio.h>

#include "base/log.h"
#include "base/time.h"

#define MAX_MESSAGES (4U << 20)

static const char *or_null(const char *path)
{
	return path[0] ? path : NULL;
}

static int make_ready(struct offline *o, const struct config *config, uint64_t when_ns,
		      struct buf *messages)
{
	char error[256] = "", lists[sizeof(config->state) + 8];
	struct judge_config cfg = { .enforce = true };
	int r;

	if (config->geo_country[0] || config->geo_asn[0]) {
		r = geo_open(&o->geo, or_null(config->geo_country), or_null(config->geo_asn),
			     error);
		if (r < 0)
			return log_errno(r, "%s", error);
	}
	snprintf(lists, sizeof(lists), "%s/lists", config->state);
	cfg.list_cache = lists;
	cfg.geo = o->geo;
	return judge_new(&o->judge, o->policy, &cfg, (int64_t)(when_ns / NSEC_PER_SEC), messages);
}

static int finish(struct offline *o, int r, const char *name, struct buf *messages)
{
	if (messages->n)
		fwrite(messages->p, 1, messages->n, stderr);
	if (r < 0 && r != -EINVAL && !messages->n)
		log_errno(r, "%s", name);
	if (r < 0)
		offline_close(o);
	buf_done(messages);
	return r;
}

int offline_open(struct offline *ret, const char *path, const struct config *config,
		 uint64_t when_ns)
{
	struct buf messages = BUF_INIT(MAX_MESSAGES);
	int r;

	*ret = (struct offline){ 0 };
	r = policy_read(&ret->policy, path, &messages);
	if (r == 0)
		r = make_ready(ret, config, when_ns, &messages);
	return finish(ret, r, path, &messages);
}

int offline_parse(struct offline *ret, const char *name, struct str text,
		  const struct config *config, uint64_t when_ns)
{
	struct buf messages = BUF_INIT(MAX_MESSAGES);
	int r;

	*ret = (struct offline){ 0 };
	r = policy_parse(&ret->policy, name, text, STR_NONE, &messages);
	if (r == 0)
		r = make_ready(ret, config, when_ns, &messages);
	return finish(ret, r, name, &messages);
}

int offline_parse_files(struct offline *ret, const struct policy_file *files, size_t n,
			const struct config *config, uint64_t when_ns)
{
	struct buf messages = BUF_INIT(MAX_MESSAGES);
	int r;

	*ret = (struct offline){ 0 };
	r = policy_parse_files(&ret->policy, files, n, STR_NONE, &messages);
	if (r == 0)
		r = make_ready(ret, config, when_ns, &messages);
	return finish(ret, r, "the policy in force", &messages);
}

void offline_close(struct offline *o)
{
	judge_free(o->judge);
	geo_free(o->geo);
	policy_free(o->policy);
	*o = (struct offline){ 0 };
}

char *offline_line(const struct policy *p, uint16_t rule, char text[256])
{
	struct verdict_rule words;

	if (!policy_rule_words(p, rule, &words) || !words.line)
		snprintf(text, 256, "%s", words.is_implied ? "implied" : "default");
	else
		snprintf(text, 256, "%.*s:%u", STR_FMT(words.file), words.line);
	return text;
}
