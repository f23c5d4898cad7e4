/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/time.h"
#include "decode/packet.h"
#include "flow/record.h"
#include "store/eve.h"

#define T0 1767225601123456789ULL /* 2026-01-01T00:00:01.123456 */

static struct intern *texts;

static struct text *text(const char *c)
{
	return intern_get(texts, str_of(c));
}

/* A curl of a shell of init, with everything known. */
struct fixture {
	struct proc init, shell, curl;
	struct workload workload;
	struct name name;
	struct flow flow;
	struct record record;
};

static void make_fixture(struct fixture *x)
{
	memset(x, 0, sizeof(*x));
	x->init = (struct proc){
		.pid = 1, .start_ns = 1, .exe = text("/sbin/init"), .exe_state = EXE_FILE
	};
	x->shell = (struct proc){ .pid = 900,
				  .start_ns = 2,
				  .exe = text("/bin/bash"),
				  .exe_state = EXE_FILE,
				  .parent = &x->init };
	x->workload = (struct workload){ .cgroup = text("/user.slice/a.scope"),
					 .unit = text("a.scope"),
					 .container_id = text("f00d"),
					 .container_name = text("web"),
					 .container_image = text("nginx:1"),
					 .container_runtime = text("docker") };
	x->curl = (struct proc){ .pid = 1234,
				 .start_ns = 3,
				 .start_unix_ns = T0,
				 .uid = 1000,
				 .parent = &x->shell,
				 .ppid = 900,
				 .exe = text("/usr/bin/curl"),
				 .exe_state = EXE_DELETED,
				 .args = intern_get(texts, STR("curl\0-s\0https://x/\0")),
				 .user = text("alice"),
				 .workload = &x->workload };
	x->name = (struct name){ .asked = text("api.example.co.uk"),
				 .chain = { text("cdn.example.net") },
				 .n_chain = 1 };
	x->flow = (struct flow){
		.key = { .src = addr_from_v4("\x0a\x00\x00\x05"),
			 .dst = addr_from_v4("\xc6\x33\x64\x07"),
			 .sport = 43210,
			 .dport = 443,
			 .proto = 6 },
		.id = 42,
		.start_ns = T0,
		.last_ns = T0 + 2 * NSEC_PER_SEC,
		.half = { { 12, 3456, 1000, TCP_SYN | TCP_ACK },
			  { 20, 34567, 3000, TCP_SYN | TCP_FIN } },
		.rtt_us = 12345,
		.live = true,
		.payload_known = true,
		.state = FLOW_CLOSED,
		.end = END_FIN,
		.direction = FLOW_EGRESS,
		.app = APP_TLS,
		.name_source = NAME_SNI,
		.name = x->name.asked,
		.n_names = 1,
		.names = { &x->name },
		.proc = &x->curl,
		.seq = 1,
	};
	x->record = (struct record){ .type = RECORD_FLOW,
				     .time_ns = T0 + 3 * NSEC_PER_SEC,
				     .flow = &x->flow,
				     .flow_ends = true };
}

