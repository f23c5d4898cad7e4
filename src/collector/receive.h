/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The collector's HTTPS side: speaks to agents as ClickHouse would, as far as a sender (store/ship.h) asks. Who shows no certificate
 * of the CA hears so and nothing else. Batches that came within 50 ms share one sync; each is answered after it.
 *
 * Limits: 8,192 connections (fewer when fewer descriptors may be open); a head of 32 KiB, a body of 18 MiB, 256 MiB of bodies at
 * once; 120 s for a request, 15 s for the handshake and a first request.
 */
#pragma once

#include <stdint.h>

struct intake;
struct loop;
struct page_settings;
struct receive;

/* Certificate and key are read here. `fleet`, borrowed: see collector/hand_on.h. -errno; logs why. */
int receive_new(struct receive **ret, struct loop *loop, struct intake *intake, const char *fleet,
		const struct page_settings *where);
struct receive *receive_free(struct receive *r);

struct receive_stats {
	uint64_t connections; /* now */
	uint64_t strangers;   /* requests without a good certificate */
	char refused[256];    /* why the last one was, and */
	uint64_t refused_ns;  /* when, Unix; 0: none was */
};
void receive_stats(const struct receive *r, struct receive_stats *ret);
