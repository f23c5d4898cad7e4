/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/dns_info.h"

#include <math.h>
#include <string.h>

#include "base/cleanup.h"

void dns_sample_clear(struct dns_sample *s)
{
	s->below = UINT32_MAX;
	s->n = 0;
}

static int find(const struct dns_sample *s, uint32_t hash)
{
	for (int i = 0; i < s->n; i++)
		if (s->hash[i] == hash)
			return i;
	return -1;
}

static void drop(struct dns_sample *s, int i)
{
	s->n--;
	s->hash[i] = s->hash[s->n];
	s->bytes[i] = s->bytes[s->n];
	s->traits[i] = s->traits[s->n];
}

bool dns_sample_add(struct dns_sample *s, uint32_t hash, uint8_t bytes, uint8_t traits)
{
	int i, greatest = 0;

	if (hash >= s->below)
		return false;
	i = find(s, hash);
	if (i >= 0) {
		s->traits[i] |= traits;
		return false;
	}
	if (s->n == DNS_SAMPLE) {
		for (i = 1; i < DNS_SAMPLE; i++)
			if (s->hash[i] > s->hash[greatest])
				greatest = i;
		s->below = MAX(hash, s->hash[greatest]);
		if (hash == s->below)
			return false;
		drop(s, greatest);
	}
	s->hash[s->n] = hash;
	s->bytes[s->n] = bytes;
	s->traits[s->n] = traits;
	s->n++;
	return true;
}

bool dns_sample_mark(struct dns_sample *s, uint32_t hash, uint8_t traits)
{
	int i = hash < s->below ? find(s, hash) : -1;

	if (i < 0)
		return false;
	s->traits[i] |= traits;
	return true;
}

/* The threshold stays: what is kept still stands for all below it. */
bool dns_sample_remove(struct dns_sample *s, uint32_t hash)
{
	int i = hash < s->below ? find(s, hash) : -1;

	if (i < 0)
		return false;
	drop(s, i);
	return true;
}

void dns_sample_merge(struct dns_sample *into, const struct dns_sample *from)
{
	into->below = MIN(into->below, from->below);
	for (int i = into->n - 1; i >= 0; i--)
		if (into->hash[i] >= into->below)
			drop(into, i);
	for (int i = 0; i < from->n; i++)
		dns_sample_add(into, from->hash[i], from->bytes[i], from->traits[i]);
}

void dns_sample_total(const struct dns_sample *s, struct dns_total *ret)
{
	double each = s->below == UINT32_MAX ? 1 : 4294967296.0 / s->below;

	*ret = (struct dns_total){ 0 };
	for (int i = 0; i < s->n; i++) {
		ret->bytes += s->bytes[i];
		for (int b = 0; b < 8; b++)
			ret->share[b] += s->traits[i] >> b & 1;
	}
	for (int b = 0; b < 8 && s->n; b++)
		ret->share[b] /= s->n;
	ret->bytes *= each;
	ret->names = s->n * each;
}

double dns_share(const struct dns_total *t, enum dns_trait trait)
{
	return t->share[__builtin_ctz(trait)];
}

/* --- what a name looks like ------------------------------------------------------------------------------------------ */

struct label {
	unsigned octets, digits, hex, odd, hyphens, switches,
		run; /* run: most consonants in a row */
};

static bool is_vowel(char c)
{
	return c == 'a' || c == 'e' || c == 'i' || c == 'o' || c == 'u' || c == 'y';
}

/* Reads one label and the dot behind it off the front of *s. */
static struct label take_label(struct str *s)
{
	struct label l = { 0 };
	unsigned run = 0;
	int last = 0; /* 1 a letter, 2 a digit */
	size_t i;

	for (i = 0; i < s->n && s->p[i] != '.'; i++) {
		char c = s->p[i];
		int kind = 0;

		l.octets++;
		if (c == '\\' && i + 3 < s->n && s->p[i + 1] >= '0' && s->p[i + 1] <= '9') {
			l.odd++;
			i += 3;
		} else if (c >= '0' && c <= '9') {
			kind = 2;
			l.digits++;
			l.hex++;
		} else if (c >= 'a' && c <= 'z') {
			kind = 1;
			l.hex += c <= 'f';
		} else if (c == '-') {
			l.hyphens++;
		}
		run = kind == 1 && !is_vowel(c) ? run + 1 : 0;
		l.run = MAX(l.run, run);
		l.switches += kind && last && kind != last;
		if (kind)
			last = kind;
	}
	*s = str_sub(*s, i + 1, s->n);
	return l;
}

static bool is_hex(const struct label *l)
{
	return l->octets >= 4 && l->hex == l->octets && l->digits && l->digits < l->octets;
}

static bool is_data(const struct label *l)
{
	if (l->odd || is_hex(l))
		return true;
	if (l->octets < 6)
		return false;
	return l->switches >= 3 || l->run >= 5 || (l->octets >= 24 && l->hyphens < 2);
}

uint8_t dns_name_traits(struct str sub, uint8_t *ret_bytes)
{
	unsigned octets = 0, data = 0, hex = 0, odd = 0, labels = 0, numbers = 0, nibbles = 0;
	uint8_t traits = 0;

	while (sub.n) {
		struct label l = take_label(&sub);

		numbers += labels == numbers && l.octets && l.octets <= 3 && l.digits == l.octets;
		nibbles += labels == nibbles && l.octets == 1 && l.hex == 1;
		labels++;
		octets += l.octets;
		odd += l.odd;
		data += is_data(&l) ? l.octets : 0;
		hex += is_hex(&l) ? l.octets : 0;
	}
	*ret_bytes = (uint8_t)MIN(octets, 255U);
	if (numbers == 4 || nibbles >= 16)
		return DNS_ADDRESS;
	if (data * 2 >= octets && data)
		traits |= DNS_DATA;
	if (hex * 5 >= octets * 4 && hex)
		traits |= DNS_HEX;
	if (odd)
		traits |= DNS_OCTETS;
	return traits;
}

/* Words in front (lb._dns-sd._udp) and parts of networks (RFC 2317: "0-127") are short; more than that is no address. */
#define WORDS_MOST 16

bool dns_is_reverse(struct str name)
{
	static const struct str v4 = STR(".in-addr.arpa"), v6 = STR(".ip6.arpa");
	unsigned longest, words = 0;

	if (name.n > v4.n && !memcmp(name.p + name.n - v4.n, v4.p, v4.n)) {
		name.n -= v4.n;
		longest = 3;
	} else if (name.n > v6.n && !memcmp(name.p + name.n - v6.n, v6.p, v6.n)) {
		name.n -= v6.n;
		longest = 1;
	} else {
		return false;
	}
	while (name.n) {
		struct label l = take_label(&name);

		if (l.octets > longest || (l.octets && l.hex < l.octets))
			words += l.octets;
	}
	return words <= WORDS_MOST;
}
