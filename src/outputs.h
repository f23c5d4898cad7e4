/* SPDX-License-Identifier: Apache-2.0 */
/* Where the daemon's records go, as egret.conf says: eve.json, logs for alerts, an IPFIX collector. */
#pragma once

#include <stdint.h>

#include "config.h"
#include "decode/event.h"
#include "store/eve.h"

struct json;
struct outputs;
struct record;

/* Opens all of them, folders made when absent; why one cannot be opened is in the log. `cfg` and `fmt` with its host are borrowed. */
int outputs_new(struct outputs **ret, const struct config *cfg, const struct eve_format *fmt);
struct outputs *outputs_free(struct outputs *o); /* writes and sends what still can be */

void outputs_put(struct outputs *o, const struct record *r);
void outputs_flush(struct outputs *o);
int outputs_reopen(struct outputs *o); /* -errno: eve.json goes on in the old file */

/* Each loss since the last call, by its reason. */
void outputs_losses(struct outputs *o,
		    void (*tell)(void *ctx, enum loss_reason reason, uint64_t count), void *ctx);
void outputs_status(const struct outputs *o, struct json *j); /* members of `egret status` */
