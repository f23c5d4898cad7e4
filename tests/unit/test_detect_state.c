/* SPDX-License-Identifier: Apache-2.0 */
/* What is remembered across restarts: all of it comes back, and nothing that was damaged does harm. */
#include "test.h"

#include <errno.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/hash.h"
#include "core_rig.h"
#include "detect/cases.h"
#include "detect/state.h"

#define HEAD 28

/* A host with some of everything. */
static void furnish(struct rig *r)
{
	struct entity *e = rig_program(r, "/opt/agent");
	struct pair *p, *q, *learned;
	struct addr a = addr_from_v4("\x5d\xb8\xd8\x22");

	rig_pass(r, HOUR);
	p = rig_pair(r, e, "c2.example");
	p->name = intern_get(r->texts, STR("www.c2.example"));
	p->addr = a;
	p->port = 443;
	p->proto = IPPROTO_TCP;
	p->app = APP_TLS;
	p->flows = 17;
	p->up = 123456789;
	p->down = 42;
	e->hours[3] = 1.5F;
	rig_say(r, p, E_ONE_SIZE, 3);
	rig_say(r, p, E_LISTED_PRINT, 40);
	q = pair_of(r->d, rig_machine(r, 0x0a000001), peer_of_addr(r->d, &a, 8443, IPPROTO_TCP));
	rig_say(r, q, E_REGULAR, 20);
	rig_say(r, q, E_DGA_NX, 24);
	rig_say(r, q, E_STEADY, 4);
	learned = rig_pair(r, rig_machine(r, 0x0a000001), "vendor.example");
	learned->learned = true;
	assert_int_equal(p->dossier->state, CASE_OPEN);
	assert_int_equal(q->dossier->held, HELD_WARM_UP);
	assert_ok(detect_except(r->d, &(struct exception){ .entity = "/opt/a",
							   .peer = "b",
							   .detector = "beacon",
							   .note = "said so",
							   .by = "root",
							   .since_ns = 5,
							   .until_ns = r->now_ns + DAY }));
}

static struct buf save(struct rig *r)
{
	struct buf out = BUF_INIT(1 << 24);

	assert_ok(detect_save(r->d, &out));
	return out;
}

static void loaded(struct rig *r, struct str file, int want)
{
	memset(r, 0, sizeof(*r));
	rig_config(r, (struct detect_config){ .vantage = DETECT_HOST,
					      .warm_up_ns = DETECT_WARM_UP_NS });
	assert_int_equal(detect_load(r->d, file), want);
}

