/* SPDX-License-Identifier: Apache-2.0 */
#include "config_follow.h"

#include <stdio.h>

#include "base/time.h"
#include "config_block.h"

#define EVERY_S 300 /* unless told */
#define EVERY_MAX_S 86400

static void take_from(struct lex *lex, struct follow_settings *ret)
{
	struct lex_token t = lex_next(lex);

	if (t.kind != LEX_STRING || t.text.n >= sizeof(ret->from) || config_has_control(t.text) ||
	    !(str_has_prefix(t.text, STR("https://")) || str_has_prefix(t.text, STR("/"))))
		lex_complain(lex, &t, "error",
			     "\"https://HOST/fleet.bundle\", or a path that begins with '/', is "
			     "expected here");
	else
		snprintf(ret->from, sizeof(ret->from), "%.*s", STR_FMT(t.text));
}

static void take_key(struct lex *lex, const struct lex_token *t, void *ret)
{
	struct follow_settings *s = ret;

	if (s->n_keys == FOLLOW_KEYS_MAX)
		lex_complain(lex, t, "error", "at most %d keys", FOLLOW_KEYS_MAX);
	else if (fleet_key_parse(t->text, &s->keys[s->n_keys]) < 0)
		lex_complain(lex, t, "error",
			     "a public key of minisign is expected here: the second line of its "
			     "file, \"RW…\"");
	else
		s->n_keys++;
}

static void take_labels(struct lex *lex, const struct lex_token *t, void *ret)
{
	struct follow_settings *s = ret;
	struct str rest = t->text, one;

	while (str_cut(&rest, ',', &one)) {
		one = str_trim(one);
		if (!fleet_word_ok(one)) {
			lex_complain(lex, t, "error",
				     "labels of letters, digits, '-', '_' and '.' are expected "
				     "here, as \"prod, web\"");
			return;
		}
		if (s->n_labels == FLEET_LABELS_MAX) {
			lex_complain(lex, t, "error", "at most %d labels", FLEET_LABELS_MAX);
			return;
		}
		snprintf(s->labels[s->n_labels++], sizeof(s->labels[0]), "%.*s", STR_FMT(one));
	}
}

static void take_every(struct lex *lex, const struct lex_token *t, void *ret)
{
	struct follow_settings *s = ret;
	uint64_t ns = 0;

	if (t->kind != LEX_WORD || duration_parse(t->text, &ns) < 0 || ns < NSEC_PER_SEC ||
	    ns > EVERY_MAX_S * NSEC_PER_SEC)
		lex_complain(lex, t, "error", "a time from 1s to 1d is expected here, as 5m");
	s->every_s = (int64_t)(ns / NSEC_PER_SEC);
}

static const struct block_option options[] = {
	{ "key", .take = take_key, .several = true },
	{ "labels", .take = take_labels, .several = true },
	{ "every", .take = take_every },
	{ "ca", config_check_path, offsetof(struct follow_settings, ca),
	  sizeof(((struct follow_settings *)0)->ca) },
};

void config_parse_follow(struct lex *lex, struct follow_settings *ret)
{
	unsigned errors = lex->n_errors;
	struct lex_token at;

	*ret = (struct follow_settings){ .every_s = EVERY_S };
	take_from(lex, ret);
	if (lex->n_errors > errors ||
	    !config_parse_block(lex, options, sizeof(options) / sizeof(options[0]), ret, &at))
		return;
	if (!ret->n_keys)
		lex_complain(lex, &at, "error",
			     "'key' is missing: who signs, as \"RW…\" of minisign.pub");
	else if (ret->ca[0] && ret->from[0] == '/')
		lex_complain(lex, &at, "error", "'ca' belongs to https://HOST");
}
