// SPDX-License-Identifier: Apache-2.0
/* Lists on disk: the user's own files, and downloads with what is known of them. */
#include "policy/fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/time.h"
#include "policy/list.h"

#define MAGIC "egret-list 1\n"
#define HEAD_MAX 8192
#define REFRESH_DEFAULT_S (24 * 3600)
#define RETRY_LEAST_S 60
#define RETRY_MOST_S 3600

/* --- whole files ------------------------------------------------------------------------------------------------- */

void list_text_done(struct list_text *t)
{
	free(t->p);
	*t = (struct list_text){ 0 };
}

static int read_all(struct list_text *ret, gzFile gz, uint64_t max)
{
	_cleanup_free_ char *p = NULL;
	size_t n = 0, room = 0;

	for (;;) {
		int got;

		if (n == room) {
			size_t more = room ? 2 * room : 64 << 10;
			char *bigger = realloc(p, more);

			if (!bigger)
				return -ENOMEM;
			p = bigger;
			room = more;
		}
		got = gzread(gz, p + n, (unsigned)MIN(room - n, 1U << 20));
		if (got < 0)
			return -EBADMSG;
		if (!got)
			break;
		n += (size_t)got;
		if (n > max)
			return -EFBIG;
	}
	ret->p = TAKE_PTR(p);
	ret->n = n;
	return 0;
}

int list_text_read(struct list_text *ret, int fd, uint64_t max)
{
	struct list_text text = { 0 };
	struct stat st;
	gzFile gz;
	int r;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return -EINVAL;
	}
	gz = gzdopen(fd, "rb");
	if (!gz) {
		close(fd);
		return -ENOMEM;
	}
	gzbuffer(gz, 256 << 10);
	r = read_all(&text, gz, max);
	/* gzip that ends too early shows only here */
	if (gzclose_r(gz) != Z_OK && r == 0)
		r = -EBADMSG;
	if (r < 0) {
		list_text_done(&text);
		return r;
	}
	*ret = text;
	return 0;
}

/* --- the cache --------------------------------------------------------------------------------------------------- */

void cache_path(const struct policy_list *l, const char *cache, const char *suffix,
		char path[PATH_MAX])
{
	char name[65];
	size_t n = MIN(l->name.n, sizeof(name) - 1);

	/* the name is for people, the hash for certainty: the same name may come to stand for another URL */
	for (size_t i = 0; i < n; i++)
		name[i] = strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_",
				 l->name.p[i]) &&
					  l->name.p[i]
				  ? l->name.p[i]
				  : '_';
	name[n] = 0;
	snprintf(path, PATH_MAX, "%s/%s-%016llx.list%s", cache, name,
		 (unsigned long long)hash_bytes(l->url.p, l->url.n, 0), suffix);
}

static bool head_value(struct str head, const char *key, struct str *ret)
{
	struct str line, word = str_of(key);

	while (str_cut(&head, '\n', &line)) {
		if (!str_has_prefix(line, word) || line.n <= word.n || line.p[word.n] != ' ')
			continue;
		*ret = str_sub(line, word.n + 1, line.n);
		return true;
	}
	return false;
}

static void copy_text(char *to, size_t room, struct str s)
{
	size_t n = s.n < room ? s.n : 0;

	if (n)
		memcpy(to, s.p, n);
	to[n] = 0;
}

static int understand(struct list_cached *c, const struct policy_list *l)
{
	struct str file = { c->file.p, c->file.n }, head, v;
	const char *end = file.n ? memmem(file.p, MIN(file.n, (size_t)HEAD_MAX), "\n\n", 2) : NULL;
	uint64_t bytes;
	char hash[17];

	if (!end || !str_has_prefix(file, STR(MAGIC)))
		return -EBADMSG;
	head = (struct str){ file.p, (size_t)(end - file.p) };
	c->text = str_sub(file, head.n + 2, file.n);
	if (!head_value(head, "url", &v) || !str_eq(v, l->url))
		return -EBADMSG;
	if (!head_value(head, "entries", &v) || str_parse_u64(v, &c->entries) < 0 ||
	    !head_value(head, "bytes", &v) || str_parse_u64(v, &bytes) < 0 || bytes != c->text.n)
		return -EBADMSG;
	snprintf(hash, sizeof(hash), "%016llx",
		 (unsigned long long)hash_bytes(c->text.p, c->text.n, 0));
	if (!head_value(head, "hash", &v) || !str_eq(v, str_of(hash)))
		return -EBADMSG;
	if (head_value(head, "etag", &v))
		copy_text(c->tags.etag, sizeof(c->tags.etag), v);
	if (head_value(head, "last-modified", &v))
		copy_text(c->tags.modified, sizeof(c->tags.modified), v);
	return 0;
}

