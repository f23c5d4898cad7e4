/* SPDX-License-Identifier: Apache-2.0 */
/* Questions and answers by hand, and names in the shapes that tunnels and ordinary programs make. */
#pragma once

#include "base/buf.h"
#include "base/cleanup.h"
#include "decode/dns.h"

/* A test uses some of what is here. */
#pragma GCC diagnostic ignored "-Wunused-function"
#include "detect_rig.h"

#define CLIENT 0x0a000005   /* 10.0.0.5 */
#define RESOLVER 0x0a000001 /* 10.0.0.1 */

static uint64_t dice = 88172645463325252ULL;

static uint32_t roll(uint32_t n)
{
	dice ^= dice << 13;
	dice ^= dice >> 7;
	dice ^= dice << 17;
	return (uint32_t)((dice >> 20) % n);
}

/* n characters of an alphabet, a dot after each 60. */
static void put_random(struct buf *b, const char *alphabet, unsigned n)
{
	uint32_t letters = (uint32_t)strlen(alphabet);

	for (unsigned i = 0; i < n; i++) {
		if (i && i % 60 == 0)
			buf_putc(b, '.');
		buf_putc(b, alphabet[roll(letters)]);
	}
}

#define HEX "0123456789abcdef"
#define BASE32 "abcdefghijklmnopqrstuvwxyz234567"
#define WORDS 40

static const char *word(uint32_t i)
{
	static const char *const words[WORDS] = {
		"www",   "mail",   "api",  "cdn",   "static", "img",   "login", "shop",
		"blog",  "news",   "app",  "media", "assets", "video", "files", "docs",
		"admin", "portal", "help", "store", "auth",   "data",  "web",   "test",
		"dev",   "forum",  "wiki", "home",  "search", "maps",  "cloud", "beta",
		"track", "events", "live", "chat",  "mobile", "pay",   "my",    "info"
	};

	return words[i % WORDS];
}

/* One question; what it is answered with. */
struct asked {
	char name[300];
	uint16_t type;
	uint8_t rcode;
	char rdata[300]; /* empty: no answer */
};

static struct dns_message rig_message;

static void rig_dns_message(struct rig *r, struct flow *f, const struct asked *a, bool response,
			    uint64_t now_ns)
{
	struct dns_message *m = &rig_message;

	m->response = response;
	m->opcode = 0;
	m->rcode = response ? a->rcode : 0;
	m->n_questions = 1;
	m->questions[0] = (struct dns_question){ str_of(a->name), a->type, 1 };
	m->n_answers = response && a->rdata[0];
	m->answers[0] = (struct dns_record){ .name = str_of(a->name),
					     .type = a->type,
					     .class = 1,
					     .ttl = 60,
					     .rdata = str_of(a->rdata) };
	m->answers[0].has_addr =
		m->n_answers && addr_parse(str_of(a->rdata), &m->answers[0].addr) == 0;
	detect_record(r->d, &(struct record){
				    .type = RECORD_DNS, .time_ns = now_ns, .flow = f, .dns = m });
}

static void rig_ask(struct rig *r, uint32_t client, uint32_t server, const struct asked *a,
		    uint64_t now_ns)
{
	struct flow f = rig_flow(r, client, server, 53, NULL, now_ns);

	f.key.proto = IPPROTO_UDP;
	f.app = APP_DNS;
	rig_dns_message(r, &f, a, false, now_ns);
	rig_dns_message(r, &f, a, true, now_ns + 20 * NSEC_PER_MSEC);
	rig_end(r, &f, now_ns + 20 * NSEC_PER_MSEC);
}

struct heaviest {
	enum severity severity;
	int score;
	unsigned n; /* of medium and above */
	char peer[256], explain[512];
};

static void on_each(void *ctx, const struct finding *f)
{
	struct heaviest *h = ctx;

	h->n += f->severity >= SEVERITY_MEDIUM;
	if (h->n && f->severity < h->severity)
		return;
	if (h->peer[0] && f->severity == h->severity && f->score_db <= h->score)
		return;
	h->severity = f->severity;
	h->score = f->score_db;
	snprintf(h->peer, sizeof(h->peer), "%.*s", STR_FMT(f->peer));
	snprintf(h->explain, sizeof(h->explain), "%.*s", STR_FMT(f->explain));
}

static struct heaviest rig_heaviest(struct rig *r)
{
	struct heaviest h = { 0 };

	detect_each(r->d, true, (struct finding_out){ on_each, &h });
	return h;
}

/* --- shapes of tunnels ----------------------------------------------------------------------------------------------- */

#define EVIL "evil-domain.net"

static void name_of(struct asked *a, uint16_t type, const struct buf *sub, const char *domain,
		    const char *rdata)
{
	*a = (struct asked){ .type = type };
	snprintf(a->name, sizeof(a->name), "%.*s%s%s", STR_FMT(buf_str(sub)), sub->n ? "." : "",
		 domain);
	snprintf(a->rdata, sizeof(a->rdata), "%s", rdata ? rdata : "");
}

