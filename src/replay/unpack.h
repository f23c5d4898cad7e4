/* SPDX-License-Identifier: Apache-2.0 */
/* gzip (RFC 1952) and zstd (RFC 8878) streams, members and frames in a row included, in bounded memory. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/str.h"

#define UNPACK_MAGIC 4 /* bytes that unpack_new() wants to see */

struct unpack;

/* -EBADMSG: `head` begins no compressed stream. */
int unpack_new(struct unpack **ret, struct str head);
struct unpack *unpack_free(struct unpack *u);

/*
 * Takes packed bytes off the front of *in and puts at most `cap` unpacked bytes to `out`: how many, 0 when it wants
 * more input, -EBADMSG when the stream is broken (no more comes after that), -ENOMEM.
 */
ssize_t unpack_run(struct unpack *u, struct str *in, uint8_t *out, size_t cap);

/* Nothing is missing: an input that ends here ends well. */
bool unpack_at_end(const struct unpack *u);
