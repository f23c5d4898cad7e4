/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/dns_info.h"

#include <math.h>
#include <string.h>

#include "base/cleanup.h"

void dns_sample_clear(struct dns_sample *s)
{
	s->below = INFINITY;
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

static float rank(uint32_t hash, uint8_t bytes)
{
	return -logf(((float)hash + 0.5F) / 4294967296.0F) / (float)bytes;
}

/* Makes room. False: the newcomer has the greatest rank itself. */
static bool drop_greatest(struct dns_sample *s, float newcomer)
{
	float most = newcomer;
	int at = -1;

	for (int i = 0; i < s->n; i++) {
		float r = rank(s->hash[i], s->bytes[i]);

		if (r > most) {
			most = r;
			at = i;
		}
	}
	s->below = most;
	if (at >= 0)
		drop(s, at);
	return at >= 0;
}

bool dns_sample_add(struct dns_sample *s, uint32_t hash, uint8_t bytes, uint8_t traits)
{
	float r;
	int i;

	bytes = MAX(bytes, (uint8_t)1);
	r = rank(hash, bytes);
	if (r >= s->below)
		return false;
	i = find(s, hash);
	if (i >= 0) {
		s->traits[i] |= traits;
		return false;
	}
	if (s->n == DNS_SAMPLE && !drop_greatest(s, r))
		return false;
	s->hash[s->n] = hash;
	s->bytes[s->n] = bytes;
	s->traits[s->n] = traits;
	s->n++;
	return true;
}

void dns_sample_mark(struct dns_sample *s, uint32_t hash, uint8_t traits)
{
	int i = find(s, hash);

	if (i >= 0)
		s->traits[i] |= traits;
}

/* The threshold stays: what is kept still stands for what is not. */
void dns_sample_remove(struct dns_sample *s, uint32_t hash)
{
	int i = find(s, hash);

	if (i >= 0)
		drop(s, i);
}

void dns_sample_merge(struct dns_sample *into, const struct dns_sample *from)
{
	into->below = fminf(into->below, from->below);
	for (int i = into->n - 1; i >= 0; i--)
		if (rank(into->hash[i], into->bytes[i]) >= into->below)
			drop(into, i);
	for (int i = 0; i < from->n; i++)
		dns_sample_add(into, from->hash[i], from->bytes[i], from->traits[i]);
}

void dns_sample_total(const struct dns_sample *s, struct dns_total *ret)
{
	*ret = (struct dns_total){ 0 };
	for (int i = 0; i < s->n; i++) {
		double stands_for =
			isinf(s->below) ? 1 : -1 / expm1(-(double)s->bytes[i] * (double)s->below);

		ret->bytes += stands_for * s->bytes[i];
		ret->names += stands_for;
		for (int b = 0; b < 8; b++)
			ret->share[b] += s->traits[i] >> b & 1 ? stands_for : 0;
	}
	for (int b = 0; b < 8 && s->n; b++)
		ret->share[b] /= ret->names;
}

double dns_share(const struct dns_total *t, enum dns_trait trait)
{
	return t->share[__builtin_ctz(trait)];
}

/* --- what a name looks like ------------------------------------------------------------------------------------------ */

/* Bit b of row a: the letters a, b follow each other in English words; the 239 commonest pairs, which are 97 % of all. */
static const uint32_t common_pairs[26] = { 0x17ebd6e, 0x1124911, 0x01a4d95, 0x0164111, 0x1eef97d,
					   0x01a4931, 0x0126991, 0x0184111, 0x22ef87f, 0x0104000,
					   0x0000110, 0x11c4919, 0x114d113, 0x11c615d, 0x07efd6e,
					   0x01ec991, 0x0100000, 0x13e7d5d, 0x11cd995, 0x15e4991,
					   0x00eb95f, 0x0004111, 0x0006191, 0x0000000, 0x0044010,
					   0x0000000 };

struct label {
	unsigned octets, digits, hex, odd, hyphens;
	unsigned pairs, common; /* neighbours that could be a word's, and that are */
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return c >= 'a' && c <= 'z';
}

/* Numbers at the end are how people count what they name; digits between letters are how data is written. */
static void count_pair(struct label *l, char a, char b, unsigned *numbers)
{
	if (is_letter(a) && is_letter(b)) {
		l->pairs++;
		l->common += common_pairs[a - 'a'] >> (b - 'a') & 1;
	} else if (is_digit(a) && is_letter(b)) {
		l->pairs += 1 + *numbers;
		*numbers = 0;
	} else if (is_letter(a) && is_digit(b)) {
		++*numbers;
	}
}

/* Reads one label and the dot behind it off the front of *s. */
static struct label take_label(struct str *s)
{
	struct label l = { 0 };
	unsigned numbers = 0; /* letters before a digit, with nothing but digits behind so far */
	size_t i;

	for (i = 0; i < s->n && s->p[i] != '.'; i++) {
		char c = s->p[i];

		l.octets++;
		l.digits += is_digit(c);
		l.hex += is_digit(c) || (c >= 'a' && c <= 'f');
		l.hyphens += c == '-';
		if (i)
			count_pair(&l, s->p[i - 1], c, &numbers);
		if (c == '\\' && i + 3 < s->n && is_digit(s->p[i + 1])) {
			l.odd++;
			i += 3;
		}
	}
	*s = str_sub(*s, i + 1, s->n);
	return l;
}

static bool is_hex(const struct label *l)
{
	return l->octets >= 4 && l->hex == l->octets && l->digits && l->digits < l->octets;
}

/* As letters at random: three of ten pairs are common then, nine of ten in words. */
static bool is_data(const struct label *l)
{
	return l->odd || is_hex(l) || (l->octets >= 24 && l->hyphens < 2) ||
	       (l->octets >= 4 && l->pairs >= 2 && l->common * 2 < l->pairs);
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
