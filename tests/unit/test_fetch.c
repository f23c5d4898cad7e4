// SPDX-License-Identifier: Apache-2.0
/* Lists by HTTP(S): against a server of this test that answers as told, and against nginx. */
#include "test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/loop.h"
#include "base/time.h"
#include "policy/fetch.h"
#include "policy/list.h"

#define TEN                                                                                     \
	"192.0.2.1\n192.0.2.2\n192.0.2.3\n192.0.2.4\n192.0.2.5\n192.0.2.6\n192.0.2.7\n192.0.2." \
	"8\n192.0.2.9\n192.0.2.10\n"
#define FOUR "192.0.2.1\n192.0.2.2\n192.0.2.3\n192.0.2.4\n"

/* --- the server: one answer a connection, told by the path --------------------------------------------------------- */

static struct {
	pid_t pid;
	uint16_t port;
	char folder[64], cache[80], log[80];
} lab;

static void say(int fd, const void *p, size_t n)
{
	const char *at = p;

	while (n) {
		ssize_t wrote = send(fd, at, n, MSG_NOSIGNAL);

		if (wrote <= 0)
			return;
		at += wrote;
		n -= (size_t)wrote;
	}
}

static void say_text(int fd, const char *text)
{
	say(fd, text, strlen(text));
}

static void answer(int fd, const char *head, const void *body, size_t n, size_t promised)
{
	char text[512];
	int length = snprintf(text, sizeof(text),
			      "HTTP/1.1 %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
			      head, promised);

	say(fd, text, (size_t)length);
	say(fd, body, n);
}

static struct str gzip(const void *p, size_t n, size_t times)
{
	size_t room = 8 << 20;
	char *out = malloc(room);
	z_stream z = { .next_out = (Bytef *)out, .avail_out = (uInt)room };

	if (!out || deflateInit2(&z, 9, Z_DEFLATED, 31, 9, Z_DEFAULT_STRATEGY) != Z_OK)
		_exit(1);
	while (times--) {
		z.next_in = (Bytef *)p;
		z.avail_in = (uInt)n;
		if (deflate(&z, times ? Z_NO_FLUSH : Z_FINISH) < 0)
			_exit(1);
	}
	deflateEnd(&z);
	return (struct str){ out, z.total_out };
}

static void serve_packed(int fd, const char *path)
{
	static char zeros[1 << 20];
	struct str body =
		strstr(path, "bomb") ? gzip(zeros, sizeof(zeros), 16) : gzip(TEN, strlen(TEN), 1);
	bool encoded = !strstr(path, "file");

	if (strstr(path, "cut"))
		body.n -= 6;
	answer(fd, encoded ? "200 OK\r\nContent-Encoding: gzip" : "200 OK", body.p, body.n, body.n);
	free((char *)body.p);
}

