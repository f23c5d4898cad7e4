/* SPDX-License-Identifier: Apache-2.0 */
#include "replay_collect.h"

#include <dirent.h>
#include <netinet/in.h>
#include <zlib.h>

#include "base/cleanup.h"
#include "decode/dns.h"
#include "decode/http.h"
#include "replay/zeek_scan.h"

#define TSV_HEAD "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n"
#define ID_FIELDS "ts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p"
#define CONN_FIELDS                                                                         \
	ID_FIELDS "\tproto\tservice\tduration\torig_bytes\tresp_bytes\tconn_state\thistory" \
		  "\torig_pkts\torig_ip_bytes\tresp_pkts\tresp_ip_bytes"
#define ID "C1\t10.0.0.1\t40000\t192.0.2.1\t443"

/* What the last events of each kind said, with texts copied. */
static struct {
	struct event close, fact;
	struct dns_message dns;
	struct http_request http;
	char sni[64], ja3[64], ja4[64], alpn[64], version[64], method[16], url[64], host[64],
		agent[64], ja3s[64], subject[64], issuer[64], fingerprint[80];
	uint64_t tx_bytes, rx_bytes, times[8192], n;
} seen;

static void copy(char *to, size_t cap, struct str s)
{
	snprintf(to, cap, "%.*s", (int)s.n, s.p ? s.p : "");
}

static void keep(struct collect *c, const struct event *e)
{
	if (seen.n < ARRAY_SIZE(seen.times))
		seen.times[seen.n++] = e->time_ns;
	if (e->type == EVENT_CLOSE) {
		seen.close = *e;
		seen.tx_bytes += e->close.counts.tx_bytes;
		seen.rx_bytes += e->close.counts.rx_bytes;
		return;
	}
	seen.fact = *e;
	if (e->fact.dns)
		memcpy(&seen.dns, e->fact.dns, sizeof(seen.dns));
	copy(seen.sni, sizeof(seen.sni), e->fact.sni);
	copy(seen.ja3, sizeof(seen.ja3), e->fact.ja3);
	copy(seen.ja4, sizeof(seen.ja4), e->fact.ja4);
	copy(seen.alpn, sizeof(seen.alpn), e->fact.alpn);
	copy(seen.version, sizeof(seen.version), e->fact.tls_version);
	copy(seen.ja3s, sizeof(seen.ja3s), e->fact.ja3s);
	copy(seen.subject, sizeof(seen.subject), e->fact.subject);
	copy(seen.issuer, sizeof(seen.issuer), e->fact.issuer);
	copy(seen.fingerprint, sizeof(seen.fingerprint), e->fact.fingerprint);
	if (e->fact.http) {
		seen.http = *e->fact.http;
		copy(seen.method, sizeof(seen.method), e->fact.http->method);
		copy(seen.url, sizeof(seen.url), e->fact.http->url);
		copy(seen.host, sizeof(seen.host), e->fact.http->host);
		copy(seen.agent, sizeof(seen.agent), e->fact.http->user_agent);
	}
}

static struct collect *read_text(const char *text)
{
	_cleanup_buf_ struct buf b = BUF_INIT(8u << 20);
	struct collect *c = collect_new();
	char path[64];

	memset(&seen, 0, sizeof(seen));
	c->on_event = keep;
	buf_puts(&b, text);
	write_temp(&b, "", path);
	collect_file(c, path);
	unlink(path);
	return c;
}

/* Of the message that seen.dns was copied from: texts lie in its arena, at the same place in the copy. */
static struct str dns_text(struct str s)
{
	ptrdiff_t at = s.p - seen.fact.fact.dns->arena;

	assert_true(at >= 0 && at + s.n <= seen.dns.arena_n);
	return (struct str){ seen.dns.arena + at, s.n };
}

