/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Protocols over UDP, by a datagram; the order is that of src/decode/appproto.c, QUIC is quic.h. Pure, see flight.h. */
#pragma once

#include "lines.h"
#include "message.h"

/* A DNS header and a name of 32 letters A to P, or on port 138 a datagram with the sender's address. */
static __always_inline int eg_is_netbios(struct eg_first *w, __u32 at, __u32 n)
{
	__u32 i, type = EG_AT(w, at);

	if (eg_port_is(w, 138) && n >= 10 && type >= 0x10 && type <= 0x16 &&
	    eg_at16(w, at + 8) == 138)
		return 1;
	if (n < 12 + 34 + 4 || EG_AT(w, at + 12) != 32)
		return 0;
	for (i = 0; i < 32; i++)
		if (!eg_within(EG_AT(w, at + 13 + i), 'A', 16))
			return 0;
	if (EG_AT(w, at + 45)) /* a scope: the type stands somewhere behind it */
		return 1;
	type = eg_at16(w, at + 46);
	return eg_at16(w, at + 48) == 1 && (type == 0x20 || type == 0x21 || type == 0x0a);
}
EG_APART_AT(eg_is_netbios)

/* A handshake record whose message header agrees with the record's length. */
static __always_inline int eg_is_dtls(const struct eg_first *w, __u32 at, __u32 n)
{
	__u32 version = eg_at16(w, at + 1), len = eg_at16(w, at + 11), part = eg_at24(w, at + 22);

	return n >= 25 && EG_AT(w, at) == 22 && !eg_at16(w, at + 3) &&
	       (version == 0xfeff || version == 0xfefd || version == 0xfefc || version == 0x0100) &&
	       EG_AT(w, at + 13) <= 20 && part + 12 <= len &&
	       eg_at24(w, at + 19) + part <= eg_at24(w, at + 14);
}

static __always_inline int eg_is_wireguard(const struct eg_first *w, __u32 at, __u32 n)
{
	if (n < 32 || eg_at24(w, at + 1))
		return 0;
	switch (EG_AT(w, at)) {
	case 1:
		return n == 148;
	case 2:
		return n == 92;
	case 3:
		return n == 64;
	case 4:
		return n % 16 == 0 && !eg_at24(w, at + 13) && eg_at32(w, at + 4);
	}
	return 0;
}

static int eg_option_step(__u32 i, struct eg_first **ctx)
{
	struct eg_first *w = *ctx;
	struct eg_parse *o = &w->parse;

	if (o->at == o->end)
		return 1;
	o->bad = o->at + 4 > o->end || !eg_at16(w, o->at);
	o->at += 4 + eg_at16(w, o->at + 2);
	o->bad |= o->at > o->end;
	return o->bad != 0;
}

/* DHCPv4 by its magic number; DHCPv6 on its ports by options that fill the datagram. */
static __always_inline int eg_is_dhcp(struct eg_first *w, __u32 at, __u32 n)
{
	__u8 type = EG_AT(w, at);

	if (n >= 240 && (type == 1 || type == 2) && EG_AT(w, at + 2) <= 16 &&
	    eg_at32(w, at + 236) == 0x63825363)
		return 1;
	if ((!eg_port_is(w, 546) && !eg_port_is(w, 547)) || !type || type > 13 || n < 8)
		return 0;
	w->parse.at = at + (type >= 12 ? 34 : 4);
	w->parse.end = at + n;
	w->parse.bad = w->parse.at > w->parse.end;
	if (!w->parse.bad)
		EG_LOOP(64, eg_option_step, &w);
	return !w->parse.bad && w->parse.at == w->parse.end;
}

/* DHT, the SYN of the micro transport, a tracker's connect. */
static __always_inline int eg_is_bittorrent(struct eg_first *w, __u32 at, __u32 n, __u32 total)
{
	if (n > 16 && EG_AT(w, at) == 'd' &&
	    (EG_BEGINS(w, at, n, "d1:ad2:id20:") == EG_YES ||
	     EG_BEGINS(w, at, n, "d1:rd2:id20:") == EG_YES ||
	     EG_BEGINS(w, at, n, "d1:eli") == EG_YES || EG_BEGINS(w, at, n, "d2:ip") == EG_YES))
		return total > 512 || EG_AT(w, at + n - 1) == 'e';
	if (n >= 20 && EG_AT(w, at) == 0x41 && !eg_at32(w, at + 8) && !eg_at16(w, at + 18))
		return (!EG_AT(w, at + 1) && total == 20) || (EG_AT(w, at + 1) == 2 && total == 30);
	if (total == 16 && eg_at32(w, at) == 0x417 && eg_at32(w, at + 4) == 0x27101980 &&
	    !eg_at32(w, at + 8))
		return 1;
	return EG_BEGINS(w, at, n, "BT-SEARCH * HTTP/1.1\r\n") == EG_YES;
}

