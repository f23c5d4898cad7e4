/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/exec_detect.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "cli/findings.h"
#include "cli/recordings.h"
#include "config.h"
#include "detect/detect.h"
#include "detect/intel_build.h"
#include "detect/intel_index.h"
#include "flow/origin.h"
#include "flow/record.h"
#include "pipeline.h"
#include "store/sink.h"

struct exec_detect {
	struct detect *detect;
	struct origin *origin;
	struct intel_slot *feeds;
	struct sink *sink; /* borrowed */
};

static void on_finding(void *ctx, const struct finding *f)
{
	struct exec_detect *x = ctx;

	if (x->sink)
		x->sink->ops->put(x->sink, &(struct record){ .type = RECORD_FINDING,
							     .time_ns = f->time_ns,
							     .finding = f });
}

/* A mapped file: none of it is read but what is asked for. */
static void open_feeds(struct exec_detect *x)
{
	char folder[PATH_MAX], path[PATH_MAX];
	struct config config;
	struct intel_index *ix;
	int r = recordings_config(&config, "");

	if (r < 0 || !config.state[0])
		return; /* what is wrong with it was said */
	snprintf(folder, sizeof(folder), "%s/intel", config.state);
	intel_snapshot_path(folder, path);
	r = intel_index_open(&ix, path, INTEL_OPEN_QUICK);
	if (r == 0)
		intel_slot_set(x->feeds, ix);
	else if (r != -ENOENT)
		log_errno(r, "%s: not asked", path);
}

struct exec_detect *exec_detect_free(struct exec_detect *x)
{
	if (!x)
		return NULL;
	detect_free(x->detect);
	origin_free(x->origin);
	intel_slot_free(x->feeds);
	free(x);
	return NULL;
}
DEFINE_CLEANUP(struct exec_detect, exec_detect_free);

int exec_detect_new(struct exec_detect **ret, struct pipeline *pipeline, struct sink *sink)
{
	_cleanup_(exec_detect_freep) struct exec_detect *x = calloc(1, sizeof(*x));
	int r;

	if (!x)
		return -ENOMEM;
	x->sink = sink;
	r = origin_new(&x->origin, "");
	if (r == 0)
		r = intel_slot_new(&x->feeds);
	if (r < 0)
		return r;
	open_feeds(x);
	r = detect_new(&x->detect,
		       &(struct detect_config){ .vantage = DETECT_HOST,
						.texts = pipeline_texts(pipeline),
						.procs = pipeline_procs(pipeline),
						.origin = x->origin,
						.intel = x->feeds },
		       (struct finding_out){ on_finding, x });
	if (r < 0)
		return r;
	flow_table_watch(pipeline_flows(pipeline), detect_watch(x->detect));
	*ret = TAKE_PTR(x);
	return 0;
}

void exec_detect_record(struct exec_detect *x, const struct record *r)
{
	detect_record(x->detect, r);
}

void exec_detect_tick(struct exec_detect *x, uint64_t now_ns)
{
	detect_tick(x->detect, now_ns);
}

static void collect(void *ctx, const struct finding *f)
{
	findings_add(ctx, f);
}

void exec_detect_print(struct exec_detect *x, FILE *to, unsigned width)
{
	struct findings *all;

	if (findings_new(&all) < 0) {
		log_errno(ENOMEM, "findings cannot be shown");
		return;
	}
	detect_each(x->detect, false, (struct finding_out){ collect, all });
	if (findings_count(all))
		findings_print(all, to, width);
	findings_free(all);
}
