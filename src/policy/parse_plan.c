/* SPDX-License-Identifier: Apache-2.0 */
/* Definitions of times, prices, budgets, responses and links. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/time.h"
#include "policy/parse.h"

#define PRICE_MAX 1000000     /* units of a currency */
#define BUDGET_MAX 1000000000 /* and these */

static const char *const days[] = { "mon", "tue", "wed", "thu", "fri", "sat", "sun", NULL };

static int day_of(struct str s)
{
	for (int i = 0; days[i]; i++)
		if (str_eq_nocase(s, str_of(days[i])))
			return i;
	return -1;
}

/* "mon", "mon-fri", "sat-mon", "daily": bits; 0: none of these. */
static uint8_t parse_days(struct str s)
{
	const char *dash = memchr(s.p, '-', s.n);
	int from, to;
	uint8_t bits = 0;

	if (str_eq(s, STR("daily")))
		return 0x7f;
	from = day_of(dash ? str_sub(s, 0, (size_t)(dash - s.p)) : s);
	to = dash ? day_of(str_sub(s, (size_t)(dash - s.p) + 1, s.n)) : from;
	if (from < 0 || to < 0)
		return 0;
	for (;; from = (from + 1) % 7) {
		bits |= (uint8_t)(1U << from);
		if (from == to)
			return bits;
	}
}

/* "08:00" to minutes; 24:00 is the end of the day; -1. */
static int parse_minute(struct str s)
{
	uint64_t hour, minute;

	if (s.n != 5 || s.p[2] != ':' || str_parse_u64(str_sub(s, 0, 2), &hour) < 0 ||
	    str_parse_u64(str_sub(s, 3, 2), &minute) < 0 || minute > 59 ||
	    hour * 60 + minute > 1440)
		return -1;
	return (int)(hour * 60 + minute);
}

static bool parse_hours(struct str s, struct schedule_part *part)
{
	const char *dash = memchr(s.p, '-', s.n);
	int from, to;

	if (!dash)
		return false;
	from = parse_minute(str_sub(s, 0, (size_t)(dash - s.p)));
	to = parse_minute(str_sub(s, (size_t)(dash - s.p) + 1, s.n));
	if (from < 0 || to < 0 || from == 1440)
		return false;
	part->from_min = (uint16_t)from;
	part->to_min = (uint16_t)to;
	return true;
}

static void take_hours(struct parser *p, struct schedule_part *part)
{
	struct lex_token t = p->tok;
	bool ok = t.kind == LEX_WORD && parse_hours(t.text, part);

	if (!ok)
		mistake(p, &t,
			"hours are expected here\nas 08:00-18:00; the whole day is 00:00-24:00");
	else if (part->from_min == part->to_min)
		mistake(p, &t, "this is no time at all\nthe whole day is 00:00-24:00");
	else
		*(struct schedule_part *)vec_add(p, &p->parts, sizeof(*part)) = *part;
	if (!at_end(&p->tok))
		next(p);
}

/* Days without hours go with those behind the next comma: "mon, wed 08:00-10:00". */
void parse_schedule(struct parser *p)
{
	struct policy_schedule s = { 0 };
	struct definition d;
	struct schedule_part part = { 0 };

	if (!take_name(p, SYMBOL_SCHEDULE, &p->schedules, sizeof(s), &d))
		return;
	s.name = d.name;
	s.place = d.place;
	do {
		struct lex_token t = p->tok;
		uint8_t bits = t.kind == LEX_WORD ? parse_days(t.text) : 0;

		if (!bits) {
			mistake(p, &t, "days are expected here\nas mon, mon-fri, sat-sun or daily");
			return;
		}
		part.days |= bits;
		next(p);
		if (p->tok.kind == LEX_COMMA)
			continue;
		take_hours(p, &part);
		part = (struct schedule_part){ 0 };
	} while (!p->failed && more_values(p));
	s.parts = vec_take(p, &p->parts, sizeof(part), &s.n_parts);
	define(&d, &s);
}

/* --- price ------------------------------------------------------------------------------------------------------- */

/* "0.0925" of a unit of currency, in 10^-8. */
static bool parse_amount(struct str s, uint64_t most, uint64_t *ret)
{
	struct str whole, part = STR("");
	uint64_t w, f = 0;

	if (!str_cut(&s, '.', &whole) || str_parse_u64(whole, &w) < 0 || w > most)
		return false;
	part = s;
	if (part.n > 8 || (part.n && str_parse_u64(part, &f) < 0))
		return false;
	for (size_t i = part.n; i < 8; i++)
		f *= 10;
	*ret = w * 100000000 + f;
	return true;
}

/* "USD/…": what stands behind the slash is at s.p + 4. */
static bool has_currency(struct str s, char currency[4])
{
	if (s.n < 5 || s.p[3] != '/')
		return false;
	for (int i = 0; i < 3; i++)
		if (s.p[i] < 'A' || s.p[i] > 'Z')
			return false;
	memcpy(currency, s.p, 3);
	return true;
}

