/* SPDX-License-Identifier: Apache-2.0 */
/* What people and programs ask through, of a daemon and of a console: control socket, tokens and page. */
#pragma once

#include "serve/control.h"

struct config;
struct page;
struct tokens;

struct front {
	struct control *control;
	struct tokens *tokens;
	struct page *page; /* NULL: off, or nothing of it works */
};

int front_make_folder(const char *path, mode_t mode); /* which may be there already; logs why not */
/*
 * Control socket and tokens. `cfg` says what the daemon itself answers; path, tokens and all about the page are filled in here.
 * `f` must stay where it is until front_close(). -errno, logged.
 */
int front_open(struct front *f, const struct config *c, struct control_config cfg);
/* Addresses and sockets of the page, while there still is the right to them: what is wrong with it was logged. */
int front_open_page(struct front *f, const struct config *c, struct loop *loop);
void front_start(struct front *f); /* the page's process */
void front_close(struct front *f);
