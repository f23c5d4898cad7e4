// SPDX-License-Identifier: Apache-2.0
#include "hostile.h"

#include <netinet/in.h>

#include "base/cleanup.h"
#include "decode/appproto.h"
#include "decode/tls.h"
#include "quic_vectors.h"

#define TCP IPPROTO_TCP
#define UDP IPPROTO_UDP

struct detect_case {
	uint8_t proto;
	uint16_t dport;
	struct str client, server;
	enum app_proto app;
};

#define C(lit)                       \
	{                            \
		lit, sizeof(lit) - 1 \
	}
#define NONE            \
	{               \
		NULL, 0 \
	}
#define ZEROS16 "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define ZEROS64 ZEROS16 ZEROS16 ZEROS16 ZEROS16
#define BODY28 "abcdefghijklmnopqrstuvwxyz01"

/* What a whole first flight says when nothing more will come. The ports are wrong on purpose where they may be. */
static const struct detect_case cases[] = {
	{ TCP, 8443, C("\x16\3\1\0\xc8\1\0\0\xc4\3\3"), NONE, APP_TLS },
	{ TCP, 1, NONE, C("\x16\3\3\0\x5a\2\0\0\x56\3\3"), APP_TLS },
	{ TCP, 1, C("\x15\3\1\0\2\2\x28"), NONE, APP_TLS },
	{ TCP, 1, C("\x17\3\3\0\2ab\x17\3\3\0\1"), NONE, APP_TLS },
	{ TCP, 1, C("\x17\3\3\0\2ab"), NONE, APP_TLS },
	{ TCP, 1,
	  C("\x80\x28\1\3\1\0\x0f\0\0\0\x10\0\0\x39\0\0\x0a\7\0\xc0\0\0\5\0\0\xff"
	    "0123456789abcdef"),
	  NONE, APP_TLS },
	{ TCP, 443, C("\x16\3\1\0\xc8\5\0\0\xc4\3\3"), NONE, APP_UNKNOWN },
	{ TCP, 443, C("\x16\3\1\0\xc8\1\0\0\xc4\7\7"), NONE, APP_UNKNOWN },
	{ TCP, 4444, C("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), NONE, APP_HTTP },
	{ TCP, 4444, C("GET /half"), NONE, APP_HTTP },
	{ TCP, 4444, C("CONNECT a.example:443 HTTP/1.1\r\n"), NONE, APP_HTTP },
	{ TCP, 4444, C("WHATEVER / HTTP/1.1\r\n"), NONE, APP_HTTP },
	{ TCP, 4444, NONE, C("HTTP/1.1 200 OK\r\n"), APP_HTTP },
	{ TCP, 80, C("\1\2\3\4"), C("HTTP/1.1 400 Bad Request\r\n"), APP_UNKNOWN },
	{ TCP, 80, C("GETTING / started\r\n"), NONE, APP_UNKNOWN },
	{ TCP, 80, C("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4"), NONE, APP_HTTP2 },
	{ TCP, 443, C("SSH-2.0-OpenSSH_9.2\r\n"), NONE, APP_SSH },
	{ TCP, 443, NONE, C("SSH-1.99-x\r\n"), APP_SSH },
	{ TCP, 443, C("SSH-agent\r\n"), NONE, APP_UNKNOWN },
	{ TCP, 2525, C("EHLO x\r\n"), C("220 mx.example ready\r\n"), APP_SMTP },
	{ TCP, 2525, NONE, C("220 mx.example ESMTP Postfix\r\n"), APP_SMTP },
	{ TCP, 25, NONE, C("220 mx.example ready\r\n"), APP_SMTP },
	{ TCP, 25, C("QUIT\r\n"), C("220 mx.example ESMTP\r\n"), APP_SMTP },
	{ TCP, 2121, C("USER x\r\n"), C("220 ready\r\n"), APP_FTP },
	{ TCP, 2121, NONE, C("220-ProFTPD\r\n"), APP_FTP },
	{ TCP, 2121, C("AUTH TLS\r\n"), C("220-a\r\n220 b\r\n"), APP_FTP },
	{ TCP, 21, C("USER x\r\n"), NONE, APP_FTP },
	{ TCP, 110, C("USER x\r\n"), NONE, APP_POP3 },
	{ TCP, 7, C("USER x\r\n"), NONE, APP_UNKNOWN },
	{ TCP, 7, C("CAPA\r\n"), C("+OK ready\r\n"), APP_POP3 },
	{ TCP, 7, NONE, C("+OK ready\r\n"), APP_POP3 },
	{ TCP, 7, NONE, C("* OK [CAPABILITY IMAP4rev1] ready\r\n"), APP_IMAP },
	{ TCP, 7, C("a1 LOGIN x y\r\n"), C("* OK hi\r\n"), APP_IMAP },
	{ TCP, 143, C("a1 CAPABILITY\r\n"), NONE, APP_IMAP },
	{ TCP, 7, C("NICK bot\r\nUSER bot 0 * :bot\r\n"), NONE, APP_IRC },
	{ TCP, 7, C("NICK bot\r\n"), C(":irc.example NOTICE * :hi\r\n"), APP_IRC },
	{ TCP, 7, C("CAP LS 302\r\nNICK x\r\n"), NONE, APP_IRC },
	{ TCP, 7, C("NICK bot\r\n"), NONE, APP_UNKNOWN },
	{ UDP, 5060, C("REGISTER sip:x.example SIP/2.0\r\nVia: y\r\n"), NONE, APP_SIP },
	{ TCP, 7, C("OPTIONS sip:x SIP/2.0\r\n"), NONE, APP_SIP },
	{ UDP, 7, C("SIP/2.0 200 OK\r\n"), NONE, APP_SIP },
	{ UDP, 1900, C("M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\n"), NONE, APP_SSDP },
	{ UDP, 1900, C("NOTIFY * HTTP/1.1\r\nHOST: x\r\n"), NONE, APP_SSDP },
	{ UDP, 7, C("<34>1 2003-10-11T22:14:15.003Z host su - ID47 - x"), NONE, APP_SYSLOG },
	{ UDP, 7, C("<13>Oct 11 22:14:15 host su: x"), NONE, APP_SYSLOG },
	{ TCP, 514, C("<191>plain words"), NONE, APP_SYSLOG },
	{ UDP, 7, C("<13>plain words"), NONE, APP_UNKNOWN },
	{ UDP, 7, C("<999>Oct 11 22:14:15"), NONE, APP_UNKNOWN },
	{ TCP, 7, C("*2\r\n$4\r\nAUTH\r\n$1\r\nx\r\n"), NONE, APP_REDIS },
	{ TCP, 7, C("PING\r\n"), C("+PONG\r\n"), APP_REDIS },
	{ TCP, 7, C("*x\r\n"), NONE, APP_UNKNOWN },
	{ TCP, 7, NONE, C("RFB 003.008\n"), APP_VNC },
	{ TCP, 7, NONE, C("RFB 003x008\n"), APP_UNKNOWN },
	{ TCP, 7, NONE, C("\xff\xfd\x18\xff\xfd\x20"), APP_TELNET },
	{ TCP, 23, NONE, C("\xff\xfb\1"), APP_TELNET },
	{ TCP, 7, NONE, C("\xff\xfb\1login"), APP_UNKNOWN },
	{ TCP, 7, C("\3\0\0\x13\x0e\xe0\0\0\0\0\0\1\0\x08\0\3\0\0\0"), NONE, APP_RDP },
	{ TCP, 7, C("\3\0\0\x2c\x27\xe0\0\0\0\0\0Cookie: mstshash=user\r\n\1\0\x08\0\0\0\0\0"),
	  NONE, APP_RDP },
	{ TCP, 3389, C("\3\0\0\x0b\6\xe0\0\0\0\0\0"), NONE, APP_RDP },
	{ TCP, 102, C("\3\0\0\x16\x11\xe0\0\0\0\1\0\xc0\1\x0a\xc1\2\1\0\xc2\2\1\2"), NONE,
	  APP_UNKNOWN },
	{ TCP, 7, C("\0\0\0\x40\xfeSMB\x40\0"), NONE, APP_SMB },
	{ TCP, 7, C("\0\0\0\x40\xffSMB\x72\0"), NONE, APP_SMB },
	{ TCP, 139,
	  C("\x81\0\0\x44\x20"
	    "CKFDENECFDEFFCFGEFFCCACACACACACA"),
	  NONE, APP_SMB },
	{ TCP, 445, C("\0\0\0\x40\1SMB\x40\0"), NONE, APP_UNKNOWN },
	{ TCP, 7, C("\5\1\0"), C("\5\0"), APP_SOCKS },
	{ TCP, 7, C("\5\2\0\2"), C("\5\2"), APP_SOCKS },
	{ TCP, 1080, C("\5\1\0"), NONE, APP_SOCKS },
	{ TCP, 7, C("\5\1\0"), NONE, APP_UNKNOWN },
	{ TCP, 7, C("\5\1\0"), C("\5\2"), APP_UNKNOWN },
	{ TCP, 7, C("\4\1\0\x50\1\2\3\4me\0"), C("\0\x5a\0\0\0\0\0\0"), APP_SOCKS },
	{ TCP, 9050, C("\4\1\0\x50\0\0\0\1\0a.example\0"), NONE, APP_SOCKS },
	{ TCP, 7, C("\x10\x0c\0\4MQTT\4\2\0\x3c\0\0"), NONE, APP_MQTT },
	{ TCP, 7, C("\x10\x0e\0\6MQIsdp\3\2\0\x3c\0\0"), NONE, APP_MQTT },
	{ TCP, 1883, C("\x10\x0c\0\4MQTX\4\2\0\x3c\0\0"), NONE, APP_UNKNOWN },
	{ TCP, 7, C("\0\0\0\x08\4\xd2\x16\x2f"), NONE, APP_POSTGRES },
	{ TCP, 7, C("\0\0\0\x20\0\3\0\0user\0me\0database\0me\0\0"), NONE, APP_POSTGRES },
	{ TCP, 7, NONE,
	  C("\x4a\0\0\0\x0a"
	    "8.0.32\0\1\0\0\0saltsalt\0\xff"),
	  APP_MYSQL },
	{ TCP, 3306, NONE,
	  C("\x4a\0\0\0\x0a"
	    "8.0.32\0\1\0\0\0saltsalt\1\xff"),
	  APP_UNKNOWN },
	{ TCP, 7, C("\0\x19\x12\x34\1\0\0\1\0\0\0\0\0\0\1a\2bc\3com\0\0\1\0\1"), NONE,
	  APP_UNKNOWN },
	{ TCP, 7, C("\0\x1a\x12\x34\1\0\0\1\0\0\0\0\0\0\1a\2bc\3com\0\0\1\0\1"), NONE, APP_DNS },
	{ UDP, 7, C("\x12\x34\1\0\0\1\0\0\0\0\0\0\1a\2bc\3com\0\0\1\0\1"), NONE, APP_DNS },
	{ UDP, 53, C("\x12\x34\1\0\0\1\0\0\0\0\0\0\1a\2bc\3c"), NONE, APP_DNS },
	{ UDP, 7, C("\x12\x34\1\0\0\1\0\0\0\0\0\0\1a\2bc\3c"), NONE, APP_UNKNOWN },
	{ UDP, 5353, C("\0\0\x84\0\0\0\0\1\0\0\0\0\1a\5local\0\0\1\x80\1"), NONE, APP_MDNS },
	{ UDP, 5355, C("\x12\x34\0\0\0\1\0\0\0\0\0\0\1a\0\0\1\0\1"), NONE, APP_LLMNR },
	{ UDP, 137,
	  C("\x12\x34\1\x10\0\1\0\0\0\0\0\0\x20"
	    "CKFDENECFDEFFCFGEFFCCACACACACACA\0\0\x20\0\1"),
	  NONE, APP_NETBIOS },
	{ UDP, 138, C("\x11\x02\x12\x34\x0a\0\0\1\0\x8a\0\x50"), NONE, APP_NETBIOS },
	{ UDP, 7,
	  C("\0\1\0\0\x21\x12\xa4\x42"
	    "0123456789ab"),
	  NONE, APP_STUN },
	{ TCP, 7,
	  C("\0\1\0\0\x21\x12\xa4\x42"
	    "0123456789ab"),
	  NONE, APP_STUN },
	{ UDP, 3478,
	  C("\0\1\0\0\x21\x12\xa4\x43"
	    "0123456789ab"),
	  NONE, APP_UNKNOWN },
	{ UDP, 7, C("\x16\xfe\xfd\0\0\0\0\0\0\0\0\0\x28\1\0\0\x1c\0\0\0\0\0\0\0\x1c" BODY28), NONE,
	  APP_DTLS },
	{ UDP, 7, C("\x16\xfe\xfd\0\0\0\0\0\0\0\0\0\x28\1\0\0\x1c\0\0\0\0\0\0\1\x1c" BODY28), NONE,
	  APP_UNKNOWN },
	{ UDP, 7, C("\1\0\0\0" ZEROS64 ZEROS64 ZEROS16), NONE, APP_WIREGUARD },
	{ UDP, 7, NONE, C("\2\0\0\0" ZEROS64 ZEROS16 "abcdefgh"), APP_WIREGUARD },
	{ UDP, 7, C("\4\0\0\0wxyz\x09\0\0\0\0\0\0\0" ZEROS16), NONE, APP_WIREGUARD },
	{ UDP, 51820, C("\1\0\0\0" ZEROS64 ZEROS64), NONE, APP_UNKNOWN },
	{ UDP, 7,
	  C("\x38"
	    "sessions\0\0\0\0\0"),
	  NONE, APP_OPENVPN },
	{ UDP, 7,
	  C("\x38"
	    "sessions"
	    "01234567890123456789"
	    "\0\0\0\1time\0\0\0\0\0"),
	  NONE, APP_OPENVPN },
	{ UDP, 7,
	  C("\x38"
	    "sessions\0\0\0\1time"
	    "0123456789abcdef0123456789abcdef"
	    "enc:)"),
	  NONE, APP_OPENVPN },
	{ TCP, 7,
	  C("\0\x0e\x38"
	    "sessions\0\0\0\0\0"),
	  NONE, APP_OPENVPN },
	{ UDP, 1194,
	  C("\x38"
	    "sessions\0\0\0\0\1"),
	  NONE, APP_UNKNOWN },
	{ UDP, 7, C("d1:ad2:id20:01234567890123456789e1:q4:ping1:t2:aa1:y1:qe"), NONE,
	  APP_BITTORRENT },
	{ UDP, 7, C("\x41\0\x12\x34time\0\0\0\0wind\0\1\0\0"), NONE, APP_BITTORRENT },
	{ UDP, 7, C("\0\0\4\x17\x27\x10\x19\x80\0\0\0\0abcd"), NONE, APP_BITTORRENT },
	{ TCP, 7,
	  C("\x13"
	    "BitTorrent protocol\0\0\0\0\0\0\0\0"),
	  NONE, APP_BITTORRENT },
	{ UDP, 123,
	  C("\x23\0\6\x20" ZEROS16 ZEROS16 "\0\0\0\0"
	    "timetime"),
	  NONE, APP_NTP },
	{ UDP, 7,
	  C("\x1b\0\0\0" ZEROS16 ZEROS16 "\0\0\0\0"
	    "timetime"),
	  NONE, APP_NTP },
	{ UDP, 123, C("\x17\0\3\x2a\0\0\0\0"), NONE, APP_NTP },
	{ UDP, 123,
	  C("\x23\x77\6\x20" ZEROS16 ZEROS16 "\0\0\0\0"
	    "timetime"),
	  NONE, APP_UNKNOWN },
	{ UDP, 7,
	  C("\1\1\6\0" ZEROS64 ZEROS64 ZEROS64 ZEROS16 ZEROS16
	    "\0\0\0\0\0\0\0\0\x63\x82\x53\x63\x35"),
	  NONE, APP_DHCP },
	{ UDP, 547, C("\1\1\2\3\0\x08\0\2\0\0"), NONE, APP_DHCP },
	{ UDP, 7, C("\1\1\2\3\0\x08\0\2\0\0"), NONE, APP_UNKNOWN },
	{ TCP, 7, C("\x30\x0c\2\1\1\x60\7\2\1\3\4\0\x80\0"), NONE, APP_LDAP },
	{ UDP, 7, C("\x30\x1b\2\1\1\x63\x16\4\0\x0a\1\0\x0a\1\0\2\1\0\2\1\0\1\1\0\x87\1x\x30\0"),
	  NONE, APP_LDAP },
	{ TCP, 7,
	  C("\x30\x1d\2\1\1\x77\x18\x80\x16"
	    "1.3.6.1.4.1.1466.20037"),
	  NONE, APP_LDAP },
	{ UDP, 7, C("\x30\x18\2\1\1\4\6public\xa0\x0a\2\1\1\2\1\0\2\1\0\x30"), NONE, APP_UNKNOWN },
	{ UDP, 7, C("\x30\x18\2\1\1\4\6public\xa0\x0b\2\1\1\2\1\0\2\1\0\x30\0"), NONE, APP_SNMP },
	{ UDP, 7, C("\x30\x10\2\1\3\x30\x0b\2\1\1\2\2\5\xc0\4\1\4\2\1\3"), NONE, APP_UNKNOWN },
	{ UDP, 7, C("\x30\x12\2\1\3\x30\x0d\2\1\1\2\2\5\xc0\4\1\4\2\1\3"), NONE, APP_SNMP },
	{ UDP, 7, C("\x6a\x81\x90\x30\x81\x8d\xa1\3\2\1\5\xa2\3\2\1\x0a"), NONE, APP_KERBEROS },
	{ TCP, 7, C("\0\0\0\x93\x6c\x81\x90\x30\x81\x8d\xa1\3\2\1\5\xa2\3\2\1\x0c"), NONE,
	  APP_KERBEROS },
	{ UDP, 88, C("\x6a\x81\x90\x30\x81\x8d\xa1\3\2\1\4\xa2\3\2\1\x0a"), NONE, APP_UNKNOWN },
	{ UDP, 443,
	  C("\x0d"
	    "ABCDEFGHQ035\1"
	    "0123456789ab"
	    "\xa0\1\0\4CHLO"),
	  NONE, APP_QUIC },
	{ UDP, 443, C("\x40\1\2\3\4\5\6\7\x08\x09"), NONE, APP_UNKNOWN },
	{ TCP, 443, C("\0\1\2\3\4\5\6\7\x08\x09" ZEROS64), C("\x99\x98\x97" ZEROS64), APP_UNKNOWN },
	{ UDP, 53, C("hello there, this is no question"), NONE, APP_UNKNOWN },
	{ TCP, 443, NONE, NONE, APP_UNDECIDED },
};

static struct app_input input_of(const struct detect_case *c)
{
	return (struct app_input){ .ip_proto = c->proto,
				   .sport = 50000,
				   .dport = c->dport,
				   .client = c->client,
				   .server = c->server };
}

static void every_protocol(void **state)
{
	bool seen[APP_PROTO_COUNT] = { false };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct app_input in = input_of(&cases[i]);
		enum app_proto app = app_detect(&in);

		if (app != cases[i].app)
			print_error("case %zu: %s\n", i,
				    app_name(app) ? app_name(app) : "undecided");
		assert_int_equal(app, cases[i].app);
		seen[app] = true;
	}
	for (unsigned int app = APP_UNKNOWN; app < APP_PROTO_COUNT; app++)
		if (app != APP_TOR) /* told from a hello, below */
			assert_true(seen[app]);
}

/* A stream that comes byte by byte is never called anything else on the way. */
static void byte_by_byte(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct app_input in = input_of(&cases[i]);
		struct str client = in.client, server = in.server;

		if (cases[i].proto != TCP || cases[i].app == APP_UNKNOWN)
			continue;
		in.client_more = in.server_more = true;
		for (size_t n = 1; n <= client.n; n++) {
			enum app_proto app;

			in.client = str_sub(client, 0, n);
			in.server = STR_NONE;
			app = app_detect(&in);
			if (app != APP_UNDECIDED && app != cases[i].app)
				print_error("case %zu (%s) at byte %zu: %s\n", i,
					    app_name(cases[i].app), n, app_name(app));
			assert_true(app == APP_UNDECIDED || app == cases[i].app);
		}
		for (size_t n = 1; n <= server.n; n++) {
			enum app_proto app;

			in.client = client;
			in.server = str_sub(server, 0, n);
			app = app_detect(&in);
			if (app != APP_UNDECIDED && app != cases[i].app)
				print_error("case %zu at server byte %zu: %s\n", i, n,
					    app_name(app));
			assert_true(app == APP_UNDECIDED || app == cases[i].app);
		}
	}
}