/* "USD/GB": the currency, and the size that the amount is for. */
static bool parse_currency(struct str s, char currency[4], uint64_t *ret_bytes)
{
	char one[16];

	if (s.n > 7 || !has_currency(s, currency))
		return false;
	snprintf(one, sizeof(one), "1%.*s", (int)s.n - 4, s.p + 4);
	return parse_size(str_of(one), ret_bytes);
}

/* "100gb" or "100 GB". */
static bool take_loose_size(struct parser *p, uint64_t *ret)
{
	struct lex_token t = p->tok;
	struct lex ahead = p->lex;
	struct lex_token unit = lex_next(&ahead);
	char both[40];

	if (t.kind == LEX_WORD && unit.kind == LEX_WORD && t.text.n < 20 && unit.text.n < 4) {
		snprintf(both, sizeof(both), "%.*s%.*s", STR_FMT(t.text), STR_FMT(unit.text));
		if (parse_size(str_of(both), ret)) {
			next(p);
			next(p);
			return true;
		}
	}
	return take_size(p, ret);
}

static bool take_tier(struct parser *p, struct policy_price *price)
{
	struct price_tier tier = { 0 }, *last = (struct price_tier *)p->parts.p;
	char currency[4] = "";
	uint64_t amount, bytes;

	if (p->tok.kind != LEX_WORD || !parse_amount(p->tok.text, PRICE_MAX, &amount)) {
		mistake(p, &p->tok, "an amount is expected here\nas: 0.09 USD/GB");
		return false;
	}
	next(p);
	if (p->tok.kind != LEX_WORD || !parse_currency(p->tok.text, currency, &bytes)) {
		mistake(p, &p->tok, "a currency and a size are expected here\nas USD/GB or EUR/TB");
		return false;
	}
	if (price->currency[0] && strcmp(price->currency, currency)) {
		mistake(p, &p->tok, "a price has one currency\nthe first is %s", price->currency);
		return false;
	}
	memcpy(price->currency, currency, sizeof(currency));
	tier.microcents = amount;
	tier.per_bytes = bytes;
	next(p);
	if (is_word(&p->tok, "after")) {
		struct lex_token at;

		next(p);
		at = p->tok;
		if (!take_loose_size(p, &tier.after_bytes))
			return false;
		if (p->parts.n && last[p->parts.n - 1].after_bytes >= tier.after_bytes)
			mistake(p, &at, "tiers go up\neach begins after more than the one before");
	} else if (p->parts.n) {
		mistake(p, &p->tok,
			"'after' and a size are expected here\nonly the first tier goes without");
		return false;
	}
	*(struct price_tier *)vec_add(p, &p->parts, sizeof(tier)) = tier;
	return true;
}

/* "internet, set cdn =": what the price is for, kept as it is written. */
static bool take_priced(struct parser *p, struct policy_price *price)
{
	struct symbol *s;

	price->place = place_of(p, &p->tok);
	p->keep = true;
	take_dests(p, IN_PRICE, &price->to, &price->n_to);
	p->keep = false;
	if (p->tok.kind != LEX_EQUALS) {
		if (price->n_to)
			mistake(p, &p->tok,
				"'=' is expected here\nas: price internet = 0.09 USD/GB");
		return false;
	}
	price->name = arena_str(p, buf_str(&p->text));
	next(p);
	s = symbol_at(p, symbol_get(p, SYMBOL_PRICE, price->name));
	if (s->def != POLICY_ANON)
		complain(p, price->place, "error",
			 "the price of '%.*s' is told twice\nfirst in line %u", QUOTED(price->name),
			 s->place.line);
	else if (p->prices.n >= PARSE_DEFINITIONS_MAX)
		complain(p, price->place, "error", "the policy has more than %d prices",
			 PARSE_DEFINITIONS_MAX);
	s->def = (uint32_t)p->prices.n;
	s->place = price->place;
	return true;
}

void parse_price(struct parser *p)
{
	struct policy_price price = { 0 };

	if (!take_priced(p, &price))
		return;
	do {
		if (!take_tier(p, &price))
			return;
	} while (!p->failed && more_values(p));
	price.tiers = vec_take(p, &p->parts, sizeof(struct price_tier), &price.n_tiers);
	*(struct policy_price *)vec_add(p, &p->prices, sizeof(price)) = price;
}

/* --- budget ------------------------------------------------------------------------------------------------------ */

static bool take_budget(struct parser *p, struct policy_budget *b)
{
	uint64_t amount = 0;

	if (p->tok.kind != LEX_WORD || !parse_amount(p->tok.text, BUDGET_MAX, &amount) || !amount) {
		mistake(p, &p->tok,
			"an amount is expected here\nas: 50 USD/month, of 1,000,000,000 at most");
		return false;
	}
	next(p);
	if (p->tok.kind != LEX_WORD || !has_currency(p->tok.text, b->currency) ||
	    !str_eq(str_sub(p->tok.text, 4, p->tok.text.n), STR("month"))) {
		mistake(p, &p->tok,
			"a currency and 'month' are expected here\nas USD/month: prices are over "
			"calendar months, and budgets too");
		return false;
	}
	b->amount = amount * 10;
	next(p);
	return true;
}

