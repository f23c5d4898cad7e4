/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows by dice, of which some are in files and some in the overlay; asking for them; and the naive reference, which looks at every row.
 */
#pragma once

#include <jansson.h>

#include "base/json.h"
#include "history/answer.h"
#include "history/question.h"
#include "policy/policy.h"
#include "store_rig.h"

#define DAYS 3
#define FLOWS 1500
#define LATE 100 /* of them in the last minute */
#define PIECES_MAX 4
#define OURS "10.0.0.5"
#define DAY_NS (24 * HOUR_NS)

static struct buf every = BUF_INIT(64 << 20); /* all rows, encoded */
static struct buf living = BUF_INIT(16 << 20);
static uint64_t end_ns;

/* ---- rows ---- */

static void put_piece(struct store *s, const struct store_row *row, bool in_file)
{
	store_row_encode(row, &every);
	if (in_file)
		store_put(s, row);
	else
		store_row_encode(row, &living);
}

/* A flow that ended then: some pieces of it, one minute each; of some of the last minute the last piece is in no file yet. */
static void put_flow(struct store *s, uint64_t flow_id, uint64_t to_ns)
{
	struct store_row row = dice_row(to_ns, flow_id);
	uint32_t n = dice(3) ? 1 : 1 + dice(PIECES_MAX);
	bool lives = to_ns > end_ns - 60 * NSEC_PER_SEC && dice(2);

	row.refused_packets = dice(10) ? 0 : dice(5);
	row.start_ns = to_ns - n * 60 * NSEC_PER_SEC + dice(1000) * NSEC_PER_MSEC;
	for (row.seq = 0; row.seq < n; row.seq++) {
		row.from_ns = row.seq ? row.to_ns : row.start_ns;
		row.to_ns = to_ns - (n - 1 - row.seq) * 60 * NSEC_PER_SEC;
		row.ends = row.seq + 1 == n && !lives;
		row.up_bytes = dice(100000);
		row.down_bytes = dice(1000000);
		put_piece(s, &row, row.seq + 1 < n || !lives);
	}
}

static void put_refusal(struct store *s, uint64_t time_ns)
{
	struct store_row row = dice_row(time_ns, 0);

	row.seq = 0;
	row.ends = true;
	row.start_ns = row.from_ns = time_ns;
	row.key.sport = 0;
	row.up_bytes = row.down_bytes = row.up_packets = row.down_packets = 0;
	row.up_payload = row.down_payload = 0;
	row.refused_calls = 1 + dice(3);
	put_piece(s, &row, true);
}

static int setup(void **state)
{
	const uint64_t gap_ns = (DAYS * DAY_NS - 60 * NSEC_PER_SEC) / (FLOWS - LATE) / 1000 * 1000;
	const uint64_t late_ns = 60 * NSEC_PER_SEC / LATE;
	struct store *s;

	if (rig_setup(state))
		return -1;
	end_ns = rig_now_ns + DAYS * DAY_NS;
	s = rig_open();
	for (uint64_t i = 1; i <= FLOWS; i++) {
		rig_now_ns = i <= FLOWS - LATE ? T0_S * NSEC_PER_SEC + i * gap_ns
					       : end_ns - (FLOWS - i + 1) * late_ns;
		put_flow(s, i, rig_now_ns);
		if (!dice(20))
			put_refusal(s, rig_now_ns);
	}
	rig_now_ns = end_ns;
	assert_ok(store_flush(s, 60 * NSEC_PER_SEC));
	store_close(s);
	return every.failed || living.failed;
}

static int teardown(void **state)
{
	buf_done(&every);
	buf_done(&living);
	return rig_teardown(state);
}

/* ---- asking ---- */

struct answer {
	json_t *lines; /* an array */
	json_t *end;   /* its last, borrowed */
};

static struct answer ask_text(struct str question)
{
	struct history_source source = { .dir = rig_dir,
					 .overlay = buf_str(&living),
					 .now_ns = end_ns };
	struct answer a = { .lines = json_array() };
	json_error_t error;
	size_t n = 0, at = 0;
	char *text = NULL;
	FILE *f = open_memstream(&text, &n);
	json_t *line;

	assert_int_equal(history_answer(&source, question, f), 0);
	fclose(f);
	for (at = 0; at < n; at += (size_t)error.position) {
		line = json_loadb(text + at, n - at, JSON_DISABLE_EOF_CHECK, &error);
		if (!line)
			fail_msg("%s: %.*s", error.text, (int)(n - at), text + at);
		json_array_append_new(a.lines, line);
		while (at + (size_t)error.position < n && text[at + (size_t)error.position] == '\n')
			error.position++;
	}
	free(text);
	assert_true(json_array_size(a.lines) > 0);
	a.end = json_array_get(a.lines, json_array_size(a.lines) - 1);
	return a;
}

__attribute__((format(printf, 1, 2))) static struct answer ask(const char *fmt, ...)
{
	char text[2048];
	struct answer a;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	a = ask_text(str_of(text));
	if (json_object_get(a.end, "error"))
		fail_msg("%s: %s", text, json_string_value(json_object_get(a.end, "error")));
	return a;
}

static void answer_done(struct answer *a)
{
	json_decref(a->lines);
}

static uint64_t number(const json_t *o, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(o, key));
}

