/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/intern.h"
#include "base/time.h"
#include "flow/identity.h"
#include "flow/machines.h"

/* Limits of the tables. Past each of them losses are counted (LOSS_TABLE_*), never silent. */
#define MAX_FLOWS 262144
#define MAX_STREAMS 2048
#define MAX_NAMES 131072
#define MAX_PROCS 65536
#define MAX_MACHINES 65536
#define MAX_TEXTS 524288

struct pipeline {
	struct intern *texts;
	struct name_table *names;
	struct identity *identity;
	struct proc_table *procs;
	struct machine_table *machines;
	struct flow_table *flows;
};

struct pipeline *pipeline_free(struct pipeline *p)
{
	if (!p)
		return NULL;
	flow_table_free(p->flows);
	machine_table_free(p->machines);
	proc_table_free(p->procs);
	identity_free(p->identity);
	name_table_free(p->names);
	intern_free(p->texts);
	free(p);
	return NULL;
}
DEFINE_CLEANUP(struct pipeline, pipeline_free);

/* Names that the host's own file gives (hosts(5)): programs connect by them without any DNS answer. */
static void read_hosts(struct name_table *names)
{
	_cleanup_fclose_ FILE *f = fopen("/etc/hosts", "re");
	char line[1024];

	while (f && fgets(line, sizeof(line), f)) {
		struct str rest = str_of(line), word;
		struct addr addr;
		bool first = true;

		str_cut(&rest, '#', &rest);
		for (char *c = line; *c; c++)
			*c = *c == '\t' || *c == '\n' ? ' ' : (char)tolower((unsigned char)*c);
		while (str_cut(&rest, ' ', &word)) {
			if (!word.n)
				continue;
			if (first && addr_parse(word, &addr) < 0)
				break;
			if (!first)
				name_table_add(names, NULL, &addr, word, NAME_HOSTS, time_now(),
					       UINT64_MAX);
			first = false;
		}
	}
}

static int make_live(struct pipeline *p, const struct pipeline_config *cfg)
{
	int r = identity_new(&p->identity, p->texts, "", cfg->cgroup2_fd);

	if (r < 0)
		return r;
	read_hosts(p->names);
	return proc_table_new(&p->procs, &(struct proc_table_config){
						 .texts = p->texts,
						 .identity = p->identity,
						 .max = MAX_PROCS,
						 .boot_unix_ns = time_now() - time_now_boot(),
					 });
}

int pipeline_new(struct pipeline **ret, const struct pipeline_config *cfg, struct record_out out)
{
	_cleanup_(pipeline_freep) struct pipeline *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	r = intern_new(&p->texts, MAX_TEXTS);
	if (r < 0)
		return r;
	r = name_table_new(&p->names, p->texts, MAX_NAMES);
	if (r < 0)
		return r;
	r = cfg->live ? make_live(p, cfg) : 0;
	if (r >= 0 && cfg->gateway)
		r = machine_table_new(&p->machines, p->texts, MAX_MACHINES);
	if (r < 0)
		return r;
	r = flow_table_new(&p->flows,
			   &(struct flow_config){
				   .max_flows = cfg->max_flows ? cfg->max_flows : MAX_FLOWS,
				   .max_streams = MAX_STREAMS,
				   .report_every_ns = cfg->report_every_ns,
				   .texts = p->texts,
				   .names = p->names,
				   .procs = p->procs,
				   .machines = p->machines,
				   .inside = cfg->inside,
				   .n_inside = cfg->n_inside,
			   },
			   out);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(p);
	return 0;
}

static void on_event(void *ctx, const struct event *e)
{
	flow_table_event(ctx, e);
}

struct event_out pipeline_input(struct pipeline *p)
{
	return (struct event_out){ .on_event = on_event, .ctx = p->flows };
}

void pipeline_set_verdicts(struct pipeline *p, struct verdict_source source)
{
	flow_table_set_verdicts(p->flows, source, (struct flow_judge){ 0 });
}

void pipeline_set_judge(struct pipeline *p, struct verdict_source source, struct flow_judge judge)
{
	flow_table_set_verdicts(p->flows, source, judge);
}

struct flow_table *pipeline_flows(const struct pipeline *p)
{
	return p->flows;
}

struct intern *pipeline_texts(const struct pipeline *p)
{
	return p->texts;
}

struct name_table *pipeline_names(const struct pipeline *p)
{
	return p->names;
}

struct proc_table *pipeline_procs(const struct pipeline *p)
{
	return p->procs;
}

struct machine_table *pipeline_machines(const struct pipeline *p)
{
	return p->machines;
}

void pipeline_tick(struct pipeline *p, uint64_t now_ns)
{
	flow_table_event(p->flows, &(struct event){ .type = EVENT_TICK, .time_ns = now_ns });
}
