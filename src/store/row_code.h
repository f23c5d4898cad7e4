/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows as bytes: in the queue to the writer, and in the memory that hands movements of living flows to whoever answers. A frame is
 * its length (32 bits, of this machine's byte order) and the fields of struct store_row, numbers as LEB128. Only for processes of one
 * egret on one machine; what is read is checked all the same.
 */
#pragma once

#include "base/buf.h"
#include "store/row.h"

#define STORE_ROW_MAX (512U << 10) /* of a frame; longer rows are not encoded */

/* Appends one frame; when it does not fit, or is longer than STORE_ROW_MAX, out->failed, and what it held before is whole. */
void store_row_encode(const struct store_row *row, struct buf *out);

/* Takes one frame off the front; texts point into it. 1: a row; 0: the end; -EBADMSG: not such bytes. */
int store_row_decode(struct str *rest, struct store_row *ret);

/* The same of answers of DNS, of findings, of how a machine is, and of versions of its policy. */
void store_name_encode(const struct store_name *name, struct buf *out);
int store_name_decode(struct str *rest, struct store_name *ret);
void store_finding_encode(const struct store_finding *finding, struct buf *out);
int store_finding_decode(struct str *rest, struct store_finding *ret);
void store_host_encode(const struct store_host *host, struct buf *out);
int store_host_decode(struct str *rest, struct store_host *ret);
void store_policy_encode(const struct store_policy *policy, struct buf *out);
int store_policy_decode(struct str *rest, struct store_policy *ret);
