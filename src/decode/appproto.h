/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The application protocol, told from the first bytes of each side and never from the port alone. A port is used
 * only to break a tie that the bytes leave open (dns against other 12-byte headers). One row a protocol in
 * appproto.c; adding one is a row and a function (docs/recipes/add-a-decoder.md).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

/* X(identifier, name as written in records). Names are Suricata's or Zeek's where they have one. */
#define APP_PROTOCOLS(X)            \
	X(UNDECIDED, NULL)          \
	X(UNKNOWN, "unknown")       \
	X(DNS, "dns")               \
	X(MDNS, "mdns")             \
	X(LLMNR, "llmnr")           \
	X(TLS, "tls")               \
	X(HTTP, "http")             \
	X(HTTP2, "http2")           \
	X(QUIC, "quic")             \
	X(DTLS, "dtls")             \
	X(SSH, "ssh")               \
	X(SMTP, "smtp")             \
	X(IMAP, "imap")             \
	X(POP3, "pop3")             \
	X(FTP, "ftp")               \
	X(NTP, "ntp")               \
	X(STUN, "stun")             \
	X(RDP, "rdp")               \
	X(VNC, "vnc")               \
	X(SMB, "smb")               \
	X(SOCKS, "socks")           \
	X(BITTORRENT, "bittorrent") \
	X(WIREGUARD, "wireguard")   \
	X(OPENVPN, "openvpn")       \
	X(TOR, "tor")               \
	X(MQTT, "mqtt")             \
	X(DHCP, "dhcp")             \
	X(NETBIOS, "netbios")       \
	X(SNMP, "snmp")             \
	X(SIP, "sip")               \
	X(SSDP, "ssdp")             \
	X(SYSLOG, "syslog")         \
	X(LDAP, "ldap")             \
	X(KERBEROS, "krb5")         \
	X(POSTGRES, "pgsql")        \
	X(MYSQL, "mysql")           \
	X(REDIS, "redis")           \
	X(IRC, "irc")               \
	X(TELNET, "telnet")

enum app_proto {
#define X(id, name) APP_##id,
	APP_PROTOCOLS(X)
#undef X
		APP_PROTO_COUNT
};

/* What is known when a guess is made. Bytes are the contiguous beginning of each direction, possibly empty. */
struct app_input {
	uint8_t ip_proto;      /* IPPROTO_TCP or IPPROTO_UDP */
	uint16_t sport, dport; /* of the flow: opener, responder */
	struct str client,
		server; /* opener's and responder's first bytes; for UDP the first datagram of each */
	bool client_more, server_more; /* more bytes may still come on that side (window open) */
};

/* APP_UNDECIDED: ask again with more bytes. APP_UNKNOWN: enough was seen, it is none of these. */
enum app_proto app_detect(const struct app_input *in);

const char *app_name(enum app_proto app); /* NULL for APP_UNDECIDED */
enum app_proto
app_parse(struct str name); /* by record name, Zeek service names too; APP_UNKNOWN when none */

/*
 * Where in the client's bytes TLS may begin inside `app`: behind STARTTLS, a proxy's CONNECT, a SOCKS request, the
 * request for TLS of PostgreSQL, MySQL and RDP. 0: nowhere so far. What is there still has to parse as TLS.
 */
size_t app_inner_offset(enum app_proto app, struct str client_bytes);

/* A TLS hello whose shape is that of Tor's own client (ciphers, extensions, SNI www.<random>.com|net, no ALPN). */
struct tls_hello;
bool app_tls_is_tor_like(const struct tls_hello *h);