static void serve_endless(int fd)
{
	static char lines[64 << 10];

	for (size_t i = 0; i + 10 <= sizeof(lines); i += 10)
		memcpy(lines + i, "192.0.2.1\n", 10);
	say_text(fd, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
	for (int i = 0; i < 4096; i++)
		say(fd, lines, sizeof(lines) / 10 * 10);
}

static void serve_one(int fd)
{
	char request[4096] = "", path[256] = "";
	size_t n = 0;
	FILE *log = fopen(lab.log, "a");

	while (n < sizeof(request) - 1 && !strstr(request, "\r\n\r\n")) {
		ssize_t got = recv(fd, request + n, sizeof(request) - 1 - n, 0);

		if (got <= 0)
			break;
		n += (size_t)got;
		request[n] = 0;
	}
	if (log) {
		fputs(request, log);
		fclose(log);
	}
	sscanf(request, "GET %255s", path);
	if (strstr(path, "/packed"))
		serve_packed(fd, path);
	else if (strstr(request, "If-None-Match: \"v1\"") && !strstr(path, "/always"))
		say_text(fd,
			 "HTTP/1.1 304 Not Modified\r\nETag: \"v1\"\r\nConnection: close\r\n\r\n");
	else if (strstr(path, "/ten"))
		answer(fd, "200 OK\r\nETag: \"v1\"\r\nLast-Modified: Sat, 01 Aug 2026 00:00:00 GMT",
		       TEN, strlen(TEN), strlen(TEN));
	else if (strstr(path, "/redirect"))
		answer(fd, "302 Found\r\nLocation: /ten", "", 0, 0);
	else if (strstr(path, "/round"))
		answer(fd, "302 Found\r\nLocation: /round", "", 0, 0);
	else if (strstr(path, "/to-file"))
		answer(fd, "302 Found\r\nLocation: file:///etc/hosts", "", 0, 0);
	else if (strstr(path, "/truncated"))
		answer(fd, "200 OK", TEN, 35, strlen(TEN));
	else if (strstr(path, "/huge-promise"))
		answer(fd, "200 OK", TEN, strlen(TEN), 1ULL << 40);
	else if (strstr(path, "/endless"))
		serve_endless(fd);
	else if (strstr(path, "/slow"))
		poll(NULL, 0, 10000);
	else if (strstr(path, "/half"))
		answer(fd, "200 OK", FOUR, strlen(FOUR), strlen(FOUR));
	else if (strstr(path, "/empty"))
		answer(fd, "200 OK", "# nothing\n", 10, 10);
	else if (strstr(path, "/garbage"))
		answer(fd, "200 OK", "<html>\n<body>\nSign in\n</body>\n", 30, 30);
	else if (strstr(path, "/500"))
		answer(fd, "500 Internal Server Error", TEN, strlen(TEN), strlen(TEN));
	else if (strstr(path, "/nonsense"))
		say(fd, "\x16\3\1\0\0HELLO\r\n\r\n", 14);
	else
		answer(fd, "404 Not Found", TEN, strlen(TEN), strlen(TEN));
}

static _Noreturn void serve(int listener)
{
	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (fd >= 0 && fork() == 0) {
			serve_one(fd);
			shutdown(fd, SHUT_WR);
			_exit(0);
		}
		close(fd);
	}
}

static int start_lab(void **state)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(a);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(lab.folder, sizeof(lab.folder), "/tmp/egret-fetch-XXXXXX");
	if (listener < 0 || !mkdtemp(lab.folder) ||
	    bind(listener, (struct sockaddr *)&a, sizeof(a)) || listen(listener, 64) ||
	    getsockname(listener, (struct sockaddr *)&a, &n))
		return -1;
	snprintf(lab.cache, sizeof(lab.cache), "%s/cache", lab.folder);
	snprintf(lab.log, sizeof(lab.log), "%s/requests", lab.folder);
	lab.port = ntohs(a.sin_port);
	unsetenv("http_proxy");
	lab.pid = fork();
	if (lab.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve(listener);
	}
	close(listener);
	return lab.pid > 0 ? 0 : -1;
}

static int stop_lab(void **state)
{
	char command[128];

	kill(lab.pid, SIGKILL);
	waitpid(lab.pid, NULL, 0);
	snprintf(command, sizeof(command), "rm -rf '%s'", lab.folder);
	return system(command);
}

/* --- what the cases share ------------------------------------------------------------------------------------------ */

static struct policy_list list_at(const char *name, const char *path, char url[256])
{
	snprintf(url, 256, "http://127.0.0.1:%u%s", lab.port, path);
	return (struct policy_list){ .name = str_of(name), .url = str_of(url) };
}

static int on_entry(void *ctx, const struct list_entry *e)
{
	++*(unsigned *)ctx;
	return 0;
}

/* Entries of what is in place; < 0: -errno. */
static int in_place(const struct policy_list *l, int64_t now_s)
{
	struct list_report report;
	unsigned n = 0;
	int r = list_load(l, lab.cache, now_s, (struct list_sink){ on_entry, &n, 0 }, &report);

	return r < 0 ? r : (int)n;
}

static bool logged(const char *what)
{
	static char text[1 << 20];
	FILE *f = fopen(lab.log, "r");
	size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;

	if (f)
		fclose(f);
	text[n] = 0;
	return strstr(text, what) != NULL;
}

static const struct fetch_limits quick = {
	.connect_s = 2, .stall_s = 1, .total_s = 3, .bytes = 1 << 20
};

/* Puts ten entries in place under `name`, for what is asked for next by the same URL. */
static void put_ten(const struct policy_list *l)
{
	char path[PATH_MAX];
	struct list_cached ten = { .text = STR(TEN), .entries = 10 };
	int fd;

	mkdir(lab.cache, 0755);
	cache_path(l, lab.cache, ".new", path);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
	assert_true(fd >= 0);
	assert_ok(cache_write(fd, l, lab.cache, &ten));
	close(fd);
}

