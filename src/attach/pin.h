/* SPDX-License-Identifier: Apache-2.0 */
/* Pins of one attach (attach/policy.h): what load.c asks while it loads and attaches. All take an attach without pins too. */
#pragma once

#include <stdbool.h>

struct attach;
struct attach_config;
struct bpf_link;
struct bpf_program;
struct pin;

/* Between open and load: finds what is pinned under cfg->pin, and takes its maps, seeds and policy over. */
int pin_begin(struct attach *a, const struct attach_config *cfg, char error[256]);
void pin_free(struct pin *p);

/* The hook that is there already, from now on running `prog`; NULL: attach it. Of cgroup hooks only. */
struct bpf_link *pin_update(struct attach *a, const struct bpf_program *prog);
/* After a hook was attached: it takes the place of the pinned one. */
int pin_replace(struct attach *a, const struct bpf_program *prog, struct bpf_link *link);
/* All hooks are there: those that only the old ones had go. */
void pin_end(struct attach *a);