static void test_round_trip(void **state)
{
	_cleanup_buf_ struct buf first = { 0 }, second = { 0 };
	struct rig a, b;
	struct detect_stats st;
	const struct exception *ex;
	struct pair *p;
	size_t n;

	rig_new(&a, DETECT_HOST, DETECT_WARM_UP_NS);
	furnish(&a);
	first = save(&a);
	loaded(&b, buf_str(&first), 0);
	second = save(&b);
	/* The same bytes: nothing was left out, and nothing changed its place. */
	assert_int_equal(first.n, second.n);
	assert_memory_equal(first.p, second.p, first.n);

	detect_stats(b.d, &st);
	assert_int_equal(st.entities, 2);
	assert_int_equal(st.peers, 3);
	assert_int_equal(st.pairs, 3);
	assert_int_equal(st.dossiers, 2);
	assert_int_equal(st.cases_open, 1);
	assert_int_equal(b.d->started_ns, T0);
	p = rig_pair(&b, rig_program(&b, "/opt/agent"), "c2.example");
	assert_int_equal(p->flows, 17);
	assert_int_equal(p->up, 123456789);
	assert_int_equal(p->app, APP_TLS);
	assert_str(text_str(p->name), "www.c2.example");
	assert_int_equal(p->peer->entities, 1);
	assert_int_equal(p->watching, 1); /* by its case */
	assert_true(p->entity->hours[3] > 1.4F);
	assert_int_equal(p->dossier->state, CASE_OPEN);
	assert_int_equal(p->dossier->n, 2);
	assert_string_equal(p->dossier->evidence[0]->what, "what was seen");
	assert_string_equal(p->dossier->evidence[1]->baseline, "what is usual");
	assert_int_equal(p->dossier->n_flows, 1);
	assert_int_equal(p->dossier->flows[0], 4711);
	assert_string_equal(p->dossier->id, a.told[0].id);
	assert_true(rig_pair(&b, rig_machine(&b, 0x0a000001), "vendor.example")->learned);
	ex = detect_exceptions(b.d, &n);
	assert_int_equal(n, 1);
	assert_string_equal(ex[0].entity, "/opt/a");
	assert_string_equal(ex[0].peer, "b");
	assert_string_equal(ex[0].detector, "beacon");
	assert_string_equal(ex[0].note, "said so");
	assert_string_equal(ex[0].by, "root");
	assert_int_equal(ex[0].since_ns, 5);

	/* It goes on where the other stopped: no second opening, the held one when the first day is over, and the close. */
	b.now_ns = a.now_ns;
	detect_tick(b.d, b.now_ns);
	rig_say(&b, p, E_STEADY, 4);
	assert_int_equal(b.n, 1);
	assert_int_equal(b.told[0].state, FINDING_UPDATE);
	assert_string_equal(b.told[0].id, a.told[0].id);
	rig_pass(&b, 25 * HOUR);
	assert_int_equal(b.n, 4);
	assert_int_equal(b.told[1].state, FINDING_OPEN);
	assert_string_equal(b.told[1].peer, "93.184.216.34:8443");
	assert_int_equal(b.told[2].state, FINDING_CLOSED);
	assert_int_equal(b.told[3].state, FINDING_CLOSED);
	rig_free(&a);
	rig_free(&b);
}

/* The first day began before the restart, and what was ordinary in it is learned after. */
static void test_learning_over_a_restart(void **state)
{
	_cleanup_buf_ struct buf file = { 0 };
	struct rig a, b;
	struct pair *p;

	rig_new(&a, DETECT_HOST, DETECT_WARM_UP_NS);
	p = rig_pair(&a, rig_program(&a, "/opt/agent"), "vendor.example");
	rig_pass(&a, 20 * HOUR);
	rig_say(&a, p, E_REGULAR, 20);
	file = save(&a);
	loaded(&b, buf_str(&file), 0);
	b.now_ns = a.now_ns;
	detect_tick(b.d, b.now_ns);
	p = rig_pair(&b, rig_program(&b, "/opt/agent"), "vendor.example");
	rig_pass(&b, 3 * HOUR);
	assert_false(p->learned);
	rig_pass(&b, 2 * HOUR);
	assert_true(p->learned);
	rig_free(&a);
	rig_free(&b);
}

static void put_le(char *at, uint64_t v, int bytes)
{
	for (; bytes--; v >>= 8)
		*at++ = (char)v;
}

/* Head for a body that was changed, so that it is read and not refused. */
static void fix(struct buf *file)
{
	put_le(file->p + 12, file->n - HEAD, 8);
	put_le(file->p + 20, hash_bytes(file->p + HEAD, file->n - HEAD, 0), 8);
}

static void test_not_ours(void **state)
{
	_cleanup_buf_ struct buf file = { 0 };
	struct rig a, b;

	rig_new(&a, DETECT_HOST, DETECT_WARM_UP_NS);
	furnish(&a);
	file = save(&a);
	rig_free(&a);
	loaded(&b, STR_NONE, -EBADMSG);
	rig_free(&b);
	for (size_t i = 0; i < file.n;
	     i++) { /* magic, format, length, checksum, and each byte of the body */
		file.p[i] ^= 0x20;
		loaded(&b, buf_str(&file), -EBADMSG);
		rig_free(&b);
		file.p[i] ^= 0x20;
	}
	for (size_t n = 0; n < file.n; n++) {
		loaded(&b, (struct str){ file.p, n }, -EBADMSG);
		rig_free(&b);
	}
	loaded(&b, buf_str(&file), 0);
	rig_free(&b);
}