/* --- cases ----------------------------------------------------------------------------------------------------------- */

static void new_then_not_changed(void **state)
{
	char url[256], why[256], path[PATH_MAX];
	struct policy_list l = list_at("ten", "/ten", url);
	struct timespec old[2] = { { 1000, 0 }, { 1000, 0 } };
	struct stat st;

	assert_int_equal(in_place(&l, 0), -ENOENT);
	assert_int_equal(list_next_refresh(&l, lab.cache), 0);
	assert_int_equal(list_fetch(&l, lab.cache, why), 1);
	assert_int_equal(in_place(&l, 0), 10);
	cache_path(&l, lab.cache, "", path);
	assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
	assert_int_equal(list_next_refresh(&l, lab.cache), 1000 + 24 * 3600);
	assert_int_equal(list_fetch(&l, lab.cache, why), 0);
	assert_true(logged("If-None-Match: \"v1\"\r\n"));
	assert_true(logged("If-Modified-Since: Sat, 01 Aug 2026 00:00:00 GMT\r\n"));
	assert_true(logged("User-Agent: egret/"));
	/* confirmed is as good as new */
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_mtim.tv_sec > 1000);
	assert_int_equal(in_place(&l, 0), 10);
}

static void a_redirect_is_followed(void **state)
{
	char url[256], why[256];
	struct policy_list l = list_at("redirect", "/redirect", url);

	assert_int_equal(list_fetch(&l, lab.cache, why), 1);
	assert_int_equal(in_place(&l, 0), 10);
}

static void packed_lists(void **state)
{
	char url[256], why[256];
	struct policy_list l = list_at("packed", "/packed", url);

	assert_int_equal(list_fetch(&l, lab.cache, why), 1);
	assert_int_equal(in_place(&l, 0), 10);
	/* a file that is gzip itself */
	l = list_at("packed-file", "/packed-file.gz", url);
	assert_int_equal(list_fetch(&l, lab.cache, why), 1);
	assert_int_equal(in_place(&l, 0), 10);
}

