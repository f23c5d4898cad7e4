/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/state.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/log.h"

#define MAGIC "EGRETDET"
#define FORMAT 1
#define HEAD (8 + 4 + 8 + 8)
#define STATE_MAX (1UL << 30)

/* --- writing -------------------------------------------------------------------------------------------------------- */

void state_u64(struct state_out *o, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		buf_putc(o->buf, (char)(v | 0x80));
	buf_putc(o->buf, (char)v);
}

void state_i64(struct state_out *o, int64_t v)
{
	state_u64(o, (uint64_t)v << 1 ^ (uint64_t)(v >> 63));
}

void state_f64(struct state_out *o, double v)
{
	buf_put(o->buf, &v, sizeof(v));
}

void state_str(struct state_out *o, struct str s)
{
	state_u64(o, s.n);
	buf_put_str(o->buf, s);
}

void state_text(struct state_out *o, const struct text *t)
{
	state_str(o, text_str(t));
}

void state_addr(struct state_out *o, const struct addr *a)
{
	buf_put(o->buf, a, sizeof(*a));
}

void state_pair(struct state_out *o, const struct pair *p)
{
	state_u64(o, p->number);
}

void state_entity(struct state_out *o, const struct entity *e)
{
	state_u64(o, e->number);
}

/* --- reading -------------------------------------------------------------------------------------------------------- */

static const char *take(struct state_in *in, size_t n)
{
	const char *p = in->rest.p;

	if (in->bad || in->rest.n < n) {
		in->bad = true;
		return NULL;
	}
	in->rest = str_sub(in->rest, n, in->rest.n);
	return p;
}

uint64_t state_get_u64(struct state_in *in)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		const char *p = take(in, 1);

		if (!p)
			return 0;
		v |= (uint64_t)(*p & 0x7f) << shift;
		if (!(*p & 0x80))
			return v;
	}
	in->bad = true;
	return 0;
}

uint64_t state_get_most(struct state_in *in, uint64_t most)
{
	uint64_t v = state_get_u64(in);

	if (v <= most)
		return v;
	in->bad = true;
	return 0;
}

int64_t state_get_i64(struct state_in *in)
{
	uint64_t v = state_get_u64(in);

	return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

double state_get_f64(struct state_in *in)
{
	const char *p = take(in, sizeof(double));
	double v = 0;

	if (p)
		memcpy(&v, p, sizeof(v));
	return v;
}

struct str state_get_str(struct state_in *in)
{
	size_t n = (size_t)state_get_most(in, in->rest.n);
	const char *p = take(in, n);

	return p ? (struct str){ p, n } : STR_NONE;
}

struct text *state_get_text(struct state_in *in)
{
	struct str s = state_get_str(in);

	return s.n ? intern_get(in->d->cfg.texts, s) : NULL;
}

void state_get_addr(struct state_in *in, struct addr *ret)
{
	const char *p = take(in, sizeof(*ret));

	if (p)
		memcpy(ret, p, sizeof(*ret));
}

struct pair *state_get_pair(struct state_in *in)
{
	uint64_t at = state_get_most(in, in->n_pairs ? in->n_pairs - 1 : 0);

	return in->bad || !in->n_pairs ? NULL : in->pairs[at];
}

struct entity *state_get_entity(struct state_in *in)
{
	uint64_t at = state_get_most(in, in->n_entities ? in->n_entities - 1 : 0);

	return in->bad || !in->n_entities ? NULL : in->entities[at];
}

/* --- the whole ------------------------------------------------------------------------------------------------------ */

struct section {
	const char *name;
	unsigned version;
	void (*save)(struct detect *d, struct state_out *o);
	int (*load)(struct detect *d, struct state_in *in);
};

/* Tables come first: the others name pairs and entities by number. */
static const struct section own[] = {
	{ "tables", 1, tables_save, tables_load },
	{ "exceptions", 1, exceptions_save, exceptions_load },
	{ "cases", 2, cases_save, cases_load },
};

static struct section section_at(size_t i)
{
	const struct detector *det;

	if (i < ARRAY_SIZE(own))
		return own[i];
	det = detectors[i - ARRAY_SIZE(own)];
	return det ? (struct section){ det->name, det->state_version, det->save, det->load }
		   : (struct section){ 0 };
}

static void put_le(struct buf *out, uint64_t v, int bytes)
{
	for (; bytes--; v >>= 8)
		buf_putc(out, (char)v);
}

static uint64_t get_le(const char *p, int bytes)
{
	uint64_t v = 0;

	while (bytes--)
		v = v << 8 | (uint8_t)p[bytes];
	return v;
}

int detect_save(struct detect *d, struct buf *out)
{
	_cleanup_buf_ struct buf body = BUF_INIT(STATE_MAX), bytes = BUF_INIT(STATE_MAX);
	struct state_out all = { &body }, o = { &bytes };
	struct section s;

	for (size_t i = 0; (s = section_at(i)).name; i++) {
		if (!s.save)
			continue;
		buf_clear(&bytes);
		s.save(d, &o);
		state_str(&all, str_of(s.name));
		state_u64(&all, s.version);
		state_str(&all, buf_str(&bytes));
	}
	buf_puts(out, MAGIC);
	put_le(out, FORMAT, 4);
	put_le(out, body.n, 8);
	put_le(out, hash_bytes(body.p, body.n, 0), 8);
	buf_put_str(out, buf_str(&body));
	return out->failed || body.failed || bytes.failed ? -ENOMEM : 0;
}

static const struct section *find_section(struct str name, struct section *ret)
{
	for (size_t i = 0; (*ret = section_at(i)).name; i++)
		if (str_eq(str_of(ret->name), name))
			return ret;
	return NULL;
}

static int load_sections(struct state_in *in)
{
	while (in->rest.n && !in->bad) {
		struct str name = state_get_str(in);
		uint64_t version = state_get_u64(in);
		struct str bytes = state_get_str(in), after = in->rest;
		struct section s;
		int r;

		if (in->bad)
			return -EBADMSG;
		if (!find_section(name, &s) || !s.load || s.version != version) {
			log_info("what an earlier egretd remembered of '%s' is passed over",
				 find_section(name, &s) ? s.name : "something unknown here");
			continue;
		}
		in->rest = bytes;
		r = s.load(in->d, in);
		if (r < 0)
			return r;
		if (in->bad)
			return -EBADMSG;
		in->rest = after;
	}
	return in->bad ? -EBADMSG : 0;
}

int detect_load(struct detect *d, struct str file)
{
	struct state_in in = { .d = d };
	struct str body;
	int r;

	if (file.n < HEAD || memcmp(file.p, MAGIC, 8) || get_le(file.p + 8, 4) != FORMAT)
		return -EBADMSG;
	body = str_sub(file, HEAD, file.n);
	if (get_le(file.p + 12, 8) != body.n ||
	    get_le(file.p + 20, 8) != hash_bytes(body.p, body.n, 0))
		return -EBADMSG;
	in.rest = body;
	r = load_sections(&in);
	tables_loaded(&in);
	return r;
}