/* What `for` names is looked for among the prices when all of them are read: resolve.c. */
void parse_budget(struct parser *p)
{
	struct policy_budget b = { 0 };
	struct definition d;

	buf_clear(&p->text);
	if (!take_name(p, SYMBOL_BUDGET, &p->budgets, sizeof(b), &d) || !take_budget(p, &b))
		return;
	if (take_word(p, "for"))
		take_dests(p, IN_BUDGET, &b.to, &b.n_to);
	b.name = d.name;
	b.place = d.place;
	b.text = arena_str(p, buf_str(&p->text));
	define(&d, &b);
}

/* --- response ---------------------------------------------------------------------------------------------------- */

static bool expect_word(struct parser *p, const char *word, const char *advice)
{
	if (take_word(p, word))
		return true;
	mistake(p, &p->tok, "'%s' is expected here\n%s", word, advice);
	return false;
}

static bool take_least(struct parser *p, struct policy_response *r)
{
	static const char *const levels[] = { "low", "medium", "high", "critical", NULL };
	int level;

	if (!take_word(p, "severity"))
		return true;
	if (!is_word(&p->tok, ">") || (next(p), p->tok.kind != LEX_EQUALS)) {
		mistake(p, &p->tok, "'>=' is expected here\nas: severity >= high");
		return false;
	}
	next(p);
	level = take_choice(p, levels, "low, medium, high or critical");
	r->least = (enum policy_level)(level + 1);
	return level >= 0;
}

void parse_response(struct parser *p)
{
	static const char form[] =
		"on finding CLASS [severity >= LEVEL] deny subject|destination for 1h";
	static const char *const who[] = { "subject", "destination", NULL };
	/* Classes of findings, and detectors: detect/ has them, which comes after this stage; a test compares. */
	static const char *const findings[] = {
		"any",     "c2",    "exfil", "intel",  "policy",    "beacon",
		"channel", "dga",   "dns",   "doh",    "execution", "fingerprint",
		"http",    "icmp",  "mail",  "naming", "p2p",       "polling",
		"rawsock", "shell", "tor",   "volume", NULL,
	};
	struct policy_response r = { 0 };
	struct definition d;
	struct lex_token at;
	int i;

	if (!take_name(p, SYMBOL_RESPONSE, &p->responses, sizeof(r), &d))
		return;
	r.name = d.name;
	r.place = d.place;
	if (!expect_word(p, "on", form) || !expect_word(p, "finding", form))
		return;
	at = p->tok;
	if (take_choice(p, findings,
			"a class of findings (c2, exfil, intel, policy), a detector, or any") < 0)
		return;
	r.finding_class = at.text;
	if (!take_least(p, &r) || !expect_word(p, "deny", form))
		return;
	do {
		i = take_choice(p, who, "'subject' or 'destination'");
		if (i < 0)
			return;
		r.deny_subject |= i == 0;
		r.deny_destination |= i == 1;
	} while (more_values(p));
	if (!expect_word(p, "for", form) || !take_duration(p, &r.for_ns))
		return;
	define(&d, &r);
}

/* --- link -------------------------------------------------------------------------------------------------------- */

#define LINK_LEAST 64000 /* bits a second */
#define LINK_MOST 100000000000

/* There is one direction: what comes in has passed the bottleneck already. */
static bool no_direction(struct parser *p, const struct policy_link *l)
{
	if (!is_word(&p->tok, "up") && !is_word(&p->tok, "down"))
		return true;
	mistake(p, &p->tok,
		"a link has one rate, at which it sends\nwhat comes in has passed the bottleneck: "
		"link "
		"%.*s 100mbit",
		QUOTED(l->interface));
	return false;
}

static void add_link(struct parser *p, const struct policy_link *l)
{
	const struct policy_link *all = (const struct policy_link *)p->links.p;

	for (size_t i = 0; i < p->links.n; i++)
		if (str_eq(all[i].interface, l->interface)) {
			complain(p, l->place, "error",
				 "the link '%.*s' is told twice\nfirst in line %u",
				 QUOTED(l->interface), all[i].place.line);
			return;
		}
	if (p->links.n == POLICY_LINKS_MAX)
		complain(p, l->place, "error", "the policy has more than %d links",
			 POLICY_LINKS_MAX);
	else
		*(struct policy_link *)vec_add(p, &p->links, sizeof(*l)) = *l;
}

void parse_link(struct parser *p)
{
	struct policy_link l = { .place = place_of(p, &p->tok) };
	struct lex_token t;

	if (!take_interface(p, "'link eth0 100mbit'", &l.interface) || !no_direction(p, &l))
		return;
	t = p->tok;
	if (!take_rate(p, &l.bits) || !no_direction(p, &l))
		return;
	if (l.bits < LINK_LEAST || l.bits > LINK_MOST)
		mistake(p, &t, "a link sends between 64kbit and 100gbit, not %.*s", QUOTED(t.text));
	add_link(p, &l);
}