static void assert_addresses(const struct event_key *k)
{
	char text[ADDR_TEXT_MAX];

	assert_string_equal(addr_format(&k->src, text), "10.0.0.1");
	assert_string_equal(addr_format(&k->dst, text), "192.0.2.1");
	assert_int_equal(k->sport, 40000);
	assert_int_equal(k->dport, 443);
	assert_int_not_equal(k->zone, 0);
}

static void assert_conn(void)
{
	const struct event_counts *c = &seen.close.close.counts;

	assert_addresses(&seen.close.key);
	assert_int_equal(seen.close.key.proto, IPPROTO_TCP);
	assert_int_equal(seen.close.time_ns, 1600000000123456000ull);
	assert_int_equal(c->last_ns, 1600000001623456000ull);
	assert_int_equal(c->tx_packets, 5);
	assert_int_equal(c->tx_bytes, 300);
	assert_int_equal(c->rx_packets, 6);
	assert_int_equal(c->rx_bytes, 700);
	assert_int_equal(c->tx_payload, 100);
	assert_int_equal(c->rx_payload, 400);
	assert_int_equal(seen.close.close.end, END_FIN);
	assert_int_equal(seen.close.close.app, APP_TLS);
}

#define JSON_TAIL                                                                         \
	"\"proto\":\"tcp\",\"service\":\"ssl\",\"duration\":1.5,\"orig_bytes\":100,"      \
	"\"resp_bytes\":400,\"conn_state\":\"SF\",\"orig_pkts\":5,\"orig_ip_bytes\":300," \
	"\"resp_pkts\":6,\"resp_ip_bytes\":700"

static void round_us(uint64_t *ns)
{
	*ns = (*ns + 500) / 1000 * 1000;
}

static void test_conn_forms(void **state)
{
	static const char *const texts[] = {
		TSV_HEAD "#path\tconn\n#fields\t" CONN_FIELDS "\n#types\ttime\n"
			 "1600000000.123456\t" ID
			 "\ttcp\tssl\t1.500000\t100\t400\tSF\tShADadFf\t5\t300\t6\t700\n",
		/* labelled, the new names glued to the last with blanks; a blank line; no last line end */
		"\t" TSV_HEAD "#path\tconn\n#fields\t" CONN_FIELDS
		"\ttunnel_parents   label   detailed-label\n\n1600000000.123456\t" ID
		"\ttcp\tssl\t1.500000\t100\t400\tSF\tShADadFf\t5\t300\t6\t700\t-   Malicious   C&C",
		/* set apart by blanks throughout, and by carriage returns */
		"#separator \\x09\r\n#path conn\r\n#fields ts uid id.orig_h id.orig_p id.resp_h "
		"id.resp_p proto "
		"service duration orig_bytes resp_bytes conn_state orig_pkts orig_ip_bytes "
		"resp_pkts "
		"resp_ip_bytes\r\n1600000000.123456  C1  10.0.0.1  40000  192.0.2.1  443  tcp  ssl "
		" 1.5  "
		"100  400  SF  5  300  6  700\r\n",
		/* another separator, and another order */
		"#separator "
		",\n#path,conn\n#fields,uid,ts,id.resp_h,id.resp_p,id.orig_h,id.orig_p,proto,"
		"service,"
		"duration,orig_bytes,resp_bytes,conn_state,orig_pkts,orig_ip_bytes,resp_pkts,resp_"
		"ip_bytes\n"
		"C1,1600000000.123456,192.0.2.1,443,10.0.0.1,40000,tcp,ssl,1.5,100,400,SF,5,300,6,"
		"700\n",
		"{\"ts\":1600000000.123456,\"uid\":\"C1\",\"id.orig_h\":\"10.0.0.1\",\"id.orig_p\":"
		"40000,"
		"\"id.resp_h\":\"192.0.2.1\",\"id.resp_p\":443," JSON_TAIL "}\n",
		"{\"@stream\":\"conn\",\"ts\":\"2020-09-13T12:26:40.123456Z\",\"uid\":\"C1\","
		"\"id_orig_h\":\"10.0.0.1\",\"id_orig_p\":40000,\"id_resp_h\":\"192.0.2.1\","
		"\"id_resp_p\":443," JSON_TAIL "}",
		"\xef\xbb\xbf { \"_path\" : \"conn\", \"ts\" : 1.600000000123456e9, "
		"\"uid\":\"C1\", \"id\" : "
		"{ \"orig_h\":\"10.0.0.1\", "
		"\"orig_p\":40000,\"resp_h\":\"192.0.2.1\",\"resp_p\":443 } , "
		"\"tags\":[1,{\"a\":[\"]}\\\"\"]}],\"nested\":{\"ts\":1}," JSON_TAIL "}\n",
		"{\"conn\":{\"ts\":1600000000.123456,\"uid\":\"C1\",\"id.orig_h\":\"10.0.0.1\","
		"\"id.orig_p\":40000,\"id.resp_h\":\"192.0.2.1\",\"id.resp_p\":443," JSON_TAIL
		"}}\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		_cleanup_free_ struct collect *c = read_text(texts[i]);

		print_message("form %zu\n", i);
		assert_ok(c->added);
		assert_int_equal(c->stats.log_lines, 1);
		assert_int_equal(c->stats.log_lines_bad, 0);
		assert_int_equal(c->n_close, 1);
		if (i == 6) { /* a double holds no nanoseconds of this size */
			round_us(&seen.close.time_ns);
			round_us(&seen.close.close.counts.last_ns);
		}
		assert_conn();
	}
}

