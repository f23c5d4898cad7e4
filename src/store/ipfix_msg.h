/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the IPFIX sink: templates and data records as bytes (RFC 7011 3, 7; RFC 5103 6). Pure. */
#pragma once

#include <stdint.h>

#include "base/buf.h"

struct flow;

#define IPFIX_HEADER 16
#define IPFIX_SET_HEADER 4

/* What one record tells of a flow: what moved from from_ns to to_ns. */
struct ipfix_piece {
	const struct flow *flow;
	uint64_t from_ns, to_ns;
	uint64_t packets[2], bytes[2]; /* by enum flow_side */
	bool ends;
};

void ipfix_put_header(struct buf *out, uint32_t domain); /* length, time and sequence are still 0 */
void ipfix_put_templates(struct buf *out);               /* one set with all of them */
uint16_t ipfix_template_of(const struct flow *f);
void ipfix_put_set(struct buf *out, uint16_t id); /* its head; the length is still 0 */
void ipfix_put_record(struct buf *out, const struct ipfix_piece *p);

void ipfix_set_u16(char *at, uint16_t v);
void ipfix_set_u32(char *at, uint32_t v);
