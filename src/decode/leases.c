/* SPDX-License-Identifier: Apache-2.0 */
#include "decode/leases.h"

#include <errno.h>

#include "base/cleanup.h"

#define FIELDS_MAX 32
#define LABEL_MAX 63

struct reader {
	void (*fn)(void *ctx, const struct lease *lease);
	void *ctx;
	char name[HOST_NAME_MAX_BYTES];
};

/* ---- words ---- */

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/* What looks like an address could pass for somebody else's. */
static bool ends_in_number(const char *name, size_t n)
{
	size_t at = n;

	while (at && name[at - 1] >= '0' && name[at - 1] <= '9')
		at--;
	return at && at < n && name[at - 1] == '.';
}

size_t host_name_copy(struct str s, char *ret)
{
	size_t label = 0;

	if (s.n && s.p[s.n - 1] == '.')
		s.n--;
	if (!s.n || s.n > HOST_NAME_MAX_BYTES)
		return 0;
	for (size_t i = 0; i < s.n; i++) {
		char c = lower(s.p[i]), before = i ? ret[i - 1] : '.';

		if (c == '.' ? before == '.' || before == '-'
			     : !is_alnum(c) && (c != '-' || before == '.'))
			return 0;
		label = c == '.' ? 0 : label + 1;
		if (label > LABEL_MAX)
			return 0;
		ret[i] = c;
	}
	return !is_alnum(ret[s.n - 1]) || ends_in_number(ret, s.n) ? 0 : s.n;
}

static int hex_of(char c)
{
	c = lower(c);
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int mac_parse(struct str s, uint8_t ret[MAC_BYTES])
{
	if (s.n != MAC_TEXT_MAX - 1)
		return -EINVAL;
	for (size_t i = 0; i < MAC_BYTES; i++) {
		int high = hex_of(s.p[3 * i]), low = hex_of(s.p[3 * i + 1]);

		if (high < 0 || low < 0 || (i + 1 < MAC_BYTES && s.p[3 * i + 2] != ':'))
			return -EINVAL;
		ret[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

char *mac_format(const uint8_t mac[MAC_BYTES], char text[MAC_TEXT_MAX])
{
	static const char hex[] = "0123456789abcdef";

	for (size_t i = 0; i < MAC_BYTES; i++) {
		text[3 * i] = hex[mac[i] >> 4];
		text[3 * i + 1] = hex[mac[i] & 15];
		text[3 * i + 2] = i + 1 < MAC_BYTES ? ':' : 0;
	}
	return text;
}

/* The next word of a line, without blanks around it. */
static struct str word(struct str *line)
{
	struct str w;

	while (str_cut(line, ' ', &w)) {
		w = str_trim(w);
		if (w.n)
			return w;
	}
	return STR_NONE;
}

static void set_name(struct reader *r, struct lease *l, struct str name)
{
	l->name = (struct str){ r->name, host_name_copy(name, r->name) };
}

static void set_mac(struct lease *l, struct str mac)
{
	l->has_mac = mac_parse(mac, l->mac) == 0;
}

/* ---- dnsmasq ---- */

static void dnsmasq_line(struct reader *r, struct str line)
{
	struct lease l = { 0 };
	struct str expiry = word(&line), mac = word(&line), addr = word(&line);
	uint64_t number;

	if (str_parse_u64(expiry, &number) < 0 || addr_parse(addr, &l.addr) < 0)
		return;
	set_mac(&l, mac);
	set_name(r, &l, word(&line)); /* "*" is no host name */
	r->fn(r->ctx, &l);
}

/* ---- Kea ---- */

struct columns {
	int addr, mac, name, state, lifetime; /* -1: not there */
};

static size_t split(struct str line, struct str ret[FIELDS_MAX])
{
	size_t n = 0;

	while (n < FIELDS_MAX && str_cut(&line, ',', &ret[n])) {
		ret[n] = str_trim(ret[n]);
		n++;
	}
	return n;
}

static struct columns kea_head(struct str line)
{
	struct columns c = { -1, -1, -1, -1, -1 };
	const struct {
		const char *name;
		int *at;
	} known[] = { { "address", &c.addr },
		      { "hwaddr", &c.mac },
		      { "hostname", &c.name },
		      { "state", &c.state },
		      { "valid_lifetime", &c.lifetime } };
	struct str fields[FIELDS_MAX];
	size_t n = split(line, fields);

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < ARRAY_SIZE(known); k++)
			if (str_eq(fields[i], str_of(known[k].name)))
				*known[k].at = (int)i;
	return c;
}

static struct str field(const struct str fields[FIELDS_MAX], size_t n, int at)
{
	return at >= 0 && (size_t)at < n ? fields[at] : STR_NONE;
}

/* State 0 is in use; a lifetime of 0 marks what was deleted. */
static void kea_line(struct reader *r, const struct columns *c, struct str line)
{
	struct str fields[FIELDS_MAX], state;
	size_t n = split(line, fields);
	struct lease l = { 0 };

	if (addr_parse(field(fields, n, c->addr), &l.addr) < 0)
		return;
	state = field(fields, n, c->state);
	l.over = (state.n && !str_eq(state, STR("0"))) ||
		 str_eq(field(fields, n, c->lifetime), STR("0"));
	set_mac(&l, field(fields, n, c->mac));
	set_name(r, &l, field(fields, n, c->name));
	r->fn(r->ctx, &l);
}

/* ---- ISC ---- */

static struct str unquoted(struct str s)
{
	if (s.n && s.p[s.n - 1] == ';')
		s.n--;
	return s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"' ? str_sub(s, 1, s.n - 2) : s;
}

static void isc_statement(struct reader *r, struct lease *l, struct str line)
{
	struct str first = word(&line), second = word(&line);

	if (str_eq(first, STR("hardware")) && str_eq(second, STR("ethernet")))
		set_mac(l, unquoted(word(&line)));
	else if (str_eq(first, STR("client-hostname")))
		set_name(r, l, unquoted(second));
	else if (str_eq(first, STR("binding")) && str_eq(second, STR("state")))
		l->over = !str_eq(unquoted(word(&line)), STR("active"));
}

/* The rest of "lease ADDRESS {", to the line with its "}". One that is not closed is still being written. */
static void isc_lease(struct reader *r, struct str head, struct str *text)
{
	struct lease l = { 0 };
	struct str line;

	if (addr_parse(word(&head), &l.addr) < 0)
		return;
	while (str_cut(text, '\n', &line)) {
		line = str_trim(line);
		if (str_eq(line, STR("}"))) {
			r->fn(r->ctx, &l);
			return;
		}
		isc_statement(r, &l, line);
	}
}

void leases_parse(struct str text, void (*fn)(void *ctx, const struct lease *lease), void *ctx)
{
	struct reader r = { .fn = fn, .ctx = ctx };
	struct columns columns = { .addr = -1 };
	struct str line;

	while (str_cut(&text, '\n', &line)) {
		line = str_trim(line);
		if (str_has_prefix(line, STR("address,")))
			columns = kea_head(line);
		else if (columns.addr >= 0)
			kea_line(&r, &columns, line);
		else if (str_has_prefix(line, STR("lease ")))
			isc_lease(&r, str_sub(line, 6, line.n), &text);
		else
			dnsmasq_line(&r, line);
	}
}
