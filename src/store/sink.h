/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where records go. Each kind of sink is one const struct in its own file; store/sinks.c lists them.
 */
#pragma once

#include <stddef.h>

struct record;
struct sink;

struct sink_ops {
	const char *name;
	void (*put)(struct sink *s,
		    const struct record *r); /* losses are counted, never returned */
	int (*flush)(struct sink *s);        /* what is buffered goes out; -errno */
	int (*reopen)(struct sink *s);       /* after the file was moved away (SIGHUP) */
	void (*free)(struct sink *s);        /* flushes first */
};

struct sink {
	const struct sink_ops *ops;
};
