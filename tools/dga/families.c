// SPDX-License-Identifier: Apache-2.0
/*
 * Families of generated names. First those of which names are published: a source of the input and the shape that the
 * generator is known to give, so that hand-made names filed under the same family stay out (length, characters and
 * suffixes only: nothing that would pick the easy ones). Then generators written here, from public descriptions, of the
 * same shape as the family they are called after and no more than that: "-like". Seeds, constants and word lists are ours.
 */
#include "tools/dga/dga.h"

#include <stdlib.h>
#include <string.h>

#define GENERIC "(com|net|org|info|biz)$"

const struct family_source family_sources[] = {
	{ "bamital", "maltrail:bamital", "^[a-z]{8,16}\\.info$", MADE_AT_RANDOM },
	{ "bazarloader", "maltrail:bazarloader", "^[a-z]{8}\\.bazar$", MADE_AT_RANDOM },
	{ "bedep", "maltrail:bedep", "^[a-z0-9]{12,18}\\.com$", MADE_AT_RANDOM },
	{ "chinad", "chinad", "^[a-z0-9]{16}\\.", MADE_AT_RANDOM },
	{ "conficker", "maltrail:conficker", "^[a-z]{5,12}\\.(com|net|org|info|biz|cc|cn|ws)$",
	  MADE_AT_RANDOM },
	{ "cryptolocker", "maltrail:cryptolocker",
	  "^[a-z]{12,15}\\.(com|net|org|info|biz|ru|co\\.uk)$", MADE_AT_RANDOM },
	{ "darkwatchman", "maltrail:darkwatchman", "^[0-9a-f]{8}\\.", MADE_AT_RANDOM },
	{ "dircrypt", "maltrail:dircrypt", "^[a-z]{8,20}\\.com$", MADE_AT_RANDOM },
	{ "dorkbot", "maltrail:dorkbot", "^[a-z]{6,11}\\.(ru|com|net|org)$", MADE_AT_RANDOM },
	{ "dridex", "maltrail:dridex", "^[a-z0-9]{10}\\.com$", MADE_AT_RANDOM },
	{ "dyreza", "maltrail:dyreza", "^[a-z][0-9a-f]{33}\\.", MADE_AT_RANDOM },
	{ "fobber", "maltrail:fobber", "^[a-z]{10,17}\\.(com|net)$", MADE_AT_RANDOM },
	{ "kronos", "maltrail:kronos", "^[a-z]{10,24}\\.(com|net|org|info|biz|top)$",
	  MADE_AT_RANDOM },
	{ "kwampirs", "maltrail:kwampirsrat", "^[a-z]+\\.[a-z]+$", MADE_AT_RANDOM },
	{ "locky", "maltrail:locky",
	  "^[a-z]{5,17}\\.(ru|pw|eu|in|yt|pm|us|fr|de|it|be|uk|nl|tf|su|work|click|biz|xyz|info|pl)"
	  "$",
	  MADE_AT_RANDOM },
	{ "matsnu", "maltrail:matsnu", "^[a-z-]{10,}\\.com$", MADE_OF_WORDS },
	{ "meta", "maltrail:meta", "^[a-z]{16}\\.xyz$", MADE_AT_RANDOM },
	{ "mintsloader", "maltrail:mintsloader", "^[a-z0-9]{15}\\.top$", MADE_AT_RANDOM },
	{ "murofet", "supercowpowers", "^[a-z]{16}\\.ru$", MADE_AT_RANDOM },
	{ "necurs", "maltrail:necurs", "^[a-z]{7,21}\\.", MADE_AT_RANDOM },
	{ "ngioweb", "maltrail:elf_ngioweb", "^[a-z-]{10,}\\.(com|net|org|info|biz|name)$",
	  MADE_AT_RANDOM },
	{ "nivdort", "maltrail:nivdort", "^[a-z]{8,}\\.(net|ru|com)$", MADE_OF_WORDS },
	{ "nymaim", "maltrail:nymaim", "^[a-z]{5,12}\\.(com|net|org|info|in|pw|biz|ru)$",
	  MADE_AT_RANDOM },
	{ "orchard", "maltrail:orchard", "^[0-9a-f]{8}\\.(com|net|org)$", MADE_AT_RANDOM },
	{ "philarkwright", "philarkwright", "^[a-z]{12}\\.com$", MADE_AT_RANDOM },
	{ "prometei", "maltrail:prometei", "^xinchao[a-z]{6}\\.(com|net|org)$", MADE_AT_RANDOM },
	{ "qakbot", "maltrail:qakbot", "^[a-z]{12,25}\\." GENERIC, MADE_AT_RANDOM },
	{ "ramnit", "maltrail:ramnit", "^[a-z]{8,25}\\.com$", MADE_AT_RANDOM },
	{ "shiotob", "maltrail:shiotob", "^[a-z0-9]{9,15}\\.(net|com)$", MADE_AT_RANDOM },
	{ "simda", "maltrail:simda", "^[a-z]{7,11}\\.(com|eu|info)$", MADE_AT_RANDOM },
	{ "tinba", "maltrail:tinba", "^[a-z]{12}\\.", MADE_AT_RANDOM },
	{ "vawtrak", "maltrail:vawtrak", "^[a-z]{6,12}\\.(com|net|ru|top|pw|info)$",
	  MADE_AT_RANDOM },
	{ "virut", "maltrail:virut", "^[a-z]{6}\\.com$", MADE_AT_RANDOM },
	{ "xhunt", "maltrail:xhunt", "^[a-z0-9]{8,13}\\.(life|click)$", MADE_AT_RANDOM },
	{ "zeus-gameover", "maltrail:zeus", "^[a-z]{20,32}\\.(com|net|org|info|biz|ru)$",
	  MADE_AT_RANDOM },
	{ "zloader", "maltrail:zloader", "^[a-z]{20}\\.(com|net|org|info)$", MADE_AT_RANDOM },
};
const size_t n_family_sources = sizeof(family_sources) / sizeof(family_sources[0]);

