/* SPDX-License-Identifier: Apache-2.0 */
/* Asking the running egretd, or with `egret --console` another one, with errors in words. */
#pragma once

#include <jansson.h>

#include "base/buf.h"
#include "serve/client.h"

/* `run` is the folder of its socket; `fd` goes along when it is not -1. 0; -errno, and the reason in `why` (never empty then). */
int ask_daemon(struct client **ret, const char *run, struct str request, char why[256]);
int ask_daemon_with(struct client **ret, const char *run, struct str request, int fd,
		    char why[256]);

/* A line of an answer. NULL when it is no JSON, or {"error":…}: then the reason is in `why`. The caller's to decref. */
json_t *ask_parse(struct str line, char why[256]);

/* Shell words to one filter text, with blanks between them. */
void ask_join_filter(struct buf *out, int n, char **words);
