/* SPDX-License-Identifier: Apache-2.0 */
/* Alerts as others take them: the bytes of each form, and receivers that are slow, gone, and back. Loopback and /tmp alone. */
#include "test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/time.h"
#include "bpf/abi.h"
#include "flow/record.h"
#include "store/alert_text.h"

#define T0 (1767225600ULL * NSEC_PER_SEC + 123456789)
#define BOM "\xef\xbb\xbf"

static struct finding finding(void)
{
	struct finding f = { .id = "ab12cd34",
			     .state = FINDING_OPEN,
			     .severity = SEVERITY_HIGH,
			     .class = CLASS_C2,
			     .detector = "beacon",
			     .score_db = 7,
			     .entity = STR("/tmp/.x (root)"),
			     .exe = STR("/tmp/.x"),
			     .user = STR("root"),
			     .peer = STR("c2.example"),
			     .name = STR("www.c2.example"),
			     .port = 443,
			     .proto = IPPROTO_TCP,
			     .explain = STR("/tmp/.x to c2.example: often") };

	f.addr = addr_from_v4("\x5d\xb8\xd8\x22");
	return f;
}

static struct record of(const struct finding *f)
{
	return (struct record){ .type = RECORD_FINDING, .time_ns = T0, .finding = f };
}

/* With the process's own number taken out. */
static struct str text(struct buf *out, const struct record *r, enum alert_form form)
{
	struct alert_facts a;
	char proto[8], pid[32], *at;

	buf_clear(out);
	assert_true(alert_facts_of(&a, r, proto));
	if (form == ALERT_JOURNAL)
		alert_put_journal(out, &a);
	else
		alert_put_syslog(out, &a, "host", form == ALERT_CEF);
	assert_false(out->failed);
	snprintf(pid, sizeof(pid), " %d ", (int)getpid());
	at = form == ALERT_JOURNAL ? NULL : strstr(out->p, pid);
	if (at) {
		memmove(at + 3, at + strlen(pid), strlen(at + strlen(pid)) + 1);
		memcpy(at, " 1 ", 3);
		out->n = strlen(out->p);
	}
	return buf_str(out);
}

static void test_syslog(void **state)
{
	_cleanup_buf_ struct buf out = BUF_INIT(8192);
	struct finding f = finding();
	struct record r = of(&f);

	assert_str(text(&out, &r, ALERT_SYSLOG),
		   "<35>1 2026-01-01T00:00:00.123456Z host egretd 1 finding "
		   "[egret@32473 id=\"ab12cd34\" state=\"open\" class=\"c2\" detector=\"beacon\" "
		   "level=\"high\" score_db=\"7\" program=\"/tmp/.x\" user=\"root\" "
		   "dest_ip=\"93.184.216.34\" dest_port=\"443\" proto=\"TCP\" "
		   "name=\"www.c2.example\" peer=\"c2.example\" action=\"allowed\"] " BOM
		   "/tmp/.x to c2.example: often");
	f.severity = SEVERITY_CRITICAL;
	f.state = FINDING_CLOSED;
	f.has_source = true;
	f.source = addr_from_v4("\x0a\0\0\1");
	f.response = STR("deny to \"c2.example\"");
	assert_str(text(&out, &r, ALERT_SYSLOG),
		   "<34>1 2026-01-01T00:00:00.123456Z host egretd 1 finding "
		   "[egret@32473 id=\"ab12cd34\" state=\"closed\" class=\"c2\" detector=\"beacon\" "
		   "level=\"critical\" score_db=\"7\" program=\"/tmp/.x\" user=\"root\" "
		   "src_ip=\"10.0.0.1\" dest_ip=\"93.184.216.34\" dest_port=\"443\" proto=\"TCP\" "
		   "name=\"www.c2.example\" peer=\"c2.example\" "
		   "response=\"deny to \\\"c2.example\\\"\" action=\"allowed\"] " BOM
		   "/tmp/.x to c2.example: often");
}

