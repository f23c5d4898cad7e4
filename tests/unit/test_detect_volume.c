/* SPDX-License-Identifier: Apache-2.0 */
/* Flows made by hand go through the whole of detection; what is said of them at the end is looked at. */
#include "test.h"

#include <errno.h>
#include <math.h>
#include <netinet/in.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/time.h"
#include "detect/detectors.h"
#include "detect/dossier.h"
#include "detect/volume.h"
#include "flow/record.h"

#define T0 (1704067200 * NSEC_PER_SEC) /* 2024-01-01, a Monday */
#define SECOND NSEC_PER_SEC
#define HOUR (3600 * SECOND)
#define DAY (24 * HOUR)
#define MB 1000000ULL
#define ME "10.0.0.7"

struct heard {
	size_t n;
	enum severity severity;
	enum finding_class class;
	char entity[256], peer[256];
	int db[EVIDENCE_COUNT];
	double measured[EVIDENCE_COUNT];
	char baseline[EVIDENCE_COUNT][128];
};

struct rig {
	struct intern *texts;
	struct detect *d;
	struct heard told;
	uint64_t id;
};

static void take(struct heard *h, const struct finding *f)
{
	h->n++;
	h->severity = f->severity;
	h->class = f->class;
	snprintf(h->entity, sizeof(h->entity), "%.*s", STR_FMT(f->entity));
	snprintf(h->peer, sizeof(h->peer), "%.*s", STR_FMT(f->peer));
	for (size_t i = 0; i < f->n_evidence; i++) {
		h->db[f->evidence[i].id] = f->evidence[i].db;
		h->measured[f->evidence[i].id] = f->evidence[i].measured;
		snprintf(h->baseline[f->evidence[i].id], 128, "%s", f->evidence[i].baseline);
	}
}

static void on_told(void *ctx, const struct finding *f)
{
	if (getenv("VOLUME_TEST_SHOW"))
		print_message("%.*s\n", STR_FMT(f->explain));
	if (f->severity >= SEVERITY_MEDIUM && f->state != FINDING_CLOSED)
		take(&((struct rig *)ctx)->told, f);
}

static void begin(struct rig *g, enum detect_vantage vantage)
{
	*g = (struct rig){ 0 };
	assert_ok(intern_new(&g->texts, 400000));
	assert_ok(detect_new(&g->d,
			     &(struct detect_config){ .vantage = vantage, .texts = g->texts },
			     (struct finding_out){ on_told, g }));
	detect_tick(g->d, T0);
}

static void end(struct rig *g)
{
	g->d = detect_free(g->d);
	g->texts = intern_free(g->texts);
}

/* All that is said of a peer, however little. */
static struct heard said_of(struct rig *g, const char *peer)
{
	struct pair *p = NULL;
	struct heard h = { 0 };

	list_for_each(it, &g->d->pair_lru) {
		struct pair *one = container_of(it, struct pair, lru);
		char text[256];

		if (str_eq(peer_label(one->peer, text), str_of(peer)))
			p = one;
	}
	if (p && p->dossier) {
		struct weighed w;

		fusion_weigh(g->d, p, &w);
		take(&h, &(struct finding){ .severity = w.severity,
					    .class = w.class,
					    .evidence = w.lines,
					    .n_evidence = w.n });
	}
	return h;
}

static struct flow flow_to(struct rig *g, const char *name, const char *addr, uint16_t port,
			   enum app_proto app, uint64_t at_ns)
{
	struct flow f = { .id = ++g->id,
			  .start_ns = at_ns,
			  .last_ns = at_ns,
			  .app = app,
			  .direction = FLOW_EGRESS,
			  .payload_known = true };

	assert_ok(addr_parse(STR(ME), &f.key.src));
	assert_ok(addr_parse(str_of(addr), &f.key.dst));
	f.key.sport = 40000;
	f.key.dport = port;
	f.key.proto = IPPROTO_TCP;
	if (name) {
		f.name = intern_get(g->texts, str_of(name));
		f.name_source = NAME_SNI;
	}
	if (app == APP_TLS)
		f.ja4 = intern_get(g->texts, STR("t13d1516h2_8daaf6152771_e5627efa2ab1"));
	return f;
}

