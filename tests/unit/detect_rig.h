/* SPDX-License-Identifier: Apache-2.0 */
/* Flows by hand for detectors: what the flow table would tell of them, without packets. */
#pragma once

#include <netinet/in.h>

#include "base/time.h"
#include "detect/engine.h"

#define RIG_START (1700000000 * NSEC_PER_SEC)

struct rig {
	struct intern *texts;
	struct detect *d;
	struct flow_watch watch;
	uint64_t next_id;
	unsigned findings;
};

static void rig_finding(void *ctx, const struct finding *f)
{
	struct rig *r = ctx;

	r->findings++;
}

static void rig_new(struct rig *r, enum detect_vantage vantage, size_t max_pairs)
{
	*r = (struct rig){ .next_id = 0x1234567 };
	assert_ok(intern_new(&r->texts, 4000000));
	assert_ok(detect_new(&r->d,
			     &(struct detect_config){ .vantage = vantage,
						      .texts = r->texts,
						      .max_pairs = max_pairs },
			     (struct finding_out){ rig_finding, r }));
	r->watch = detect_watch(r->d);
}

static void rig_free(struct rig *r)
{
	detect_free(r->d);
	assert_int_equal(intern_count(r->texts), 0); /* every reference was given back */
	intern_free(r->texts);
}

/* A TCP flow of TLS that leaves; what is not as the test wants it, it changes. `name` may be NULL. */
static struct flow rig_flow(struct rig *r, uint32_t src, uint32_t dst, uint16_t port,
			    const char *name, uint64_t time_ns)
{
	struct flow f = { .id = r->next_id++,
			  .start_ns = time_ns,
			  .last_ns = time_ns,
			  .state = FLOW_ESTABLISHED,
			  .direction = FLOW_EGRESS,
			  .app = APP_TLS,
			  .payload_known = true };

	f.key.proto = IPPROTO_TCP;
	f.key.src = addr_from_v4(&(uint32_t){ htonl(src) });
	f.key.dst = addr_from_v4(&(uint32_t){ htonl(dst) });
	f.key.sport = (uint16_t)(20000 + f.id % 40000);
	f.key.dport = port;
	if (name) {
		f.name = intern_get(r->texts, str_of(name));
		f.name_source = NAME_SNI;
	}
	return f;
}

static void rig_data(struct rig *r, struct flow *f, enum flow_side side, uint64_t bytes,
		     uint64_t time_ns)
{
	f->half[side].payload += bytes;
	f->last_ns = time_ns;
	r->watch.on_data(r->watch.ctx, f, side, bytes, time_ns);
}

static void rig_end(struct rig *r, struct flow *f, uint64_t time_ns)
{
	f->last_ns = time_ns;
	f->end = END_FIN;
	detect_record(r->d, &(struct record){ .type = RECORD_FLOW,
					      .time_ns = time_ns,
					      .flow = f,
					      .flow_ends = true });
	intern_put(r->texts, f->name);
	f->name = NULL;
}

/* One request, one answer, in a connection of its own that is over 100 ms later. */
static void rig_checkin(struct rig *r, uint32_t src, uint32_t dst, const char *name,
			uint64_t time_ns, uint64_t up)
{
	struct flow f = rig_flow(r, src, dst, 443, name, time_ns);

	rig_data(r, &f, TO_SERVER, up, time_ns);
	rig_data(r, &f, TO_CLIENT, 300, time_ns + 50 * NSEC_PER_MSEC);
	rig_end(r, &f, time_ns + 100 * NSEC_PER_MSEC);
}