/* Names are chosen by others: nothing in one ends the frame, a value, or makes bytes that are no UTF-8. */
static void test_hostile_texts(void **state)
{
	_cleanup_buf_ struct buf out = BUF_INIT(8192);
	struct finding f = finding();
	struct record r = of(&f);

	f.exe = STR("/tmp/\"]\\ x\n\x7f\xc2\x85\xff\xc3\xa4\xe2\x82");
	assert_non_null(strstr(text(&out, &r, ALERT_SYSLOG).p,
			       " program=\"/tmp/\\\"\\]\\\\ x   \xef\xbf\xbd\xc3\xa4\xef\xbf\xbd"
			       "\xef\xbf\xbd\" user="));
	f.explain = STR("a|b\\c=d\r\ne\xfe");
	assert_non_null(strstr(text(&out, &r, ALERT_SYSLOG).p, BOM "a|b\\c=d  e\xef\xbf\xbd"));
	assert_non_null(
		strstr(text(&out, &r, ALERT_CEF).p, "|beacon|a\\|b\\\\c=d  e\xef\xbf\xbd|8|"));
	assert_non_null(strstr(out.p, " msg=a|b\\\\c\\=d  e\xef\xbf\xbd "));
	/* A line end in a field would begin another field of the journal. */
	f.explain = STR("x\nPRIORITY=0");
	assert_memory_equal(text(&out, &r, ALERT_JOURNAL).p, "MESSAGE=x PRIORITY=0\nPRIORITY=3\n",
			    32);
}

/* The name of an event is cut at 256 bytes, between characters. */
static void test_cef_name_is_cut(void **state)
{
	_cleanup_buf_ struct buf out = BUF_INIT(8192);
	struct finding f = finding();
	struct record r = of(&f);
	char longer[600], *end;

	memset(longer, 'x', sizeof(longer));
	memcpy(longer + 255, "\xc3\xa4", 2);
	f.explain = (struct str){ longer, sizeof(longer) };
	text(&out, &r, ALERT_CEF);
	end = strstr(out.p, "x|8|");
	assert_non_null(end);
	assert_int_equal(end + 1 - strstr(out.p, "xxx"), 255);
}

static void test_cef(void **state)
{
	_cleanup_buf_ struct buf out = BUF_INIT(8192);
	struct finding f = finding();
	struct record r = of(&f);

	assert_str(text(&out, &r, ALERT_CEF),
		   "<35>1 2026-01-01T00:00:00.123456Z host egretd 1 finding - "
		   "CEF:0|egret|egretd|" EGRET_VERSION "|beacon|/tmp/.x to c2.example: often|8|"
		   "rt=1767225600123 cat=c2 externalId=ab12cd34 act=allowed dst=93.184.216.34 "
		   "dpt=443 proto=TCP dhost=www.c2.example sproc=/tmp/.x suser=root "
		   "msg=/tmp/.x to c2.example: often ");
}

static void test_journal(void **state)
{
	_cleanup_buf_ struct buf out = BUF_INIT(8192);
	struct finding f = finding();
	struct record r = of(&f);

	assert_str(text(&out, &r, ALERT_JOURNAL),
		   "MESSAGE=/tmp/.x to c2.example: often\nPRIORITY=3\nSYSLOG_FACILITY=4\n"
		   "SYSLOG_IDENTIFIER=egretd\nEGRET_EVENT_TYPE=finding\n"
		   "EGRET_FINDING_ID=ab12cd34\nEGRET_STATE=open\nEGRET_CLASS=c2\n"
		   "EGRET_DETECTOR=beacon\nEGRET_LEVEL=high\nEGRET_SCORE_DB=7\n"
		   "EGRET_PROGRAM=/tmp/.x\nEGRET_USER=root\nEGRET_DEST_IP=93.184.216.34\n"
		   "EGRET_DEST_PORT=443\nEGRET_PROTO=TCP\nEGRET_NAME=www.c2.example\n"
		   "EGRET_PEER=c2.example\nEGRET_ACTION=allowed\n");
}

static void test_refusals(void **state)
{
	_cleanup_buf_ struct buf out = BUF_INIT(8192);
	struct verdict_rule rule = { .alert = 3,
				     .text = STR("deny to any"),
				     .alert_text = STR("nobody may") };
	struct record_drop drop = { .rule = &rule,
				    .refused = true,
				    .visible_name = STR("x.example"),
				    .key = { .dport = 25, .proto = IPPROTO_TCP } };
	struct record r = { .type = RECORD_ALERT, .time_ns = T0, .drop = &drop };
	struct alert_facts a;
	char proto[8];

	drop.key.dst = addr_from_v4("\x5d\xb8\xd8\x22");
	assert_str(text(&out, &r, ALERT_SYSLOG),
		   "<35>1 2026-01-01T00:00:00.123456Z host egretd 1 alert [egret@32473 "
		   "class=\"policy\" level=\"high\" dest_ip=\"93.184.216.34\" dest_port=\"25\" "
		   "proto=\"TCP\" name=\"x.example\" rule=\"deny to any\" action=\"blocked\"] " BOM
		   "nobody may");
	r.type = RECORD_DROP;
	assert_str(text(&out, &r, ALERT_SYSLOG),
		   "<37>1 2026-01-01T00:00:00.123456Z host egretd 1 drop [egret@32473 "
		   "class=\"policy\" level=\"low\" dest_ip=\"93.184.216.34\" dest_port=\"25\" "
		   "proto=\"TCP\" name=\"x.example\" rule=\"deny to any\" action=\"blocked\"] " BOM
		   "deny to any");
	r = (struct record){ .type = RECORD_DNS };
	assert_false(alert_facts_of(&a, &r, proto));
}

