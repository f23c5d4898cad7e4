/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What pings carry, of one flow of echo requests and replies. A ping asks with the same size each time and gets back
 * what it sent; a tunnel's sizes vary, its data differs from any ping's, and its answers are data of their own.
 *
 * In a capture each message is looked at. Live the kernel hands on the first 64 of each side and 128 bytes
 * of each, and counts the others: sizes in `last` and `largest` are as sent, whatever was handed on.
 * Lies in struct flow in the place of TCP's sequence numbers. Counters of 16 bits stop at their greatest value.
 */
#pragma once

#include <stdint.h>

#include "decode/event.h"
#include "decode/ping.h"

#define FLOW_ICMP_ASKED 4

struct flow_icmp {
	/* By enum flow_side: requests, replies. */
	uint32_t seen[2];   /* looked at */
	uint16_t varied[2]; /* their data has another length than that of the one before */
	uint16_t last[2], largest[2]; /* bytes of data */
	uint8_t kinds[2];             /* bits, 1 << enum ping_data */
	uint16_t
		unasked; /* replies to none of the last FLOW_ICMP_ASKED requests, or to one answered already */
	uint16_t differing; /* replies whose data or length is not their request's */
	uint8_t next;       /* place in `asked` of the next request */
	uint8_t waiting;    /* bits: places in `asked` that have no reply yet */
	struct {
		uint32_t id;   /* identifier << 16 | number */
		uint32_t hash; /* of the length and the first bytes of the data */
	} asked[FLOW_ICMP_ASKED];
};

struct flow;

/* An echo message of the flow; `side` is who sent it. What is none is left alone. */
void icmp_message(struct flow *f, int side, const struct event_packet *p);
void icmp_swap(struct flow_icmp *i); /* the sides change places */

/* The farthest from a ping that a side's data was; PING_LITTLE when nothing was looked at. */
enum ping_data icmp_farthest(const struct flow_icmp *i, int side);
