/* SPDX-License-Identifier: Apache-2.0 */
/* The client's side of an SMTP envelope (RFC 5321), read from its first bytes up to DATA or STARTTLS. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

#define SMTP_MAX_RCPT 16

struct smtp_envelope {
	struct str helo, mail_from, rcpt_to[SMTP_MAX_RCPT];
	uint8_t n_rcpt;
	bool starttls; /* asked for; `tls_at` says where the client's TLS begins */
	size_t tls_at; /* offset into the bytes, valid with starttls */
	bool auth;     /* a password was offered, in the clear: these are bytes before TLS */
	bool data;     /* DATA, BDAT or the connection's end of envelope was reached */
};

/* 0; -EAGAIN: goes on; -EBADMSG: no SMTP client. What was read is valid in all but the last. */
int smtp_client_parse(struct str bytes, struct smtp_envelope *ret);

/* Offset of the first byte after a STARTTLS / STLS command line of SMTP, IMAP, POP3 (or AUTH TLS of FTP); 0: none. */
size_t starttls_offset(struct str client_bytes);
