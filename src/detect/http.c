/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plain HTTP as bots speak it: to an address, by a program that does not say what it is, one path posted to again and again without
 * ever being looked at, paths that are data. Each is weak and many honest programs do one of them; together they count. Nothing
 * is said of peers that everybody knows.
 */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/time.h"
#include "detect/detectors.h"
#include "detect/places.h"
#include "detect/popular.h"
#include "detect/regularity.h"
#include "detect/say.h"

#define MAX_PAIRS 16384
#define LONG_PATH 64
#define POSTS_LEAST 3
#define POSTED 4
#define GAPS 16
#define MERGE 0.05 /* posts closer together than this share of the median are one, as in `beacon` */

struct http_pair {
	struct list lru;
	struct pair *pair;
	uint32_t requests, posts;
	struct {
		uint64_t path; /* hash */
		uint32_t n;
		bool scripted; /* it is a script's */
		uint64_t last_ns;
		float gaps[GAPS]; /* seconds between posts, the latest of them */
	} posted[POSTED];         /* where posts went; the least used one makes room */
	uint32_t data_paths;      /* distinct ones that are long and look like data */
	uint64_t last_data_path;  /* hash */
};

struct http_watch {
	struct pool pairs;
	struct list lru;
	uint64_t evicted;
};

static int start(struct detect *d)
{
	struct http_watch *w = d->http = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	pool_init(&w->pairs, sizeof(struct http_pair), MAX_PAIRS);
	list_init(&w->lru);
	return 0;
}

static void stop(struct detect *d)
{
	if (d->http)
		pool_done(&d->http->pairs);
	free(d->http);
	d->http = NULL;
}

static void forget(struct detect *d, struct pair *p)
{
	if (!p->http || !d->http)
		return;
	list_del(&p->http->lru);
	pool_put(&d->http->pairs, p->http);
	p->http = NULL;
}

/* Of the idlest few the one with the least: what came once goes before what comes back. */
static void evict(struct detect *d)
{
	struct http_pair *worst = NULL;
	int seen = 0;

	list_for_each(it, &d->http->lru) {
		struct http_pair *h = container_of(it, struct http_pair, lru);

		if (!worst || h->requests < worst->requests)
			worst = h;
		if (++seen == 8)
			break;
	}
	if (!worst)
		return;
	forget(d, worst->pair);
	d->http->evicted++;
}

static struct http_pair *state_of(struct detect *d, struct pair *p)
{
	struct http_watch *w = d->http;

	if (!p->http) {
		if (w->pairs.used >= w->pairs.max)
			evict(d);
		p->http = pool_get(&w->pairs);
		if (!p->http)
			return NULL;
		p->http->pair = p;
		list_init(&p->http->lru);
	}
	list_del(&p->http->lru);
	list_push_back(&w->lru, &p->http->lru);
	return p->http;
}

static void say(struct detect *d, struct sighting *s, const struct flow *f, enum evidence_id id,
		int db, uint64_t n, const char *what, const char *baseline)
{
	if (was_said(s->pair, id, db ? db : evidence_rows[id].most))
		return;
	detect_evidence(
		d, s->pair, id,
		&(struct evidence_in){
			.db = db, .n = n, .flow_id = f->id, .what = what, .baseline = baseline });
}

/* --- what a request says -------------------------------------------------------------------------------------------- */

static bool is_post(const struct http_request *q)
{
	return str_eq(q->method, STR("POST")) || str_eq(q->method, STR("PUT"));
}

/* Tools and libraries, told by how their own words begin. */
static bool is_tool(struct str agent)
{
	static const char *const tools[] = { "curl/",
					     "Wget/",
					     "python-requests/",
					     "Python-urllib/",
					     "Go-http-client/",
					     "Java/",
					     "libwww-perl/",
					     "WinHTTP",
					     "Mozilla/4.0",
					     "AutoIt",
					     "NetSupport",
					     "PowerShell",
					     "Mozilla/3.0",
					     "Ruby",
					     "aiohttp",
					     "node-fetch",
					     "Embarcadero",
					     "Microsoft Internet Explorer" };

	for (size_t i = 0; i < ARRAY_SIZE(tools); i++)
		if (str_has_prefix_nocase(agent, str_of(tools[i])))
			return true;
	return false;
}

static bool is_script(struct str path)
{
	static const char *const ends[] = { ".php", ".asp", ".aspx", ".jsp", ".cgi", ".htm" };

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		struct str end = str_of(ends[i]);

		if (path.n > end.n && str_eq_nocase(str_sub(path, path.n - end.n, end.n), end))
			return true;
	}
	return false;
}

/* The path of an origin-form or absolute-form target, without its query. */
static struct str path_of(struct str url)
{
	struct str scheme = STR("http://");
	const char *at;

	if (str_has_prefix_nocase(url, scheme)) {
		url = str_sub(url, scheme.n, url.n);
		at = memchr(url.p, '/', url.n);
		url = at ? str_sub(url, (size_t)(at - url.p), url.n) : STR_NONE;
	}
	at = url.n ? memchr(url.p, '?', url.n) : NULL;
	return at ? str_sub(url, 0, (size_t)(at - url.p)) : url;
}