static void test_targets(void **state)
{
	static const char *const good[] = {
		"local",           "/run/x",        "udp://127.0.0.1:514",
		"tcp://[::1]:601", "udp://::1:514", "tls://192.0.2.1:6514"
	};
	static const char *const bad[] = { "run/x",
					   "udp://",
					   "udp://localhost:514",
					   "udp://127.0.0.1",
					   "udp://127.0.0.1:0",
					   "tcp://127.0.0.1:65536",
					   "tcp://[::1:601",
					   "http://127.0.0.1:80",
					   "tcp://127.0.0.1:x" };
	char why[128], path[200];

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_ok(alert_target_check(good[i], why));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		why[0] = 0;
		assert_err(alert_target_check(bad[i], why), -EINVAL);
		assert_true(why[0]);
	}
	memset(path, 'a', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = 0;
	assert_err(alert_target_check(path, why), -EINVAL);
}

/* --- over a wire ---------------------------------------------------------------------------------------------------- */

struct wire {
	int fd; /* that listens, or takes datagrams */
	char to[128], dir[64], path[100];
	struct sink *sink;
	uint64_t lost;
};

static void sink_make(struct wire *w, enum severity least)
{
	struct alert_config cfg = { .form = ALERT_SYSLOG, .least = least };

	memcpy(cfg.to, w->to, sizeof(cfg.to));
	assert_ok(alert_sink_new(&w->sink, &cfg, "host", &w->lost));
}

static void listen_at(struct wire *w, int type, uint16_t port)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_port = htons(port),
				  .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t n = sizeof(in);

	w->fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	assert_ok(setsockopt(w->fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int)));
	assert_ok(setsockopt(w->fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){ 5, 0 },
			     sizeof(struct timeval)));
	assert_ok(bind(w->fd, (struct sockaddr *)&in, sizeof(in)));
	if (type == SOCK_STREAM)
		assert_ok(listen(w->fd, 4));
	assert_ok(getsockname(w->fd, (struct sockaddr *)&in, &n));
	snprintf(w->to, sizeof(w->to), "%s://127.0.0.1:%u", type == SOCK_STREAM ? "tcp" : "udp",
		 ntohs(in.sin_port));
}

static void put(struct wire *w, const char *words)
{
	struct finding f = finding();
	struct record r = of(&f);

	f.explain = str_of(words);
	w->sink->ops->put(w->sink, &r);
}

static ssize_t take(int fd, char *to, size_t room)
{
	ssize_t n = recv(fd, to, room - 1, 0);

	to[n > 0 ? n : 0] = 0;
	return n;
}

static bool ends_with(const char *s, const char *end)
{
	return strlen(s) >= strlen(end) && !strcmp(s + strlen(s) - strlen(end), end);
}

