// SPDX-License-Identifier: Apache-2.0
/*
 * One download by HTTP(S), with everything a server or the network may do wrong. What comes is first looked at, then put in
 * place of the old one by a rename; whatever goes wrong, the old one stays and `why` says what it was.
 */
#include "policy/fetch.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "policy/list.h"

const struct fetch_limits fetch_limits = {
	.connect_s = 20,
	.stall_s = 60,
	.total_s = 1800,
	.bytes = LIST_BYTES_MAX,
};

struct transfer {
	int fd;
	uint64_t n, max;
	bool too_big;
	int write_error;
	struct fetch_tags *got;
};

static size_t on_body(char *p, size_t size, size_t n, void *ctx)
{
	struct transfer *t = ctx;
	size_t left = size * n;

	t->n += left;
	if (t->n > t->max) {
		t->too_big = true;
		return 0;
	}
	while (left) {
		ssize_t wrote = write(t->fd, p, left);

		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote <= 0) {
			t->write_error = wrote < 0 ? errno : EIO;
			return 0;
		}
		p += wrote;
		left -= (size_t)wrote;
	}
	return size * n;
}

static void keep_header(char *to, size_t room, struct str value)
{
	value = str_trim(value);
	to[0] = 0;
	if (!value.n || value.n >= room)
		return;
	for (size_t i = 0; i < value.n; i++)
		if (value.p[i] < ' ' || value.p[i] > '~')
			return;
	memcpy(to, value.p, value.n);
	to[value.n] = 0;
}

static size_t on_header(char *p, size_t size, size_t n, void *ctx)
{
	static const struct str etag = STR("etag:"), modified = STR("last-modified:");
	struct transfer *t = ctx;
	struct str line = { p, size * n };

	if (str_has_prefix(line, STR("HTTP/"))) {
		/* of a redirect, so far */
		t->got->etag[0] = t->got->modified[0] = 0;
	} else if (str_has_prefix_nocase(line, etag)) {
		keep_header(t->got->etag, sizeof(t->got->etag), str_sub(line, etag.n, line.n));
	} else if (str_has_prefix_nocase(line, modified)) {
		keep_header(t->got->modified, sizeof(t->got->modified),
			    str_sub(line, modified.n, line.n));
	}
	return line.n;
}

static int set_options(CURL *c, struct transfer *t, const struct fetch_get *get,
		       struct curl_slist *headers, const struct fetch_limits *lim)
{
	bool https = str_has_prefix_nocase(str_of(get->url), STR("https://"));
	const char *authorities = get->ca ? get->ca : getenv("SSL_CERT_FILE");
	CURLcode r = CURLE_OK;

#define SET(option, value) (r = r ? r : curl_easy_setopt(c, (option), (value)))
	SET(CURLOPT_URL, get->url);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	/* what began verified does not go on in the clear */
	SET(CURLOPT_REDIR_PROTOCOLS_STR, https ? "https" : "http,https");
	SET(CURLOPT_FOLLOWLOCATION, 1L);
	SET(CURLOPT_MAXREDIRS, 5L);
	SET(CURLOPT_USERAGENT, "egret/" EGRET_VERSION);
	SET(CURLOPT_HTTPHEADER, headers);
	SET(CURLOPT_CONNECTTIMEOUT, lim->connect_s);
	SET(CURLOPT_LOW_SPEED_LIMIT, 100L);
	SET(CURLOPT_LOW_SPEED_TIME, lim->stall_s);
	SET(CURLOPT_TIMEOUT, lim->total_s);
	SET(CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)lim->bytes);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_WRITEDATA, t);
	SET(CURLOPT_HEADERFUNCTION, on_header);
	SET(CURLOPT_HEADERDATA, t);
	if (authorities)
		SET(CURLOPT_CAINFO, authorities);
#undef SET
	return r ? -EINVAL : 0;
}