static void move(struct rig *g, struct flow *f, enum flow_side side, uint64_t bytes, uint64_t at_ns)
{
	struct flow_watch w = detect_watch(g->d);

	f->half[side].payload += bytes;
	f->last_ns = MAX(f->last_ns, at_ns);
	detect_tick(g->d, at_ns);
	w.on_data(w.ctx, f, side, bytes, at_ns);
}

static void over(struct rig *g, struct flow *f)
{
	detect_record(g->d, &(struct record){ .type = RECORD_FLOW,
					      .time_ns = f->last_ns,
					      .flow = f,
					      .flow_ends = true });
	intern_put(g->texts, f->name);
	intern_put(g->texts, f->ja4);
}

/* A live flow that sends so much within so long, without a pause. */
static void sends(struct rig *g, struct proc *by, const char *name, const char *addr,
		  uint64_t at_ns, uint64_t took_ns, uint64_t up, uint64_t down)
{
	struct flow f = flow_to(g, name, addr, 443, APP_TLS, at_ns);
	uint64_t steps = took_ns / SECOND * 2 + 1;

	f.proc = by;
	for (uint64_t i = 0; i < steps; i++) {
		move(g, &f, TO_SERVER, up / steps, at_ns + i * took_ns / steps);
		move(g, &f, TO_CLIENT, down / steps, at_ns + i * took_ns / steps);
	}
	over(g, &f);
}

/* A flow of a log: it comes when it is over. */
static void logged(struct rig *g, const char *name, const char *addr, uint64_t at_ns,
		   uint64_t took_ns, uint64_t up, uint64_t down)
{
	struct flow f = flow_to(g, name, addr, 443, APP_TLS, at_ns);

	f.last_ns = at_ns + took_ns;
	f.half[TO_SERVER].payload = up;
	f.half[TO_CLIENT].payload = down;
	over(g, &f);
}

/* Sites in no order, at no fixed minute: what people do. */
static void browse(struct rig *g, uint64_t from_ns, unsigned days)
{
	uint32_t dice = (uint32_t)(from_ns / DAY) | 1;

	for (unsigned hour = 0; hour < days * 24; hour++) {
		char name[64], addr[ADDR_TEXT_MAX];
		uint32_t site, minute;

		dice = dice * 1664525 + 1013904223;
		site = (dice >> 16) % 40;
		minute = (dice >> 8) % 55;
		snprintf(name, sizeof(name), "site-%u.example", site);
		snprintf(addr, sizeof(addr), "198.18.0.%u", site + 1);
		sends(g, NULL, name, addr, from_ns + hour * HOUR + minute * 60 * SECOND,
		      60 * SECOND, 100000 + dice % 200000, 3 * MB);
	}
}

/* --- amounts -------------------------------------------------------------------------------------------------------- */

static void an_upload_to_a_new_peer(void **state)
{
	struct rig g;

	begin(&g, DETECT_FILE);
	browse(&g, T0, 10);
	sends(&g, NULL, "drop.example", "198.19.0.1", T0 + 10 * DAY, HOUR / 2, 60 * MB, MB);
	detect_finish(g.d, T0 + 10 * DAY + HOUR);
	assert_int_equal(g.told.n, 1);
	assert_string_equal(g.told.peer, "drop.example");
	assert_string_equal(g.told.entity, ME);
	assert_int_equal(g.told.class, CLASS_EXFIL);
	assert_true(g.told.db[E_BURST] >= 19);
	assert_true(g.told.db[E_NEW_UPLOAD] >= 19);
	assert_true(g.told.measured[E_BURST] > 55e6 && g.told.measured[E_BURST] < 62e6);
	end(&g);
}

/* As much comes as goes, or it is a call, or it stays inside. */
static void what_is_no_upload(void **state)
{
	struct flow f;
	struct rig g;

	begin(&g, DETECT_FILE);
	browse(&g, T0, 10);
	sends(&g, NULL, "meet.example", "198.19.0.1", T0 + 10 * DAY, HOUR / 2, 300 * MB, 280 * MB);
	sends(&g, NULL, "files.example", "10.0.0.9", T0 + 10 * DAY, HOUR / 2, 300 * MB, MB);
	f = flow_to(&g, NULL, "198.19.0.3", 40000, APP_UNKNOWN, T0 + 10 * DAY + HOUR);
	f.key.proto = IPPROTO_UDP;
	for (unsigned i = 0; i < 60; i++)
		move(&g, &f, TO_SERVER, 5 * MB, T0 + 10 * DAY + HOUR + i * 30 * SECOND);
	over(&g, &f);
	detect_finish(g.d, T0 + 11 * DAY);
	assert_int_equal(g.told.n, 0);
	assert_int_equal(said_of(&g, "meet.example").db[E_BURST], 0);
	assert_int_equal(said_of(&g, "files.example").n, 0);
	assert_int_equal(said_of(&g, "198.19.0.3:40000").db[E_BURST], 0);
	end(&g);
}