static void test_conn_states(void **state)
{
	static const struct {
		const char *proto, *state;
		enum event_end end;
	} rows[] = { { "tcp", "SF", END_FIN },      { "tcp", "S2", END_FIN },
		     { "tcp", "S1", END_TIMEOUT },  { "tcp", "S0", END_FAILED },
		     { "tcp", "REJ", END_FAILED },  { "tcp", "RSTO", END_RESET },
		     { "tcp", "RSTR", END_RESET },  { "tcp", "OTH", END_TIMEOUT },
		     { "udp", "SF", END_TIMEOUT },  { "udp", "S0", END_TIMEOUT },
		     { "icmp", "OTH", END_TIMEOUT } };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ struct collect *c = NULL;
		char text[1024];

		snprintf(text, sizeof(text),
			 TSV_HEAD "#path\tconn\n#fields\t" CONN_FIELDS "\n1.5\t" ID
				  "\t%s\t-\t-\t-\t-\t%s\tS\t1\t40\t0\t0\n",
			 rows[i].proto, rows[i].state);
		c = read_text(text);
		assert_int_equal(c->n_close, 1);
		assert_int_equal(seen.close.close.end, rows[i].end);
		assert_int_equal(seen.close.close.app, APP_UNDECIDED);
		assert_true(seen.close.close.counts.tx_payload == UINT64_MAX);
		assert_int_equal(seen.close.close.counts.last_ns, seen.close.time_ns);
	}
	assert_int_equal(seen.close.key.proto, IPPROTO_ICMP);
}

static void test_dns(void **state)
{
	_cleanup_free_ struct collect *c = read_text(
		TSV_HEAD
		"#path\tdns\n#fields\t" ID_FIELDS
		"\tproto\ttrans_id\tquery\tqclass\tqtype\trcode\tAA\tTC\tRD\tRA\tanswers\tTTLs\n"
		"1600000000.0\t" ID "\ttcp\t77\tWWW.Example.ORG\t1\t1\t0\tF\tT\tT\tT\t"
		"Edge.example.net,b\\x2ac.example.net,192.0.2.9,2001:db8::1\t"
		"60.0,30.000000,5.0,4294967296.0\n");
	const struct dns_message *m = &seen.dns;

	assert_int_equal(c->n_fact, 1);
	assert_int_equal(seen.fact.fact.kind, FACT_DNS);
	assert_addresses(&seen.fact.key);
	assert_int_equal(seen.fact.key.proto, IPPROTO_TCP);
	assert_int_equal(m->id, 77);
	assert_true(m->response && m->truncated && m->recursion_desired && !m->authoritative);
	assert_int_equal(m->n_questions, 1);
	assert_int_equal(m->questions[0].type, DNS_A);
	assert_int_equal(m->n_answers, 4);
	assert_int_equal(m->answers[0].type, DNS_CNAME);
	assert_int_equal(m->answers[0].ttl, 60);
	assert_int_equal(m->answers[2].type, DNS_A);
	assert_true(m->answers[2].has_addr);
	assert_int_equal(m->answers[3].type, DNS_AAAA);
	assert_false(m->cut);
}