static void quic_packets(void **state)
{
	static const char *const all[] = { rfc9001_a2, rfc9369_a2, draft29, q050 };

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		struct str s = from_hex(all[i]);
		struct app_input in = { .ip_proto = UDP, .dport = 443, .client = s };

		assert_int_equal(app_detect(&in), APP_QUIC);
		in.client = str_sub(s, 0, 90); /* cut by the snaplen */
		assert_int_equal(app_detect(&in), APP_QUIC);
		free((char *)s.p);
	}
}

static void waits_for_more(void **state)
{
	struct app_input in = {
		.ip_proto = TCP, .dport = 25, .server = STR("220 x\r\n"), .client_more = true
	};

	assert_int_equal(app_detect(&in), APP_UNDECIDED);
	in.client_more = false;
	assert_int_equal(app_detect(&in), APP_SMTP);
	in.dport = 1;
	assert_int_equal(app_detect(&in), APP_UNKNOWN);
}

static uint64_t random_state = 0x9e3779b97f4a7c15;

static uint64_t next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static void random_is_unknown(void **state)
{
	static const uint16_t ports[] = {
		53, 123, 443, 80, 25, 110, 514, 1080, 3389, 51413, 40000
	};
	static uint64_t bytes[1500 / 8 + 1];
	unsigned int wrong = 0, total = 1000000, as[APP_PROTO_COUNT] = { 0 };

	for (unsigned int i = 0; i < total; i++) {
		size_t n = next_random() % 1500 + 1;
		struct app_input in = { .ip_proto = i & 1 ? TCP : UDP, .sport = 50000 };
		enum app_proto app;

		/* Only what signatures look at has to be new: the front, and the end. */
		for (size_t at = 0; at < 16; at++)
			bytes[at] = next_random();
		for (size_t at = 0; at < 2; at++)
			bytes[n / 8 - (n >= 16 ? at : 0)] = next_random();
		in.dport = ports[next_random() % ARRAY_SIZE(ports)];
		in.client = (struct str){ (const char *)bytes, n };
		app = app_detect(&in);
		if (app != APP_UNKNOWN) {
			as[app]++;
			wrong++;
		}
	}
	for (unsigned int app = 0; app < APP_PROTO_COUNT; app++)
		if (as[app])
			print_message("%u as %s\n", as[app], app_name((enum app_proto)app));
	print_message("%u of %u random payloads taken for a protocol\n", wrong, total);
	assert_true(wrong < total / 10000);
}

