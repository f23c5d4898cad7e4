// SPDX-License-Identifier: Apache-2.0
/*
 * The table of protocols and the loop over it; signatures are in the app_*.c files. The first row that says YES wins,
 * so rows go from the most to the least specific. A row's NO is final only for the bytes it was shown.
 */
#include "decode/appproto.h"

#include "base/cleanup.h"
#include "decode/app_match.h"
#include "decode/tls.h"

static const struct app_row rows[] = {
	{ APP_TLS, IPPROTO_TCP, app_match_tls },
	{ APP_HTTP, IPPROTO_TCP, app_match_http },
	{ APP_SSDP, IPPROTO_UDP, app_match_ssdp },
	{ APP_MDNS, IPPROTO_UDP, app_match_mdns },
	{ APP_LLMNR, IPPROTO_UDP, app_match_llmnr },
	{ APP_NETBIOS, IPPROTO_UDP, app_match_netbios },
	{ APP_QUIC, IPPROTO_UDP, app_match_quic },
	{ APP_STUN, 0, app_match_stun },
	{ APP_DTLS, IPPROTO_UDP, app_match_dtls },
	{ APP_WIREGUARD, IPPROTO_UDP, app_match_wireguard },
	{ APP_DHCP, IPPROTO_UDP, app_match_dhcp },
	{ APP_BITTORRENT, IPPROTO_UDP, app_match_bittorrent_udp },
	{ APP_BITTORRENT, IPPROTO_TCP, app_match_bittorrent_tcp },
	{ APP_OPENVPN, IPPROTO_UDP, app_match_openvpn_udp },
	{ APP_OPENVPN, IPPROTO_TCP, app_match_openvpn_tcp },
	{ APP_HTTP2, IPPROTO_TCP, app_match_http2 },
	{ APP_SSH, IPPROTO_TCP, app_match_ssh },
	{ APP_VNC, IPPROTO_TCP, app_match_vnc },
	{ APP_SIP, 0, app_match_sip },
	{ APP_SMTP, IPPROTO_TCP, app_match_smtp },
	{ APP_FTP, IPPROTO_TCP, app_match_ftp },
	{ APP_POP3, IPPROTO_TCP, app_match_pop3 },
	{ APP_IMAP, IPPROTO_TCP, app_match_imap },
	{ APP_IRC, IPPROTO_TCP, app_match_irc },
	{ APP_RDP, IPPROTO_TCP, app_match_rdp },
	{ APP_SMB, IPPROTO_TCP, app_match_smb },
	{ APP_MQTT, IPPROTO_TCP, app_match_mqtt },
	{ APP_KERBEROS, 0, app_match_kerberos },
	{ APP_LDAP, 0, app_match_ldap },
	{ APP_SNMP, IPPROTO_UDP, app_match_snmp },
	{ APP_POSTGRES, IPPROTO_TCP, app_match_postgres },
	{ APP_MYSQL, IPPROTO_TCP, app_match_mysql },
	{ APP_REDIS, IPPROTO_TCP, app_match_redis },
	{ APP_SOCKS, IPPROTO_TCP, app_match_socks },
	{ APP_TELNET, IPPROTO_TCP, app_match_telnet },
	{ APP_NTP, IPPROTO_UDP, app_match_ntp },
	{ APP_SYSLOG, 0, app_match_syslog },
	{ APP_DNS, IPPROTO_UDP, app_match_dns_udp },
	{ APP_DNS, IPPROTO_TCP, app_match_dns_tcp },
};

enum app_proto app_detect(const struct app_input *input)
{
	struct app_input copy = *input, *in = &copy;
	bool more = false;

	if (!in->client.n && !in->server.n)
		return APP_UNDECIDED;
	/* Matchers may step over an empty side like over any other. */
	if (!in->client.n)
		in->client = STR("");
	if (!in->server.n)
		in->server = STR("");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].ip_proto && rows[i].ip_proto != in->ip_proto)
			continue;
		switch (rows[i].match(in)) {
		case APP_YES:
			return rows[i].app;
		case APP_MORE:
			more = true;
			break;
		case APP_NO:
			break;
		}
	}
	return more && (in->client_more || in->server_more) ? APP_UNDECIDED : APP_UNKNOWN;
}

const char *app_name(enum app_proto app)
{
	static const char *const names[] = {
#define X(id, name) [APP_##id] = (name),
		APP_PROTOCOLS(X)
#undef X
	};

	return (unsigned int)app < ARRAY_SIZE(names) ? names[app] : NULL;
}

enum app_proto app_parse(struct str name)
{
	static const struct {
		const char *name;
		enum app_proto app;
	} others[] = {
		{ "ssl", APP_TLS },
		{ "rfb", APP_VNC },
		{ "krb", APP_KERBEROS },
		{ "krb_tcp", APP_KERBEROS },
		{ "kerberos", APP_KERBEROS },
		{ "postgresql", APP_POSTGRES },
		{ "bittorrent-dht", APP_BITTORRENT },
		{ "ldap_tcp", APP_LDAP },
		{ "ldap_udp", APP_LDAP },
		{ "smb2", APP_SMB },
		{ "netbios-ns", APP_NETBIOS },
		{ "doh2", APP_HTTP2 },
	};

	for (unsigned int app = APP_UNKNOWN; app < APP_PROTO_COUNT; app++)
		if (str_eq_nocase(name, str_of(app_name((enum app_proto)app))))
			return (enum app_proto)app;
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (str_eq_nocase(name, str_of(others[i].name)))
			return others[i].app;
	return APP_UNKNOWN;
}

#define EXT_SESSION_TICKET 35

static bool has_extension(const struct tls_hello *h, uint16_t type)
{
	for (size_t i = 0; i < h->n_extensions; i++)
		if (h->extensions[i] == type)
			return true;
	return false;
}

/* Base32 of random bytes: digits here and there between letters, or more consonants in a row than words have. */
static bool looks_random(struct str label)
{
	unsigned int run = 0, longest = 0, vowels = 0, groups = 0;

	for (size_t i = 0; i < label.n; i++) {
		char c = label.p[i];

		if ((c < 'a' || c > 'z') && (c < '2' || c > '7'))
			return false;
		if (memchr("aeiouy", c, 6)) {
			vowels++;
			run = 0;
		} else if (c >= 'a') {
			run++;
			longest = MAX(longest, run);
		} else {
			run = 0;
			/* a number inside a word, as in "open24hours", counts once */
			groups += i && i + 1 < label.n && label.p[i - 1] >= 'a';
		}
	}
	return vowels * 5 < label.n * 2 && (groups >= 2 || longest >= 6);
}

bool app_tls_is_tor_like(const struct tls_hello *h)
{
	struct str label = h->sni;

	if (h->transport != TLS_OVER_TCP || h->ssl2 || h->cut || h->n_alpns || h->ech ||
	    h->n_ciphers < 10 || !h->has_signatures)
		return false;
	/* Tor asks for no session tickets, which nearly every other client does; and it sends no GREASE. */
	if (has_extension(h, EXT_SESSION_TICKET))
		return false;
	for (size_t i = 0; i < h->n_ciphers; i++)
		if ((h->ciphers[i] & 0x0f0f) == 0x0a0a)
			return false;
	if (!str_has_prefix(label, STR("www.")) || label.n < 4 + 8 + 4)
		return false;
	if (memcmp(label.p + label.n - 4, ".com", 4) && memcmp(label.p + label.n - 4, ".net", 4))
		return false;
	label = str_sub(label, 4, label.n - 8);
	return label.n <= 25 && looks_random(label);
}