static void a_drip(void **state)
{
	struct rig g;

	begin(&g, DETECT_FILE);
	browse(&g, T0, 5);
	for (unsigned n = 0; n < 7 * 24; n++) {
		uint64_t at = T0 + 5 * DAY + n * HOUR + n * n * 37 % 50 * 60 * SECOND;

		sends(&g, NULL, "drop.example", "198.19.0.1", at, 20 * SECOND, 1200000, 5000);
		sends(&g, NULL, "site-1.example", "198.18.0.2", at + 60 * SECOND, 20 * SECOND,
		      20000 + n * 37 % 50 * 1000, 500000);
	}
	detect_finish(g.d, T0 + 12 * DAY);
	assert_int_equal(g.told.n, 1);
	assert_string_equal(g.told.peer, "drop.example");
	assert_int_equal(g.told.db[E_DRIP], 20);
	assert_int_equal(g.told.db[E_CHUNKS], 3);
	assert_int_equal(g.told.db[E_BURST], 0);
	end(&g);
}

/* Every night the same, weekends too: from the second night on it is its own measure. */
static void a_backup(void **state)
{
	struct rig g;

	begin(&g, DETECT_FILE);
	for (unsigned day = 0; day < 20; day++) {
		browse(&g, T0 + day * DAY, 1);
		sends(&g, NULL, "vault.example", "198.19.0.1",
		      T0 + day * DAY + 23 * HOUR + 60 * SECOND, HOUR * 3 / 4,
		      (day % 3 + 2) * 500 * MB, MB);
	}
	detect_finish(g.d, T0 + 21 * DAY);
	assert_int_equal(g.told.n, 0);
	assert_int_equal(said_of(&g, "vault.example").db[E_BURST], 0);
	end(&g);
}

/* Eight hours of a log's one flow are not an hour; half an hour of it is. */
static void flows_of_logs_are_spread(void **state)
{
	struct heard h;
	struct rig g;

	begin(&g, DETECT_FILE);
	browse(&g, T0, 4);
	logged(&g, "long.example", "198.19.0.1", T0 + 4 * DAY, 8 * HOUR, 480 * MB, MB);
	h = said_of(&g, "long.example");
	assert_true(h.measured[E_BURST] > 50e6 && h.measured[E_BURST] < 66e6);
	logged(&g, "short.example", "198.19.0.2", T0 + 5 * DAY, HOUR / 2, 160 * MB, MB);
	h = said_of(&g, "short.example");
	assert_true(h.measured[E_BURST] > 130e6 && h.measured[E_BURST] < 165e6);
	/* Centuries are not gone through five minutes at a time, and nothing is lost of them. */
	logged(&g, "endless.example", "198.19.0.3", T0, 3000 * 365 * DAY / 10, 10 * MB, 0);
	assert_int_equal(said_of(&g, "endless.example").db[E_BURST], 0);
	end(&g);
}

/* Nothing to compare with: a lone upload in a recording is no finding, whomever it goes to. */
static void a_short_recording(void **state)
{
	struct heard h;
	struct rig g;

	begin(&g, DETECT_FILE);
	sends(&g, NULL, "upload.youtube.com", "198.19.0.1", T0, HOUR / 2, 900 * MB, 4 * MB);
	detect_finish(g.d, T0 + HOUR);
	assert_int_equal(g.told.n, 0);
	assert_int_equal(said_of(&g, "youtube.com").db[E_BURST], 0);
	end(&g);
	begin(&g, DETECT_FILE);
	sends(&g, NULL, "some.example", "198.19.0.1", T0, HOUR / 2, 900 * MB, 4 * MB);
	detect_finish(g.d, T0 + HOUR);
	assert_int_equal(g.told.n, 0);
	h = said_of(&g, "some.example");
	assert_int_equal(h.db[E_BURST], 14);
	assert_int_equal(h.severity, SEVERITY_LOW);
	end(&g);
}

