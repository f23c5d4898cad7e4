/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Links of a policy: an interface that is said to be the bottleneck gets a queue of ours (qdisc.h), so that what is urgent does not wait
 * behind what is not. A root queue that is not the kernel's own choice is somebody's, and stays; it is looked at again each second, as
 * is an interface that is not there yet, or comes back. The queues outlive the process when what is enforced does (attach_pin()).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct attach;

#define SHAPER_LINKS 16

enum shaper_state { SHAPER_ON, SHAPER_ABSENT, SHAPER_TAKEN, SHAPER_FAILED };
struct shaper_link {
	char name[16];
	uint64_t bits;
	enum shaper_state state;
	char why[96]; /* not ON: in words */
	/* the shaper's own */
	int ifindex; /* where ours is; 0: nowhere */
	uint32_t mtu;
};

/* From now on these, and no others: `links` is copied, with states. 0 or -errno when no queue can be asked about. */
int attach_set_links(struct attach *a, const struct shaper_link *links, size_t n);
const struct shaper_link *attach_links(const struct attach *a, size_t *ret_n);

void shaper_tick(struct attach *a);
void shaper_stop(struct attach *a); /* takes our queues away */
size_t shaper_disarm(void);         /* whoever put them there; how many */
