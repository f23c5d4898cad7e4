/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line of a Zeek log → the fields we know, TSV or JSON. In place: values point into the line, whose escapes are
 * undone where they stand. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

/* Names as in TSV headers; "id.orig_h" is also found as "id_orig_h" and as "orig_h" of an object "id". */
#define ZEEK_FIELDS(X)                        \
	X(TS, "ts")                           \
	X(UID, "uid")                         \
	X(ORIG_H, "id.orig_h")                \
	X(ORIG_P, "id.orig_p")                \
	X(RESP_H, "id.resp_h")                \
	X(RESP_P, "id.resp_p")                \
	X(PATH, "_path")                      \
	X(STREAM, "@stream")                  \
	X(PROTO, "proto")                     \
	X(IP_PROTO, "ip_proto")               \
	X(SERVICE, "service")                 \
	X(DURATION, "duration")               \
	X(ORIG_BYTES, "orig_bytes")           \
	X(RESP_BYTES, "resp_bytes")           \
	X(CONN_STATE, "conn_state")           \
	X(HISTORY, "history")                 \
	X(ORIG_PKTS, "orig_pkts")             \
	X(ORIG_IP_BYTES, "orig_ip_bytes")     \
	X(RESP_PKTS, "resp_pkts")             \
	X(RESP_IP_BYTES, "resp_ip_bytes")     \
	X(TRANS_ID, "trans_id")               \
	X(QUERY, "query")                     \
	X(QCLASS, "qclass")                   \
	X(QTYPE, "qtype")                     \
	X(QTYPE_NAME, "qtype_name")           \
	X(RCODE, "rcode")                     \
	X(AA, "AA")                           \
	X(TC, "TC")                           \
	X(RD, "RD")                           \
	X(RA, "RA")                           \
	X(ANSWERS, "answers")                 \
	X(TTLS, "TTLs")                       \
	X(VERSION, "version")                 \
	X(CIPHER, "cipher")                   \
	X(SERVER_NAME, "server_name")         \
	X(NEXT_PROTOCOL, "next_protocol")     \
	X(ESTABLISHED, "established")         \
	X(JA3, "ja3")                         \
	X(JA4, "ja4")                         \
	X(JA3S, "ja3s")                       \
	X(SUBJECT, "subject")                 \
	X(ISSUER, "issuer")                   \
	X(CHAIN_PRINTS, "cert_chain_fps")     \
	X(SHA1, "resp_certificate_sha1")      \
	X(SNI_MATCHES, "sni_matches_cert")    \
	X(CLIENT_PROTOCOL, "client_protocol") \
	X(CLIENT_DCID, "client_initial_dcid") \
	X(METHOD, "method")                   \
	X(HOST, "host")                       \
	X(URI, "uri")                         \
	X(USER_AGENT, "user_agent")           \
	X(STATUS_CODE, "status_code")         \
	X(TRANS_DEPTH, "trans_depth")

enum zeek_field {
#define X(id, name) ZF_##id,
	ZEEK_FIELDS(X)
#undef X
		ZF_COUNT,
	ZF_NONE = ZF_COUNT
};

struct zeek_line {
	struct str f
		[ZF_COUNT]; /* .p NULL: not there, or unset. Lists are whole: see zeek_list_next() */
	struct str wrapper; /* JSON: name of the object around it all ({"conn":{…}}), if any */
};

#define ZEEK_COLUMNS_MAX 256
#define ZEEK_MARK_MAX 16

/* What the head of a TSV file says. */
struct zeek_tsv {
	char separator;     /* between columns */
	char set_separator; /* inside lists */
	bool blanks;        /* columns are set apart by runs of blanks, not by one separator */
	uint8_t unset_n, empty_n;
	char unset[ZEEK_MARK_MAX], empty[ZEEK_MARK_MAX];
	char path[ZEEK_MARK_MAX];
	uint16_t n_columns, n_needed;      /* in all; up to the last one we know */
	uint8_t columns[ZEEK_COLUMNS_MAX]; /* enum zeek_field */
};

void zeek_tsv_init(struct zeek_tsv *t);
/* A line that begins with '#', blanks before it allowed. */
void zeek_tsv_header(struct zeek_tsv *t, struct str line);
bool zeek_tsv_has(const struct zeek_tsv *t, enum zeek_field f);

/* 0; -EBADMSG: fewer columns than the head names (cut), or no JSON object. Writes into `line`. */
int zeek_scan_tsv(const struct zeek_tsv *t, char *line, size_t n, struct zeek_line *ret);
int zeek_scan_json(char *line, size_t n, struct zeek_line *ret);

/* Elements of a list field, one by one. `t` NULL: the list came from JSON. */
bool zeek_list_next(const struct zeek_tsv *t, struct str *list, struct str *ret);

/* Shared by zeek_scan.c and zeek_json.c. */
enum zeek_field zeek_field_of(const char *name, size_t n);
int zeek_hex(char c); /* value of a digit, -1 when it is none */
bool zeek_json_list_next(struct str *list, struct str *ret);

/* Seconds ("1655071198.444458", "1.6e9") or ISO 8601 in UTC → ns; false when it is neither, or before 1970. */
bool zeek_time(struct str s, uint64_t *ret_ns);