static int eg_ntp_step(__u32 i, struct eg_first **ctx)
{
	struct eg_first *w = *ctx;
	struct eg_parse *o = &w->parse;
	__u32 left = o->end - o->at, len = eg_at16(w, o->at + 2);

	if (!left || left == 4 || left == 20 || left == 24 || left == 36 || left == 52 ||
	    left == 68)
		return 1;
	o->bad = left < 4 || !eg_at16(w, o->at) || len < 16 || len % 4 || len > left;
	o->at += len;
	return o->bad != 0;
}

static __always_inline int eg_is_ntp(struct eg_first *w, __u32 at, __u32 n)
{
	__u8 version = EG_AT(w, at) >> 3 & 7, mode = EG_AT(w, at) & 7, precision = EG_AT(w, at + 3);
	__u32 items, size;

	if (n < 8 || version < 1 || version > 4)
		return 0;
	if (mode >= 6) {
		if (!eg_port_is(w, 123))
			return 0;
		if (mode == 6)
			return n >= 12 && !eg_at16(w, at + 8) && (EG_AT(w, at + 1) & 31) <= 12 &&
			       eg_at16(w, at + 10) <= n - 12;
		items = eg_at16(w, at + 4) & 0xfff;
		size = eg_at16(w, at + 6) & 0xfff;
		return EG_AT(w, at + 2) <= 3 && !(EG_AT(w, at + 6) >> 4) && items * size <= n - 8;
	}
	if (n < 48 || !mode || EG_AT(w, at + 1) > 16 || EG_AT(w, at + 2) > 17)
		return 0;
	if (precision != 32 && precision && precision < 256 - 48)
		return 0;
	w->parse.at = at + 48;
	w->parse.end = at + n;
	w->parse.bad = 0;
	EG_LOOP(16, eg_ntp_step, &w);
	return !w->parse.bad;
}

static __always_inline int eg_is_ssdp(struct eg_first *w, __u32 at, __u32 n)
{
	return EG_BEGINS(w, at, n, "M-SEARCH * HTTP/1.1\r\n") == EG_YES ||
	       EG_BEGINS(w, at, n, "NOTIFY * HTTP/1.1\r\n") == EG_YES ||
	       (eg_port_is(w, 1900) && EG_BEGINS(w, at, n, "HTTP/1.1 200 OK") == EG_YES);
}
EG_APART_AT(eg_is_ssdp)

/*
 * A datagram of `total` bytes, n of them at EG_FIRST_PLACE. QUIC, and before it in the order what could be taken for it,
 * is told by quic.h.
 */
EG_ONCE int eg_recognise_udp(struct eg_first *w, __u32 n, __u32 total)
{
	const __u32 at = EG_FIRST_PLACE;

	if (!w || !n)
		return EG_APP_UNKNOWN;
	if (eg_is_ssdp_apart(w, at, n))
		return EG_APP_SSDP;
	if (eg_port_is(w, 5353) && eg_dns_header(w, at, n))
		return EG_APP_MDNS;
	if (eg_port_is(w, 5355) && eg_dns_header(w, at, n))
		return EG_APP_LLMNR;
	if (eg_is_netbios_apart(w, at, n))
		return EG_APP_NETBIOS;
	if (n >= 20 && EG_AT(w, at) < 0x40 && eg_at32(w, at + 4) == 0x2112a442 &&
	    total <= 20 + eg_at16(w, at + 2))
		return EG_APP_STUN;
	if (eg_is_dtls(w, at, n))
		return EG_APP_DTLS;
	if (eg_is_wireguard(w, at, total))
		return EG_APP_WIREGUARD;
	if (eg_is_dhcp(w, at, n))
		return EG_APP_DHCP;
	if (eg_is_bittorrent(w, at, n, total))
		return EG_APP_BITTORRENT;
	if (eg_is_openvpn_apart(w, at, total))
		return EG_APP_OPENVPN;
	if (eg_recognise_text(w, at, n, 0) == EG_APP_SIP)
		return EG_APP_SIP;
	if (eg_is_kerberos(w, at, n))
		return EG_APP_KERBEROS;
	if (n == total && eg_is_ldap(w, at, n, 0))
		return EG_APP_LDAP;
	if (n == total && eg_is_snmp(w, at, n))
		return EG_APP_SNMP;
	if (eg_is_ntp(w, at, n))
		return EG_APP_NTP;
	if (eg_syslog(w, at, n) == EG_YES)
		return EG_APP_SYSLOG;
	if (eg_is_dns(w, at, n) || (eg_port_is(w, 53) && eg_dns_header(w, at, n)))
		return EG_APP_DNS;
	return EG_APP_UNKNOWN;
}