/* Texts are looked at while they are alive. */
static void check_dns_texts(struct collect *c, const struct event *e)
{
	const struct dns_message *m = e->fact.dns;

	keep(c, e);
	assert_str(dns_text(m->questions[0].name), "www.example.org");
	assert_str(dns_text(m->answers[0].name), "www.example.org");
	assert_str(dns_text(m->answers[0].rdata), "edge.example.net");
	assert_str(dns_text(m->answers[1].name), "edge.example.net");
	assert_str(dns_text(m->answers[1].rdata), "od\\000d\\092.example.net");
	assert_str(dns_text(m->answers[2].name), "od\\000d\\092.example.net");
	assert_str(dns_text(m->answers[2].rdata), "192.0.2.9");
}

static void test_dns_names(void **state)
{
	static const char text[] =
		"{\"ts\":1600000000.0,\"uid\":\"C1\",\"id.orig_h\":\"10.0.0.1\",\"id.orig_p\":"
		"40000,"
		"\"id.resp_h\":\"192.0.2.1\",\"id.resp_p\":443,\"proto\":\"udp\",\"trans_id\":1,"
		"\"query\":\"WWW.Example.ORG.\",\"qtype\":1,\"rcode\":0,\"AA\":false,"
		"\"answers\":[\"Edge.example.net\" , "
		"\"Od\\\\x00\\u0064\\\\x5c.example.net\",\"192.0.2.9\"],"
		"\"TTLs\":[60.0,5]}\n";
	_cleanup_buf_ struct buf b = BUF_INIT(1u << 16);
	_cleanup_free_ struct collect *c = collect_new();
	char path[64];

	c->on_event = check_dns_texts;
	buf_puts(&b, text);
	write_temp(&b, "", path);
	collect_file(c, path);
	unlink(path);
	assert_int_equal(c->n_fact, 1);
	assert_int_equal(seen.dns.answers[1].ttl, 5);
}

static void check_txt(struct collect *c, const struct event *e)
{
	keep(c, e);
	assert_str(dns_text(e->fact.dns->answers[0].rdata),
		   c->n_fact == 1 ? "v=spf1 -all" : "\"a b\" \"x\"y\"");
	assert_int_equal(e->fact.dns->answers[0].type, DNS_TXT);
}

static void test_dns_txt(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT(1u << 16);
	_cleanup_free_ struct collect *c = collect_new();
	char path[64];

	c->on_event = check_txt;
	buf_puts(&b, TSV_HEAD "#path\tdns\n#fields\t" ID_FIELDS
			      "\tproto\tquery\tqtype\trcode\tanswers\n"
			      "1\t" ID "\tudp\texample.org\t16\t0\tTXT 11 v=spf1 -all\n"
			      "2\t" ID "\tudp\texample.org\t16\t0\tTXT 3 a b TXT 3 x\"y\n");
	write_temp(&b, "", path);
	collect_file(c, path);
	unlink(path);
	assert_int_equal(c->n_fact, 2);
}