static void staged_before(void **state)
{
	struct rig g;

	begin(&g, DETECT_FILE);
	browse(&g, T0, 10);
	sends(&g, NULL, NULL, "10.0.0.9", T0 + 10 * DAY, HOUR / 2, MB, 100 * MB);
	sends(&g, NULL, "drop.example", "198.19.0.1", T0 + 10 * DAY + 2 * HOUR, HOUR / 2, 80 * MB,
	      MB);
	assert_int_equal(said_of(&g, "drop.example").db[E_STAGED], 4);
	sends(&g, NULL, "other.example", "198.19.0.2", T0 + 10 * DAY + 9 * HOUR, HOUR / 2, 80 * MB,
	      MB);
	assert_int_equal(said_of(&g, "other.example").db[E_STAGED], 0);
	end(&g);
}

/* --- programs ------------------------------------------------------------------------------------------------------- */

static struct proc program(struct rig *g, const char *exe)
{
	return (struct proc){ .refs = 1000,
			      .pid = 7,
			      .uid = 1000,
			      .exe = intern_get(g->texts, str_of(exe)),
			      .user = intern_get(g->texts, STR("ann")) };
}

static void a_transfer_tool_and_a_browser(void **state)
{
	struct heard h;
	struct rig g;
	struct proc curl, firefox;

	begin(&g, DETECT_HOST);
	curl = program(&g, "/usr/bin/curl");
	firefox = program(&g, "/usr/lib/firefox/firefox");
	browse(&g, T0, 3);
	sends(&g, &curl, "transfer.sh", "198.19.0.1", T0 + 3 * DAY, 60 * SECOND, 70 * MB, 10000);
	sends(&g, &firefox, "gofile.io", "198.19.0.2", T0 + 3 * DAY + HOUR, 60 * SECOND, 5 * MB,
	      10000);
	sends(&g, &curl, "mega.nz", "198.19.0.3", T0 + 3 * DAY + HOUR, 60 * SECOND, 5 * MB, 10000);
	sends(&g, &curl, "mega.io", "198.19.0.4", T0 + 3 * DAY + HOUR, 60 * SECOND, 5 * MB, 10000);
	h = said_of(&g, "transfer.sh");
	assert_int_equal(h.db[E_DESTINATION], 26);
	assert_int_equal(h.db[E_DROP_SITE], 5);
	assert_true(h.severity >= SEVERITY_MEDIUM);
	assert_int_equal(h.class, CLASS_EXFIL);
	assert_int_equal(g.told.n >= 1, 1);
	h = said_of(&g, "gofile.io");
	assert_int_equal(h.db[E_DESTINATION], 0);
	assert_int_equal(h.db[E_DROP_SITE], 0);
	/* The first of its kind to that class, and the second. */
	assert_int_equal(said_of(&g, "mega.nz").db[E_DESTINATION], 16);
	assert_int_equal(said_of(&g, "mega.io").db[E_DESTINATION], 10);
	end(&g);
	/* Where nothing is known yet, the place is enough to make a few megabytes a finding. */
	begin(&g, DETECT_HOST);
	curl = program(&g, "/usr/bin/curl");
	for (int i = 0; i < 8; i++) {
		char exe[32], name[32], addr[32];
		struct proc other;

		snprintf(exe, sizeof(exe), "/usr/bin/tool-%d", i);
		snprintf(name, sizeof(name), "tool-%d.example", i);
		snprintf(addr, sizeof(addr), "198.19.2.%d", i + 1);
		other = program(&g, exe);
		sends(&g, &other, name, addr, T0 + (uint64_t)i * 60 * SECOND, SECOND, 2000, 2000);
	}
	sends(&g, &curl, "transfer.sh", "198.19.0.1", T0 + HOUR, 60 * SECOND, 8 * MB, 10000);
	assert_int_equal(g.told.n >= 1, 1);
	assert_string_equal(g.told.peer, "transfer.sh");
	end(&g);
}

/* --- thieves of passwords ------------------------------------------------------------------------------------------- */

static void look_up(struct rig *g, uint64_t at_ns, bool browser)
{
	struct flow f = flow_to(g, "api.ipify.org", "198.19.1.1", 443, APP_TLS, at_ns);
	struct record_tls tls = { .sni = STR("api.ipify.org") };

	if (browser)
		tls.alpns[tls.n_alpns++] = STR("h2");
	move(g, &f, TO_SERVER, 300, at_ns);
	detect_record(
		g->d,
		&(struct record){ .type = RECORD_TLS, .time_ns = at_ns, .flow = &f, .tls = &tls });
	over(g, &f);
}

