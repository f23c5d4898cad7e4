/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a process has at its descriptors 0, 1 and 2, as of its exec, or when egret first saw it. An interactive shell
 * on a network connection has it at one of them, or something that another process carries to one.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"

#define STDIO_COUNT 3

/* Numbers are those of bpf/abi.h. */
enum stdio_kind {
	STDIO_UNKNOWN,
	STDIO_CLOSED,
	STDIO_FILE, /* or a folder, or a device that is none of the next two */
	STDIO_NULL, /* /dev/null */
	STDIO_TTY,
	STDIO_PIPE, /* with or without a name */
	STDIO_INET,
	STDIO_UNIX,
};

/*
 * `id`: INET the socket's cookie, as in struct flow (0: it had none, and so no packet, or it was read from /proc/net);
 * PIPE and TTY equal for the same one; UNIX the inode of this end << 32 | that of the peer (0: not known).
 */
struct stdio {
	uint64_t id;
	struct addr remote; /* INET: the peer; all zero: not connected */
	uint16_t lport, rport;
	uint8_t proto; /* IPPROTO_ */
	uint8_t kind;  /* enum stdio_kind */
};

static inline uint32_t stdio_unix_inode(const struct stdio *s)
{
	return s->id >> 32;
}

static inline uint32_t stdio_unix_peer(const struct stdio *s)
{
	return (uint32_t)s->id;
}

/* The same pipe, terminal or socket, or the two ends of one pair of UNIX sockets. */
static inline bool stdio_joined(const struct stdio *a, const struct stdio *b)
{
	if (a->kind != b->kind || !a->id || !b->id)
		return false;
	switch (a->kind) {
	case STDIO_TTY:
	case STDIO_PIPE:
	case STDIO_INET:
		return a->id == b->id;
	case STDIO_UNIX:
		return stdio_unix_inode(a) == stdio_unix_inode(b) ||
		       stdio_unix_inode(a) == stdio_unix_peer(b) ||
		       stdio_unix_peer(a) == stdio_unix_inode(b);
	default:
		return false;
	}
}