static void test_facts(void **state)
{
	_cleanup_free_ struct collect *c = read_text(
		TSV_HEAD
		"#path\tssl\n#fields\t" ID_FIELDS
		"\tversion\tcipher\tserver_name\tnext_protocol\testablished\tja3\tja4\n1.0\t" ID
		"\tTLSv13\tX\twww.example.org\th2\tT\t0123456789abcdef0123456789abcdef"
		"\tt13d1516h2_8daaf6152771_e5627efa2ab1\n");
	struct collect *d;

	assert_int_equal(c->n_fact, 1);
	assert_int_equal(seen.fact.fact.kind, FACT_TLS);
	assert_int_equal(seen.fact.key.proto, IPPROTO_TCP);
	assert_addresses(&seen.fact.key);
	assert_string_equal(seen.sni, "www.example.org");
	assert_string_equal(seen.version, "TLS 1.3");
	assert_string_equal(seen.alpn, "h2");
	assert_string_equal(seen.ja3, "0123456789abcdef0123456789abcdef");
	assert_string_equal(seen.ja4, "t13d1516h2_8daaf6152771_e5627efa2ab1");
	assert_false(seen.fact.fact.quic);

	d = read_text(TSV_HEAD
		      "#path\tquic\n#fields\t" ID_FIELDS
		      "\tversion\tclient_initial_dcid\tserver_name\tclient_protocol\n1.0\t" ID
		      "\t1\tabcd\twww.example.org\th3\n");
	assert_int_equal(seen.fact.key.proto, IPPROTO_UDP);
	assert_string_equal(seen.alpn, "h3");
	assert_true(seen.fact.fact.quic);
	free(d);

	d = read_text(
		"{\"ts\":1,\"uid\":\"C1\",\"id.orig_h\":\"10.0.0.1\",\"id.orig_p\":40000,"
		"\"id.resp_h\":\"192.0.2.1\",\"id.resp_p\":443,\"trans_depth\":1,\"method\":"
		"\"GET\","
		"\"host\":\"h\\u00e9.example\",\"uri\":\"/a?\\\"b\\\\c\\/\",\"version\":\"1.0\","
		"\"user_agent\":\"\\ud83d\\ude00\",\"status_code\":404}\n");
	assert_int_equal(d->n_fact, 1);
	assert_int_equal(seen.fact.fact.kind, FACT_HTTP);
	assert_string_equal(seen.method, "GET");
	assert_string_equal(seen.host, "h\xc3\xa9.example");
	assert_string_equal(seen.url, "/a?\"b\\c/");
	assert_string_equal(seen.agent, "\xf0\x9f\x98\x80");
	assert_int_equal(seen.http.minor, 0);
	assert_int_equal(seen.fact.fact.http_status, 404);
	free(d);
}

