/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `egret --console URL`: the questions that otherwise go to the control socket of this machine go to the API of a console, or of any
 * egretd, over HTTPS. A process of its own speaks HTTP; whoever asks reads lines from a socket as always, and what went wrong is a
 * line {"error":…} like every other.
 */
#pragma once

#include <stdbool.h>

#include "serve/client.h"

#define CONSOLE_WHY_MAX 256
#define CONSOLE_TOKEN_MAX 128

struct console_settings {
	const char *url;        /* https://HOST:PORT; NULL: this machine's socket is asked */
	const char *token_file; /* NULL: none; without '/': a systemd credential of that name */
	const char *ca;         /* PEM; NULL: the system's */
};

/* From now on for ask_daemon() (cli/ask.h); reads the token. 0; -EINVAL, -EACCES …, and `why` says so. */
int console_use(const struct console_settings *s, char why[CONSOLE_WHY_MAX]);
bool console_used(void);
/* 0; -errno: nobody could be started to ask. */
int console_ask(struct client **ret, struct str request);

/* What is wrong with an address, in words; NULL: nothing. `has_token`: none goes where others may read along. */
const char *console_check_url(struct str url, bool has_token);
/* What an answer that is none means. `body`: what came with it. */
void console_explain(long status, struct str body, char why[CONSOLE_WHY_MAX]);
