/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the protocol detection only. A matcher looks at the first bytes of both sides and says NO, YES, or MORE:
 * not yet against it, bytes that may still come could decide. MORE without more bytes counts as NO.
 */
#pragma once

#include <netinet/in.h>

#include "decode/appproto.h"
#include "decode/cursor.h"

enum app_match { APP_NO, APP_MORE, APP_YES };

typedef enum app_match (*app_match_fn)(const struct app_input *in);

struct app_row {
	enum app_proto app;
	uint8_t ip_proto; /* IPPROTO_TCP, IPPROTO_UDP, or 0 for both */
	app_match_fn match;
};

static inline bool app_port(const struct app_input *in, uint16_t port)
{
	return in->dport == port || in->sport == port;
}

/* `s` begins with `lit`, may still come to, or does not. */
static inline enum app_match app_prefix(struct str s, struct str lit)
{
	if (!s.n)
		return APP_MORE;
	if (str_has_prefix(s, lit))
		return APP_YES;
	return str_has_prefix(lit, s) ? APP_MORE : APP_NO;
}

static inline enum app_match app_either(enum app_match a, enum app_match b)
{
	return a > b ? a : b;
}

/* app_text.c */
enum app_match app_match_http(const struct app_input *in);
enum app_match app_match_http2(const struct app_input *in);
enum app_match app_match_ssh(const struct app_input *in);
enum app_match app_match_smtp(const struct app_input *in);
enum app_match app_match_ftp(const struct app_input *in);
enum app_match app_match_pop3(const struct app_input *in);
enum app_match app_match_imap(const struct app_input *in);
enum app_match app_match_irc(const struct app_input *in);
enum app_match app_match_sip(const struct app_input *in);
enum app_match app_match_ssdp(const struct app_input *in);
enum app_match app_match_syslog(const struct app_input *in);
enum app_match app_match_redis(const struct app_input *in);
enum app_match app_match_vnc(const struct app_input *in);
enum app_match app_match_telnet(const struct app_input *in);

/* app_stream.c: binary protocols over TCP */
enum app_match app_match_tls(const struct app_input *in);
enum app_match app_match_rdp(const struct app_input *in);
enum app_match app_match_smb(const struct app_input *in);
enum app_match app_match_socks(const struct app_input *in);
enum app_match app_match_mqtt(const struct app_input *in);
enum app_match app_match_postgres(const struct app_input *in);
enum app_match app_match_mysql(const struct app_input *in);
enum app_match app_match_dns_tcp(const struct app_input *in);
enum app_match app_match_bittorrent_tcp(const struct app_input *in);
enum app_match app_match_openvpn_tcp(const struct app_input *in);

/* app_datagram.c: binary protocols over UDP */
enum app_match app_match_dns_udp(const struct app_input *in);
enum app_match app_match_mdns(const struct app_input *in);
enum app_match app_match_llmnr(const struct app_input *in);
enum app_match app_match_netbios(const struct app_input *in);
enum app_match app_match_quic(const struct app_input *in);
enum app_match app_match_dtls(const struct app_input *in);
enum app_match app_match_ntp(const struct app_input *in);
enum app_match app_match_dhcp(const struct app_input *in);
enum app_match app_match_wireguard(const struct app_input *in);
enum app_match app_match_openvpn_udp(const struct app_input *in);
enum app_match app_match_bittorrent_udp(const struct app_input *in);

/* app_ber.c: protocols in ASN.1, and STUN, over both */
enum app_match app_match_stun(const struct app_input *in);
enum app_match app_match_ldap(const struct app_input *in);
enum app_match app_match_kerberos(const struct app_input *in);
enum app_match app_match_snmp(const struct app_input *in);

/* A reset packet that opens an OpenVPN session, without the length TCP puts before it. */
bool app_openvpn_is_reset(struct str packet);