/* Whatever goes wrong, the ten stay and there is a word for it. */
static void the_old_one_stays(void **state)
{
	static const struct {
		const char *path;
		int r;
		const char *why;
	} cases[] = {
		{ "/404", -EIO, "status 404" },
		{ "/500", -EIO, "status 500" },
		{ "/truncated", -EIO, "" },
		{ "/half", -ENODATA,
		  "it has 4 entries, less than half of the 10 of the one in place" },
		{ "/empty", -ENODATA, "it is empty" },
		{ "/garbage", -EINVAL,
		  "it is not a list: line 1: '<html>' is neither an address nor a name" },
		{ "/slow", -ETIMEDOUT, "" },
		{ "/round", -EIO, "redirects" },
		{ "/to-file", -EIO, "" },
		{ "/huge-promise", -EFBIG, "larger than 1 MiB" },
		{ "/endless", -EFBIG, "larger than 1 MiB" },
		{ "/packed-bomb", -EFBIG, "larger than 1 MiB unpacked" },
		{ "/packed-file-bomb", -EFBIG, "larger than 1 MiB unpacked" },
		{ "/packed-cut", -EBADMSG, "cannot be unpacked" },
		{ "/packed-file-cut", -EBADMSG, "cannot be unpacked" },
		{ "/nonsense", -EIO, "" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char url[256], why[256] = "", path[PATH_MAX];
		struct policy_list l = list_at("kept", cases[i].path, url);
		int64_t now = (int64_t)(time_now() / NSEC_PER_SEC), next;
		int r;

		put_ten(&l);
		r = list_fetch_within(&l, lab.cache, &quick, why);
		if (r != cases[i].r || !why[0] || !strstr(why, cases[i].why))
			fail_msg("%s: %d, %s", cases[i].path, r, why);
		if (in_place(&l, 0) != 10)
			fail_msg("%s: the old one is gone", cases[i].path);
		/* nothing half written stays, and the next try is neither now nor in a day */
		cache_path(&l, lab.cache, ".new", path);
		assert_int_equal(access(path, F_OK), -1);
		l.refresh_ns = 600 * NSEC_PER_SEC;
		next = list_next_refresh(&l, lab.cache);
		assert_true(next >= now + 60 && next <= now + 1300);
	}
}

static void nobody_answers(void **state)
{
	struct policy_list l = { .name = STR("gone"), .url = STR("http://127.0.0.1:1/") };
	char why[256];

	put_ten(&l);
	assert_int_equal(list_fetch(&l, lab.cache, why), -EIO);
	assert_true(strstr(why, "connect") != NULL);
	assert_int_equal(in_place(&l, 0), 10);
	l.url = STR("file:///etc/hosts");
	assert_true(list_fetch(&l, lab.cache, why) < 0);
	assert_int_equal(in_place(&l, 0), -ENOENT);
}

static void an_expired_one_may_shrink(void **state)
{
	char url[256], why[256], path[PATH_MAX];
	struct policy_list l = list_at("shrinks", "/half", url);
	struct timespec old[2] = { { 1000, 0 }, { 1000, 0 } };
	int64_t now = (int64_t)(time_now() / NSEC_PER_SEC);

	put_ten(&l);
	cache_path(&l, lab.cache, "", path);
	assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
	assert_int_equal(list_fetch(&l, lab.cache, why), -ENODATA);
	assert_int_equal(in_place(&l, now), 10);
	l.expire_ns = 3600 * NSEC_PER_SEC;
	assert_int_equal(in_place(&l, now), 0);
	assert_int_equal(in_place(&l, 1000 + 3600), 10);
	assert_int_equal(list_fetch(&l, lab.cache, why), 1);
	assert_int_equal(in_place(&l, now), 4);
}

static void a_damaged_one_is_set_aside(void **state)
{
	static const struct {
		off_t at;
		const char *with;
	} damages[] = { { 0, "X" }, { 40, "\n\n" }, { -3, "7" }, { -1, "" } };

	for (size_t i = 0; i < ARRAY_SIZE(damages); i++) {
		char url[256], why[256], path[PATH_MAX], aside[PATH_MAX];
		struct policy_list l = list_at("damaged", "/ten", url);
		struct list_report report;
		unsigned n = 0;
		int fd;

		put_ten(&l);
		cache_path(&l, lab.cache, "", path);
		cache_path(&l, lab.cache, ".damaged", aside);
		unlink(aside);
		fd = open(path, O_RDWR);
		assert_true(fd >= 0);
		if (!damages[i].with[0]) {
			off_t end = lseek(fd, 0, SEEK_END);

			assert_int_equal(ftruncate(fd, end - 5), 0);
		} else {
			lseek(fd, damages[i].at, damages[i].at < 0 ? SEEK_END : SEEK_SET);
			assert_int_equal(write(fd, damages[i].with, strlen(damages[i].with)),
					 strlen(damages[i].with));
		}
		close(fd);
		assert_err(
			list_load(&l, lab.cache, 0, (struct list_sink){ on_entry, &n, 0 }, &report),
			-EBADMSG);
		assert_int_equal(n, 0);
		assert_true(strstr(report.first_bad, "damaged") != NULL);
		assert_int_equal(access(aside, F_OK), 0);
		assert_int_equal(in_place(&l, 0), -ENOENT);
		/* asked for anew as a whole, not "if changed" */
		assert_int_equal(list_fetch(&l, lab.cache, why), 1);
		assert_int_equal(in_place(&l, 0), 10);
	}
}

static void files_of_the_user(void **state)
{
	char path[PATH_MAX];
	struct policy_list l = { .name = STR("mine") };
	struct timespec old[2] = { { 1000, 0 }, { 1000, 0 } };
	gzFile gz;

	snprintf(path, sizeof(path), "%s/mine.txt.gz", lab.folder);
	l.path = str_of(path);
	assert_int_equal(in_place(&l, 0), -ENOENT);
	gz = gzopen(path, "wb");
	gzputs(gz, TEN);
	gzclose(gz);
	assert_int_equal(in_place(&l, 0), 10);
	assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
	l.expire_ns = 60 * NSEC_PER_SEC;
	assert_int_equal(in_place(&l, 1060), 10);
	assert_int_equal(in_place(&l, 1061), 0);
	assert_int_equal(list_next_refresh(&l, lab.cache), INT64_MAX);
	/* no file, but something that could be waited for without end */
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(in_place(&l, 0), -EINVAL);
	l.path = str_of(lab.folder);
	assert_int_equal(in_place(&l, 0), -EINVAL);
}

static void one_at_a_time(void **state)
{
	char url[256], why[256];
	struct policy_list l = list_at("twice", "/slow", url);
	pid_t pid = fork();

	if (pid == 0)
		_exit(list_fetch_within(&l, lab.cache, &quick, why) == -ETIMEDOUT ? 0 : 1);
	for (int i = 0; i < 100; i++) {
		char path[PATH_MAX];

		cache_path(&l, lab.cache, ".new", path);
		if (access(path, F_OK) == 0)
			break;
		poll(NULL, 0, 10);
	}
	assert_int_equal(list_fetch_within(&l, lab.cache, &quick, why), -EWOULDBLOCK);
	assert_true(strstr(why, "being fetched") != NULL);
	assert_int_equal(waitpid(pid, &(int){ 0 }, 0), pid);
}

/* --- the child ------------------------------------------------------------------------------------------------------- */

static struct {
	struct loop *loop;
	int result, calls;
	char why[256];
} child;

static void on_done(void *ctx, int result, const char *why)
{
	child.result = result;
	child.calls++;
	snprintf(child.why, sizeof(child.why), "%s", why);
	loop_stop(child.loop);
}

static void in_a_child(void **state)
{
	char url[256];
	struct policy_list l = list_at("child", "/always/ten", url);
	struct fetch_child *f;

	assert_ok(loop_new(&child.loop));
	assert_ok(list_fetch_start(&f, child.loop, &l, lab.cache, on_done, NULL));
	assert_ok(loop_run(child.loop));
	if (child.result != 1)
		fail_msg("%d: %s", child.result, child.why);
	assert_int_equal(in_place(&l, 0), 10);
	l = list_at("child", "/garbage", url);
	assert_ok(list_fetch_start(&f, child.loop, &l, lab.cache, on_done, NULL));
	assert_ok(loop_run(child.loop));
	assert_int_equal(child.result, -EINVAL);
	assert_true(strstr(child.why, "it is not a list") != NULL);
	assert_int_equal(child.calls, 2);
	/* given up while it waits: the child ends, nobody is called */
	l = list_at("child", "/slow", url);
	assert_ok(list_fetch_start(&f, child.loop, &l, lab.cache, on_done, NULL));
	assert_null(fetch_child_cancel(f));
	assert_null(fetch_child_cancel(NULL));
	assert_int_equal(child.calls, 2);
	loop_free(child.loop);
}

static void the_child_can_do_little(void **state)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		char *const argv[] = { "true", NULL };

		if (fetch_confine() < 0)
			_exit(10);
		if (execv("/bin/true", argv) != -1 || errno != EPERM)
			_exit(11);
		if (kill(getppid(), 0) != -1 || errno != EPERM)
			_exit(12);
		if (socket(AF_PACKET, SOCK_RAW, 0) >= 0)
			_exit(13);
		if (open("/etc/hosts", O_RDONLY) < 0)
			_exit(14);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* --- nginx: a server that nobody here wrote, also with TLS ----------------------------------------------------------- */

static bool write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	return f && fputs(text, f) >= 0 && !fclose(f);
}

