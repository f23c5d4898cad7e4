// SPDX-License-Identifier: Apache-2.0
/*
 * Signatures of binary protocols over UDP. A datagram comes whole or cut by the snaplen, never in parts, so these say
 * YES or NO. Random bytes must not pass: every one checks some 16 bits at least.
 */
#include "base/cleanup.h"
#include "decode/app_match.h"
#include "decode/dns.h"
#include "decode/quic.h"

static enum app_match yes_if(bool yes)
{
	return yes ? APP_YES : APP_NO;
}

/* The opener's datagram decides; only when none of its was seen, the responder's does. */
static struct str first_datagram(const struct app_input *in)
{
	return in->client.n ? in->client : in->server;
}

/* Weaker than dns_is_message(): for the ports where little else is. Counts and flags only. */
static bool has_dns_header(struct str s)
{
	struct cursor c = cursor_of(s);
	uint16_t flags, qd, an, ns, ar;

	cursor_u16(&c);
	flags = cursor_u16(&c);
	qd = cursor_u16(&c);
	an = cursor_u16(&c);
	ns = cursor_u16(&c);
	ar = cursor_u16(&c);
	return !c.bad && (flags >> 11 & 15) <= 6 && qd <= 32 && an <= 512 && ns <= 512 &&
	       ar <= 512 && (qd || an || (flags & 0x8000));
}

enum app_match app_match_dns_udp(const struct app_input *in)
{
	struct str s = first_datagram(in);

	if (dns_is_message(s))
		return APP_YES;
	return yes_if(app_port(in, 53) && has_dns_header(s));
}

enum app_match app_match_mdns(const struct app_input *in)
{
	return yes_if(app_port(in, 5353) && has_dns_header(first_datagram(in)));
}

enum app_match app_match_llmnr(const struct app_input *in)
{
	return yes_if(app_port(in, 5355) && has_dns_header(first_datagram(in)));
}

/* Name service: a DNS header and a name of 32 letters A to P (RFC 1002). */
static bool is_name_service(struct str s)
{
	struct cursor c = cursor_of(s);
	struct str name;
	uint16_t type;

	cursor_take(&c, 12);
	if (cursor_u8(&c) != 32)
		return false;
	name = cursor_str(&c, 32);
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] < 'A' || name.p[i] > 'P')
			return false;
	while (!c.bad && c.n && c.p[0]) /* the scope, if any */
		cursor_take(&c, cursor_u8(&c));
	cursor_u8(&c);
	type = cursor_u16(&c);
	return cursor_u16(&c) == 1 && !c.bad && (type == 0x20 || type == 0x21 || type == 0x0a);
}

/* Datagram service: message type, flags, id, then the sender's address and port 138. */
static bool is_datagram_service(struct str s)
{
	struct cursor c = cursor_of(s);
	uint8_t type = cursor_u8(&c);

	cursor_take(&c, 7);
	return cursor_u16(&c) == 138 && !c.bad && type >= 0x10 && type <= 0x16;
}

enum app_match app_match_netbios(const struct app_input *in)
{
	struct str s = first_datagram(in);

	return yes_if(is_name_service(s) || (app_port(in, 138) && is_datagram_service(s)));
}

enum app_match app_match_quic(const struct app_input *in)
{
	return yes_if(quic_is_initial(first_datagram(in)));
}

/* A handshake record (RFC 6347, RFC 9147) whose message header agrees with the record's length. */
enum app_match app_match_dtls(const struct app_input *in)
{
	struct cursor c = cursor_of(first_datagram(in));
	uint8_t type = cursor_u8(&c);
	uint16_t version = cursor_u16(&c), epoch = cursor_u16(&c), length;
	uint32_t whole, from, part;

	cursor_take(&c, 6);
	length = cursor_u16(&c);
	if (c.bad || type != 22 || epoch ||
	    (version != 0xfeff && version != 0xfefd && version != 0xfefc && version != 0x0100))
		return APP_NO;
	type = cursor_u8(&c);
	whole = cursor_u24(&c);
	cursor_u16(&c);
	from = cursor_u24(&c);
	part = cursor_u24(&c);
	return yes_if(!c.bad && type <= 20 && part + 12u <= length && from + part <= whole);
}

/* Type 1 (initiation) 148 bytes, 2 (response) 92, 3 (cookie) 64; 4 (data) by its counter and size. */
enum app_match app_match_wireguard(const struct app_input *in)
{
	struct str s = first_datagram(in);
	const uint8_t *b = (const uint8_t *)s.p;

	if (s.n < 32 || b[1] | b[2] | b[3])
		return APP_NO;
	switch (b[0]) {
	case 1:
		return yes_if(s.n == 148);
	case 2:
		return yes_if(s.n == 92);
	case 3:
		return yes_if(s.n == 64);
	case 4: /* receiver, little-endian counter, padded to 16: a flow whose handshake was not seen */
		return yes_if(s.n % 16 == 0 && !(b[13] | b[14] | b[15]) &&
			      (b[4] | b[5] | b[6] | b[7]));
	default:
		return APP_NO;
	}
}

/*
 * P_CONTROL_HARD_RESET_CLIENT_V2 or V3: session id, then one of: nothing acknowledged and packet id 0; a digest, a
 * replay counter of 1 and a time, then the same (tls-auth); counter and time, then a tag (tls-crypt).
 */
