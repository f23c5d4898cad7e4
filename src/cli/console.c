/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/console.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "store/ship.h"

#define CONNECT_S 10L
#define SILENT_S 90L /* a question is answered within 60 s */
#define LINE_MAX_BYTES (16U << 20)
#define ERROR_BODY_MAX (16U << 10) /* of an answer that is none */
#define URL_MAX 512

static struct {
	char url[URL_MAX], ca[256];
	char token[CONSOLE_TOKEN_MAX];
	bool used;
} console;

/* ---- where, and as who ---- */

static bool is_loopback(struct str host)
{
	bool bracket = host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']';
	struct addr a;

	if (bracket)
		host = str_sub(host, 1, host.n - 2);
	return str_eq_nocase(host, STR("localhost")) ||
	       (addr_parse(host, &a) == 0 && addr_class(&a) == ADDR_LOOPBACK);
}

const char *console_check_url(struct str url, bool has_token)
{
	const char *wrong = ship_check_url(url), *end;
	struct str host;

	if (wrong)
		return wrong[0] == 't' ? wrong : "an address as https://HOST:8710 is expected here";
	if (!has_token || str_has_prefix(url, STR("https://")))
		return NULL;
	host = str_sub(url, 7, url.n);
	end = host.p[0] == '[' ? memchr(host.p, ']', host.n) : NULL;
	for (size_t n = end ? (size_t)(end - host.p) + 1 : 0; n < host.n; n++)
		if (strchr(":/", host.p[n]))
			host.n = n;
	return is_loopback(host) ? NULL
				 : "a token goes over https:// or to this machine alone: everybody "
				   "on the way could read it";
}

/* A file that others may read is no secret: refused, not only said. */
static int read_token(const char *name, char *why)
{
	const char *credentials = getenv("CREDENTIALS_DIRECTORY");
	bool named = !strchr(name, '/') && credentials;
	_cleanup_fclose_ FILE *f = NULL;
	struct stat st;
	char path[512];
	size_t n;

	snprintf(path, sizeof(path), "%s%s%s", named ? credentials : "", named ? "/" : "", name);
	f = fopen(path, "re");
	if (!f || fstat(fileno(f), &st) < 0) {
		snprintf(why, CONSOLE_WHY_MAX, "cannot read the token from %.160s: %s", path,
			 strerror(errno));
		return -EACCES;
	}
	if (!named && (st.st_mode & (S_IROTH | S_IWOTH))) {
		snprintf(why, CONSOLE_WHY_MAX,
			 "%.160s is readable by everybody: 'chmod 600' it, and make a new token",
			 path);
		return -EACCES;
	}
	n = fread(console.token, 1, sizeof(console.token) - 1, f);
	console.token[n] = 0;
	console.token[strcspn(console.token, " \t\r\n")] = 0;
	if (console.token[0] &&
	    strspn(console.token, "0123456789abcdefABCDEF") == strlen(console.token))
		return 0;
	snprintf(why, CONSOLE_WHY_MAX, "%.160s holds no token as 'egret page' prints it", path);
	return -EINVAL;
}

int console_use(const struct console_settings *s, char why[CONSOLE_WHY_MAX])
{
	struct str url = str_of(s->url);
	const char *wrong;
	int r = s->token_file ? read_token(s->token_file, why) : 0;

	if (r < 0)
		return r;
	while (url.n && url.p[url.n - 1] == '/')
		url.n--;
	wrong = console_check_url(url, s->token_file != NULL);
	if (!wrong && url.n > URL_MAX - 32)
		wrong = "it is too long";
	if (wrong) {
		snprintf(why, CONSOLE_WHY_MAX, "--console %.100s: %s", s->url, wrong);
		return -EINVAL;
	}
	snprintf(console.url, sizeof(console.url), "%.*s", STR_FMT(url));
	snprintf(console.ca, sizeof(console.ca), "%s", s->ca ?: getenv("SSL_CERT_FILE") ?: "");
	console.used = true;
	return 0;
}

bool console_used(void)
{
	return console.used;
}

/* ---- what came back ---- */

void console_explain(long status, struct str body, char why[CONSOLE_WHY_MAX])
{
	_cleanup_(json_decrefp) json_t *j = json_loadb(body.n ? body.p : "", body.n, 0, NULL);
	const char *said = json_string_value(json_object_get(j, "error"));

	if (!said)
		snprintf(why, CONSOLE_WHY_MAX, "HTTP status %ld: what answers there is no egret",
			 status);
	else if (status == 401)
		snprintf(why, CONSOLE_WHY_MAX,
			 "the token is missing, wrong or over: --token-file FILE with one that "
			 "'egret page' made there");
	else if (status == 404 || status == 405)
		snprintf(why, CONSOLE_WHY_MAX,
			 "the egret there is older than this one: it has no "
			 "/api/v1/ask");
	else
		snprintf(why, CONSOLE_WHY_MAX, "%.200s", said);
}

static void explain_failure(CURLcode r, const char *curl_why, char *why)
{
	const char *words = curl_why[0] ? curl_why : curl_easy_strerror(r);

	switch (r) {
	case CURLE_OPERATION_TIMEDOUT:
		snprintf(why, CONSOLE_WHY_MAX, "no answer in time");
		break;
	case CURLE_PEER_FAILED_VERIFICATION:
		snprintf(why, CONSOLE_WHY_MAX, "its certificate is not trusted (--ca FILE): %.150s",
			 words);
		break;
	case CURLE_PARTIAL_FILE:
	case CURLE_RECV_ERROR:
	case CURLE_GOT_NOTHING:
		snprintf(why, CONSOLE_WHY_MAX, "the answer was cut off: %.150s", words);
		break;
	default:
		snprintf(why, CONSOLE_WHY_MAX, "%.200s", words);
	}
}