/* The record as parsed by somebody else's parser; NULL values were absent. Whatever the record, one whole line. */
static json_t *format(const struct record *r, enum eve_vantage v)
{
	struct eve_format fmt = { .vantage = v, .host = "web1" };
	struct buf out = BUF_INIT(1 << 20);
	json_error_t error;
	json_t *j;

	eve_format(&fmt, r, &out);
	assert_false(out.failed);
	assert_true(out.n > 2);
	assert_ptr_equal(memchr(out.p, '\n', out.n), out.p + out.n - 1);
	j = json_loadb(out.p, out.n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
	if (!j)
		print_error("%s: %.*s\n", error.text, (int)out.n, out.p);
	assert_non_null(j);
	buf_done(&out);
	return j;
}

static json_t *at(json_t *j, const char *path)
{
	char key[64];
	size_t n;

	for (; j && *path; path += n + (path[n] == '.')) {
		n = strcspn(path, ".");
		snprintf(key, sizeof(key), "%.*s", (int)n, path);
		j = json_is_array(j) ? json_array_get(j, (size_t)(key[0] - '0'))
				     : json_object_get(j, key);
	}
	return j;
}

#define assert_text(j, path, want) assert_string_equal(json_string_value(at(j, path)), want)
#define assert_number(j, path, want) assert_int_equal(json_integer_value(at(j, path)), want)
#define assert_absent(j, path) assert_null(at(j, path))

static void test_flow_is_complete(void **state)
{
	struct fixture x;
	json_t *j;

	make_fixture(&x);
	j = format(&x.record, EVE_HOST);
	assert_text(j, "timestamp", "2026-01-01T00:00:04.123456+0000");
	assert_text(j, "event_type", "flow");
	assert_number(j, "flow_id", 42);
	assert_text(j, "src_ip", "10.0.0.5");
	assert_number(j, "src_port", 43210);
	assert_text(j, "dest_ip", "198.51.100.7");
	assert_text(j, "proto", "TCP");
	assert_text(j, "app_proto", "tls");
	assert_text(j, "host", "web1");
	assert_number(j, "flow.bytes_toclient", 34567);
	assert_number(j, "flow.age", 2);
	assert_text(j, "flow.reason", "tcp_fin");
	assert_text(j, "flow.start", "2026-01-01T00:00:01.123456+0000");
	assert_text(j, "tcp.tcp_flags", "13");
	assert_text(j, "tcp.tcp_flags_tc", "03");
	assert_true(json_is_true(at(j, "tcp.fin")));
	assert_absent(j, "tcp.rst");
	assert_text(j, "process.command_line", "curl -s https://x/");
	assert_text(j, "process.parent.name", "bash");
	assert_int_equal(json_array_size(at(j, "process.ancestors")), 2);
	assert_text(j, "process.ancestors.1.name", "init");
	assert_text(j, "user.id", "1000");
	assert_text(j, "container.image.name", "nginx:1");
	assert_text(j, "service.name", "a.scope");
	assert_text(j, "egret.name_source", "sni");
	assert_text(j, "egret.registered_domain", "example.co.uk");
	assert_text(j, "egret.cname_chain.0", "cdn.example.net");
	assert_text(j, "egret.exe_note", "deleted");
	assert_true(json_real_value(at(j, "egret.pcr")) == -0.5);
	assert_number(j, "egret.tcp.rtt_us", 12345);
	assert_text(j, "egret.names.0",
		    "api.example.co.uk");   /* by DNS; the name itself came from SNI */
	assert_absent(j, "egret.identity"); /* it is known */
	json_decref(j);
}

static void test_unknown_is_absent(void **state)
{
	struct fixture x;
	json_t *j;

	make_fixture(&x);
	x.flow.payload_known = false;
	x.flow.proc = NULL;
	x.flow.name = NULL;
	x.flow.n_names = 0;
	x.flow.rtt_us = 0;
	x.flow.app = APP_UNDECIDED;
	x.flow.direction = FLOW_DIRECTION_UNKNOWN;
	x.record.flow_ends = false;
	j = format(&x.record, EVE_HOST);
	assert_absent(j, "egret.payload_toserver");
	assert_absent(j, "egret.pcr");
	assert_absent(j, "egret.tcp");
	assert_absent(j, "egret.name");
	assert_absent(j, "egret.direction");
	assert_absent(j, "process");
	assert_absent(j, "user");
	assert_absent(j, "app_proto");
	assert_absent(j, "flow.reason");
	assert_memory_equal(json_string_value(at(j, "egret.identity")), "unknown: ", 9);
	json_decref(j);

	x.flow.live =
		false; /* a capture has nobody to ask: no words about it, and retransmits are counted */
	j = format(&x.record, EVE_FILE);
	assert_absent(j, "egret.identity");
	assert_number(j, "egret.tcp.retransmits", 0);
	assert_absent(j, "egret.tcp.rtt_us");
	json_decref(j);
}

static void test_first_bytes_of_nothing_known(void **state)
{
	static const struct {
		enum app_proto app;
		enum flow_first first;
		bool told;
	} rows[] = { { APP_UNKNOWN, FIRST_RANDOM, true },
		     { APP_UNKNOWN, FIRST_BINARY, false },
		     { APP_UNKNOWN, FIRST_NONE, false },
		     { APP_TLS, FIRST_RANDOM, false } };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct fixture x;
		json_t *j;

		make_fixture(&x);
		x.flow.app = rows[i].app;
		x.flow.first = rows[i].first;
		j = format(&x.record, EVE_FILE);
		if (rows[i].told)
			assert_text(j, "egret.first", "random");
		else
			assert_absent(j, "egret.first");
		json_decref(j);
	}
}