/* The server's side, as new and old Zeeks write it. */
static void test_certificates(void **state)
{
	static const char sha256[] =
		"af4a46e989dc24078ee2a205490856e059e7f2f9d2114cec4d4c44974add9d34";
	_cleanup_free_ struct collect *c = read_text(
		TSV_HEAD
		"#path\tssl\n#fields\t" ID_FIELDS
		"\tversion\tcipher\tserver_name\testablished\tcert_chain_fps\tsubject\tissuer"
		"\tsni_matches_cert\n1.0\t" ID "\tTLSv12\tX\tdb.example\tF"
		"\taf4a46e989dc24078ee2a205490856e059e7f2f9d2114cec4d4c44974add9d34,00"
		"\tCN=Bro\tCN=Bro,O=A\\, B\tF\n");
	struct collect *d;

	assert_int_equal(c->n_fact, 1);
	assert_string_equal(seen.fingerprint, sha256);
	assert_string_equal(seen.subject, "CN=Bro");
	assert_string_equal(seen.issuer, "CN=Bro,O=A\\, B");
	assert_int_equal(seen.fact.fact.covers_sni, FACT_NO);
	assert_string_equal(seen.ja3s, "");
	d = read_text(
		"{\"_path\":\"ssl\",\"ts\":1.1,\"uid\":\"C9\",\"id.orig_h\":\"10.0.0.1\","
		"\"id.orig_p\":40000,\"id.resp_h\":\"192.0.2.1\",\"id.resp_p\":443,"
		"\"version\":\"TLSv12\",\"cert_chain_fps\":"
		"[\"af4a46e989dc24078ee2a205490856e059e7f2f9d2114cec4d4c44974add9d34\",\"00\"],"
		"\"sni_matches_cert\":true,\"ja3s\":\"ec74a5c51106f0419184d0dd08fb05bc\"}\n");
	assert_string_equal(seen.fingerprint, sha256);
	assert_int_equal(seen.fact.fact.covers_sni, FACT_YES);
	assert_string_equal(seen.ja3s, "ec74a5c51106f0419184d0dd08fb05bc");
	free(d);
	d = read_text("{\"_path\":\"ssl\",\"ts\":1.1,\"uid\":\"C9\",\"id.orig_h\":\"10.0.0.1\","
		      "\"id.orig_p\":40000,\"id.resp_h\":\"192.0.2.1\",\"id.resp_p\":443,"
		      "\"resp_certificate_sha1\":\"bc3a6953a08963c9be9fceb75dbe83f7c225ac8e\"}\n");
	assert_string_equal(seen.fingerprint, "bc3a6953a08963c9be9fceb75dbe83f7c225ac8e");
	assert_int_equal(seen.fact.fact.covers_sni, FACT_UNKNOWN);
	free(d);
}

/* ssl.log does not say UDP; the conn line of the same uid did. */
static void test_quic_in_ssl_log(void **state)
{
	_cleanup_free_ struct collect *c =
		read_text("{\"_path\":\"conn\",\"ts\":1,\"uid\":\"C9\",\"id.orig_h\":\"10.0.0.1\","
			  "\"id.orig_p\":40000,"
			  "\"id.resp_h\":\"192.0.2.1\",\"id.resp_p\":443,\"proto\":\"udp\","
			  "\"service\":\"quic,ssl\"}\n"
			  "{\"_path\":\"ssl\",\"ts\":1.1,\"uid\":\"C9\",\"id.orig_h\":\"10.0.0.1\","
			  "\"id.orig_p\":40000,"
			  "\"id.resp_h\":\"192.0.2.1\",\"id.resp_p\":443,\"server_name\":\"x\","
			  "\"version\":\"TLSv13\"}\n");

	assert_int_equal(c->n_close, 1);
	assert_int_equal(c->n_fact, 1);
	assert_int_equal(seen.close.close.app, APP_QUIC);
	assert_int_equal(seen.fact.key.proto, IPPROTO_UDP);
	assert_int_equal(seen.fact.key.zone, seen.close.key.zone);
	assert_true(seen.fact.fact.quic);
}

static void test_bad_lines(void **state)
{
	_cleanup_free_ struct collect *c = read_text(
		TSV_HEAD
		"#path\tconn\n#fields\t" CONN_FIELDS "\n"
		"1.5\tC1\t10.0.0.1\n"
		"x\t" ID "\ttcp\t-\t-\t-\t-\tSF\tS\t1\t40\t0\t0\n"
		"1.5\tC1\tnowhere\t1\t10.0.0.1\t2\ttcp\t-\t-\t-\t-\tSF\tS\t1\t40\t0\t0\n"
		"1.5\tC1\t10.0.0.1\t70000\t10.0.0.1\t2\ttcp\t-\t-\t-\t-\tSF\tS\t1\t40\t0\t0\n"
		"1.5\t" ID "\ttcp\t-\t-\t-\t-\tSF\tS\t1\t40\t0\t0\n"
		"1.5\t" ID "\ttcp\t-\t-\t-\t-");
	struct collect *d;

	assert_int_equal(c->n_close, 1);
	assert_int_equal(c->stats.log_lines, 6);
	assert_int_equal(c->stats.log_lines_bad, 5);
	d = read_text("{\"ts\":1,\"uid\":\"C9\",\"id.orig_h\":\"10.0.0.1\",\"id.orig_p\":40000,"
		      "\"id.resp_h\":\"192.0.2.1\",\"id.resp_p\":443,\"proto\":\"udp\",\"conn_"
		      "state\":\"SF\"}\n"
		      "{\"ts\":1,\n[]\n{\"ts\":\"\\uZZZZ\"}\nnothing\n{\"ts\":1}}\n{{{{{{{{{{\n");
	assert_int_equal(d->n_close, 1);
	assert_int_equal(d->stats.log_lines, 7);
	assert_int_equal(d->stats.log_lines_bad, 5);
	free(d);
}