static void hand_mail_in(struct rig *g, uint64_t at_ns, bool auth, bool sealed)
{
	struct smtp_envelope m = {
		.helo = STR("PC"), .auth = auth, .data = !sealed, .starttls = sealed
	};
	struct flow f = flow_to(g, "mail.firm.example", "198.19.1.2", 587, APP_SMTP, at_ns);

	move(g, &f, TO_SERVER, 700, at_ns);
	detect_record(
		g->d,
		&(struct record){ .type = RECORD_SMTP, .time_ns = at_ns, .flow = &f, .smtp = &m });
	if (sealed)
		f.ja3 = intern_get(g->texts, STR("771"));
	move(g, &f, TO_SERVER, 700, at_ns + SECOND);
	over(g, &f);
	intern_put(g->texts, f.ja3);
}

static void put_by_ftp(struct rig *g, uint64_t at_ns, bool stores, bool data)
{
	struct flow f = flow_to(g, NULL, "198.19.1.3", 21, APP_FTP, at_ns), file;

	move(g, &f, TO_SERVER, 100, at_ns);
	move(g, &f, TO_CLIENT, 300, at_ns);
	f.stores = stores;
	if (data) {
		file = flow_to(g, NULL, "198.19.1.3", 44523, APP_UNKNOWN, at_ns + SECOND);
		move(g, &file, TO_SERVER, 533, at_ns + SECOND);
		over(g, &file);
	}
	f.last_ns += 2 * SECOND;
	over(g, &f);
}

static void mail_after_a_lookup(void **state)
{
	struct rig g;

	for (int browser = 0; browser < 2; browser++) {
		begin(&g, DETECT_FILE);
		look_up(&g, T0, browser);
		hand_mail_in(&g, T0 + 15 * SECOND, true, false);
		detect_finish(g.d, T0 + 60 * SECOND);
		assert_int_equal(g.told.n, !browser);
		if (!browser) {
			assert_string_equal(g.told.peer, "firm.example");
			assert_int_equal(g.told.class, CLASS_EXFIL);
			assert_int_equal(g.told.db[E_LOOKUP_UPLOAD], 24);
			assert_int_equal(g.told.db[E_MAIL_SENT], 8);
		}
		end(&g);
	}
	/* Encrypted, as people's is; of a machine that reads mail; without a lookup, or two hours after it. */
	for (int i = 0; i < 4; i++) {
		struct flow imap;

		begin(&g, DETECT_FILE);
		if (i != 2)
			look_up(&g, T0, false);
		imap = flow_to(&g, "imap.firm.example", "198.19.1.4", 993, APP_TLS, T0 + SECOND);
		if (i == 1) {
			move(&g, &imap, TO_SERVER, 400, T0 + SECOND);
			over(&g, &imap);
		} else {
			intern_put(g.texts, imap.name);
			intern_put(g.texts, imap.ja4);
		}
		hand_mail_in(&g, T0 + (i == 3 ? 2 * HOUR : 15 * SECOND), i != 0, i == 0);
		detect_finish(g.d, T0 + 3 * HOUR);
		assert_int_equal(said_of(&g, "firm.example").db[E_LOOKUP_UPLOAD], i == 0 ? 20 : 0);
		assert_int_equal(said_of(&g, "firm.example").db[E_MAIL_SENT], i == 0   ? 4
									      : i == 1 ? 0
										       : 8);
		if (i)
			assert_int_equal(g.told.n, 0);
		end(&g);
	}
}

static void ftp_after_a_lookup(void **state)
{
	struct rig g;

	/* The command seen; the command missed, but the file seen; neither: a download. */
	for (int i = 0; i < 3; i++) {
		begin(&g, DETECT_FILE);
		look_up(&g, T0, false);
		put_by_ftp(&g, T0 + 90 * SECOND, i == 0, i <= 1);
		detect_finish(g.d, T0 + HOUR);
		assert_int_equal(g.told.n, i < 2);
		if (i < 2) {
			assert_string_equal(g.told.peer, "198.19.1.3:21");
			assert_int_equal(g.told.db[E_FTP_UPLOAD], 8);
			assert_int_equal(g.told.measured[E_FTP_UPLOAD], 533);
			assert_int_equal(g.told.db[E_LOOKUP_UPLOAD], 24);
		}
		end(&g);
	}
	begin(&g, DETECT_FILE);
	put_by_ftp(&g, T0, true, true);
	detect_finish(g.d, T0 + HOUR);
	assert_int_equal(g.told.n, 0);
	assert_int_equal(said_of(&g, "198.19.1.3:21").db[E_FTP_UPLOAD], 8);
	end(&g);
}

