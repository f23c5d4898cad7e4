/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The policy in force, in the kernel: one map in a map of maps, put there by a single swap. */
#pragma once

#include "state.h"

#include "policy_image.h"

/* An image is pages. Each load makes its own inner map, as large as it needs. */
struct eg_image_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE | BPF_F_INNER_MAP);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, EG_IMAGE_PAGE);
} eg_no_image SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct eg_image_map);
} eg_policy SEC(".maps");

/*
 * Functions that read the image find it by themselves: a map cannot be handed to a function that the verifier looks at once
 * and for all. So a swap may come between two of them; eg_judge() sees that, by the generation, and begins again.
 */
static __always_inline const void *eg_image_page(__u32 unused, __u32 n)
{
	__u32 zero = 0;
	void *image = bpf_map_lookup_elem(&eg_policy, &zero);

	barrier_var(
		unused); /* else the compiler leaves it out of calls, and the verifier wants all arguments */
	return image ? bpf_map_lookup_elem(image, &n) : NULL;
}

#define EG_IMAGE __u32 /* says nothing: there is one */
#define EG_IMAGE_PAGE_AT(image, n) eg_image_page(image, n)
#define EG_EVAL_FN static __noinline
#define EG_EVAL_ONCE __noinline
#include "policy_eval.h"

/* 0: no policy. */
static __always_inline EG_IMAGE eg_policy_now(void)
{
	__u32 zero = 0;

	return with_policy && bpf_map_lookup_elem(&eg_policy, &zero);
}
