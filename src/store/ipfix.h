/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flows to an IPFIX collector (RFC 7011) over UDP or TCP, as biflows (RFC 5103): one record has both ways, the opener's in the plain
 * information elements, the other side's in their reverse ones (PEN 29305). A flow that lives long is told in pieces: each has what
 * moved since the one before (deltaCounts) and its own start; flowId joins them.
 *
 * Templates go out on each new connection; over UDP again every minute and every 500 messages, for collectors may come
 * later (RFC 7011 8.4). Only elements of IANA's registry, so that every collector knows them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "store/sink.h"

struct json;

bool ipfix_target_ok(const char *to); /* "udp://ADDRESS:PORT" or "tcp://ADDRESS:PORT" */

/*
 * `domain`: the observation domain. What cannot be sent waits, up to 1 MiB;
 * then the newest flows are lost and counted in *lost (borrowed, as `to`). Never blocks.
 */
int ipfix_sink_new(struct sink **ret, const char *to, uint32_t domain, uint64_t *lost);

/* Members of an object: to, reachable, flows (sent), waiting_bytes, lost. */
void ipfix_status(struct sink *s, struct json *j);
