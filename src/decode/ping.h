/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ICMP echo messages (RFC 792, RFC 4443 4.1) and what their data is like. Programs that ping fill it with what says
 * nothing: iputils, BSD and macOS count bytes up behind a time stamp, Windows writes the alphabet to w again and again, fping,
 * BusyBox and monitors repeat a byte or a short run of them. Tunnels fill it with what they carry.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

/* Ascending: how far from what a ping sends. */
enum ping_data {
	PING_LITTLE, /* less than PING_STAMP + 8 bytes: a time stamp, and too few others to see a pattern */
	PING_PATTERN, /* one of those above */
	PING_TEXT,    /* readable, and none of those */
	PING_OTHER,
	PING_RANDOM, /* decode/random_bytes.h; never said of less than RANDOM_BYTES_MIN bytes */
	PING_DATA_COUNT
};

#define PING_STAMP 24 /* bytes in front that may be time stamps and numbers */

struct ping {
	bool reply;
	uint16_t id, number;
	struct str data;
};

/* `message` begins with the ICMP header. -EBADMSG: no echo request or reply; -EAGAIN: cut within the header. */
int ping_parse(struct str message, bool v6, struct ping *ret);
enum ping_data ping_data_class(struct str data);