int cache_read(struct list_cached *ret, const struct policy_list *l, const char *cache)
{
	struct list_cached c = { 0 };
	char path[PATH_MAX], aside[PATH_MAX];
	struct stat st;
	int fd, r;

	cache_path(l, cache, "", path);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	c.as_of_s = st.st_mtim.tv_sec;
	r = list_text_read(&c.file, fd, LIST_BYTES_MAX + HEAD_MAX);
	if (r == 0)
		r = understand(&c, l);
	if (r == 0) {
		*ret = c;
		return 0;
	}
	cache_done(&c);
	if (r != -ENOMEM) {
		cache_path(l, cache, ".damaged", aside);
		if (rename(path, aside) < 0)
			return -errno;
		r = -EBADMSG;
	}
	return r;
}

void cache_done(struct list_cached *c)
{
	list_text_done(&c->file);
	c->text = STR_NONE;
}

int cache_write(int fd, const struct policy_list *l, const char *cache,
		const struct list_cached *like)
{
	_cleanup_buf_ struct buf head = BUF_INIT(HEAD_MAX);
	char path[PATH_MAX], new[PATH_MAX];
	int r;

	buf_puts(&head, MAGIC);
	buf_printf(&head, "url %.*s\n", STR_FMT(l->url));
	if (like->tags.etag[0])
		buf_printf(&head, "etag %s\n", like->tags.etag);
	if (like->tags.modified[0])
		buf_printf(&head, "last-modified %s\n", like->tags.modified);
	buf_printf(&head, "entries %llu\nbytes %zu\nhash %016llx\n\n",
		   (unsigned long long)like->entries, like->text.n,
		   (unsigned long long)hash_bytes(like->text.p, like->text.n, 0));
	if (head.failed)
		return -ENAMETOOLONG;
	cache_path(l, cache, "", path);
	cache_path(l, cache, ".new", new);
	if (ftruncate(fd, 0) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	r = file_write_all(fd, buf_str(&head));
	if (r == 0)
		r = file_write_all(fd, like->text);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (r == 0 && rename(new, path) < 0)
		r = -errno;
	return r;
}

bool cache_is_expired(const struct policy_list *l, int64_t as_of_s, int64_t now_s)
{
	return l->expire_ns && now_s > as_of_s &&
	       (uint64_t)(now_s - as_of_s) > l->expire_ns / NSEC_PER_SEC;
}

/* --- for the policy ---------------------------------------------------------------------------------------------- */

static int load_file(const struct policy_list *l, int64_t now_s, struct list_sink sink,
		     struct list_report *report)
{
	struct list_text text = { 0 };
	char path[PATH_MAX];
	struct stat st;
	int fd, r;

	if (l->path.n >= sizeof(path))
		return -ENAMETOOLONG;
	copy_text(path, sizeof(path), l->path);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	report->as_of_s = st.st_mtim.tv_sec;
	report->expired = cache_is_expired(l, report->as_of_s, now_s);
	if (report->expired) {
		close(fd);
		return 0;
	}
	r = list_text_read(&text, fd, LIST_BYTES_MAX);
	if (r == 0)
		r = list_parse(l->format, (struct str){ text.p, text.n }, sink, report);
	list_text_done(&text);
	return r;
}

static int load_cached(const struct policy_list *l, const char *cache, int64_t now_s,
		       struct list_sink sink, struct list_report *report)
{
	struct list_cached c;
	int r;

	r = cache_read(&c, l, cache);
	if (r == -EBADMSG)
		snprintf(report->first_bad, sizeof(report->first_bad),
			 "the download kept on disk was damaged and is set aside as *.damaged");
	if (r < 0)
		return r;
	report->as_of_s = c.as_of_s;
	report->expired = cache_is_expired(l, c.as_of_s, now_s);
	if (!report->expired)
		r = list_parse(l->format, c.text, sink, report);
	cache_done(&c);
	return r;
}

int list_load(const struct policy_list *l, const char *cache, int64_t now_s, struct list_sink sink,
	      struct list_report *report)
{
	*report = (struct list_report){ .format = l->format };
	sink.now_s = now_s;
	if (l->path.n)
		return load_file(l, now_s, sink, report);
	return cache ? load_cached(l, cache, now_s, sink, report) : -ENOENT;
}

static int64_t changed_at(const struct policy_list *l, const char *cache, const char *suffix)
{
	char path[PATH_MAX];
	struct stat st;

	cache_path(l, cache, suffix, path);
	return stat(path, &st) < 0 ? 0 : st.st_mtim.tv_sec;
}

int64_t list_next_refresh(const struct policy_list *l, const char *cache)
{
	int64_t every = l->refresh_ns ? (int64_t)(l->refresh_ns / NSEC_PER_SEC) : REFRESH_DEFAULT_S;
	int64_t got, tried, next;

	if (!l->url.n || !cache)
		return INT64_MAX;
	got = changed_at(l, cache, "");
	tried = changed_at(l, cache, ".tried");
	next = got ? got + every : 0;
	if (tried) {
		int64_t wait = every / 4 < RETRY_LEAST_S  ? RETRY_LEAST_S
			       : every / 4 > RETRY_MOST_S ? RETRY_MOST_S
							  : every / 4;
		next = MAX(next, tried + wait);
	}
	return next;
}