static int explain(CURL *c, CURLcode r, const struct transfer *t, const struct fetch_limits *lim,
		   char why[FETCH_WHY_MAX])
{
	long status = 0;

	curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
	if (t->too_big || r == CURLE_FILESIZE_EXCEEDED) {
		snprintf(why, FETCH_WHY_MAX, "it is larger than %llu MiB",
			 (unsigned long long)lim->bytes >> 20);
		return -EFBIG;
	}
	if (t->write_error) {
		snprintf(why, FETCH_WHY_MAX, "it cannot be written: %s", strerror(t->write_error));
		return -t->write_error;
	}
	if (r != CURLE_OK) {
		snprintf(why, FETCH_WHY_MAX, "%s", curl_easy_strerror(r));
		return r == CURLE_OPERATION_TIMEDOUT ? -ETIMEDOUT : -EIO;
	}
	if (status != 200 && status != 304) {
		snprintf(why, FETCH_WHY_MAX, "the server answered with status %ld", status);
		return -EIO;
	}
	return status == 304 ? 0 : 1;
}

int fetch_get(struct fetch_get *get, const struct fetch_limits *lim, char why[FETCH_WHY_MAX])
{
	struct transfer t = { .fd = get->fd, .max = lim->bytes, .got = &get->got };
	const struct fetch_tags *known = get->known;
	struct curl_slist *headers = NULL;
	CURL *c = curl_easy_init();
	char line[512];
	int r;

	if (!c)
		return -ENOMEM;
	/* unpacked later, with its checksum and bounded, not by libcurl: it is content with less than all of it */
	headers = curl_slist_append(headers, "Accept-Encoding: gzip");
	if (known && known->etag[0]) {
		snprintf(line, sizeof(line), "If-None-Match: %s", known->etag);
		headers = curl_slist_append(headers, line);
	}
	if (known && known->modified[0]) {
		snprintf(line, sizeof(line), "If-Modified-Since: %s", known->modified);
		headers = curl_slist_append(headers, line);
	}
	r = set_options(c, &t, get, headers, lim);
	if (r < 0)
		snprintf(why, FETCH_WHY_MAX, "libcurl refuses the URL");
	else
		r = explain(c, curl_easy_perform(c), &t, lim, why);
	curl_slist_free_all(headers);
	curl_easy_cleanup(c);
	return r;
}

static int transfer(struct fetch_get *get, const struct policy_list *l,
		    const struct fetch_limits *lim, char why[FETCH_WHY_MAX])
{
	char url[4096];

	if (l->url.n >= sizeof(url)) {
		snprintf(why, FETCH_WHY_MAX, "its URL is too long");
		return -ENAMETOOLONG;
	}
	memcpy(url, l->url.p, l->url.n);
	url[l->url.n] = 0;
	get->url = url;
	return fetch_get(get, lim, why);
}

static int ignore(void *ctx, const struct list_entry *e)
{
	return 0;
}

/* Whether what came is a list that may take the place of the old one. */
static int judge(struct list_cached *new, const struct list_cached *old,
		 const struct policy_list *l, char why[FETCH_WHY_MAX])
{
	struct list_report report = { 0 };
	bool stale = cache_is_expired(l, old->as_of_s, time(NULL));
	int r;

	r = list_parse(l->format, new->text, (struct list_sink){ ignore, NULL, time(NULL) },
		       &report);
	if (r < 0) {
		snprintf(why, FETCH_WHY_MAX, "it is not a list: line %u: %s", report.first_bad_line,
			 report.first_bad);
		return r;
	}
	new->entries = report.entries;
	if (!new->entries) {
		snprintf(why, FETCH_WHY_MAX, "it is empty");
		return -ENODATA;
	}
	/* what is expired is not enforced any more: then anything is better */
	if (!stale && new->entries < old->entries / 2 + old->entries % 2) {
		snprintf(why, FETCH_WHY_MAX,
			 "it has %llu entries, less than half of the %llu of the one in place",
			 (unsigned long long)new->entries, (unsigned long long)old->entries);
		return -ENODATA;
	}
	return 0;
}