static void tunnel(struct asked *a, uint16_t type, const char *front, const char *alphabet,
		   unsigned n, const char *domain)
{
	_cleanup_buf_ struct buf sub = BUF_INIT(250), down = BUF_INIT(250);

	buf_puts(&sub, front);
	put_random(&sub, alphabet, n);
	put_random(&down, HEX, type == DNS_A ? 0 : 60);
	if (type == DNS_A)
		buf_printf(&down, "198.51.%u.%u", roll(250), roll(250));
	name_of(a, type, &sub, domain, buf_str(&down).p);
}

static void iodine_null(struct asked *a, unsigned i)
{
	tunnel(a, 10, i % 3 ? "p" : "0", BASE32, i % 3 ? 7 : 180, EVIL);
}

static void iodine_txt(struct asked *a, unsigned i)
{
	tunnel(a, DNS_TXT, i % 3 ? "p" : "0", BASE32, i % 3 ? 7 : 180, EVIL);
}

static void iodine_cname(struct asked *a, unsigned i)
{
	tunnel(a, DNS_CNAME, i % 3 ? "p" : "0", BASE32, i % 3 ? 7 : 100, EVIL);
}

static void iodine_mx(struct asked *a, unsigned i)
{
	tunnel(a, DNS_MX, i % 3 ? "p" : "0", BASE32, i % 3 ? 7 : 100, EVIL);
}

static void iodine_a(struct asked *a, unsigned i)
{
	tunnel(a, DNS_A, i % 3 ? "p" : "0", BASE32, i % 3 ? 7 : 180, EVIL);
}

static void iodine_idle(struct asked *a, unsigned i)
{
	(void)i;
	tunnel(a, 10, "pa", BASE32, 6, EVIL);
}

static void dnscat2(struct asked *a, unsigned i)
{
	static const uint16_t types[] = { DNS_TXT, DNS_CNAME, DNS_MX };

	tunnel(a, types[i % 3], "", HEX, i % 4 ? 34 : 200, EVIL);
}

static void dnscat2_idle(struct asked *a, unsigned i)
{
	static const uint16_t types[] = { DNS_TXT, DNS_CNAME, DNS_MX };

	tunnel(a, types[i % 3], "", HEX, 18, EVIL);
}

static void dnscat2_direct(struct asked *a, unsigned i)
{
	_cleanup_buf_ struct buf end = BUF_INIT(80);

	put_random(&end, HEX, 20 + i % 30);
	tunnel(a, DNS_MX, "dnscat.", HEX, 60, buf_str(&end).p);
}

static void dns2tcp_txt(struct asked *a, unsigned i)
{
	tunnel(a, DNS_TXT, "", BASE32, i % 2 ? 12 : 80, "=connect." EVIL);
}

static void dns2tcp_key(struct asked *a, unsigned i)
{
	(void)i;
	tunnel(a, 25, "", BASE32, 14, EVIL);
}

static void ozymandns(struct asked *a, unsigned i)
{
	char domain[80];

	snprintf(domain, sizeof(domain), "%u-%u.id-58213.up.sshdns." EVIL, i, roll(65536));
	tunnel(a, DNS_TXT, "", BASE32, 110, domain);
}

static void dnsexfiltrator(struct asked *a, unsigned i)
{
	char front[16];

	snprintf(front, sizeof(front), "%u.", i);
	tunnel(a, DNS_TXT, front, BASE32, 150, EVIL);
}

static void andiodine(struct asked *a, unsigned i)
{
	(void)i;
	tunnel(a, DNS_MX, "", BASE32, 40, EVIL);
}

/* Data in hexadecimal, A; tasks in TXT with short names that count up. */
static void cobalt_strike(struct asked *a, unsigned i)
{
	char front[40];

	snprintf(front, sizeof(front), "%s1%x%04x.", i % 5 ? "api." : "post.", i, roll(65536));
	if (i % 5)
		tunnel(a, DNS_TXT, front, HEX, 8, EVIL);
	else
		tunnel(a, DNS_A, front, HEX, 56, EVIL);
}

/* Short labels by address look-ups, nothing back. */
static void drip(struct asked *a, unsigned i)
{
	(void)i;
	tunnel(a, DNS_A, "", BASE32, 8, EVIL);
	a->rdata[0] = 0;
	a->rcode = 3;
}

static void made_up_suffix(struct asked *a, unsigned i)
{
	(void)i;
	tunnel(a, DNS_A, "", BASE32, 40, "exfil.local");
}

/* "x.<data>.local": not even the last two labels come back. */
static void made_up_suffixes(struct asked *a, unsigned i)
{
	(void)i;
	tunnel(a, DNS_A, "x.", BASE32, 40, "local");
}

/* --- shapes of ordinary traffic ------------------------------------------------------------------------------------- */