/* Reads it, whatever is in it, lives with it for a day, and gives everything back. */
static void live_with(struct str file)
{
	_cleanup_buf_ struct buf out = BUF_INIT(1 << 24);
	struct rig r = { 0 };
	int got;

	rig_config(&r, (struct detect_config){ .vantage = DETECT_HOST,
					       .warm_up_ns = DETECT_WARM_UP_NS });
	got = detect_load(r.d, file);
	assert_true(got == 0 || got == -EBADMSG);
	if (got == 0) {
		detect_tick(r.d, r.now_ns + 2 * HOUR);
		detect_each(r.d, true, (struct finding_out){ rig_told, &r });
		detect_tick(r.d, r.now_ns + 60 * DAY);
		assert_ok(detect_save(r.d, &out));
	}
	rig_free(&r);
}

static void test_damage_behind_a_good_checksum(void **state)
{
	_cleanup_buf_ struct buf file = { 0 }, cut = BUF_INIT(1 << 20);
	struct rig a;

	rig_new(&a, DETECT_HOST, DETECT_WARM_UP_NS);
	furnish(&a);
	file = save(&a);
	rig_free(&a);
	for (size_t i = HEAD; i < file.n; i++) {
		static const char by[] = { 0x01, 0x02, 0x40, (char)0x80, (char)0xff };

		for (size_t k = 0; k < sizeof(by); k++) {
			file.p[i] ^= by[k];
			fix(&file);
			live_with(buf_str(&file));
			file.p[i] ^= by[k];
		}
	}
	for (size_t n = HEAD; n < file.n; n++) {
		buf_clear(&cut);
		buf_put(&cut, file.p, n);
		fix(&cut);
		live_with(buf_str(&cut));
	}
}

/* ---- by hand ---- */

static void begin(struct buf *file)
{
	buf_put(file, "EGRETDET\1\0\0\0", 12);
	buf_put(file, "0123456789abcdef", 16);
}

static void section(struct buf *file, const char *name, unsigned version, struct str bytes)
{
	struct state_out o = { file };

	state_str(&o, str_of(name));
	state_u64(&o, version);
	state_str(&o, bytes);
	fix(file);
}

/* What another egretd kept in another form is passed over; what follows it is read. */
static void test_other_versions_are_passed_over(void **state)
{
	_cleanup_buf_ struct buf file = BUF_INIT(1 << 20), one = BUF_INIT(1 << 20);
	struct state_out o = { &one };
	struct rig r;
	size_t n;

	state_u64(&o, 1);
	for (int i = 0; i < 5; i++)
		state_str(&o, STR("x"));
	state_u64(&o, 1);
	state_u64(&o, 2);
	begin(&file);
	section(&file, "intel", 4711, STR("\xff\xff\xff"));
	section(&file, "unheard-of", 1, STR("\xff\xff\xff"));
	section(&file, "exceptions", 9, STR("\xff\xff\xff"));
	section(&file, "exceptions", 1, buf_str(&one));
	loaded(&r, buf_str(&file), 0);
	detect_exceptions(r.d, &n);
	assert_int_equal(n, 1);
	rig_free(&r);
}

/* More than there is room for, by saying it twice. */
static void test_limits(void **state)
{
	_cleanup_buf_ struct buf file = BUF_INIT(1 << 24), half = BUF_INIT(1 << 24);
	struct state_out o = { &half };
	struct rig r = { 0 };
	size_t n;

	state_u64(&o, 200);
	for (int i = 0; i < 200; i++) {
		for (int k = 0; k < 5; k++)
			state_str(&o, STR("x"));
		state_u64(&o, 1);
		state_u64(&o, 2);
	}
	begin(&file);
	section(&file, "exceptions", 1, buf_str(&half));
	section(&file, "exceptions", 1, buf_str(&half));
	loaded(&r, buf_str(&file), -EBADMSG);
	detect_exceptions(r.d, &n);
	assert_true(n <= EXCEPTIONS_MAX);
	rig_free(&r);

	/* Tables twice: what came between would point into the first. */
	rig_new(&r, DETECT_HOST, DETECT_WARM_UP_NS);
	furnish(&r);
	buf_clear(&half);
	tables_save(r.d, &o);
	rig_free(&r);
	buf_clear(&file);
	begin(&file);
	section(&file, "tables", 1, buf_str(&half));
	loaded(&r, buf_str(&file), 0);
	rig_free(&r);
	section(&file, "tables", 1, buf_str(&half));
	loaded(&r, buf_str(&file), -EBADMSG);
	rig_free(&r);

	/* A number that promises more than the file can hold. */
	buf_clear(&half);
	state_u64(&o, 1);
	state_u64(&o, 1ULL << 60);
	buf_clear(&file);
	begin(&file);
	section(&file, "tables", 1, buf_str(&half));
	loaded(&r, buf_str(&file), -EBADMSG);
	rig_free(&r);
}