static const char *word(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

/* ---- the reference ---- */

static const struct addr *peer_of(const struct store_row *r)
{
	return r->key_is_ours_dst ? &r->key.src : &r->key.dst;
}

static bool is_https(const struct store_row *r)
{
	return r->key.dport == 443;
}
static bool is_exe1(const struct store_row *r)
{
	return r->has_who && str_eq(r->who.exe, STR("/usr/bin/tool1"));
}
static bool is_named_h3(const struct store_row *r)
{
	return str_eq(r->peer.name, STR("h3.example.org"));
}
static bool has_other2(const struct store_row *r)
{
	for (size_t i = 0; i < r->peer.n_names; i++)
		if (str_eq(r->peer.names[i], STR("other2.example.net")))
			return true;
	return false;
}
static bool is_example(const struct store_row *r)
{
	return str_eq(r->peer.domain, STR("example.org"));
}
static bool is_german(const struct store_row *r)
{
	return !strcmp(r->peer.country, "DE");
}
static bool is_asn(const struct store_row *r)
{
	return r->peer.asn == 64497;
}
static bool is_internet(const struct store_row *r)
{
	return str_eq(r->peer.segment, STR("internet"));
}
static bool is_reply(const struct store_row *r)
{
	return r->direction == FLOW_REPLY;
}
static bool is_not_reply(const struct store_row *r)
{
	return !is_reply(r);
}
static bool is_user1_german(const struct store_row *r)
{
	return r->has_who && str_eq(r->who.user, STR("user1")) && is_german(r);
}
static bool is_https_or_tool(const struct store_row *r)
{
	return is_https(r) || is_exe1(r);
}
static bool is_network(const struct store_row *r)
{
	return addr_is_v4(peer_of(r)) && peer_of(r)->b[15] < 8 && !r->key_is_ours_dst;
}
static bool is_unit1(const struct store_row *r)
{
	return r->has_who && str_eq(r->who.unit, STR("unit1.service"));
}
static bool is_protocol(const struct store_row *r)
{
	return r->app == 2;
}
static bool is_udp(const struct store_row *r)
{
	return r->key.proto == IPPROTO_UDP;
}
static bool is_all(const struct store_row *r)
{
	return true;
}

static const struct {
	const char *text;
	bool (*match)(const struct store_row *r);
} filters[] = {
	{ "", is_all },
	{ "port:443", is_https },
	{ "proc:/usr/bin/tool1", is_exe1 },
	{ "proc:/usr/BIN/Tool1 port:443 or proc:/usr/bin/tool1 -port:443", is_exe1 },
	{ "proc:/usr/BIN/Tool1 port:0-65535", is_exe1 },
	{ "name:h3.example.org", is_named_h3 },
	{ "name:H3.Example.org", is_named_h3 },
	{ "name:other2.example.net", has_other2 },
	{ "domain:example.org", is_example },
	{ "country:DE", is_german },
	{ "asn:64497", is_asn },
	{ "segment:internet", is_internet },
	{ "dir:reply", is_reply },
	{ "-dir:reply", is_not_reply },
	{ "user:user1 country:de", is_user1_german },
	{ "port:443 or proc:/usr/bin/tool1", is_https_or_tool },
	{ "addr:192.0.2.0/29 dir:egress", is_network },
	{ "unit:unit1.service", is_unit1 },
	{ "proto:udp", is_udp },
	{ "protocol:PROTOCOL", is_protocol },
};

struct reference {
	uint64_t flows, up, down, packets_up, packets_down, refused;
};

static void reference_add(struct reference *to, const struct store_row *r)
{
	to->flows += r->flow_id && !r->seq;
	to->up += r->up_bytes;
	to->down += r->down_bytes;
	to->packets_up += r->up_packets;
	to->packets_down += r->down_packets;
	to->refused += r->refused_calls + r->refused_packets;
}

static void assert_sums(const char *what, const json_t *o, const struct reference *want)
{
	struct reference got = { number(o, "flows"),        number(o, "up"),
				 number(o, "down"),         number(o, "packets_up"),
				 number(o, "packets_down"), number(o, "refused") };

	if (!memcmp(&got, want, sizeof(got)))
		return;
	fail_msg("%s: flows %lu up %lu down %lu packets %lu %lu refused %lu, not %lu %lu %lu %lu "
		 "%lu %lu",
		 what, got.flows, got.up, got.down, got.packets_up, got.packets_down, got.refused,
		 want->flows, want->up, want->down, want->packets_up, want->packets_down,
		 want->refused);
}

static void label(const struct store_row *r, const char *dim, char text[512])
{
	struct store_key_scratch scratch;
	struct store_key key;
	char proto[8];

	store_row_key(r, &scratch, &key);
	text[0] = 0;
	if (!strcmp(dim, "address"))
		addr_format(peer_of(r), text);
	else if (!strcmp(dim, "port"))
		snprintf(text, 512, "%u", r->key.dport);
	else if (!strcmp(dim, "proto"))
		snprintf(text, 512, "%s", flow_proto_name(r->key.proto, proto));
	for (unsigned i = 0; i < STORE_DIM_COUNT; i++)
		if (!strcmp(dim, question_dim_word(i)))
			snprintf(text, 512, "%.*s", STR_FMT(key.dim[i]));
}

typedef void (*each_fn)(void *ctx, const struct store_row *r);

static void each_row(uint64_t from_s, uint64_t to_s, bool (*match)(const struct store_row *),
		     each_fn fn, void *ctx)
{
	struct str rest = buf_str(&every);
	struct store_row r;

	while (store_row_decode(&rest, &r) > 0)
		if (r.to_ns >= from_s * NSEC_PER_SEC && r.to_ns < to_s * NSEC_PER_SEC && match(&r))
			fn(ctx, &r);
}
