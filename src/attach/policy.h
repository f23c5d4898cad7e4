/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy image in the kernel: put there, swapped, counted, made to outlive the daemon, taken away. Bytes only: what
 * they mean is src/policy's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attach/attach.h"

/* The key that names are hashed with in this kernel (compile_config.name_key); the same after a take-over. */
uint64_t attach_name_key(const struct attach *a);

/*
 * Puts an image (policy_image_bytes()) in force, atomically: a copy goes into a map of its own, then one swap. Gives it the
 * next generation. Open flows are judged again at their next packet. -errno with words; then the old one stays.
 */
int attach_policy_load(struct attach *a, const void *image, size_t n, uint32_t *ret_gen,
		       char error[256]);
int attach_policy_clear(struct attach *a);          /* no policy: everything passes */
uint32_t attach_policy_gen(const struct attach *a); /* 0: none; also after a take-over */
/* The image in force as bytes, malloc'd; -ENOENT when there is none. */
int attach_policy_image(const struct attach *a, void **ret, size_t *ret_n);

struct attach_hits {
	uint64_t verdicts; /* decided by this rule: flows, calls and packets */
	uint64_t refused_packets, refused_bytes, refused_calls;
	uint64_t limited_packets, limited_bytes; /* dropped: they were over its rate */
	uint64_t last_ns;                        /* Unix; 0: never */
};
/* By rule of the policy in force; [n_rules] is the default, [n_rules + 1] the implied allow. Number written. */
size_t attach_policy_hits(const struct attach *a, struct attach_hits *ret, size_t room);
/* The final ones of the policy that the last attach_policy_load() replaced; 0: there was none. */
size_t attach_policy_last_hits(const struct attach *a, struct attach_hits *ret, size_t room);

/* What only user space knows. A class of 0xffff: not known. */
int attach_container_class(struct attach *a, uint64_t cgroup_id, uint32_t gen, uint16_t class);
/* Running processes that belong to trees which this policy names and the one before did not. bits: of policy_trees_of(). */
int attach_trees(struct attach *a, uint64_t (*trees_of)(void *ctx, struct str exe), void *ctx);
/* A protocol that was recognised late: the flow is judged again. */
int attach_app_told(struct attach *a, uint64_t cookie, const struct event_key *key, uint8_t app);
/* A name that user space knows (/etc/hosts, a DNS answer the kernel could not read whole). */
int attach_name_told(struct attach *a, const struct addr *addr, struct str name, uint64_t ttl_s);
/* Trusted resolvers: only their answers give names that rules rest on. n = 0: none is trusted. */
int attach_resolvers(struct attach *a, const struct addr *resolvers, size_t n);

/*
 * Pins: with attach_config.pin the programs, links and maps are pinned under <bpffs>/egret/v<ABI>/<pin>/ by
 * attach_pin() and go on when the process ends. attach_new() with the same `pin` takes over what it finds: maps with their
 * counters and policy; the programs are replaced one by one without a gap. What an egret of another ABI pinned is
 * replaced after the new programs are in force (said in the log).
 */
int attach_pin(struct attach *a, char error[256]);
int attach_unpin(struct attach *a); /* the hooks end with the process again */
bool attach_is_pinned(const struct attach *a);
bool attach_took_over(const struct attach *a);
/* Names of what is pinned by this ABI; how many. Needs no attach, as the next two. */
int attach_pins(void (*fn)(void *ctx, const char *name), void *ctx);
int attach_unpin_name(const char *name); /* number of files removed, or -errno */
/* Everything any egret pinned, of any ABI: number of things removed, -errno. Needs no attach. */
int attach_disarm(char error[256]);