/* --- limits --------------------------------------------------------------------------------------------------------- */

/* A flood of peers, each with enough to have state, beside a slow drip. */
static void a_flood_beside_a_drip(void **state)
{
	struct heard h;
	struct rig g;

	begin(&g, DETECT_FILE);
	browse(&g, T0, 3);
	for (unsigned n = 0; n < 130000; n++) {
		uint64_t at = T0 + 3 * DAY + n * (5 * DAY / 130000);
		char addr[ADDR_TEXT_MAX];

		snprintf(addr, sizeof(addr), "198.18.%u.%u", n / 250 % 250, n % 250 + 1);
		logged(&g, NULL, addr, at, SECOND, 70000 + n / 62500, 1000);
		if (n % 1000 == 0)
			sends(&g, NULL, "drop.example", "198.19.0.1", at, SECOND, 2 * MB, 1000);
	}
	h = said_of(&g, "drop.example");
	assert_int_equal(h.db[E_DRIP], 20);
	assert_true(detect_volume.memory(g.d) <= 50 << 20);
	end(&g);
}

static void sizes(void **state)
{
	assert_true(sizeof(struct volume_pair) * 100000 <= 20000000);
	assert_true((sizeof(struct entity_volume) + sizeof(struct hour_ring)) * 8192 +
			    sizeof(struct entity_volume) * 8192 <=
		    30000000);
}

static void what_is_remembered(void **state)
{
	struct buf file = BUF_INIT(64 << 20);
	struct rig g, h;
	struct heard before, after;

	begin(&g, DETECT_FILE);
	browse(&g, T0, 12);
	sends(&g, NULL, "vault.example", "198.19.0.1", T0 + 12 * DAY, HOUR / 2, 30 * MB, 1000);
	assert_ok(detect_save(g.d, &file));
	begin(&h, DETECT_FILE);
	assert_ok(detect_load(h.d, buf_str(&file)));
	for (int i = 0; i < 2; i++)
		sends(i ? &h : &g, NULL, "vault.example", "198.19.0.1", T0 + 13 * DAY, HOUR / 2,
		      900 * MB, 1000);
	before = said_of(&g, "vault.example");
	after = said_of(&h, "vault.example");
	assert_true(before.db[E_BURST] == 20 && after.db[E_BURST] == 20);
	assert_true(before.baseline[E_BURST][0]);
	assert_string_equal(before.baseline[E_BURST], after.baseline[E_BURST]);
	assert_true(before.db[E_NEW_UPLOAD] > 0);
	assert_int_equal(before.db[E_NEW_UPLOAD], after.db[E_NEW_UPLOAD]);
	assert_true(fabs(before.measured[E_NEW_UPLOAD] / after.measured[E_NEW_UPLOAD] - 1) < 1e-6);
	/* Cut anywhere it is refused or read; nothing is left half done. */
	end(&h);
	for (size_t n = 0; n < file.n; n += file.n / 97 + 1) {
		begin(&h, DETECT_FILE);
		assert_err(detect_load(h.d, (struct str){ file.p, n }), -EBADMSG);
		end(&h);
	}
	end(&g);
	buf_done(&file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_upload_to_a_new_peer),
		cmocka_unit_test(what_is_no_upload),
		cmocka_unit_test(a_drip),
		cmocka_unit_test(a_backup),
		cmocka_unit_test(flows_of_logs_are_spread),
		cmocka_unit_test(a_short_recording),
		cmocka_unit_test(staged_before),
		cmocka_unit_test(a_transfer_tool_and_a_browser),
		cmocka_unit_test(mail_after_a_lookup),
		cmocka_unit_test(ftp_after_a_lookup),
		cmocka_unit_test(a_flood_beside_a_drip),
		cmocka_unit_test(sizes),
		cmocka_unit_test(what_is_remembered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
