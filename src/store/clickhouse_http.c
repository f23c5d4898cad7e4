/* SPDX-License-Identifier: Apache-2.0 */
#include "store/clickhouse_http.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "store/spool_pack.h"

#define CONNECT_S 10L
#define ANSWER_S 120L
#define URL_MAX 65536
#define PASSWORD_MAX 1024U
/* Their checksum is that of the frame inside. */
#define BLOCKS "&decompress=1&http_native_compression_disable_checksumming_on_decompress=1"

struct clickhouse_http {
	const struct ship_settings *settings;
	CURL *curl;
	char curl_why[CURL_ERROR_SIZE];
	char password[PASSWORD_MAX];
	size_t answer_max;
	struct buf answer;
	bool (*part)(void *ctx, struct str part); /* who gets the answer; NULL: it is kept */
	void *part_ctx;
	bool enough;
	size_t at;            /* which of the addresses */
	const char *lines[2]; /* of the next insert's head */
	enum clickhouse_fate fate;
	bool collector;
};

static size_t on_answer(char *p, size_t size, size_t n, void *ctx)
{
	struct clickhouse_http *h = ctx;
	long status = 0;

	if (h->part)
		curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status == 200) {
		h->enough = !h->part(h->part_ctx, (struct str){ p, size * n });
		return h->enough ? 0 : size * n;
	}
	buf_put(&h->answer, p, MIN(size * n, h->answer_max - h->answer.n));
	return size * n;
}

static int read_password(struct clickhouse_http *h, char why[SHIP_WHY_MAX])
{
	char full[SHIP_PATH_MAX];
	_cleanup_fclose_ FILE *f = NULL;
	size_t n;

	h->password[0] = 0;
	if (!h->settings->password_file[0])
		return 0;
	ship_secret_path(h->settings->password_file, full);
	f = fopen(full, "re");
	if (!f) {
		snprintf(why, SHIP_WHY_MAX, "cannot read the password from %.160s: %s", full,
			 strerror(errno));
		return -errno;
	}
	n = fread(h->password, 1, sizeof(h->password) - 1, f);
	h->password[n] = 0;
	h->password[strcspn(h->password, "\r\n")] = 0;
	return 0;
}

int clickhouse_http_login(struct clickhouse_http *h, char why[SHIP_WHY_MAX])
{
	const struct ship_settings *s = h->settings;
	const char *authorities = s->ca[0] ? s->ca : getenv("SSL_CERT_FILE");
	char key[SHIP_PATH_MAX];
	CURLcode r = CURLE_OK;

	if (read_password(h, why) < 0)
		return -EACCES;
#define SET(option, value) (r = r ? r : curl_easy_setopt(h->curl, (option), (value)))
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_USERAGENT, "egret/" EGRET_VERSION);
	SET(CURLOPT_CONNECTTIMEOUT, CONNECT_S);
	SET(CURLOPT_TIMEOUT, ANSWER_S);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_POST, 1L);
	SET(CURLOPT_WRITEFUNCTION, on_answer);
	SET(CURLOPT_WRITEDATA, h);
	SET(CURLOPT_ERRORBUFFER, h->curl_why);
	SET(CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
	if (s->user[0]) {
		SET(CURLOPT_USERNAME, s->user);
		SET(CURLOPT_PASSWORD, h->password);
	}
	if (authorities)
		SET(CURLOPT_CAINFO, authorities);
	if (s->certificate[0]) {
		SET(CURLOPT_SSLCERT, s->certificate);
		SET(CURLOPT_SSLKEY, ship_secret_path(s->key, key));
	}
#undef SET
	if (r != CURLE_OK)
		snprintf(why, SHIP_WHY_MAX, "libcurl refuses the settings");
	return r == CURLE_OK ? 0 : -EINVAL;
}

static CURLcode perform(struct clickhouse_http *h, const char *url, struct str body, bool insert)
{
	struct curl_slist *headers = NULL;
	CURLcode r = url ? curl_easy_setopt(h->curl, CURLOPT_URL, url) : CURLE_OUT_OF_MEMORY;

	headers = curl_slist_append(headers, "Expect:");
	headers = curl_slist_append(headers, "Content-Type: application/octet-stream");
	if (insert && spool_is_gzip(body))
		headers = curl_slist_append(headers, "Content-Encoding: gzip");
	for (size_t i = 0; i < ARRAY_SIZE(h->lines); i++)
		if (insert && h->lines[i])
			headers = curl_slist_append(headers, h->lines[i]);
	if (r == CURLE_OK)
		r = curl_easy_setopt(h->curl, CURLOPT_HTTPHEADER, headers);
	if (r == CURLE_OK)
		r = curl_easy_setopt(h->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.n);
	if (r == CURLE_OK)
		r = curl_easy_setopt(h->curl, CURLOPT_POSTFIELDS, body.p ?: "");
	buf_clear(&h->answer);
	h->curl_why[0] = 0;
	h->enough = false;
	if (r == CURLE_OK)
		r = curl_easy_perform(h->curl);
	curl_slist_free_all(headers);
	return r;
}

