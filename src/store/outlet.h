/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A way out of this host for what is sent and not answered: datagrams to a local socket or over UDP, a stream over TCP or TLS. What
 * is put waits in a bounded queue until it is taken; nothing ever blocks, and what finds no room is lost whole and counted.
 * A connection that ends is made anew: at once, and while that fails after 1, 2, 4 … 60 seconds over TCP and TLS.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/buf.h"

enum outlet_kind { OUTLET_LOCAL, OUTLET_UDP, OUTLET_TCP, OUTLET_TLS };

struct outlet_target {
	enum outlet_kind kind;
	struct sockaddr_storage to;
	socklen_t n;
};

/*
 * A socket's path, "udp://ADDRESS:PORT", "tcp://ADDRESS:PORT" or "tls://ADDRESS:PORT"; addresses and no names, so that nothing has to be
 * looked up. 0 or -EINVAL.
 */
int outlet_target_parse(struct outlet_target *ret, struct str to);

/* Each may be NULL, and must not call the outlet. */
struct outlet_hooks {
	/* The connection is new: what is appended to `first` leaves before all that waits (UDP: as one datagram). */
	void (*opened)(void *ctx, struct buf *first);
	/* A frame is about to leave: its bytes may be changed, its length not. Told again when it did not leave. */
	void (*leaving)(void *ctx, char *frame, size_t n);
	void (*left)(void *ctx, uint32_t weight); /* its first bytes were taken */
	void *ctx;
};

struct outlet_config {
	struct outlet_target target;
	const char *what, *name; /* for messages: "alerts", "udp://192.0.2.1:514"; borrowed */
	const char
		*ca; /* TLS: file of the CAs that the other side must prove itself by; borrowed */
	size_t queue_max; /* bytes */
	uint64_t *lost;   /* borrowed: weights of frames that were lost */
	struct outlet_hooks hooks;
};

struct outlet;

/* Nothing is opened yet but the CA's file, so that it is found however few rights are left later. -errno. */
int outlet_new(struct outlet **ret, const struct outlet_config *cfg);
struct outlet *
outlet_free(struct outlet *o); /* sends what can be sent at once; the rest is lost and counted */

void outlet_put(struct outlet *o, struct str frame, uint32_t weight); /* copied */
/* Sends what can be sent at once; called again each second. -errno when it cannot be reached: said once in the log. */
int outlet_flush(struct outlet *o);
void outlet_hang_up(struct outlet *o); /* the next flush begins anew */

bool outlet_is_well(const struct outlet *o);   /* the last try went well, or is not over */
size_t outlet_waiting(const struct outlet *o); /* bytes */
bool outlet_is_stream(const struct outlet *o);
size_t outlet_datagram_max(
	const struct outlet *o); /* UDP: what the path takes as far as is known; else SIZE_MAX */