static int take(int new_fd, const struct fetch_get *get, const struct policy_list *l,
		const char *cache, const struct list_cached *old, const struct fetch_limits *lim,
		char why[FETCH_WHY_MAX])
{
	struct list_cached new = { .tags = get->got };
	int fd, r;

	fd = fcntl(get->fd, F_DUPFD_CLOEXEC, 3);
	if (fd < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	r = list_text_read(&new.file, fd, lim->bytes);
	if (r == -EFBIG)
		snprintf(why, FETCH_WHY_MAX, "it is larger than %llu MiB unpacked",
			 (unsigned long long)lim->bytes >> 20);
	else if (r < 0)
		snprintf(why, FETCH_WHY_MAX, "it cannot be unpacked");
	if (r < 0)
		return r;
	new.text = (struct str){ new.file.p, new.file.n };
	r = judge(&new, old, l, why);
	if (r == 0) {
		r = cache_write(new_fd, l, cache, &new);
		if (r < 0)
			snprintf(why, FETCH_WHY_MAX, "it cannot be written: %s", strerror(-r));
	}
	cache_done(&new);
	return r < 0 ? r : 1;
}

/* FILE.new, locked: one fetch of a list at a time. */
static int open_new(const struct policy_list *l, const char *cache, char why[FETCH_WHY_MAX])
{
	char path[PATH_MAX];
	int fd, r;

	if (mkdir(cache, 0755) < 0 && errno != EEXIST) {
		r = -errno;
		snprintf(why, FETCH_WHY_MAX, "%.180s: %s", cache, strerror(-r));
		return r;
	}
	cache_path(l, cache, ".new", path);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0) {
		r = -errno;
		snprintf(why, FETCH_WHY_MAX, "%.180s: %s", path,
			 r == -EWOULDBLOCK ? "it is being fetched" : strerror(-r));
		if (fd >= 0)
			close(fd);
		return r;
	}
	return fd;
}

/* The download itself has no name: nothing is left of it however this ends. */
static int open_nameless(const char *cache, char why[FETCH_WHY_MAX])
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/.download-XXXXXX", cache);
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0) {
		fd = -errno;
		snprintf(why, FETCH_WHY_MAX, "%.180s: %s", cache, strerror(-fd));
		return fd;
	}
	unlink(path);
	return fd;
}

static void mark(const struct policy_list *l, const char *cache, const char *suffix)
{
	char path[PATH_MAX];
	int fd;

	cache_path(l, cache, suffix, path);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return;
	futimens(fd, NULL);
	close(fd);
}

static int fetch(const struct policy_list *l, const char *cache, const struct list_cached *old,
		 const struct fetch_limits *lim, char why[FETCH_WHY_MAX])
{
	_cleanup_close_ int new_fd = open_new(l, cache, why);
	struct fetch_get get = { .known = &old->tags };
	char path[PATH_MAX];
	int r;

	if (new_fd < 0)
		return new_fd;
	get.fd = open_nameless(cache, why);
	r = get.fd < 0 ? get.fd : transfer(&get, l, lim, why);
	if (r > 0)
		r = take(new_fd, &get, l, cache, old, lim, why);
	else if (r == 0)
		mark(l, cache, "");
	if (get.fd >= 0)
		close(get.fd);
	if (r <= 0) {
		cache_path(l, cache, ".new", path);
		unlink(path);
	}
	cache_path(l, cache, ".tried", path);
	if (r < 0)
		mark(l, cache, ".tried");
	else
		unlink(path);
	return r;
}

int list_fetch_within(const struct policy_list *l, const char *cache,
		      const struct fetch_limits *limits, char why[FETCH_WHY_MAX])
{
	struct list_cached old = { 0 };
	int r;

	why[0] = 0;
	if (!l->url.n)
		return -EINVAL;
	/* a damaged one is set aside and fetched as if there were none */
	r = cache_read(&old, l, cache);
	if (r < 0 && r != -ENOENT && r != -EBADMSG) {
		snprintf(why, FETCH_WHY_MAX, "the one in place cannot be read: %s", strerror(-r));
		return r;
	}
	r = fetch(l, cache, &old, limits, why);
	cache_done(&old);
	return r;
}

int list_fetch(const struct policy_list *l, const char *cache, char why[FETCH_WHY_MAX])
{
	return list_fetch_within(l, cache, &fetch_limits, why);
}