/* A few names of each of many domains. */
static void browsing(struct asked *a, unsigned i)
{
	_cleanup_buf_ struct buf sub = BUF_INIT(80);
	char domain[40];

	snprintf(domain, sizeof(domain), "site%u.com", roll(3000) * roll(3000) / 3000);
	buf_puts(&sub, word(roll(WORDS)));
	name_of(a, i % 4 ? DNS_A : 65, &sub, domain, i % 4 ? "203.0.113.7" : "");
}

static void cdn_hashes(struct asked *a, unsigned i)
{
	_cleanup_buf_ struct buf sub = BUF_INIT(80);

	(void)i;
	buf_printf(&sub, "d%08x%06x", roll(1U << 30), roll(1U << 20));
	name_of(a, DNS_A, &sub, "akamaiedge.net", "203.0.113.7");
}

static void antivirus(struct asked *a, unsigned i)
{
	_cleanup_buf_ struct buf sub = BUF_INIT(120);

	(void)i;
	put_random(&sub, BASE32, 26);
	buf_puts(&sub, ".a-0.19-a3000081.1010083.1644.36be.2f4a.210.0.avqs");
	name_of(a, DNS_A, &sub, "mcafee.com", "127.0.0.4");
}

static void advertising(struct asked *a, unsigned i)
{
	_cleanup_buf_ struct buf sub = BUF_INIT(80);
	char domain[40];

	snprintf(domain, sizeof(domain), "ads%u.com", i % 60);
	put_random(&sub, HEX, 12);
	name_of(a, DNS_A, &sub, domain, "203.0.113.9");
}

static void block_lists(struct asked *a, unsigned i)
{
	static const char *const lists[] = { "zen.spamhaus.org", "bl.spamcop.net",
					     "dnsbl.example-list.net" };
	_cleanup_buf_ struct buf sub = BUF_INIT(80);

	buf_printf(&sub, "%u.%u.%u.%u", roll(256), roll(256), roll(256), roll(224));
	name_of(a, DNS_A, &sub, lists[i % 3], i % 5 ? "" : "127.0.0.2");
	a->rcode = i % 5 ? 3 : 0;
}

static void reverse(struct asked *a, unsigned i)
{
	_cleanup_buf_ struct buf sub = BUF_INIT(80);

	if (i % 2)
		for (int n = 0; n < 32; n++)
			buf_printf(&sub, "%s%x", n ? "." : "", roll(16));
	else
		buf_printf(&sub, "%u.%u.%u.%u", roll(256), roll(256), roll(256), roll(224));
	name_of(a, DNS_PTR, &sub, i % 2 ? "ip6.arpa" : "in-addr.arpa", "host.example.net");
}

/* Of a mail server: keys, policies and addresses of everybody who writes. */
static void mail_policies(struct asked *a, unsigned i)
{
	_cleanup_buf_ struct buf sub = BUF_INIT(120), text = BUF_INIT(290);
	char domain[40];

	snprintf(domain, sizeof(domain), "sender%u.com", roll(400));
	switch (i % 4) {
	case 0:
		buf_printf(&sub, "sel%u._domainkey", roll(3));
		break;
	case 1:
		buf_puts(&sub, "_dmarc");
		break;
	case 2:
		buf_printf(&sub, "%u.%u.%u.%u.has.spfhost", roll(256), roll(256), roll(256),
			   roll(224));
		snprintf(domain, sizeof(domain), "mail-protection.com");
		break;
	default:
		break;
	}
	put_random(&text, BASE32, 250);
	name_of(a, DNS_TXT, &sub, domain, buf_str(&text).p);
}

static void acme(struct asked *a, unsigned i)
{
	_cleanup_buf_ struct buf sub = BUF_INIT(80), text = BUF_INIT(80);

	buf_printf(&sub, "_acme-challenge.%s%u", word(i), i % 200);
	put_random(&text, BASE32, 43);
	name_of(a, DNS_TXT, &sub, "our-company.com", buf_str(&text).p);
}

/* Everything below one domain, each name once, as crawlers and scanners of names do. */
static void crawler(struct asked *a, unsigned i)
{
	_cleanup_buf_ struct buf sub = BUF_INIT(80);

	buf_printf(&sub, "%s-%s%u", word(i), word(roll(WORDS)), roll(100));
	name_of(a, DNS_A, &sub, "customers-of-somebody.com", "203.0.113.7");
}

/* Short labels of data: four characters. */
static void drip_short(struct asked *a, unsigned i)
{
	(void)i;
	tunnel(a, DNS_A, "", BASE32, 4, EVIL);
}

/* An inventory: the same machines again and again, inside. */
static void inventory(struct asked *a, unsigned i)
{
	_cleanup_buf_ struct buf sub = BUF_INIT(80);

	buf_printf(&sub, "%s-%03u.prod.dc1", word(i / 40), i % 400);
	name_of(a, i & 1 ? DNS_A : DNS_A, &sub, "corp.internal", "10.20.30.40");
}
