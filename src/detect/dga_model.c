// SPDX-License-Identifier: Apache-2.0
#include "detect/dga_model.h"

#include "detect/dga_table.inc"

enum { WORD_MIN = 3, WORD_MAX = 14 };

static inline char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static inline bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline bool is_letter(char c)
{
	return c >= 'a' && c <= 'z';
}

static inline bool is_vowel(char c)
{
	return c == 'a' || c == 'e' || c == 'i' || c == 'o' || c == 'u' || c == 'y';
}

static inline uint16_t bucket(uint64_t v)
{
	return (uint16_t)((v * 0x9e3779b97f4a7c15u) >> 48);
}

/* --- which names count --- */

static bool in_list(struct str s, const char *const *list)
{
	for (; *list; list++)
		if (s.n && lower(s.p[0]) == **list && str_eq_nocase(s, str_of(*list)))
			return true;
	return false;
}

static struct str last_label(struct str s)
{
	size_t i = s.n;

	while (i && s.p[i - 1] != '.')
		i--;
	return str_sub(s, i, s.n);
}

/* Customers' names are chosen one by one here, also by generators. */
static const char *const dynamic_dns[] = {
	"duckdns.org",       "ddns.net",  "dyndns.org",     "no-ip.org",    "no-ip.biz",
	"no-ip.info",        "hopto.org", "zapto.org",      "sytes.net",    "mooo.com",
	"dynserv.com",       "yi.org",    "3utilities.com", "serveftp.com", "servehttp.com",
	"chickenkiller.com", NULL,
};

static bool suffix_counts(struct str suffix)
{
	/* RFC 6761, RFC 6762, RFC 7686, RFC 8375, RFC 9476, and what routers and companies made up. */
	static const char *const local[] = {
		"arpa",    "local",   "localhost", "localdomain", "localnet", "invalid", "test",
		"example", "onion",   "alt",       "internal",    "lan",      "wlan",    "home",
		"corp",    "private", "intranet",  "workgroup",   "domain",   "dhcp",    "router",
		"gateway", "fritz",   "belkin",    "dlink",       "mshome",   "station", "hub",
		"loc",     "dom",     "ip",        "vpn",         "cluster",  "svc",     "kube",
		"docker",  "consul",  NULL,
	};
	struct str top = last_label(suffix), first = suffix;
	const char *dot;

	if (!top.n || top.n > DGA_LABEL_MAX || in_list(top, local))
		return false;
	for (size_t i = 0; i < top.n; i++)
		if (!is_letter(lower(top.p[i])) && !str_has_prefix_nocase(top, STR("xn--")))
			return false;
	dot = memchr(suffix.p, '.', suffix.n);
	if (!dot)
		return true;
	if (in_list(suffix, dynamic_dns))
		return true;
	/* co.uk, com.br, k12.tr; not github.io or cloudfront.net. */
	first.n = (size_t)(dot - suffix.p);
	return first.n && first.n <= 4 && (top.n == 2 || str_has_prefix_nocase(top, STR("xn--")));
}

bool dga_counts(struct str label, struct str suffix)
{
	if (label.n < 4 || label.n > DGA_LABEL_MAX || !suffix.n || suffix.n > 255)
		return false;
	for (size_t i = 0; i < label.n; i++) {
		char c = lower(label.p[i]);

		if (!is_letter(c) && !is_digit(c) && c != '-')
			return false;
	}
	if (label.p[2] == '-' && label.p[3] == '-') /* xn--, and what else RFC 5890 reserves */
		return false;
	return suffix_counts(suffix);
}

/* --- random --- */

static uint64_t suffix_key(struct str suffix)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < suffix.n; i++)
		h = (h ^ (unsigned char)lower(suffix.p[i])) * 0x100000001b3u;
	return h;
}

static unsigned suffix_class(struct str suffix)
{
	static const char *const old[] = { "com", "net", "org", NULL };
	static const char *const early[] = { "info", "biz", "name", "pro", "mobi", "xxx", NULL };
	struct str top = last_label(suffix);

	if (top.n != suffix.n)
		return top.n == 2 ? 0 : 1;
	if (in_list(suffix, old))
		return 2;
	if (in_list(suffix, early))
		return 3;
	return top.n == 2 ? 4 : 5;
}

static unsigned tenths(unsigned part, unsigned of)
{
	return of ? part * 10 / of : 0;
}

/* Each scalar has hash buckets of its own beside the n-grams; a collision is one more n-gram in the noise. */
static size_t add_scalars(const char *text, unsigned n, struct str suffix, uint16_t *ret)
{
	unsigned digits = 0, vowels = 0, run = 0, turns = 0, turning = 0, longest = 0, distinct = 0,
		 changes = 0, hyphens = 0;
	uint64_t seen = 0;
	size_t k = 0;

	for (unsigned i = 0; i < n; i++) {
		char c = text[i];
		unsigned bit = is_letter(c)  ? (unsigned)(c - 'a')
			       : is_digit(c) ? 26u + (unsigned)(c - '0')
					     : 36;

		digits += is_digit(c);
		vowels += is_vowel(c);
		hyphens += c == '-';
		run = is_letter(c) && !is_vowel(c) ? run + 1 : 0;
		longest = run > longest ? run : longest;
		turns = i && is_letter(c) && is_letter(text[i - 1]) &&
					is_vowel(c) != is_vowel(text[i - 1])
				? turns + 1
				: 0;
		turning = turns > turning ? turns : turning;
		changes += i && is_digit(c) != is_digit(text[i - 1]);
		distinct += !(seen >> bit & 1);
		seen |= (uint64_t)1 << bit;
	}
#define SCALAR(id, value) ret[k++] = bucket((uint64_t)(id) << 56 | (uint64_t)(value) << 3)
	SCALAR(1, n < 40 ? n : 40);
	SCALAR(2, tenths(digits, n));
	SCALAR(3, tenths(vowels, n - digits - hyphens));
	SCALAR(4, longest < 9 ? longest : 9);
	SCALAR(5, (n < 32 ? n / 4 : 8) << 5 | tenths(distinct, n));
	SCALAR(6, changes < 7 ? changes : 7);
	SCALAR(7, (hyphens < 4 ? hyphens : 4) << 1 | (digits == n));
	SCALAR(8, suffix_class(suffix));
	SCALAR(9, suffix_key(suffix) >> 12);
	SCALAR(10, tenths(vowels, n - digits - hyphens) << 4 | (longest < 9 ? longest : 9));
	SCALAR(11, (turning < 16 ? turning : 16) << 5 | (n - turning < 8 ? n - turning : 8));
#undef SCALAR
	return k;
}