/* A question whether a certificate still holds is DER in base 64 (RFC 6960 A.1): a sequence of less than 128 bytes. */
static bool is_ocsp(struct str path)
{
	return memmem(path.p, path.n, "/MF", 3) || memmem(path.p, path.n, "/ME", 3);
}

/*
 * Data in base 64 put into a path: long, upper and lower case and digits throughout, few words' signs. What is cut into pieces with
 * slashes to look like folders counts as one; hexadecimal digests, as downloads have them, have one case only.
 */
static bool is_data(struct str path, bool *ret_escaped)
{
	size_t upper = 0, lower = 0, digits = 0, others = 0, turns = 0;
	int last = 0;

	*ret_escaped = false;
	if (path.n < LONG_PATH || is_ocsp(path))
		return false;
	for (size_t i = 0; i < path.n; i++) {
		unsigned char c = (unsigned char)path.p[i];
		int kind = isupper(c) ? 1 : islower(c) ? 2 : isdigit(c) ? 3 : 0;

		upper += kind == 1;
		lower += kind == 2;
		digits += kind == 3;
		others += !kind && c != '/' && c != '_' && c != '+' && c != '=' && c != '%';
		turns += kind && last && kind != last;
		last = kind;
		if (c == '_' && i + 2 < path.n && path.p[i + 1] == '2' &&
		    (path.p[i + 2] == 'B' || path.p[i + 2] == 'F'))
			*ret_escaped =
				true; /* '+' and '/', escaped by something that is no browser */
	}
	/* Of random letters of base 64 six of ten neighbours are of different kinds; of words one of ten. */
	return upper * 8 > path.n && lower * 8 > path.n && digits * 16 > path.n &&
	       others * 16 < path.n && turns * 3 > path.n;
}

/* --- evidence ------------------------------------------------------------------------------------------------------- */

static void to_address(struct detect *d, struct sighting *s, const struct flow *f,
		       const struct http_request *q)
{
	bool public = is_outside(f);
	char what[128];
	int db;

	if (f->name || network_owner(&f->key.dst))
		return;
	db = (public ? 4 : 2) + (is_post(q) ? 2 : 0) +
	     (port_is_home(APP_HTTP, f->key.dport) ? 0 : 2);
	snprintf(what, sizeof(what), "HTTP %.*s to an address, on port %u",
		 (int)MIN(q->method.n, (size_t)16), q->method.p, f->key.dport);
	say(d, s, f, E_HTTP_ADDRESS, MIN(db, (int)evidence_rows[E_HTTP_ADDRESS].most), 1, what,
	    NULL);
}

static void agent(struct detect *d, struct sighting *s, const struct flow *f,
		  const struct http_request *q)
{
	char what[128];

	if (!q->user_agent.n) {
		say(d, s, f, E_HTTP_AGENT, is_post(q) || !f->name ? 4 : 2, 1,
		    "its requests do not say what program they are from", NULL);
		return;
	}
	/* On a host the program is known better than by its own words. */
	if (s->pair->entity->is_program || !is_tool(q->user_agent) || !(is_post(q) || !f->name))
		return;
	snprintf(what, sizeof(what), "its requests are from \"%.*s\"",
		 (int)MIN(q->user_agent.n, (size_t)80), q->user_agent.p);
	say(d, s, f, E_HTTP_AGENT, 3, 1, what, "no browser");
}

static void count_post(struct http_pair *h, uint64_t path, bool scripted, uint64_t now_ns)
{
	size_t at = 0;

	h->posts++;
	for (size_t i = 0; i < POSTED; i++) {
		if (h->posted[i].n && h->posted[i].path == path) {
			h->posted[i].gaps[(h->posted[i].n++ - 1) % GAPS] =
				(float)(now_ns - h->posted[i].last_ns) / (float)NSEC_PER_SEC;
			h->posted[i].last_ns = now_ns;
			return;
		}
		if (h->posted[i].n < h->posted[at].n)
			at = i;
	}
	h->posted[at].path = path;
	h->posted[at].n = 1;
	h->posted[at].scripted = scripted;
	h->posted[at].last_ns = now_ns;
}

