/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streaming JSON out (RFC 8259), straight into a buf; commas are kept for the caller. Text that is not UTF-8
 * is written with U+FFFD for each wrong byte, so that every line is valid whatever a packet held.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

struct json {
	struct buf *out;
	bool comma; /* the next value needs one in front */
};

#define JSON_INIT(buf) ((struct json){ .out = (buf) })

/* `key` is NULL inside arrays and at the top; keys are literals of ours and are not escaped. */
void json_object_begin(struct json *j, const char *key);
void json_object_end(struct json *j);
void json_array_begin(struct json *j, const char *key);
void json_array_end(struct json *j);
void json_str(struct json *j, const char *key, struct str v);
void json_text(struct json *j, const char *key,
	       const char *v); /* nothing is written when v is NULL */
void json_u64(struct json *j, const char *key, uint64_t v);
void json_i64(struct json *j, const char *key, int64_t v);
void json_f64(struct json *j, const char *key, double v); /* not finite: null */
void json_bool(struct json *j, const char *key, bool v);
void json_raw(struct json *j, const char *key, struct str v); /* what is JSON already */