static void test_ports_only_where_there_are_some(void **state)
{
	struct fixture x;
	json_t *j;

	make_fixture(&x);
	x.flow.key.proto = 1;
	x.flow.key.sport = 8; /* echo: answered by type 0 */
	x.flow.key.dport = 0;
	j = format(&x.record, EVE_HOST);
	assert_text(j, "proto", "ICMP");
	assert_number(j, "icmp_type", 8);
	assert_absent(j, "icmp_code");
	assert_absent(j, "src_port");
	assert_absent(j, "tcp");
	json_decref(j);

	x.flow.key.sport = 3; /* unreachable: code 1 */
	x.flow.key.dport = 1;
	j = format(&x.record, EVE_HOST);
	assert_number(j, "icmp_code", 1);
	json_decref(j);
}

static void test_several_names(void **state)
{
	struct fixture x;
	struct name other;
	json_t *j;

	make_fixture(&x);
	other = (struct name){ .asked = text("other.example.org") };
	x.flow.names[1] = x.flow.names[0];
	x.flow.names[0] = &other;
	x.flow.n_names = 2;
	j = format(&x.record, EVE_HOST);
	assert_text(j, "egret.names.0", "other.example.org");
	assert_text(j, "egret.names.1", "api.example.co.uk");
	assert_text(j, "egret.cname_chain.0",
		    "cdn.example.net"); /* of the name, not of the newest */
	json_decref(j);

	x.flow.name = text("hidden.example.com"); /* a hello named what no answer did */
	j = format(&x.record, EVE_HOST);
	assert_absent(j, "egret.cname_chain");
	assert_text(j, "egret.registered_domain", "example.com");
	json_decref(j);
}

static void test_registered_domains(void **state)
{
	static const struct {
		const char *name, *want;
	} cases[] = {
		{ "www.example.com", "example.com" },
		{ "example.com", "example.com" },
		{ "com", NULL },
		{ "a.b.example.co.uk", "example.co.uk" },
		{ "x.github.io", "x.github.io" },
		{ "1.2.3.4", NULL },
		{ "localhost", NULL },
	};
	struct fixture x;

	make_fixture(&x);
	x.flow.n_names = 0;
	for (size_t round = 0; round < 2; round++) { /* the second answer comes from the cache */
		for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
			json_t *j;

			x.flow.name = text(cases[i].name);
			j = format(&x.record, EVE_FILE);
			if (cases[i].want)
				assert_text(j, "egret.registered_domain", cases[i].want);
			else
				assert_absent(j, "egret.registered_domain");
			json_decref(j);
		}
	}
}