/* Machines of one network ask each other so: UPnP, printers, cameras, hypervisors. */
static bool is_device(struct str path)
{
	static const char *const words[] = { "*/ctl*",   "*control*",  "*upnp*",      "*/evt*",
					     "*event*",  "*/soap*",    "*/ipp*",      "*/wsd*",
					     "*onvif*",  "*/rpc*",     "*/sdk*",      "*/wsman*",
					     "*device*", "*/hnap*",    "*/api/*",     "*/json*",
					     "*_bulk*",  "*/write*",   "*/push*",     "*/v1/*",
					     "*/v2/*",   "*/metrics*", "*collector*", "*/ingest*",
					     "*graphql*" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (str_glob(str_of(words[i]), path))
			return true;
	return false;
}

/* The posts to one path among all else that goes to the peer: a stream of its own for the test of `beacon`. */
static void keeps_time(struct detect *d, struct sighting *s, const struct flow *f,
		       const struct http_pair *h, size_t at)
{
	size_t n = MIN(h->posted[at].n - 1, (uint32_t)GAPS);
	char what[128], baseline[128], every[TIME_TEXT_MAX];
	double gaps[GAPS], merge_s = 1;
	struct regularity r;
	int db;

	for (int pass = 0; pass < 2; pass++) {
		size_t kept = 0;

		for (size_t i = 0; i < n; i++)
			if (h->posted[at].gaps[i] > merge_s)
				gaps[kept++] = h->posted[at].gaps[i];
		if (!regularity(gaps, kept, merge_s, &r))
			return;
		merge_s = fmax(1, MERGE * r.median_s);
	}
	db = MIN(regularity_weight(r.log10_p), (int)evidence_rows[E_HTTP_REGULAR].most);
	if (db <= 0)
		return;
	snprintf(what, sizeof(what), "%zu posts to one path every %s ± %.0f %%",
		 r.gaps + r.breaks + 1,
		 duration_format((uint64_t)(r.median_s * NSEC_PER_SEC), every), 100 * r.jitter);
	snprintf(baseline, sizeof(baseline), "traffic at random times this regular: p = 1e%.0f",
		 fmax(r.log10_p, -99));
	say(d, s, f, E_HTTP_REGULAR, db, r.gaps, what, baseline);
}

/* Whoever browses looks before he posts, and posts to more than one place. */
static void gate(struct detect *d, struct sighting *s, const struct flow *f,
		 const struct http_pair *h)
{
	char what[128];
	size_t at = 0;
	int db;

	for (size_t i = 1; i < POSTED; i++)
		if (h->posted[i].n > h->posted[at].n)
			at = i;
	if (h->posted[at].n < POSTS_LEAST || h->posts * 10 < h->requests * 8 ||
	    h->posted[at].n * 10 < h->posts * 7)
		return;
	db = 4 + (h->posted[at].scripted ? 2 : 0) + (h->posted[at].n >= 8 ? 4 : 0) +
	     (f->name ? 0 : 2);
	db = MIN(db, (int)evidence_rows[E_HTTP_GATE].most);
	snprintf(what, sizeof(what), "%u of its %u requests post to one path%s", h->posted[at].n,
		 h->requests, h->posted[at].scripted ? ", a script's" : "");
	say(d, s, f, E_HTTP_GATE, db, h->posted[at].n, what,
	    "people look at pages before they post");
	keeps_time(d, s, f, h, at);
}

static void data_path(struct detect *d, struct sighting *s, const struct flow *f,
		      struct http_pair *h, struct str path)
{
	uint64_t hash = hash_bytes(path.p, path.n, d->seed);
	bool escaped;
	char what[128];
	int db;

	if (!is_data(path, &escaped) || hash == h->last_data_path)
		return;
	h->last_data_path = hash;
	h->data_paths++;
	if (h->data_paths < 2 && !escaped)
		return;
	snprintf(what, sizeof(what), "%u paths are data in letters, like %.40s…", h->data_paths,
		 path.p);
	db = escaped ? (h->data_paths >= 3 ? 0 : 10) : h->data_paths >= 4 ? 6 : 4;
	say(d, s, f, E_HTTP_PATH, db, h->data_paths, what, NULL);
}

/* Systems ask of themselves whether certificates hold (RFC 6960), at servers of every authority there is. */
static bool is_about_certificates(struct str type)
{
	return str_has_prefix_nocase(type, STR("application/ocsp")) ||
	       str_has_prefix_nocase(type, STR("application/pkix"));
}

static void record(struct detect *d, struct sighting *s, const struct record *r)
{
	const struct http_request *q;
	const struct flow *f = r->flow;
	struct http_pair *h;
	struct str path;
	uint64_t hash;

	if (r->type != RECORD_HTTP || !s || !s->pair || s->pair->peer->fame != FAME_NONE)
		return;
	q = &r->http->request;
	if (!q->method.n || str_eq(q->method, STR("CONNECT")) ||
	    (r->http->response && is_about_certificates(r->http->response->content_type)))
		return;
	h = state_of(d, s->pair);
	if (!h)
		return;
	path = path_of(q->url);
	hash = hash_bytes(path.p, path.n, d->seed);
	h->requests++;
	if (is_post(q) && (is_outside(f) || !is_device(path)))
		count_post(h, hash, is_script(path), d->now_ns);
	to_address(d, s, f, q);
	agent(d, s, f, q);
	gate(d, s, f, h);
	data_path(d, s, f, h, path);
}

static size_t memory(const struct detect *d)
{
	return pool_bytes(&d->http->pairs);
}

const struct detector detect_http = {
	.name = "http",
	.start = start,
	.stop = stop,
	.record = record,
	.forget = forget,
	.memory = memory,
};