static pid_t start_nginx(uint16_t http, uint16_t https)
{
	char path[PATH_MAX], text[4096], command[1024];
	pid_t pid;

	snprintf(command, sizeof(command),
		 "openssl req -x509 -newkey rsa:2048 -nodes -keyout '%s/key.pem' -out "
		 "'%s/cert.pem' -days 2 "
		 "-subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 2>/dev/null",
		 lab.folder, lab.folder);
	if (system(command))
		return -1;
	snprintf(text, sizeof(text),
		 "daemon off; master_process off; pid %s/nginx.pid; error_log %s/error.log; events "
		 "{}\n"
		 "http { access_log off; gzip on; gzip_types *; gzip_min_length 1;\n"
		 "client_body_temp_path %s/b; proxy_temp_path %s/p; fastcgi_temp_path %s/f; "
		 "uwsgi_temp_path %s/u;\n"
		 "scgi_temp_path %s/s; server { listen 127.0.0.1:%u; listen 127.0.0.1:%u ssl; root "
		 "%s/www;\n"
		 "ssl_certificate %s/cert.pem; ssl_certificate_key %s/key.pem;\n"
		 "location /down { return 302 http://127.0.0.1:%u/list.txt; } } }\n",
		 lab.folder, lab.folder, lab.folder, lab.folder, lab.folder, lab.folder, lab.folder,
		 http, https, lab.folder, lab.folder, lab.folder, http);
	snprintf(path, sizeof(path), "%s/nginx.conf", lab.folder);
	if (!write_file(path, text))
		return -1;
	snprintf(path, sizeof(path), "%s/www", lab.folder);
	mkdir(path, 0755);
	chmod(lab.folder, 0755);
	snprintf(path, sizeof(path), "%s/www/list.txt", lab.folder);
	if (!write_file(path, TEN))
		return -1;
	snprintf(path, sizeof(path), "%s/nginx.conf", lab.folder);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execl("/usr/sbin/nginx", "nginx", "-e", "/dev/null", "-c", path, NULL);
		_exit(127);
	}
	return pid;
}