static void names(void **state)
{
	assert_null(app_name(APP_UNDECIDED));
	assert_string_equal(app_name(APP_KERBEROS), "krb5");
	assert_string_equal(app_name(APP_UNKNOWN), "unknown");
	assert_int_equal(app_parse(STR("ssl")), APP_TLS);
	assert_int_equal(app_parse(STR("HTTP")), APP_HTTP);
	assert_int_equal(app_parse(STR("krb_tcp")), APP_KERBEROS);
	assert_int_equal(app_parse(STR("-")), APP_UNKNOWN);
	assert_int_equal(app_parse(STR("")), APP_UNKNOWN);
	for (unsigned int app = APP_UNKNOWN; app < APP_PROTO_COUNT; app++)
		assert_int_equal(app_parse(str_of(app_name((enum app_proto)app))), app);
}

static void where_tls_begins_inside(void **state)
{
	static const struct {
		enum app_proto app;
		struct str client;
		size_t at;
	} inner[] = {
		{ APP_HTTP, STR("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n\x16\3"), 35 },
		{ APP_HTTP, STR("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n"), 0 },
		{ APP_HTTP, STR("GET / HTTP/1.1\r\n\r\n"), 0 },
		{ APP_SOCKS, STR("\5\1\0\5\1\0\1\1\2\3\4\1\xbb\x16"), 13 },
		{ APP_SOCKS, STR("\5\1\0\5\1\0\3\1a\1\xbb\x16"), 11 },
		{ APP_SOCKS, STR("\5\1\2\1\1u\1p\5\1\0\3\1a\1\xbb\x16"), 16 },
		{ APP_SOCKS, STR("\5\1\0\5\2\0\1\1\2\3\4\1\xbb\x16"), 0 },
		{ APP_SOCKS,
		  STR("\5\1\0\5\1\0\3\xff"
		      "a\1"),
		  0 },
		{ APP_SOCKS, STR("\4\1\1\xbb\1\2\3\4me\0\x16"), 11 },
		{ APP_SOCKS, STR("\4\1\1\xbb\0\0\0\1\0a.b\0\x16"), 13 },
		{ APP_SMTP, STR("EHLO a\r\nSTARTTLS\r\n\x16"), 18 },
		{ APP_POSTGRES, STR("\0\0\0\x08\4\xd2\x16\x2f\x16\3"), 8 },
		{ APP_RDP, STR("\3\0\0\x13\x0e\xe0\0\0\0\0\0\1\0\x08\0\3\0\0\0\x16"), 19 },
		{ APP_SSH, STR("SSH-2.0-x\r\n"), 0 },
		{ APP_HTTP, STR(""), 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(inner); i++)
		assert_int_equal(app_inner_offset(inner[i].app, inner[i].client), inner[i].at);
}

static uint8_t hostile_proto;

static void parse_it(struct str s)
{
	struct app_input in = { .ip_proto = hostile_proto, .dport = 53, .client = s };

	app_detect(&in);
	in.server = s;
	in.client = STR_NONE;
	in.client_more = in.server_more = true;
	app_detect(&in);
	for (unsigned int app = APP_UNKNOWN; app < APP_PROTO_COUNT; app++)
		assert_true(app_inner_offset((enum app_proto)app, s) <= s.n);
}

static void hostile_flights(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		hostile_proto = cases[i].proto;
		hostile_variants(cases[i].client.n ? cases[i].client : cases[i].server, parse_it);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_protocol),
		cmocka_unit_test(byte_by_byte),
		cmocka_unit_test(quic_packets),
		cmocka_unit_test(waits_for_more),
		cmocka_unit_test(random_is_unknown),
		cmocka_unit_test(names),
		cmocka_unit_test(where_tls_begins_inside),
		cmocka_unit_test(hostile_flights),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
