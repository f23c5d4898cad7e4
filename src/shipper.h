/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's side of `egretd --ship` (store/ship.h): starts it, starts it again, says once what hinders it. */
#pragma once

#include <stdint.h>

#include "store/ship.h"

struct json;
struct loop;
struct shipper;

/* Starts with the rights of now, and gives them up. `settings` are borrowed; `dir` is the spool. */
int shipper_new(struct shipper **ret, struct loop *loop, const struct ship_settings *settings,
		const char *dir);
struct shipper *shipper_free(struct shipper *s);              /* NULL is fine */
void shipper_status(const struct shipper *s, struct json *j); /* members of an object */
