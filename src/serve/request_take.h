/* SPDX-License-Identifier: Apache-2.0 */
/* Private to serve/: members of a request, checked for their kind. 1, or -EINVAL with words in `error` (REQUEST_ERROR_MAX). */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int request_complain(char *error, const char *what, const char *about); /* -EINVAL */
/* A text without control characters that fits. */
int request_take_text(const char *key, const json_t *v, char *ret, size_t size, char *error);
int request_take_flag(const char *key, const json_t *v, bool *ret, char *error);
int request_take_number(const char *key, const json_t *v, int64_t least, int64_t most, int64_t *ret,
			char *error);
