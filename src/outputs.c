/* SPDX-License-Identifier: Apache-2.0 */
#include "outputs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "store/ipfix.h"

#define SINKS_MAX (CONFIG_MAX_ALERTS + 2)

/* Counted by the sinks, told as losses. */
enum kind { EVE, ALERTS, IPFIX, KINDS };

struct outputs {
	const struct config *cfg;
	struct sink *sinks[SINKS_MAX];
	size_t n;
	struct sink *eve, *ipfix; /* of the above; NULL: off */
	uint64_t lost[KINDS], told[KINDS];
};

void outputs_put(struct outputs *o, const struct record *r)
{
	for (size_t i = 0; i < o->n; i++)
		o->sinks[i]->ops->put(o->sinks[i], r);
}

void outputs_flush(struct outputs *o)
{
	for (size_t i = 0; i < o->n; i++)
		o->sinks[i]->ops->flush(o->sinks[i]);
}

int outputs_reopen(struct outputs *o)
{
	return o->eve ? o->eve->ops->reopen(o->eve) : 0;
}

void outputs_losses(struct outputs *o,
		    void (*tell)(void *ctx, enum loss_reason reason, uint64_t count), void *ctx)
{
	static const enum loss_reason reasons[KINDS] = { LOSS_EVE_WRITE, LOSS_ALERT_SEND,
							 LOSS_IPFIX_SEND };

	for (int i = 0; i < KINDS; i++) {
		uint64_t more = o->lost[i] - o->told[i];

		o->told[i] += more;
		if (more)
			tell(ctx, reasons[i], more);
	}
}

void outputs_status(const struct outputs *o, struct json *j)
{
	json_text(j, "eve", o->eve ? o->cfg->eve : "off");
	if (!o->ipfix)
		return;
	json_object_begin(j, "ipfix");
	ipfix_status(o->ipfix, j);
	json_object_end(j);
}

struct outputs *outputs_free(struct outputs *o)
{
	if (!o)
		return NULL;
	while (o->n--)
		o->sinks[o->n]->ops->free(o->sinks[o->n]);
	free(o);
	return NULL;
}

static int open_eve(struct outputs *o, const struct eve_format *fmt)
{
	char folder[sizeof(o->cfg->eve)], *slash;
	int r;

	if (!o->cfg->eve[0])
		return 0;
	snprintf(folder, sizeof(folder), "%s", o->cfg->eve);
	slash = strrchr(folder, '/');
	*slash = 0;
	if (folder[0] && mkdir(folder, 0750) < 0 && errno != EEXIST)
		return log_errno(errno, "cannot make the folder %s", folder);
	r = eve_sink_new(&o->eve, fmt, o->cfg->eve, &o->lost[EVE]);
	if (r < 0)
		return log_errno(r, "cannot write %s", o->cfg->eve);
	o->sinks[o->n++] = o->eve;
	return 0;
}

static int open_alerts(struct outputs *o, const char *host)
{
	int r;

	for (size_t i = 0; i < o->cfg->n_alerts; i++) {
		r = alert_sink_new(&o->sinks[o->n], &o->cfg->alerts[i], host, &o->lost[ALERTS]);
		if (r < 0)
			return log_errno(r, "cannot send alerts to %s%s%s", o->cfg->alerts[i].to,
					 r == -EBADMSG ? ": no certificates in " : "",
					 r == -EBADMSG ? o->cfg->alerts[i].ca : "");
		o->n++;
	}
	return 0;
}

static int open_ipfix(struct outputs *o)
{
	int r;

	if (!o->cfg->ipfix[0])
		return 0;
	r = ipfix_sink_new(&o->ipfix, o->cfg->ipfix, o->cfg->ipfix_domain, &o->lost[IPFIX]);
	if (r < 0)
		return log_errno(r, "cannot send flows to %s", o->cfg->ipfix);
	o->sinks[o->n++] = o->ipfix;
	return 0;
}

int outputs_new(struct outputs **ret, const struct config *cfg, const struct eve_format *fmt)
{
	struct outputs *o = calloc(1, sizeof(*o));
	int r;

	if (!o)
		return -ENOMEM;
	o->cfg = cfg;
	r = open_eve(o, fmt);
	if (r == 0)
		r = open_alerts(o, fmt->host);
	if (r == 0)
		r = open_ipfix(o);
	if (r < 0) {
		outputs_free(o);
		return r;
	}
	*ret = o;
	return 0;
}
