/* SPDX-License-Identifier: Apache-2.0 */
/* Statements of egret.conf with a block of words and values behind them: `WORD { NAME VALUE … }`, each on a line or several on one. */
#pragma once

#include <stddef.h>

#include "base/lex.h"

struct addr;

/* At most 16 in a block. */
struct block_option {
	const char *word;
	/* What is wrong with a value, in words; NULL: nothing. Without it `take` sees to all. */
	const char *(*check)(struct str value);
	size_t offset, size; /* of the text that is filled in */
	/* Takes the value itself, told by `t`; NULL: a text that is filled in. */
	void (*take)(struct lex *lex, const struct lex_token *t, void *ret);
	bool several; /* values may follow each other */
};

/* From the '{' on. `ret` is what offsets belong to. *ret_at is where it begins. false: a mistake was told. */
bool config_parse_block(struct lex *lex, const struct block_option *options, size_t n, void *ret,
			struct lex_token *ret_at);

/* Checks: a path; a path or the name of a systemd credential. */
const char *config_check_path(struct str value);
const char *config_check_secret(struct str value);
bool config_has_control(struct str value); /* characters that no line of text has */
/* "127.0.0.1:8710", "[::1]:8710" */
bool config_parse_endpoint(struct str s, struct addr *ret_addr, uint16_t *ret_port);
