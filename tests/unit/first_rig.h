/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's look at first payloads, built for the host: a flow whose packets are shown one by one, as bpf/first.h does. */
#pragma once

#include <stdlib.h>

#include "policy/verdict.h"

#define EG_ONCE static __attribute__((unused))
#define EG_NAME_KEY 0x123456789abcdefULL
#define EG_COPY(to, n, from) memcpy(to, from, n)
#define EG_LOOP(times, fn, ctx)                                 \
	do {                                                    \
		__u32 loop_n_ = (times);                        \
                                                                \
		for (__u32 loop_ = 0; loop_ < loop_n_; loop_++) \
			if (fn(loop_, ctx))                     \
				break;                          \
	} while (0)

#include "bpf/datagram.h"
#include "bpf/stream.h"

struct first_flow {
	struct eg_first
		w; /* kept between packets as a whole: what is not `kept` is filled with rubbish */
	struct eg_seen seen;
	bool begun;
};

static inline void first_begin(struct first_flow *f, uint16_t sport, uint16_t dport)
{
	memset(f, 0xa5, sizeof(*f));
	f->w.sport = sport;
	f->w.port = dport;
	f->begun = false;
}

/* Everything that a workspace is not asked to keep is another flow's by now. */
static inline void first_shake(struct first_flow *f)
{
	struct eg_first *w = malloc(sizeof(*w));

	if (!w)
		abort();
	memset(w, 0x5a, sizeof(*w));
	w->sport = f->w.sport;
	w->port = f->w.port;
	memcpy(&w->kept, &f->w.kept, sizeof(struct eg_flight));
	memcpy(&f->w, w, sizeof(*w));
	free(w);
	f->seen.begun = f->begun;
	f->seen.same = 0;
	f->seen.len = 0;
	f->seen.visible = EG_VISIBLE_UNKNOWN;
	f->seen.app = EG_APP_UNDECIDED;
	if (!f->begun)
		eg_flight_clear(&f->w);
}

/* A segment whose first byte is number `off` of the stream. true: decided. */
static inline bool first_segment(struct first_flow *f, uint32_t off, struct str s)
{
	uint32_t n = (uint32_t)s.n;

	first_shake(f);
	f->begun = true;
	if (off >= EG_FIRST_MAX) {
		f->seen.visible = EG_VISIBLE_UNREADABLE;
		f->seen.app = EG_APP_UNKNOWN;
		return true;
	}
	if (n > EG_FIRST_MAX - off)
		n = EG_FIRST_MAX - off;
	if (n)
		memcpy(f->w.bytes + off, s.p, n);
	if (n && eg_flight_take(&f->w, off, off + n) & EG_TOOK_NEW)
		f->w.kept.packets++;
	n = (uint32_t)eg_flight_length(&f->w);
	eg_stream_look(&f->w, n, n >= EG_FIRST_MAX || f->w.kept.packets >= EG_FIRST_PACKETS,
		       &f->seen);
	return f->seen.visible != EG_VISIBLE_UNKNOWN && f->seen.app != EG_APP_UNDECIDED;
}

/* A datagram, of `total` bytes when captured short. */
static inline bool first_datagram(struct first_flow *f, struct str s, size_t total)
{
	uint32_t n = (uint32_t)(s.n < EG_FIRST_MAX ? s.n : EG_FIRST_MAX);

	first_shake(f);
	if (n)
		memcpy(f->w.bytes + EG_FIRST_PLACE, s.p, n);
	if (n)
		eg_datagram_look(&f->w, n, (uint32_t)total, 0, &f->seen);
	f->begun = true;
	return f->seen.visible != EG_VISIBLE_UNKNOWN && f->seen.app != EG_APP_UNDECIDED;
}

static inline struct str first_name(const struct first_flow *f)
{
	if (f->seen.visible != EG_VISIBLE_NAME)
		return STR_NONE;
	return (struct str){ f->seen.name, f->seen.len };
}
