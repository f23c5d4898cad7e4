/* SPDX-License-Identifier: Apache-2.0 */
/* The one hash function of user space: XXH3 with a seed. Tables fed by packets take a random seed at start. */
#pragma once

#include <stddef.h>
#include <stdint.h>

uint64_t hash_bytes(const void *p, size_t n, uint64_t seed);
uint64_t hash_random_seed(void); /* from the kernel; never fails */
