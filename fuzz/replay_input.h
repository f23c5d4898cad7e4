/* SPDX-License-Identifier: Apache-2.0 */
/* Runs bytes through all of replay/ as if they were a file, for fuzz_pcap and fuzz_zeek. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "decode/dns.h"
#include "decode/http.h"
#include "replay/replay.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint8_t touched;

static void touch(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		touched ^= (uint8_t)s.p[i];
}

/* Reads all that an event points to, so that a sanitizer sees what is not there. */
static void on_event(void *ctx, const struct event *e)
{
	uint64_t *n = ctx;

	++*n;
	if (e->type == EVENT_PACKET) {
		touch(e->packet.payload);
		if (e->packet.payload.n > e->packet.payload_bytes)
			abort();
	}
	if (e->type != EVENT_FACT)
		return;
	touch(e->fact.sni);
	touch(e->fact.alpn);
	touch(e->fact.ja3);
	touch(e->fact.ja4);
	touch(e->fact.tls_version);
	if (e->fact.http) {
		touch(e->fact.http->url);
		touch(e->fact.http->host);
		touch(e->fact.http->method);
		touch(e->fact.http->user_agent);
	}
	for (size_t i = 0; e->fact.dns && i < e->fact.dns->n_questions; i++)
		touch(e->fact.dns->questions[i].name);
	for (size_t i = 0; e->fact.dns && i < e->fact.dns->n_answers; i++) {
		touch(e->fact.dns->answers[i].name);
		touch(e->fact.dns->answers[i].rdata);
	}
}

static void replay_bytes(const uint8_t *data, size_t size)
{
	int fd = memfd_create("input", MFD_CLOEXEC);
	struct replay *r = NULL;
	uint64_t n = 0;
	char path[64];

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (replay_new(&r, (struct event_out){ on_event, &n }, NULL, NULL) < 0)
		abort();
	if (replay_add(r, path) == 0)
		while (replay_run(r, 64) > 0)
			;
	replay_free(r);
	close(fd);
}