#define AZ "abcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"
#define CONSONANTS "bcdfghjklmnpqrstvwxz"
#define VOWELS "aeiou"

struct maker {
	const char *id;
	enum {
		LETTERS,  /* lo..hi characters of `a` */
		TURNS,    /* of `a` and `b` in turn, either first */
		NUMBERED, /* a letter of `a`, then two digits, lo..hi characters in all */
		BASE36,   /* a number in base 36: leading characters are not as even as the rest */
		TAIL,     /* `a` with its first four letters at random: banjori's way */
		REPEATED, /* two or three letters, twice, and one more: tofsee's way */
		SHUFFLED, /* two letters of `a` change places a few times */
		WORDS     /* lo..hi words, joined by `a` */
	} how;
	const char *a, *b;
	uint8_t lo, hi;
	const char *suffixes; /* separated by blanks */
};

static const struct maker makers[] = {
	{ "banjori-like", TAIL, "xyzxtneymrinnews", NULL, 0, 0, "com" },
	{ "bigviktor-like", WORDS, "", NULL, 3, 4,
	  "art click club com fans futbol in link observer one org pictures realty" },
	{ "ccleaner-like", LETTERS, "0123456789abcdef", NULL, 13, 15, "com" },
	{ "corebot-like", LETTERS, AZ DIGITS, NULL, 12, 23, "ddns.net" },
	{ "gozi-like", WORDS, "", NULL, 2, 3, "com ru" },
	{ "kraken-like", LETTERS, AZ, NULL, 6, 11,
	  "com net tv cc dyndns.org yi.org mooo.com dynserv.com" },
	{ "madmax-like", LETTERS, AZ DIGITS, NULL, 10, 10, "com net org info" },
	{ "monerominer-like", LETTERS, "0123456789abcdef", NULL, 13, 13,
	  "org tickets blackfriday hosting feedback" },
	{ "murofet3-like", NUMBERED, AZ, NULL, 24, 47, "biz com info net org ru" },
	{ "newgoz-like", BASE36, NULL, NULL, 20, 28, "com net org biz" },
	{ "nymaim2-like", WORDS, "-", NULL, 2, 2, "com net ps ac bz cc cm co in sh ru tv" },
	{ "padcrypt-like", LETTERS, "abcdnfolmk", NULL, 16, 24,
	  "com co.uk de org net eu info online co cc website" },
	{ "pitou-like", TURNS, "bcdfghklmnprstvz", "aeiouy", 8, 10,
	  "com org biz net info mobi us name me" },
	{ "proslikefan-like", LETTERS, AZ, NULL, 6, 12,
	  "biz cc cn co com eu in info me name net org pw ru tw" },
	{ "pykspa-like", TURNS, "bcdgkmqsuwyz", "aeiouo", 6, 13, "biz cc com info net org" },
	{ "qadars-like", LETTERS, AZ DIGITS, NULL, 12, 12, "com org net top" },
	{ "ranbyus-like", LETTERS, "abcdefghijklmnopqrstuvwxy", NULL, 14, 17,
	  "in me cc su tw net com pw org" },
	{ "rovnix-like", WORDS, "", NULL, 4, 5, "com ru net cn" },
	{ "sisron-like", LETTERS, "adhlmquyz124", NULL, 12, 12, "com org net info" },
	{ "suppobox-like", WORDS, "", NULL, 2, 2, "net ru" },
	{ "symmi-like", TURNS, CONSONANTS, VOWELS, 8, 15, "ddns.net" },
	{ "szribi-like", LETTERS, "aeiouqwrtypdfg", NULL, 8, 8, "com" },
	{ "tempedreve-like", LETTERS, AZ, NULL, 7, 11, "com net org info" },
	{ "tofsee-like", REPEATED, AZ, NULL, 0, 0, "biz ch" },
	{ "urlzone-like", LETTERS, AZ DIGITS, NULL, 9, 15, "com net" },
	{ "vidro-like", LETTERS, AZ, NULL, 7, 12, "com net dyndns.org" },
	{ "volatilecedar-like", SHUFFLED, "webdatastorehost", NULL, 0, 0, "info com" },
};