static void test_dns_message(void **state)
{
	static struct dns_message m;
	struct fixture x;
	json_t *j;

	make_fixture(&x);
	m = (struct dns_message){ .id = 7,
				  .response = true,
				  .recursion_available = true,
				  .n_questions = 1,
				  .n_answers = 3 };
	m.questions[0] = (struct dns_question){ .name = STR("a.example"), .type = DNS_A };
	m.answers[0] = (struct dns_record){
		.name = STR("a.example"), .type = DNS_CNAME, .ttl = 60, .rdata = STR("b.example")
	};
	m.answers[1] = (struct dns_record){
		.name = STR("b.example"), .type = DNS_A, .ttl = 61, .rdata = STR("192.0.2.1")
	};
	m.answers[2] = (struct dns_record){
		.name = STR("b.example"), .type = DNS_A, .ttl = 61, .rdata = STR("192.0.2.2")
	};
	x.record.type = RECORD_DNS;
	x.record.dns = &m;
	j = format(&x.record, EVE_HOST);
	assert_number(j, "dns.version", 3);
	assert_text(j, "dns.type", "response");
	assert_text(j, "dns.rcode", "NOERROR");
	assert_text(j, "dns.queries.0.rrname", "a.example");
	assert_text(j, "dns.answers.2.rdata", "192.0.2.2");
	assert_text(j, "dns.grouped.CNAME.0", "b.example");
	assert_int_equal(json_array_size(at(j, "dns.grouped.A")), 2);
	assert_absent(j, "dns.aa");
	assert_absent(j, "flow"); /* counters belong to flow records only */
	assert_absent(j, "egret.seq");
	assert_text(j, "process.name", "curl");
	json_decref(j);

	m.response = false;
	m.n_answers = 0;
	j = format(&x.record, EVE_HOST);
	assert_text(j, "dns.type", "request");
	assert_absent(j, "dns.rcode");
	assert_absent(j, "dns.answers");
	json_decref(j);
}

static void test_hostile_texts_stay_json(void **state)
{
	struct record_tls tls = { .sni = STR("a\"b\\\n\x1b[31m\xff\xc3\x28\0z"),
				  .version = "TLS 1.3",
				  .alpns = { STR("h2"), STR("\xe2\x82") },
				  .n_alpns = 2,
				  .ech = true };
	struct fixture x;
	json_t *j;

	make_fixture(&x);
	x.record.type = RECORD_TLS;
	x.record.tls = &tls;
	j = format(&x.record, EVE_HOST);
	assert_non_null(at(j, "tls.sni"));
	assert_true(json_is_true(at(j, "egret.ech")));
	assert_absent(j, "tls.ja3");
	json_decref(j);
}

static void test_other_protocols(void **state)
{
	struct http_response answer = {
		.status = 404, .has_length = true, .length = 12, .minor = 1
	};
	struct record_http http = { .request = { .method = STR("GET"),
						 .url = STR("/x"),
						 .host = STR("h.example"),
						 .minor = 1 } };
	struct smtp_envelope mail = { .helo = STR("me"), .rcpt_to = { STR("a@b") }, .n_rcpt = 1 };
	struct record_ssh ssh = { .server = { STR("2.0"), STR("OpenSSH_9.2p1") } };
	struct fixture x;
	json_t *j;

	make_fixture(&x);
	x.record.type = RECORD_HTTP;
	x.record.http = &http;
	j = format(&x.record, EVE_HOST);
	assert_text(j, "http.protocol", "HTTP/1.1");
	assert_absent(j, "http.status");
	json_decref(j);
	http.response = &answer;
	j = format(&x.record, EVE_HOST);
	assert_number(j, "http.status", 404);
	assert_number(j, "http.length", 12);
	json_decref(j);

	x.record.type = RECORD_SMTP;
	x.record.smtp = &mail;
	j = format(&x.record, EVE_HOST);
	assert_text(j, "smtp.rcpt_to.0", "a@b");
	assert_absent(j, "smtp.mail_from");
	json_decref(j);

	x.record.type = RECORD_SSH;
	x.record.ssh = &ssh;
	j = format(&x.record, EVE_HOST);
	assert_text(j, "ssh.server.software_version", "OpenSSH_9.2p1");
	assert_absent(j, "ssh.client");
	json_decref(j);
}

static void test_stats_and_notice(void **state)
{
	struct flow_table_stats stats = { .flows_now = 3,
					  .loss = { [LOSS_EVE_WRITE] = 5, [LOSS_RING_DNS] = 2 } };
	struct record r = { .type = RECORD_STATS, .time_ns = T0, .stats = &stats };
	struct fixture x;
	json_t *j;

	j = format(&r, EVE_HOST);
	assert_number(j, "stats.lost_total", 7);
	assert_number(j, "stats.lost.ring-dns", 2);
	assert_int_equal(json_object_size(at(j, "stats.lost")), LOSS_COUNT);
	assert_absent(j, "flow_id");
	assert_absent(j, "egret");
	json_decref(j);

	make_fixture(&x);
	r = (struct record){ .type = RECORD_PACKET_SOCKET, .time_ns = T0, .proc = &x.curl };
	j = format(&r, EVE_HOST);
	assert_text(j, "event_type", "notice");
	assert_text(j, "egret.notice.kind", "packet_socket");
	assert_text(j, "process.name", "curl");
	json_decref(j);
}

