/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DNS messages (RFC 1035, EDNS RFC 6891, SVCB/HTTPS RFC 9460) over UDP, and over TCP once the two length bytes
 * are off. Pure: every text of the result lives in its own arena.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/buf.h"
#include "base/str.h"

#define DNS_MAX_QUESTIONS 4
#define DNS_MAX_ANSWERS 128
#define DNS_NAME_MAX 1024 /* presentation form: 255 octets, each at most "\DDD" */

enum dns_type {
	DNS_A = 1,
	DNS_NS = 2,
	DNS_CNAME = 5,
	DNS_SOA = 6,
	DNS_PTR = 12,
	DNS_MX = 15,
	DNS_TXT = 16,
	DNS_AAAA = 28,
	DNS_SRV = 33,
	DNS_DNAME = 39,
	DNS_OPT = 41,
	DNS_SVCB = 64,
	DNS_HTTPS = 65,
	DNS_CAA = 257,
};

struct dns_question {
	struct str name; /* lower-cased, no trailing dot; the root is "." ; odd octets as \DDD */
	uint16_t type, class;
};

struct dns_record {
	struct str name;
	uint16_t type, class;
	uint32_t ttl;
	struct str
		rdata; /* presentation form: address, target name, "10 mx.example", text, hex otherwise */
	struct addr addr; /* A and AAAA; also set in has_addr */
	bool has_addr;
	bool ech; /* SVCB/HTTPS with an ech parameter */
};

struct dns_message {
	uint16_t id;
	bool response, authoritative, truncated, recursion_desired, recursion_available;
	uint8_t opcode, rcode; /* rcode without the EDNS extension */
	uint16_t n_questions;  /* kept below; may be fewer than the header says */
	uint16_t n_answers;    /* answer section only */
	bool cut;              /* some of the message did not fit the limits or was not captured */
	struct dns_question questions[DNS_MAX_QUESTIONS];
	struct dns_record answers[DNS_MAX_ANSWERS];
	size_t arena_n;
	char arena[32768];
};

/* 0; -EBADMSG when it is no DNS message. A message cut short by the snaplen keeps what was readable (`cut`). */
int dns_parse(struct str bytes, struct dns_message *ret);

/*
 * Is this a DNS message by its bytes alone, whatever the port? One question, counts that agree with the size,
 * records that follow each other to the end (or to where the snaplen cut). Builds no texts.
 */
bool dns_is_message(struct str bytes);

/* "A", "AAAA", "HTTPS", …; "TYPE123" (RFC 3597) into `text` when it has no name. */
const char *dns_type_name(uint16_t type, char text[16]);
/* "NOERROR", "NXDOMAIN", …; "RCODE23" when it has no name. */
const char *dns_rcode_name(uint8_t rcode, char text[16]);
/* The type for a name as written in Zeek logs; 0 when unknown. */
uint16_t dns_type_parse(struct str name);