static void path_make(struct wire *w)
{
	snprintf(w->dir, sizeof(w->dir), "/tmp/egret-test-alerts-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	snprintf(w->path, sizeof(w->path), "%s/log", w->dir);
	snprintf(w->to, sizeof(w->to), "%s", w->path);
}

static void path_bind(struct wire *w)
{
	struct sockaddr_un u = { .sun_family = AF_UNIX };

	memcpy(u.sun_path, w->path, sizeof(w->path));
	w->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_ok(bind(w->fd, (struct sockaddr *)&u, sizeof(u)));
}

static void test_local_socket(void **state)
{
	struct wire w = { 0 };
	char got[8192];

	path_make(&w);
	sink_make(&w, SEVERITY_MEDIUM);
	put(&w, "before there is a log"); /* said, and kept */
	path_bind(&w);
	assert_ok(w.sink->ops->flush(w.sink));
	assert_true(take(w.fd, got, sizeof(got)) > 0);
	assert_true(ends_with(got, BOM "before there is a log"));
	put(&w, "one");
	put(&w, "two");
	assert_true(take(w.fd, got, sizeof(got)) > 0);
	assert_true(ends_with(got, BOM "one"));
	assert_true(take(w.fd, got, sizeof(got)) > 0);
	assert_true(ends_with(got, BOM "two"));
	/* The log is started anew: another socket of the same name. */
	close(w.fd);
	unlink(w.path);
	put(&w, "while it is gone");
	path_bind(&w);
	w.sink->ops->flush(w.sink);
	w.sink->ops->flush(w.sink);
	assert_true(take(w.fd, got, sizeof(got)) > 0);
	assert_true(ends_with(got, BOM "while it is gone"));
	assert_int_equal(w.lost, 0);
	w.sink->ops->free(w.sink);
	close(w.fd);
	unlink(w.path);
	assert_ok(rmdir(w.dir));
}

/* A log that does not read: what fits is kept, whole; the rest is counted; nobody waits. */
static void test_queue_is_bounded(void **state)
{
	struct wire w = { 0 };
	uint64_t came = 0, begin = time_now_boot();
	char words[1024], got[8192];

	path_make(&w);
	path_bind(&w);
	sink_make(&w, SEVERITY_MEDIUM);
	memset(words, 'x', sizeof(words) - 1);
	words[sizeof(words) - 1] = 0;
	for (int i = 0; i < 2000; i++)
		put(&w, words);
	assert_true(time_now_boot() - begin < 5 * NSEC_PER_SEC);
	assert_true(w.lost > 1000 && w.lost < 2000);
	for (int idle = 0; idle < 2;) {
		ssize_t n = take(w.fd, got, sizeof(got));

		if (n > 0) {
			assert_true(ends_with(got, "xxxx"));
			came++;
			idle = 0;
		} else {
			w.sink->ops->flush(w.sink);
			idle++;
		}
	}
	assert_int_equal(came + w.lost, 2000);
	/* 256 KiB of frames of 1,3xx bytes, and what the socket took at once. */
	assert_true(came >= (256 << 10) / 1500 && came < 1000);
	w.sink->ops->free(w.sink);
	close(w.fd);
	unlink(w.path);
	assert_ok(rmdir(w.dir));
}

static void test_severity(void **state)
{
	struct wire w = { 0 };
	struct finding f = finding();
	struct record r = of(&f);
	char got[8192];

	listen_at(&w, SOCK_DGRAM, 0);
	sink_make(&w, SEVERITY_HIGH);
	f.severity = SEVERITY_MEDIUM;
	w.sink->ops->put(w.sink, &r);
	w.sink->ops->put(w.sink, &(struct record){ .type = RECORD_DNS });
	put(&w, "this one");
	assert_true(take(w.fd, got, sizeof(got)) > 0);
	assert_true(ends_with(got, BOM "this one"));
	assert_int_equal(recv(w.fd, got, sizeof(got), MSG_DONTWAIT), -1);
	w.sink->ops->free(w.sink);
	close(w.fd);
}

static int let_in(struct wire *w)
{
	int fd;

	/* Sees that the last one is gone, and dials: at the latest when the second failure is a second ago. */
	for (int i = 0; i < 100; i++) {
		w->sink->ops->flush(w->sink);
		if (poll(&(struct pollfd){ .fd = w->fd, .events = POLLIN }, 1, 50) == 1)
			break;
	}
	fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC);
	assert_true(fd >= 0);
	assert_ok(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){ 5, 0 },
			     sizeof(struct timeval)));
	w->sink->ops->flush(w->sink);
	return fd;
}

/* "LENGTH FRAME"; the frame without its length. */
static void take_frame(struct wire *w, int fd, char *to, size_t room)
{
	size_t length = 0;
	char c;

	for (;;) {
		w->sink->ops->flush(w->sink);
		assert_int_equal(recv(fd, &c, 1, 0), 1);
		if (c == ' ')
			break;
		assert_true(c >= '0' && c <= '9');
		length = length * 10 + (size_t)(c - '0');
	}
	assert_true(length && length < room);
	for (size_t n = 0; n < length;) {
		ssize_t got = recv(fd, to + n, length - n, 0);

		assert_true(got > 0);
		n += (size_t)got;
	}
	to[length] = 0;
}

