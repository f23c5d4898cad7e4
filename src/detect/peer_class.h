/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a destination is for, by its name: places where data can be left for others, and services that programs ask about
 * themselves. The table is this project's own, from what the operators say of their services; a row holds for the name and all below.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

/* X(identifier, name for people) */
#define PEER_CLASSES(X)                                   \
	X(NONE, NULL)                                     \
	X(CLOUD, "cloud storage")                         \
	X(OBJECTS, "object storage")                      \
	X(ANON_SHARE, "file sharing without an account")  \
	X(FILE_DROP, "file transfer service")             \
	X(PASTE, "text sharing")                          \
	X(WEBMAIL, "mail on the web")                     \
	X(CODE, "code hosting")                           \
	X(CHAT, "chat")                                   \
	X(BOT, "bot or webhook interface")                \
	X(HOOK, "catcher of requests")                    \
	X(TUNNEL, "tunnel to a machine anywhere")         \
	X(LOOKUP, "service that tells one's own address") \
	X(DYNAMIC_DNS, "dynamic DNS")

enum peer_class {
#define X(id, name) PEER_##id,
	PEER_CLASSES(X)
#undef X
		PEER_CLASS_COUNT
};

struct peer_class_row {
	const char *domain;
	enum peer_class class;
	const char *reason;
};

/* The row of the longest name that `name` (lower case) is or lies below; NULL: none. Borrowed, of the program's life. */
const struct peer_class_row *peer_class_of(struct str name);
const char *peer_class_name(enum peer_class c); /* NULL for none */
/* Somebody who sends to it from a program that is no browser, mail client or the service's own is worth a look. */
bool peer_class_takes_uploads(enum peer_class c);

extern const struct peer_class_row peer_class_rows[]; /* sorted by domain, for tests */
extern const size_t n_peer_class_rows;
