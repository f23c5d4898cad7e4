/* SPDX-License-Identifier: Apache-2.0 */
/* What evaluate.bpf.c and test_evaluate.c share. */
#pragma once

#include "bpf/policy_image.h"

#define EVALUATE_BATCH 256 /* flows for one call, a power of two */
#define EVALUATE_GIDS 4

struct evaluate_raw {
	__u8 local[16], remote[16];
	__u64 hash[EG_LABELS_MAX];
	__u32 gids[EVALUATE_GIDS];
	__u32 uid, n_hash, n_gids;
	__u16 port;
	__u8 proto, has_ports;
};

struct evaluate_classes {
	__u64 groups;
	__u16 from, addr, port, user, name, pad[3];
};