static void test_tcp(void **state)
{
	struct wire w = { 0 };
	char got[8192];
	unsigned port;
	int fd;

	listen_at(&w, SOCK_STREAM, 0);
	sink_make(&w, SEVERITY_MEDIUM);
	put(&w, "one");
	put(&w, "two");
	fd = let_in(&w);
	take_frame(&w, fd, got, sizeof(got));
	assert_memory_equal(got, "<35>1 ", 6);
	assert_true(ends_with(got, BOM "one"));
	take_frame(&w, fd, got, sizeof(got));
	assert_true(ends_with(got, BOM "two"));

	/* Nobody there: however often it is tried, nothing of what was not begun is lost. */
	assert_int_equal(sscanf(w.to, "tcp://127.0.0.1:%u", &port), 1);
	close(fd);
	close(w.fd);
	put(&w, "three");
	for (int i = 0; i < 20; i++) {
		w.sink->ops->flush(w.sink);
		usleep(1000);
	}
	put(&w, "four");
	assert_int_equal(w.lost, 0);
	listen_at(&w, SOCK_STREAM, (uint16_t)port);
	w.sink->ops->flush(w.sink);
	fd = let_in(&w);
	take_frame(&w, fd, got, sizeof(got));
	assert_true(ends_with(got, BOM "three"));
	take_frame(&w, fd, got, sizeof(got));
	assert_true(ends_with(got, BOM "four"));
	assert_int_equal(w.lost, 0);
	w.sink->ops->free(w.sink);
	close(fd);
	close(w.fd);
}

/* The receiver goes in the middle of a frame: the half of it is of no use on another connection, the next is. */
static void test_tcp_partial_frame(void **state)
{
	struct wire w = { 0 };
	char words[1000], got[8192];
	unsigned sent = 0;
	uint64_t lost;
	int fd, small = 4096;

	listen_at(&w, SOCK_STREAM, 0);
	assert_ok(setsockopt(w.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)));
	sink_make(&w, SEVERITY_MEDIUM);
	put(&w, "first");
	fd = let_in(&w);
	memset(words, 'x', sizeof(words) - 1);
	words[sizeof(words) - 1] = 0;
	/* Until the sockets between are full and the queue is, too: then a frame was begun and not ended. */
	while (!w.lost && sent < 20000) {
		put(&w, words);
		sent++;
	}
	assert_int_equal(w.lost, 1);
	lost = w.lost;
	close(fd);
	fd = let_in(&w);
	assert_true(w.lost - lost <= 1);
	/* Whatever comes is whole frames from the first byte on. */
	for (int i = 0; i < 50; i++) {
		take_frame(&w, fd, got, sizeof(got));
		assert_memory_equal(got, "<35>1 ", 6);
		assert_true(ends_with(got, "xxxx"));
	}
	w.sink->ops->free(w.sink);
	close(fd);
	close(w.fd);
}

static void test_udp(void **state)
{
	struct wire w = { 0 };
	char got[8192];
	unsigned port;

	listen_at(&w, SOCK_DGRAM, 0);
	sink_make(&w, SEVERITY_MEDIUM);
	put(&w, "one");
	assert_true(take(w.fd, got, sizeof(got)) > 0);
	assert_memory_equal(got, "<35>1 ", 6); /* a datagram needs no length */
	assert_int_equal(sscanf(w.to, "udp://127.0.0.1:%u", &port), 1);
	close(w.fd);
	put(&w, "into the void"); /* nobody can know */
	put(&w, "two");           /* now it is known: kept */
	listen_at(&w, SOCK_DGRAM, (uint16_t)port);
	for (int i = 0; i < 3; i++)
		w.sink->ops->flush(w.sink);
	assert_true(take(w.fd, got, sizeof(got)) > 0);
	assert_true(ends_with(got, BOM "two"));
	assert_int_equal(w.lost, 0);
	w.sink->ops->free(w.sink);
	close(w.fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_syslog),
		cmocka_unit_test(test_hostile_texts),
		cmocka_unit_test(test_cef_name_is_cut),
		cmocka_unit_test(test_cef),
		cmocka_unit_test(test_journal),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_targets),
		cmocka_unit_test(test_local_socket),
		cmocka_unit_test(test_queue_is_bounded),
		cmocka_unit_test(test_severity),
		cmocka_unit_test(test_tcp),
		cmocka_unit_test(test_tcp_partial_frame),
		cmocka_unit_test(test_udp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