size_t n_family_generators(void)
{
	return sizeof(makers) / sizeof(makers[0]);
}

static char one_of(struct dice *d, const char *from)
{
	return from[dice_below(d, (uint32_t)strlen(from))];
}

static size_t of_words(struct dice *d, const struct maker *m, const struct names *words, char *out)
{
	unsigned count = m->lo + dice_below(d, m->hi - m->lo + 1u);
	size_t n = 0;

	for (unsigned i = 0; i < count; i++) {
		struct str w;

		do
			w = name_label(&words->v[dice_below(d, (uint32_t)words->n)]);
		while (w.n < 3 || w.n > 11);
		/* nymaim2 joins some with a hyphen, some without. */
		if (i && *m->a && dice_below(d, 2))
			out[n++] = *m->a;
		memcpy(out + n, w.p, w.n);
		n += w.n;
	}
	return n;
}

static size_t make(struct dice *d, const struct maker *m, const struct names *words, char *out)
{
	size_t n = m->lo + dice_below(d, m->hi - m->lo + 1u), first = dice_below(d, 2);

	switch (m->how) {
	case LETTERS:
		for (size_t i = 0; i < n; i++)
			out[i] = one_of(d, m->a);
		return n;
	case TURNS:
		for (size_t i = 0; i < n; i++)
			out[i] = one_of(d, (i + first) & 1 ? m->a : m->b);
		return n;
	case NUMBERED:
		for (size_t i = 0; i < n; i++)
			out[i] = one_of(d, i % 3 && dice_below(d, 4) ? DIGITS : m->a);
		return n;
	case BASE36:
		out[0] = one_of(d, "1123");
		for (size_t i = 1; i < n; i++)
			out[i] = one_of(d, DIGITS AZ);
		return n;
	case TAIL:
		n = strlen(m->a);
		memcpy(out, m->a, n);
		for (size_t i = 0; i < 4; i++)
			out[i] = one_of(d, AZ);
		return n;
	case REPEATED:
		n = 3;
		for (size_t i = 0; i < n; i++)
			out[i] = out[i + n] = one_of(d, m->a);
		out[2 * n] = one_of(d, m->a);
		return 2 * n + 1;
	case SHUFFLED:
		n = strlen(m->a);
		memcpy(out, m->a, n);
		for (unsigned i = 0; i < 5; i++) {
			size_t x = dice_below(d, (uint32_t)n), y = dice_below(d, (uint32_t)n);
			char c = out[x];

			out[x] = out[y];
			out[y] = c;
		}
		return n;
	case WORDS:
		return of_words(d, m, words, out);
	}
	return 0;
}

static struct str pick_suffix(struct dice *d, const char *list)
{
	unsigned count = 1, at;
	const char *end;

	for (const char *p = list; *p; p++)
		count += *p == ' ';
	for (at = dice_below(d, count); at; at--)
		list = strchr(list, ' ') + 1;
	end = strchr(list, ' ');
	return (struct str){ list, end ? (size_t)(end - list) : strlen(list) };
}

bool family_generate(size_t i, const struct names *words, struct family *f)
{
	const struct maker *m = &makers[i];
	struct dice d = { 0xd6a0 + i };
	struct names own = {
		0
	}; /* a family has a list of some hundred words; one of twelve is not common */
	char out[128];

	f->id = m->id;
	f->made = m->how == WORDS ? MADE_OF_WORDS : MADE_AT_RANDOM;
	if (m->how == WORDS) {
		if (!words->n)
			return false;
		while (own.n < 1000) {
			const struct name *w = &words->v[dice_below(&d, (uint32_t)words->n)];

			if (str_eq(name_suffix(w), STR("35")) ? own.n % 12 == 0 : own.n % 12 != 0)
				names_add(&own, name_label(w), STR_NONE);
		}
	}
	while (f->names.n < FAMILY_NAMES) {
		struct str label = { out, make(&d, m, &own, out) };

		names_add(&f->names, label, pick_suffix(&d, m->suffixes));
	}
	free(own.v);
	names_unique(&f->names);
	names_shuffle(&f->names, &d);
	return true;
}