/* A line of megabytes is one bad line, before and after good ones. */
static void test_long_line(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT(8u << 20);
	_cleanup_free_ struct collect *c = NULL;

	buf_puts(&b, TSV_HEAD "#path\tconn\n#fields\t" CONN_FIELDS "\n");
	buf_puts(&b, "1.5\t" ID "\ttcp\t-\t-\t-\t-\tSF\tS\t1\t40\t0\t0\n1.5\t");
	for (int i = 0; i < 3000000; i++)
		buf_putc(&b, 'x');
	buf_puts(&b, "\n1.5\t" ID "\ttcp\t-\t-\t-\t-\tSF\tS\t1\t40\t0\t0\n");
	c = collect_bytes(&b);
	assert_int_equal(c->n_close, 2);
	assert_int_equal(c->stats.log_lines, 3);
	assert_int_equal(c->stats.log_lines_bad, 1);
}

/* Displaced by less than the window: handed on in order. By more: late, but handed on. */
static void test_order(void **state)
{
	for (int far = 0; far < 2; far++) {
		_cleanup_buf_ struct buf b = BUF_INIT(8u << 20);
		_cleanup_free_ struct collect *c = collect_new();
		size_t n = far ? 8000 : 4000;
		char path[64];

		memset(&seen, 0, sizeof(seen));
		c->on_event = keep;
		buf_puts(&b, TSV_HEAD "#path\tconn\n#fields\t" CONN_FIELDS "\n");
		for (size_t i = n; i-- > 0;)
			buf_printf(&b,
				   "%zu.5\tC%zu\t10.0.0.1\t1\t10.0.0.2\t2\ttcp\t-\t-\t-\t-"
				   "\tSF\tS\t1\t40\t0\t0\n",
				   i, i);
		write_temp(&b, "", path);
		collect_file(c, path);
		unlink(path);
		assert_int_equal(c->n_close, n);
		assert_int_equal(c->unordered, far);
		assert_int_equal(seen.times[0],
				 (far ? 8000 - 4096 : 0) * 1000000000ull + 500000000);
	}
}

static void test_times(void **state)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} good[] = { { "0", 0 },
		     { "1", 1000000000 },
		     { "1655071198.444458", 1655071198444458000 },
		     { "0.09628199999999865", 96281999 },
		     { "9.5e-07", 950 },
		     { "1.5E+2", 150000000000 },
		     { "1970-01-01T00:00:00Z", 0 },
		     { "2000-02-29T23:59:59.5Z", 951868799500000000 },
		     { "2024-03-01T00:00:00.000001Z", 1709251200000001000 } };
	static const char *const bad[] = { "",
					   "-",
					   "-1",
					   "x",
					   "1.5x",
					   "1e",
					   "1e9999",
					   "99999999999",
					   "2020-13-01T00:00:00Z",
					   "2020-01",
					   "1969-12-31T23:59:59Z" };
	uint64_t ns;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_true(zeek_time(str_of(good[i].text), &ns));
		assert_int_equal(ns, good[i].ns);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(zeek_time(str_of(bad[i]), &ns));
}

/* --- real logs, counted the plain way --------------------------------------------------------------------------- */

struct plain {
	uint64_t lines, conns, tx_bytes, rx_bytes;
};