bool app_openvpn_is_reset(struct str s)
{
	static const uint8_t digests[] = { 20, 16, 32, 48, 64, 28 };
	const uint8_t *b = (const uint8_t *)s.p;
	static const uint8_t none[5], counter[4] = { 0, 0, 0, 1 };

	if (s.n < 14 || (b[0] != 0x38 && b[0] != 0x50) || !memcmp(b + 1, none, 4))
		return false;
	if (s.n == 14)
		return !memcmp(b + 9, none, 5);
	for (size_t i = 0; i < sizeof(digests); i++) {
		size_t at = 9u + digests[i];

		if (s.n == at + 8 + 5 && !memcmp(b + at, counter, 4) &&
		    !memcmp(b + at + 8, none, 5))
			return true;
	}
	/* tls-crypt has one size; version 2 appends the client's wrapped key. */
	return ((b[0] == 0x38 && s.n == 54) || (b[0] == 0x50 && s.n > 54 + 256)) &&
	       !memcmp(b + 9, counter, 4);
}

enum app_match app_match_openvpn_udp(const struct app_input *in)
{
	return yes_if(app_openvpn_is_reset(in->client));
}

static bool is_dht(struct str s)
{
	return s.n > 16 &&
	       (str_has_prefix(s, STR("d1:ad2:id20:")) || str_has_prefix(s, STR("d1:rd2:id20:")) ||
		str_has_prefix(s, STR("d1:eli")) || str_has_prefix(s, STR("d2:ip"))) &&
	       (s.p[s.n - 1] == 'e' || s.n > 512);
}

/* Micro transport's SYN (BEP 29): version 1, no time difference yet, first sequence numbers. */
static bool is_utp_syn(struct str s)
{
	struct cursor c = cursor_of(s);
	uint8_t first = cursor_u8(&c), extension = cursor_u8(&c);
	uint32_t difference;
	uint16_t ack;

	cursor_take(&c, 6);
	difference = cursor_u32(&c);
	cursor_take(&c, 6);
	ack = cursor_u16(&c);
	return !c.bad && first == 0x41 && !difference && !ack &&
	       ((extension == 0 && s.n == 20) || (extension == 2 && s.n == 30));
}

enum app_match app_match_bittorrent_udp(const struct app_input *in)
{
	struct str s = first_datagram(in), tracker = STR("\0\0\x04\x17\x27\x10\x19\x80\0\0\0\0");

	return yes_if(is_dht(s) || is_utp_syn(s) || (s.n == 16 && str_has_prefix(s, tracker)) ||
		      str_has_prefix(s, STR("BT-SEARCH * HTTP/1.1\r\n")));
}

/* After the 48 bytes: nothing, a MAC, or extension fields of at least 16 bytes each. */
static bool ntp_tail_is_sane(struct str s)
{
	struct cursor c = cursor_of(str_sub(s, 48, s.n));

	while (c.n) {
		uint16_t type, length;

		if (c.n == 4 || c.n == 20 || c.n == 24 || c.n == 36 || c.n == 52 || c.n == 68)
			return true;
		type = cursor_u16(&c);
		length = cursor_u16(&c);
		if (c.bad || !type || length < 16 || length % 4)
			return false;
		cursor_take(&c, length - 4u);
		if (c.bad)
			return false;
	}
	return true;
}

/* Mode 6 (RFC 9327): offset 0 and as many bytes as it says, padded. Mode 7 (ntpdc): items of one size that fit. */
static bool is_ntp_query(struct str s, uint8_t mode)
{
	const uint8_t *b = (const uint8_t *)s.p;
	size_t items, size;

	if (mode == 6) {
		if (s.n < 12 || b[8] || b[9] || (b[1] & 31) > 12)
			return false;
		size = (size_t)b[10] << 8 | b[11];
		return size <= s.n - 12;
	}
	items = (size_t)(b[4] & 15) << 8 | b[5];
	size = (size_t)(b[6] & 15) << 8 | b[7];
	return b[2] <= 3 && !(b[6] >> 4) && items * size <= s.n - 8;
}

/* RFC 5905: version, mode, stratum, and a poll interval and precision that are powers of two of seconds. */
enum app_match app_match_ntp(const struct app_input *in)
{
	struct str s = first_datagram(in);
	const uint8_t *b = (const uint8_t *)s.p;
	uint8_t version, mode;
	int8_t precision;

	if (s.n < 8)
		return APP_NO;
	version = b[0] >> 3 & 7;
	mode = b[0] & 7;
	if (version < 1 || version > 4)
		return APP_NO;
	if (mode == 6 || mode == 7)
		return yes_if(app_port(in, 123) && is_ntp_query(s, mode));
	if (s.n < 48 || !mode || b[1] > 16 || b[2] > 17)
		return APP_NO;
	precision = (int8_t)b[3];
	/* chrony's clients write 32 there, to tell nothing */
	return yes_if((precision == 32 || (precision >= -48 && precision <= 0)) &&
		      ntp_tail_is_sane(s));
}

static bool is_dhcp4(struct str s)
{
	const uint8_t *b = (const uint8_t *)s.p;

	return s.n >= 240 && (b[0] == 1 || b[0] == 2) && b[2] <= 16 &&
	       !memcmp(b + 236, "\x63\x82\x53\x63", 4);
}

/* DHCPv6 has no magic number: type, transaction id, then options that fill the datagram. */
static bool is_dhcp6(struct str s)
{
	struct cursor c = cursor_of(s);
	uint8_t type = cursor_u8(&c);

	if (!type || type > 13 || s.n < 8)
		return false;
	cursor_take(&c, type >= 12 ? 33 : 3); /* relays carry two addresses */
	while (c.n) {
		uint16_t code = cursor_u16(&c);

		cursor_take(&c, cursor_u16(&c));
		if (c.bad || !code)
			return false;
	}
	return !c.bad;
}

enum app_match app_match_dhcp(const struct app_input *in)
{
	struct str s = first_datagram(in);

	return yes_if(is_dhcp4(s) || ((app_port(in, 546) || app_port(in, 547)) && is_dhcp6(s)));
}