/* ---- the process that speaks HTTP ---- */

struct http {
	CURL *curl;
	int to;          /* whoever asked */
	struct buf held; /* the beginning of a line, or an answer that is none */
	long status;     /* 0: not known yet */
	bool is_answer;
	char curl_why[CURL_ERROR_SIZE];
};

static bool send_bytes(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return false;
		p += sent;
		n -= (size_t)sent;
	}
	return true;
}

static void look_at_head(struct http *h)
{
	const char *type = NULL;

	curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &h->status);
	curl_easy_getinfo(h->curl, CURLINFO_CONTENT_TYPE, &type);
	h->is_answer = h->status == 200 && type && !strcmp(type, "application/x-ndjson");
}

/* Whole lines go on at once: a cut answer ends between two. */
static size_t on_bytes(char *p, size_t size, size_t n, void *ctx)
{
	struct http *h = ctx;
	const char *end;

	if (!h->status)
		look_at_head(h);
	if (!h->is_answer) {
		if (h->held.n < ERROR_BODY_MAX)
			buf_put(&h->held, p, MIN(size * n, ERROR_BODY_MAX - h->held.n));
		return size * n;
	}
	end = memrchr(p, '\n', size * n);
	buf_put(&h->held, p, end ? (size_t)(end - p) + 1 : size * n);
	if (h->held.failed)
		return 0;
	if (!end)
		return size * n;
	if (!send_bytes(h->to, h->held.p, h->held.n))
		return 0;
	buf_clear(&h->held);
	buf_put(&h->held, end + 1, size * n - (size_t)(end + 1 - p));
	return size * n;
}

static CURLcode set_up(struct http *h, struct str request, const char *url,
		       struct curl_slist *headers)
{
	CURLcode r = CURLE_OK;

#define SET(option, value) (r = r ? r : curl_easy_setopt(h->curl, (option), (value)))
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_USERAGENT, "egret/" EGRET_VERSION);
	SET(CURLOPT_CONNECTTIMEOUT, CONNECT_S);
	SET(CURLOPT_LOW_SPEED_LIMIT, 1L);
	SET(CURLOPT_LOW_SPEED_TIME, SILENT_S);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_URL, url);
	SET(CURLOPT_HTTPHEADER, headers);
	SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request.n);
	SET(CURLOPT_POSTFIELDS, request.p);
	SET(CURLOPT_WRITEFUNCTION, on_bytes);
	SET(CURLOPT_WRITEDATA, h);
	SET(CURLOPT_ERRORBUFFER, h->curl_why);
	if (console.ca[0])
		SET(CURLOPT_CAINFO, console.ca);
#undef SET
	return r;
}

static struct curl_slist *headers_of(void)
{
	char bearer[CONSOLE_TOKEN_MAX + 32];
	struct curl_slist *list = curl_slist_append(NULL, "Content-Type: application/json");

	list = curl_slist_append(list, "X-Egret: 1");
	list = curl_slist_append(list, "Expect:");
	if (console.token[0]) {
		snprintf(bearer, sizeof(bearer), "Authorization: Bearer %s", console.token);
		list = curl_slist_append(list, bearer);
	}
	return list;
}

static void tell(struct http *h, const char *why)
{
	_cleanup_buf_ struct buf line = BUF_INIT(URL_MAX + 2 * CONSOLE_WHY_MAX);
	struct json j = JSON_INIT(&line);
	char text[URL_MAX + CONSOLE_WHY_MAX];

	snprintf(text, sizeof(text), "%s: %s", console.url, why);
	json_object_begin(&j, NULL);
	json_text(&j, "error", text);
	json_object_end(&j);
	buf_putc(&line, '\n');
	send_bytes(h->to, line.p, line.n);
}

static void speak(int to, struct str request)
{
	struct http h = { .to = to, .held = BUF_INIT(LINE_MAX_BYTES), .curl = curl_easy_init() };
	struct curl_slist *headers = headers_of();
	char url[URL_MAX + 16], why[CONSOLE_WHY_MAX] = "";
	CURLcode r = CURLE_FAILED_INIT;

	snprintf(url, sizeof(url), "%s/api/v1/ask", console.url);
	if (h.curl)
		r = set_up(&h, request, url, headers);
	if (r == CURLE_OK)
		r = curl_easy_perform(h.curl);
	if (h.curl && !h.status)
		look_at_head(&h);
	if (r == CURLE_WRITE_ERROR)
		snprintf(why, sizeof(why), "a line of the answer is too long");
	else if (r != CURLE_OK)
		explain_failure(r, h.curl_why, why);
	else if (!h.is_answer)
		console_explain(h.status, buf_str(&h.held), why);
	if (why[0])
		tell(&h, why);
	curl_slist_free_all(headers);
	if (h.curl)
		curl_easy_cleanup(h.curl);
	buf_done(&h.held);
}

/* What the parent sends as if to egretd. It is known already, but left unread it would cut the connection. */
static void take_request(int fd, size_t n)
{
	char room[4096];

	for (ssize_t got = 1; n && got > 0; n -= (size_t)got)
		got = recv(fd, room, MIN(n, sizeof(room)), 0);
}

int console_ask(struct client **ret, struct str request)
{
	_cleanup_close_ int ours = -1, theirs = -1;
	pid_t parent = getpid(), pid;
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	ours = ends[0];
	theirs = ends[1];
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		close(TAKE_FD(ours));
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		take_request(theirs, request.n + 1);
		if (getppid() == parent)
			speak(theirs, request);
		_exit(EXIT_SUCCESS);
	}
	return client_new_over(ret, TAKE_FD(ours), request, -1);
}
