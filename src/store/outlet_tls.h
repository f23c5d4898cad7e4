/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to the outlet: TLS (RFC 8446, 5246) on its connection, by OpenSSL. The other side proves itself by a certificate that a
 * CA of the given file signed and that is for its address (RFC 5425 5.2); without such a proof nothing is sent.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

struct outlet_tls;
struct outlet_target;

/* `ca` NULL: the CAs of the system. -ENOMEM; -EBADMSG: no file of CAs. */
int outlet_tls_new(struct outlet_tls **ret, const char *ca, const struct outlet_target *to);
void outlet_tls_free(struct outlet_tls *t);

int outlet_tls_begin(struct outlet_tls *t,
		     int fd); /* on a socket that is connecting; 0 or -errno */
/* Shakes hands first. Bytes taken; -EAGAIN: later, with the same bytes again; -EKEYREJECTED: it did not prove who it is; -EPIPE … */
ssize_t outlet_tls_send(struct outlet_tls *t, const char *p, size_t n);
int outlet_tls_still_there(
	struct outlet_tls *t); /* 0; -EPIPE: it hung up. What it says is thrown away */
void outlet_tls_end(
	struct outlet_tls *t); /* NULL is fine; says goodbye when it can be said at once */