static void test_times_and_addresses(void **state)
{
	static const char *const addrs[] = { "0.0.0.0",     "1.22.133.4", "255.255.255.255",
					     "2001:db8::1", "::",         "fe80::1:2:3:4" };
	struct fixture x;
	char want[TIME_TEXT_MAX];

	make_fixture(&x);
	for (uint64_t i = 0; i < 2000; i++) {
		json_t *j;

		x.record.time_ns = i * 7654321987654321ULL % 9000000000000000000ULL;
		assert_ok(addr_parse(str_of(addrs[i % ARRAY_SIZE(addrs)]), &x.flow.key.dst));
		j = format(&x.record, EVE_FILE);
		assert_text(j, "timestamp", time_format(x.record.time_ns, want));
		assert_text(j, "dest_ip", addrs[i % ARRAY_SIZE(addrs)]);
		json_decref(j);
	}
}

static void test_what_does_not_fit_is_left_out_whole(void **state)
{
	struct eve_format fmt = { .vantage = EVE_HOST };
	struct buf out = BUF_INIT(300);
	struct fixture x;

	make_fixture(&x);
	buf_puts(&out, "before\n");
	eve_format(&fmt, &x.record, &out);
	assert_true(out.failed);
	assert_str(buf_str(&out), "before\n");
	buf_done(&out);
}

/* --- the file -------------------------------------------------------------------------------------------------- */

static char dir[] = "/tmp/egret-test-eve-XXXXXX";
static char path[sizeof(dir) + 16], moved[sizeof(dir) + 16];

static int make_dir(void **state)
{
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/eve.json", dir);
	snprintf(moved, sizeof(moved), "%s/eve.json.1", dir);
	return intern_new(&texts, 10000);
}

static int drop_dir(void **state)
{
	unlink(path);
	unlink(moved);
	texts = intern_free(texts);
	return rmdir(dir);
}

/* Lines of a file, each of which must be whole JSON. */
static size_t count_records(const char *file)
{
	_cleanup_fclose_ FILE *f = fopen(file, "re");
	_cleanup_free_ char *line = NULL;
	size_t cap = 0, lines = 0;
	ssize_t n;

	assert_non_null(f);
	while ((n = getline(&line, &cap, f)) > 0) {
		json_t *j = json_loadb(line, (size_t)n, 0, NULL);

		assert_int_equal(line[n - 1], '\n');
		assert_non_null(j);
		json_decref(j);
		lines++;
	}
	return lines;
}

static struct sink *open_sink(const char *to, uint64_t *lost)
{
	struct eve_format fmt = { .vantage = EVE_HOST, .host = "web1" };
	struct sink *s = NULL;

	assert_ok(eve_sink_new(&s, &fmt, to, lost));
	return s;
}

static void put(struct sink *s, size_t n)
{
	struct fixture x;

	make_fixture(&x);
	while (n--)
		s->ops->put(s, &x.record);
}

static void test_sink_appends_and_reopens(void **state)
{
	uint64_t lost = 0;
	struct sink *s = open_sink(path, &lost);
	struct stat st;

	put(s, 1);
	assert_ok(stat(path, &st));
	assert_int_equal(st.st_size, 0); /* buffered */
	assert_int_equal(st.st_mode & 0777, 0640);
	assert_ok(s->ops->flush(s));
	assert_int_equal(count_records(path), 1);
	put(s, 200); /* more than the buffer holds: written without flush() */
	assert_true(count_records(path) > 1);
	assert_ok(rename(path, moved));
	put(s, 1);
	assert_ok(s->ops->reopen(s));
	assert_int_equal(count_records(moved),
			 202); /* what came before the move is in the moved file */
	put(s, 3);
	s->ops->free(s);
	assert_int_equal(count_records(path), 3);
	s = open_sink(path, &lost); /* appends */
	put(s, 1);
	s->ops->free(s);
	assert_int_equal(count_records(path), 4);
	assert_int_equal(lost, 0);
	unlink(path);
	unlink(moved);
}

