/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to the SQLite store: the sums of one bucket as bytes. Entries in ascending order of key, each as LEB128: key less the one
 * before, flows, up, down, packets up, packets down, refused, seconds from the bucket's begin to the last piece.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"
#include "store/sums.h"

struct sum_entry {
	uint32_t key;
	uint32_t last; /* seconds after the bucket's begin */
	uint64_t flows, up, down, up_packets, down_packets, refused;
};

/* Start with *last_key 0. */
void sum_put(struct buf *out, const struct sum_entry *e, uint32_t *last_key);
/* 1: an entry; 0: the end; -EBADMSG. */
int sum_take(struct str *s, struct sum_entry *ret, uint32_t *last_key);

/* A list of entries that is added up: sorted by key, those of the same key made one. */
struct sum_list {
	struct sum_entry *v;
	size_t n, cap;
};
int sum_list_add(struct sum_list *l, const struct sum_entry *e); /* 0 or -ENOMEM */
void sum_list_merge(struct sum_list *l);
void sum_list_done(struct sum_list *l);