static bool wait_for_port(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				 .sin_port = htons(port) };

	for (int i = 0; i < 500; i++) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);
		bool up = connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0;

		close(fd);
		if (up)
			return true;
		poll(NULL, 0, 10);
	}
	return false;
}

static void with_nginx(void **state)
{
	/* from the pid, so that tests that run side by side keep apart */
	uint16_t http = (uint16_t)(20000 + 2 * (getpid() % 5000)), https = (uint16_t)(http + 1);
	struct policy_list l = { .name = STR("nginx") };
	char url[256], cert[128], why[256];
	pid_t pid;

	if (access("/usr/sbin/nginx", X_OK)) {
		print_message("no nginx here\n");
		skip();
	}
	pid = start_nginx(http, https);
	assert_true(pid > 0);
	assert_true(wait_for_port(https));

	snprintf(url, sizeof(url), "http://127.0.0.1:%u/list.txt", http);
	l.url = str_of(url);
	assert_int_equal(list_fetch(&l, lab.cache, why), 1);
	assert_int_equal(in_place(&l, 0), 10);
	assert_int_equal(list_fetch(&l, lab.cache, why), 0);

	/* a certificate that nobody vouches for */
	snprintf(url, sizeof(url), "https://127.0.0.1:%u/list.txt", https);
	l.url = str_of(url);
	assert_int_equal(list_fetch(&l, lab.cache, why), -EIO);
	assert_true(strstr(why, "certificate") != NULL);
	assert_int_equal(in_place(&l, 0), -ENOENT);
	snprintf(cert, sizeof(cert), "%s/cert.pem", lab.folder);
	setenv("SSL_CERT_FILE", cert, 1);
	if (list_fetch(&l, lab.cache, why) != 1)
		fail_msg("with its certificate known: %s", why);
	assert_int_equal(in_place(&l, 0), 10);
	assert_int_equal(list_fetch(&l, lab.cache, why), 0);
	/* from https down to http */
	snprintf(url, sizeof(url), "https://127.0.0.1:%u/down", https);
	l.url = str_of(url);
	assert_int_equal(list_fetch(&l, lab.cache, why), -EIO);
	unsetenv("SSL_CERT_FILE");

	/* by way of a proxy: nginx answers for a name that does not exist */
	snprintf(why, sizeof(why), "http://127.0.0.1:%u", http);
	setenv("http_proxy", why, 1);
	l.url = STR("http://lists.invalid/list.txt");
	if (list_fetch(&l, lab.cache, why) != 1)
		fail_msg("by a proxy: %s", why);
	unsetenv("http_proxy");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(new_then_not_changed),
		cmocka_unit_test(a_redirect_is_followed),
		cmocka_unit_test(packed_lists),
		cmocka_unit_test(the_old_one_stays),
		cmocka_unit_test(nobody_answers),
		cmocka_unit_test(an_expired_one_may_shrink),
		cmocka_unit_test(a_damaged_one_is_set_aside),
		cmocka_unit_test(files_of_the_user),
		cmocka_unit_test(one_at_a_time),
		cmocka_unit_test(in_a_child),
		cmocka_unit_test(the_child_can_do_little),
		cmocka_unit_test(with_nginx),
	};

	return cmocka_run_group_tests(tests, start_lab, stop_lab);
}