/* How the request went, up to an answer with a status. 0 or -EIO. */
static int explain(struct clickhouse_http *h, CURLcode r, char why[SHIP_WHY_MAX])
{
	if (r == CURLE_OK)
		return 0;
	if (r == CURLE_OPERATION_TIMEDOUT)
		snprintf(why, SHIP_WHY_MAX, "it is slow: no answer in time");
	else
		snprintf(why, SHIP_WHY_MAX, "%s",
			 h->curl_why[0] ? h->curl_why : curl_easy_strerror(r));
	return -EIO;
}

/* A gateway or a server that gave up on it may have handed it on all the same. */
static enum clickhouse_fate fate_of(struct clickhouse_http *h, CURLcode r)
{
	long status = 0, asked = 0;

	curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(h->curl, CURLINFO_REQUEST_SIZE, &asked);
	if (r == CURLE_OK && (status < 500 || status == 503))
		return CLICKHOUSE_ANSWERED;
	return asked ? CLICKHOUSE_IN_DOUBT : CLICKHOUSE_NOT_SENT;
}

static bool by_collector(struct clickhouse_http *h)
{
	struct curl_header *header;

	return curl_easy_header(h->curl, SHIP_COLLECTOR_HEADER, 0, CURLH_HEADER, -1, &header) ==
	       CURLHE_OK;
}

int clickhouse_http_post(struct clickhouse_http *h, const char *query, struct str body,
			 const char *more, char why[SHIP_WHY_MAX])
{
	_cleanup_buf_ struct buf url = BUF_INIT(URL_MAX);
	char *text = curl_easy_escape(h->curl, query, 0);
	long status = 0;
	CURLcode r;

	buf_printf(&url, "%s/?database=%s&query=%s%s%s", clickhouse_http_url(h),
		   h->settings->database, text ?: "", more,
		   body.n && !spool_is_gzip(body) ? BLOCKS : "");
	curl_free(text);
	h->part = NULL;
	r = perform(h, url.failed ? NULL : url.p, body, body.n);
	h->fate = fate_of(h, r);
	h->collector = by_collector(h);
	if (explain(h, r, why) < 0)
		return -EIO;
	curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &status);
	/* ClickHouse says nothing to an insert that it took. */
	if (status == 200 && !(body.n && h->answer.n))
		return 0;
	return ship_explain(status, buf_str(&h->answer), h->settings->database, why) == SHIP_NEVER
		       ? -EBADMSG
		       : -EIO;
}

/* The server keeps the answer until it is whole: what fails in its middle has a status that says so. */
int clickhouse_http_ask(struct clickhouse_http *h, struct str query,
			bool (*part)(void *ctx, struct str part), void *ctx, char why[SHIP_WHY_MAX])
{
	_cleanup_buf_ struct buf url = BUF_INIT(URL_MAX);
	long status = 0;
	CURLcode r;

	buf_printf(&url, "%s/?database=%s&readonly=2&wait_end_of_query=1", clickhouse_http_url(h),
		   h->settings->database);
	h->part = part;
	h->part_ctx = ctx;
	r = perform(h, url.failed ? NULL : url.p, query, false);
	h->fate = fate_of(h, r);
	h->part = NULL;
	if (h->enough)
		return 0;
	if (explain(h, r, why) < 0)
		return -EIO;
	curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status == 200)
		return 0;
	ship_explain(status, buf_str(&h->answer), h->settings->database, why);
	return -EIO;
}

struct str clickhouse_http_answer(const struct clickhouse_http *h)
{
	return buf_str(&h->answer);
}

const char *clickhouse_http_url(const struct clickhouse_http *h)
{
	return ship_url(h->settings, h->at);
}

bool clickhouse_http_next(struct clickhouse_http *h)
{
	h->at = ship_url(h->settings, h->at + 1) ? h->at + 1 : 0;
	return h->at;
}

bool clickhouse_http_use(struct clickhouse_http *h, struct str url)
{
	for (size_t i = 0; ship_url(h->settings, i); i++) {
		if (!str_eq(url, str_of(ship_url(h->settings, i))))
			continue;
		h->at = i;
		return true;
	}
	return false;
}

enum clickhouse_fate clickhouse_http_fate(const struct clickhouse_http *h)
{
	return h->fate;
}

bool clickhouse_http_collector(const struct clickhouse_http *h)
{
	return h->collector;
}

void clickhouse_http_headers(struct clickhouse_http *h, const char *spool, const char *batch)
{
	h->lines[0] = spool;
	h->lines[1] = batch;
}

struct clickhouse_http *clickhouse_http_free(struct clickhouse_http *h)
{
	if (!h)
		return NULL;
	if (h->curl)
		curl_easy_cleanup(h->curl);
	buf_done(&h->answer);
	explicit_bzero(h->password, sizeof(h->password));
	free(h);
	return NULL;
}

int clickhouse_http_new(struct clickhouse_http **ret, const struct ship_settings *settings,
			size_t answer_max)
{
	struct clickhouse_http *h = calloc(1, sizeof(*h));

	if (!h)
		return -ENOMEM;
	h->settings = settings;
	h->answer_max = answer_max;
	h->answer = BUF_INIT(answer_max + 1);
	h->curl = curl_easy_init();
	if (!h->curl) {
		clickhouse_http_free(h);
		return -ENOMEM;
	}
	*ret = h;
	return 0;
}
