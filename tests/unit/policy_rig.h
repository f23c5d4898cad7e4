/* SPDX-License-Identifier: Apache-2.0 */
/* Policies from their texts, and what they say of flows, in a word. */
#pragma once

#include "base/cleanup.h"
#include "policy/image.h"
#include "test.h"

/* A policy that compiles, with what was said about it. */
struct rig {
	struct policy *p;
	struct policy_image *img;
	struct buf messages;
};

/* "a.example 10.0.0.1/10.0.0.9": what is in each list of the test's policies. */
static inline int load_words(void *ctx, const struct policy_list *l, struct list_sink sink,
			     struct list_report *report)
{
	struct str words = str_of(ctx), word;

	while (str_cut(&words, ' ', &word)) {
		struct list_entry e = { .kind = LIST_NAME, .text = word };
		struct cidr c;
		int r;

		if (cidr_parse(word, &c) == 0) {
			e = (struct list_entry){ .kind = LIST_RANGE, .lo = c.addr, .hi = c.addr };
			for (unsigned bit = c.bits; bit < 128; bit++)
				e.hi.b[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
		} else if (word.n > 2 && word.p[0] == '*') {
			e = (struct list_entry){ .kind = LIST_BELOW,
						 .text = str_sub(word, 2, word.n) };
		}
		r = sink.on_entry(sink.ctx, &e);
		if (r < 0)
			return r;
		report->entries++;
	}
	return 0;
}

#define NOW 1790000000 /* 2026-09-21 */

static inline int try_compile(struct rig *r, const char *text, const char *list,
			      struct policy_ids *ids)
{
	struct compile_config cfg = {
		.from_s = NOW,
		.to_s = NOW + 400 * 86400,
		.enforce = true,
		.load_list = list ? load_words : NULL,
		.load_ctx = (void *)list,
		.ids = ids,
	};

	*r = (struct rig){ .messages = BUF_INIT(1 << 20) };
	if (policy_parse(&r->p, "test", str_of(text), STR_NONE, &r->messages) < 0) {
		print_error("%.*s", STR_FMT(buf_str(&r->messages)));
		fail();
	}
	return policy_compile(&r->img, r->p, &cfg, &r->messages);
}

static inline void compile_with(struct rig *r, const char *text, const char *list)
{
	if (try_compile(r, text, list, NULL) < 0) {
		print_error("%.*s", STR_FMT(buf_str(&r->messages)));
		fail();
	}
}

static inline void done(struct rig *r)
{
	policy_image_free(r->img);
	policy_free(r->p);
	buf_done(&r->messages);
}

static inline struct addr ip(const char *text)
{
	struct addr a;

	assert_ok(addr_parse(str_of(text), &a));
	return a;
}

/* A TCP flow whose protocol and name are known to be nothing in particular. */
static inline struct policy_subject subject(const char *to, uint16_t port)
{
	return (struct policy_subject){
		.exe = STR("/usr/bin/curl"),
		.uid_known = true,
		.uid = 1000,
		.local = ip(strchr(to, ':') ? "2001:db8::1" : "192.0.2.1"),
		.remote = ip(to),
		.proto = 6,
		.port = port,
		.has_ports = true,
		.visible = EG_VISIBLE_NONE,
		.app = EG_APP_UNKNOWN,
		.unix_s = NOW,
	};
}

static inline struct eg_verdict judge(const struct rig *r, const struct policy_subject *s)
{
	struct eg_verdict v;

	assert_ok(policy_judge(r->img, s, &v));
	return v;
}

/* The action for good, or 0 when it is not known yet. */
static inline int action(const struct rig *r, const struct policy_subject *s)
{
	struct eg_verdict v = judge(r, s);

	return v.final ? v.action : 0;
}

static inline int to(const struct rig *r, const char *addr, uint16_t port)
{
	struct policy_subject s = subject(addr, port);

	return action(r, &s);
}