size_t dga_features(struct str label, struct str suffix, uint16_t ret[DGA_FEATURES_MAX])
{
	char text[DGA_LABEL_MAX + 2];
	unsigned n = label.n < DGA_LABEL_MAX ? (unsigned)label.n : DGA_LABEL_MAX;
	uint64_t v = 0;
	size_t k = 0;

	text[0] = '^';
	for (unsigned i = 0; i < n; i++)
		text[i + 1] = lower(label.p[i]);
	text[n + 1] = '$';
	for (unsigned i = 0; i < n + 2; i++) {
		v = v << 8 | (unsigned char)text[i];
		for (unsigned w = 2; w <= 4 && w <= i + 1; w++)
			ret[k++] = bucket((v & (((uint64_t)1 << 8 * w) - 1)) << 3 | w);
	}
	return k + add_scalars(text + 1, n, suffix, ret + k);
}

/* --- words --- */

/* Four bits a word, from one 64-bit hash. */
static uint64_t word_step(uint64_t h, char c)
{
	return (h ^ (unsigned char)c) * 0x100000001b3u;
}

static uint64_t word_end(uint64_t h)
{
	h ^= h >> 29;
	h *= 0xbf58476d1ce4e5b9u;
	return h ^ h >> 32;
}

enum { WORD_PROBES = 4, WORD_BITS = 18 };
_Static_assert((1 << WORD_BITS) == DGA_WORDS_SIZE * 8, "the filter's size");

static bool word_known(const uint8_t *words, uint64_t h)
{
	for (unsigned i = 0; i < WORD_PROBES; i++, h >>= 15) {
		unsigned bit = h & ((1u << WORD_BITS) - 1);

		if (!(words[bit >> 3] >> (bit & 7) & 1))
			return false;
	}
	return true;
}

void dga_word_add(uint8_t words[DGA_WORDS_SIZE], struct str word)
{
	uint64_t h = 0;

	if (word.n < WORD_MIN || word.n > WORD_MAX)
		return;
	for (size_t i = 0; i < word.n; i++)
		h = word_step(h, lower(word.p[i]));
	h = word_end(h);
	for (unsigned i = 0; i < WORD_PROBES; i++, h >>= 15) {
		unsigned bit = h & ((1u << WORD_BITS) - 1);

		words[bit >> 3] |= (uint8_t)(1 << (bit & 7));
	}
}

/* How the first letters up to here are words: the fewest of them, and of those the longest shortest one. */
struct cover {
	uint8_t words, shortest; /* words 0: they are not */
};

unsigned dga_word_cell(struct str label, const uint8_t words[DGA_WORDS_SIZE])
{
	struct cover at[DGA_LABEL_MAX + 1] = { [0] = { .shortest = WORD_MAX } };
	unsigned n = label.n < DGA_LABEL_MAX ? (unsigned)label.n : DGA_LABEL_MAX, hyphens = 0;
	unsigned count;

	for (unsigned i = 0; i < n; i++) {
		char c = lower(label.p[i]);
		uint64_t h = 0;

		if (!is_letter(c) && c != '-')
			return 0;
		hyphens += c == '-';
		if (i && !at[i].words)
			continue;
		if (c == '-') {
			at[i + 1] = at[i];
			continue;
		}
		for (unsigned j = i; j < n && j - i < WORD_MAX && is_letter(lower(label.p[j]));
		     j++) {
			struct cover *to = &at[j + 1];
			uint8_t len = (uint8_t)(j + 1 - i), more = at[i].words + 1;
			uint8_t least = len < at[i].shortest ? len : at[i].shortest;

			h = word_step(h, lower(label.p[j]));
			if (len < WORD_MIN || !word_known(words, word_end(h)))
				continue;
			if (!to->words || more < to->words ||
			    (more == to->words && least > to->shortest))
				*to = (struct cover){ more, least };
		}
	}
	if (!at[n].words)
		return 0;
	count = at[n].words < 4 ? at[n].words : 4;
	return 1 + (hyphens ? 8 : 0) + (count - 1) * 2 + (at[n].shortest > WORD_MIN);
}

struct dga_score dga_score(struct str label, struct str suffix)
{
	uint16_t f[DGA_FEATURES_MAX];
	int sum = 0;
	size_t n;

	if (!dga_counts(label, suffix))
		return (struct dga_score){ 0 };
	n = dga_features(label, suffix, f);
	for (size_t i = 0; i < n; i++)
		sum += dga_ngrams[f[i]];
	if (sum > DGA_SCORE_MAX)
		sum = DGA_SCORE_MAX;
	if (sum < -DGA_SCORE_MAX)
		sum = -DGA_SCORE_MAX;
	return (struct dga_score){ (int16_t)sum, dga_cells[dga_word_cell(label, dga_words)] };
}