static void limit_files(rlim_t bytes)
{
	struct rlimit limit;

	assert_ok(getrlimit(RLIMIT_FSIZE, &limit));
	limit.rlim_cur = bytes ? bytes : limit.rlim_max;
	assert_ok(setrlimit(RLIMIT_FSIZE, &limit));
}

static void test_sink_survives_a_full_disk(void **state)
{
	uint64_t lost = 0;
	struct sink *s = open_sink(path, &lost);
	size_t kept;

	signal(SIGXFSZ, SIG_IGN);
	limit_files(10000); /* the write that crosses it is short, the next one fails */
	put(s, 20);
	assert_true(s->ops->flush(s) < 0);
	kept = count_records(path);
	assert_true(kept > 0 && kept < 20); /* as many as fit, none torn */
	assert_int_equal(lost, 0);          /* the rest waits */
	put(s, 500);
	assert_true(s->ops->flush(s) < 0);
	assert_true(lost > 0);
	limit_files(0);
	assert_ok(s->ops->flush(s));
	put(s, 1);
	s->ops->free(s);
	assert_int_equal(count_records(path) + lost, 521);
	unlink(path);
}

/* Standard output here is a pipe. */
static void test_sink_writes_to_standard_output(void **state)
{
	static char bytes[400000];
	uint64_t lost = 0;
	struct sink *s;
	size_t n = 0, whole = 0, torn = 0;
	int saved, fds[2];

	assert_ok(pipe(fds));
	saved = dup(STDOUT_FILENO);
	fflush(stdout);
	dup2(fds[1], STDOUT_FILENO);
	close(fds[1]);
	s = open_sink("-", &lost);
	put(s, 10);
	assert_ok(s->ops->flush(s));
	put(s, 3);
	s->ops->free(s);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	for (ssize_t r; (r = read(fds[0], bytes + n, sizeof(bytes) - n)) > 0;)
		n += (size_t)r;
	close(fds[0]);
	for (struct str rest = { bytes, n }, line; str_cut(&rest, '\n', &line);) {
		json_t *j = json_loadb(line.p, line.n, 0, NULL);

		whole += !!j;
		torn += !j;
		json_decref(j);
	}
	assert_int_equal(whole, 13);
	assert_int_equal(torn, 0);
}

static void test_sink_counts_what_cannot_be_written(void **state)
{
	uint64_t lost = 0;
	struct sink *s;

	s = open_sink("/dev/full", &lost);
	put(s, 100);
	assert_err(s->ops->flush(s), -ENOSPC);
	s->ops->free(s);
	assert_int_equal(lost, 100);
	s = NULL;
	assert_err(eve_sink_new(&s, &(struct eve_format){ 0 }, "/nonexistent/eve.json", &lost),
		   -ENOENT);
	assert_null(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flow_is_complete),
		cmocka_unit_test(test_unknown_is_absent),
		cmocka_unit_test(test_first_bytes_of_nothing_known),
		cmocka_unit_test(test_ports_only_where_there_are_some),
		cmocka_unit_test(test_several_names),
		cmocka_unit_test(test_registered_domains),
		cmocka_unit_test(test_dns_message),
		cmocka_unit_test(test_hostile_texts_stay_json),
		cmocka_unit_test(test_other_protocols),
		cmocka_unit_test(test_stats_and_notice),
		cmocka_unit_test(test_times_and_addresses),
		cmocka_unit_test(test_what_does_not_fit_is_left_out_whole),
		cmocka_unit_test(test_sink_appends_and_reopens),
		cmocka_unit_test(test_sink_survives_a_full_disk),
		cmocka_unit_test(test_sink_writes_to_standard_output),
		cmocka_unit_test(test_sink_counts_what_cannot_be_written),
	};

	return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
