/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stages from events to records, made once and the same way for egretd, `egret exec` and
 * `egret read`: texts, names, identity, processes, flows. What feeds it (attach/ or replay/) and
 * what takes the records is the caller's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "decode/event.h"
#include "flow/flow.h"

struct pipeline;

struct pipeline_config {
	bool gateway;              /* forwarded flows have machines inside */
	bool live;                 /* users, units, containers and /etc/hosts are this machine's */
	int cgroup2_fd;            /* live: the root of the cgroup v2 mount; borrowed */
	size_t max_flows;          /* 0: the default */
	uint64_t report_every_ns;  /* flow records of living flows; 0: at the end only */
	const struct cidr *inside; /* a capture's own addresses; none: private ones */
	size_t n_inside;
};

int pipeline_new(struct pipeline **ret, const struct pipeline_config *cfg, struct record_out out);
struct pipeline *pipeline_free(struct pipeline *p);

/* After making it: who knows the words of rules (the guard, or a policy that was read), and who judges a capture. */
void pipeline_set_verdicts(struct pipeline *p, struct verdict_source source);
void pipeline_set_judge(struct pipeline *p, struct verdict_source source, struct flow_judge judge);

struct event_out pipeline_input(struct pipeline *p);
struct flow_table *pipeline_flows(const struct pipeline *p);
struct intern *pipeline_texts(const struct pipeline *p);
struct name_table *pipeline_names(const struct pipeline *p);
struct proc_table *pipeline_procs(const struct pipeline *p);       /* NULL when not live */
struct machine_table *pipeline_machines(const struct pipeline *p); /* NULL: no gateway */
void pipeline_tick(struct pipeline *p, uint64_t now_ns);           /* time passed, nothing else */