/* A table smaller than the file was written from: the idlest stay behind, and what points to them with them. */
static void test_less_room_than_before(void **state)
{
	_cleanup_buf_ struct buf file = { 0 };
	struct detect_stats st;
	struct rig a, b = { 0 };
	char name[32];

	rig_new(&a, DETECT_HOST, 0);
	for (int i = 0; i < 300; i++) {
		struct pair *p;

		snprintf(name, sizeof(name), "n%d.example", i);
		p = rig_pair(&a, rig_program(&a, "/opt/agent"), name);
		if (i % 2)
			continue;
		rig_say(&a, p, E_ONE_SIZE, 3);
		rig_say(&a, p, E_REGULAR, 10);
	}
	file = save(&a);
	rig_config(&b, (struct detect_config){ .vantage = DETECT_HOST, .max_pairs = 100 });
	assert_ok(detect_load(b.d, buf_str(&file)));
	detect_stats(b.d, &st);
	assert_int_equal(st.pairs, 100);
	assert_true(st.dossiers && st.dossiers <= 50);
	assert_int_equal(st.evicted_pairs, 200);
	assert_non_null(rig_pair(&b, rig_program(&b, "/opt/agent"), "n298.example")->dossier);
	rig_free(&a);
	rig_free(&b);
}

/* The clock was set back since: nothing is a hundred years ago. */
static void test_clock_set_back(void **state)
{
	_cleanup_buf_ struct buf file = { 0 };
	struct detect_stats st;
	struct rig a, b;

	rig_new(&a, DETECT_HOST, DETECT_WARM_UP_NS);
	furnish(&a);
	file = save(&a);
	b = (struct rig){ 0 };
	rig_config(&b, (struct detect_config){ .vantage = DETECT_HOST,
					       .warm_up_ns = DETECT_WARM_UP_NS });
	detect_free(b.d);
	assert_ok(detect_new(&b.d,
			     &(struct detect_config){ .vantage = DETECT_HOST,
						      .texts = b.texts,
						      .warm_up_ns = DETECT_WARM_UP_NS },
			     (struct finding_out){ rig_told, &b }));
	assert_ok(detect_load(b.d, buf_str(&file)));
	detect_tick(b.d, T0 - 10 * DAY);
	detect_stats(b.d, &st);
	assert_int_equal(st.cases_open, 1);
	assert_true(st.warming);
	assert_int_equal(b.n, 0);
	rig_free(&a);
	rig_free(&b);
}

/* `test_detect_state FOLDER` writes the seeds of fuzz/corpus/detect_state. */
static void write_seed(const char *folder, const char *name, const struct buf *file)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "we");
	if (!f || fwrite(file->p, 1, file->n, f) != file->n || fclose(f) != 0)
		abort();
}

static void write_seeds(const char *folder)
{
	_cleanup_buf_ struct buf full = { 0 }, empty = { 0 };
	struct rig r;

	rig_new(&r, DETECT_HOST, DETECT_WARM_UP_NS);
	empty = save(&r);
	furnish(&r);
	full = save(&r);
	write_seed(folder, "empty", &empty);
	write_seed(folder, "full", &full);
	rig_free(&r);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_learning_over_a_restart),
		cmocka_unit_test(test_not_ours),
		cmocka_unit_test(test_damage_behind_a_good_checksum),
		cmocka_unit_test(test_other_versions_are_passed_over),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_less_room_than_before),
		cmocka_unit_test(test_clock_set_back),
	};

	if (argc == 2) {
		write_seeds(argv[1]);
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