static uint64_t json_number(const char *line, const char *key)
{
	const char *at = strstr(line, key);

	return at ? strtoull(at + strlen(key), NULL, 10) : 0;
}

/* Column `n` of a line, counted from 0. */
static const char *column(const char *line, int n)
{
	for (; n > 0 && line; n--) {
		line = strchr(line, '\t');
		line = line ? line + 1 : NULL;
	}
	return line ? line : "";
}

static int column_named(const char *header, const char *name)
{
	size_t n = strlen(name);

	for (int i = 1;; i++) {
		const char *at = column(header, i);

		if (!*at)
			return -1;
		if (!strncmp(at, name, n) && (at[n] == '\t' || at[n] == '\n'))
			return i - 1; /* the first word of the header is #fields */
	}
}

static void count_plainly(const char *path, bool conn, struct plain *ret)
{
	static char line[1 << 20];
	gzFile f = gzopen(path, "r"); /* plain files too */
	int tx = -1, rx = -1;

	assert_non_null(f);
	while (gzgets(f, line, sizeof(line))) {
		if (line[strspn(line, " \t")] == '#') {
			if (!strncmp(line, "#fields", 7)) {
				tx = column_named(line, "orig_ip_bytes");
				rx = column_named(line, "resp_ip_bytes");
			}
			continue;
		}
		ret->lines++;
		if (!conn)
			continue;
		ret->conns++;
		if (line[0] == '{') {
			ret->tx_bytes += json_number(line, "\"orig_ip_bytes\":");
			ret->rx_bytes += json_number(line, "\"resp_ip_bytes\":");
		} else {
			assert_true(tx > 0 && rx > 0);
			ret->tx_bytes += strtoull(column(line, tx), NULL, 10);
			ret->rx_bytes += strtoull(column(line, rx), NULL, 10);
		}
	}
	gzclose(f);
}

static struct plain count_folder(const char *folder)
{
	struct plain p = { 0 };
	struct dirent *d;
	DIR *dir = opendir(folder);

	assert_non_null(dir);
	while ((d = readdir(dir))) {
		char path[1024];

		if (!strstr(d->d_name, ".log"))
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, d->d_name);
		count_plainly(path, strstr(d->d_name, "conn.log") != NULL, &p);
	}
	closedir(dir);
	return p;
}

static void test_real_logs(void **state)
{
	static const char *const folders[] = { "zeek-logs/008-zeek-mixed", "zeek-logs/rita-proxy",
					       "zeek-logs/test10-mixed-zeek-dir",
					       "zeek-logs/test9-mixed-zeek-dir",
					       "c2-otrf-apt29/zeek-day1" };

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		_cleanup_free_ struct collect *c = NULL;
		char path[512];
		struct plain p;

		test_data(folders[i], path); /* skips: nothing may be held yet */
		c = collect_new();
		memset(&seen, 0, sizeof(seen));
		c->on_event = keep;
		collect_file(c, path);
		p = count_folder(path);
		assert_int_equal(c->stats.log_lines, p.lines);
		assert_int_equal(c->stats.log_lines_bad, 0);
		assert_int_equal(c->n_close, p.conns);
		assert_int_equal(c->n_fact, p.lines - p.conns);
		assert_int_equal(seen.tx_bytes, p.tx_bytes);
		assert_int_equal(seen.rx_bytes, p.rx_bytes);
		assert_true(seen.tx_bytes > 0);
		assert_int_equal(c->stats.inputs_cut, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_conn_forms),
		cmocka_unit_test(test_conn_states),
		cmocka_unit_test(test_dns),
		cmocka_unit_test(test_dns_names),
		cmocka_unit_test(test_dns_txt),
		cmocka_unit_test(test_facts),
		cmocka_unit_test(test_quic_in_ssl_log),
		cmocka_unit_test(test_certificates),
		cmocka_unit_test(test_bad_lines),
		cmocka_unit_test(test_long_line),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_real_logs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
