/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Protocols over TCP, by the first bytes of the stream; the order is that of src/decode/appproto.c. Pure, see flight.h. */
#pragma once

#include "lines.h"
#include "message.h"

/* A record whose length and first bytes agree; of a session that runs already, one that fits or two in a row. */
static __always_inline int eg_match_tls(struct eg_first *w, __u32 n)
{
	__u8 type = EG_AT(w, 0), msg = EG_AT(w, 5);
	__u32 len = eg_at16(w, 3);

	if (type < 20 || type > 23 || (n > 1 && EG_AT(w, 1) != 3))
		return EG_NO;
	if (n < 5)
		return EG_MORE;
	if (EG_AT(w, 2) > 4 || !len || len > 16384 + 2048)
		return EG_NO;
	if (type == 22) {
		if (n < 6)
			return EG_MORE;
		if (!msg)
			return n < 9 ? EG_MORE : len == 4 && !eg_at24(w, 6) ? EG_YES : EG_NO;
		if (msg > 2)
			return EG_NO;
		/* a hello cut into records of a few bytes is one, too */
		if (len < 6)
			return EG_YES;
		if (n < 11)
			return EG_MORE;
		return eg_at24(w, 6) >= 38 && eg_at24(w, 6) < 65536 && EG_AT(w, 9) == 3 ? EG_YES
											: EG_NO;
	}
	if (type == 21 && len == 2)
		return n < 7                                        ? EG_MORE
		       : EG_AT(w, 5) - 1U < 2 && EG_AT(w, 6) <= 121 ? EG_YES
								    : EG_NO;
	if (n <= 5 + len)
		return n == 5 + len ? EG_YES : EG_MORE;
	return EG_AT(w, 5 + len) - 20U < 4 && EG_AT(w, 6 + len) == 3 ? EG_YES : EG_NO;
}
EG_APART(eg_match_tls)

/* SSL 2 compatible: lengths of cipher specs, session id and challenge that make up the message. */
static __always_inline int eg_match_ssl2(const struct eg_first *w, __u32 n)
{
	__u32 len = eg_at16(w, 0) & 0x7fff, specs = eg_at16(w, 5), id = eg_at16(w, 7),
	      challenge = eg_at16(w, 9), version = eg_at16(w, 3);

	if (!(EG_AT(w, 0) & 0x80) || (n > 2 && EG_AT(w, 2) != 1))
		return EG_NO;
	if (n < 11)
		return EG_MORE;
	if ((version != 2 && (version >> 8 != 3 || (version & 255) > 4)) || !specs || specs % 3 ||
	    (id && id != 16) || challenge < 16 || challenge > 32 ||
	    len != 9 + specs + id + challenge)
		return EG_NO;
	return n < 2 + len ? EG_MORE : EG_YES;
}

static __always_inline int eg_match_rdp(struct eg_first *w, __u32 n)
{
	if (EG_AT(w, 0) != 3 || (n > 1 && EG_AT(w, 1)))
		return EG_NO;
	if (n < 11)
		return EG_MORE;
	if (EG_AT(w, 5) != 0xe0 || eg_at16(w, 2) != EG_AT(w, 4) + 5U || eg_at16(w, 2) < 11)
		return EG_NO;
	if (eg_at16(w, 2) == 11)
		return eg_port_is(w, 3389) ? EG_YES : EG_NO;
	if (n < 19)
		return EG_MORE;
	if (EG_BEGINS(w, 11, n - 11, "Cookie: ") == EG_YES ||
	    EG_BEGINS(w, 11, n - 11, "tsv://") == EG_YES)
		return EG_YES;
	return EG_AT(w, 11) - 1U < 3 && EG_AT(w, 13) == 8 && !EG_AT(w, 14) ? EG_YES : EG_NO;
}
EG_APART(eg_match_rdp)

static __always_inline int eg_match_smb(const struct eg_first *w, __u32 n)
{
	__u8 type = EG_AT(w, 0);

	if (type && type != 0x81)
		return EG_NO;
	if (n < 8)
		return EG_MORE;
	if (type)
		return eg_at24(w, 1) == 68 && EG_AT(w, 4) == 0x20 && eg_within(EG_AT(w, 5), 'A', 16)
			       ? EG_YES
			       : EG_NO;
	return eg_at24(w, 1) >= 32 && eg_at24(w, 5) == 0x534d42 && EG_AT(w, 4) >= 0xfc ? EG_YES
										       : EG_NO;
}

/* On the usual ports only: elsewhere the answer decides. */
static __always_inline int eg_match_socks(struct eg_first *w, __u32 n)
{
	__u32 count = EG_AT(w, 1), i;

	if (!eg_port_is(w, 1080) && !eg_port_is(w, 9050) && !eg_port_is(w, 9150))
		return EG_NO;
	if (EG_AT(w, 0) == 5) {
		if (n < 3)
			return EG_MORE;
		if (!count || count > 10)
			return EG_NO;
		if (n < 2 + count)
			return EG_MORE;
		for (i = 0; i < 10; i++)
			if (i < count && EG_AT(w, 2 + i) > 9 && EG_AT(w, 2 + i) < 0x80)
				return EG_NO;
		return EG_YES;
	}
	if (EG_AT(w, 0) != 4 || (n > 1 && count != 1 && count != 2))
		return EG_NO;
	if (n < 9)
		return EG_MORE;
	return eg_at16(w, 2) ? EG_YES : EG_NO;
}
EG_APART(eg_match_socks)

static __always_inline int eg_match_mqtt(struct eg_first *w, __u32 n)
{
	__u32 at = 2, len = EG_AT(w, 1) & 0x7f, i;

	if (EG_AT(w, 0) != 0x10)
		return EG_NO;
	if (n < 14)
		return EG_MORE;
	for (i = 1; i < 4; i++) {
		if (!(EG_AT(w, at - 1) & 0x80))
			break;
		len |= (__u32)(EG_AT(w, at) & 0x7f) << (7 * i);
		at++;
	}
	if (EG_AT(w, at - 1) & 0x80)
		return EG_NO;
	if (EG_BEGINS(w, at, n - at, "\0\4MQTT") == EG_YES)
		return len >= 10 && EG_AT(w, at + 6) - 3U < 3 ? EG_YES : EG_NO;
	return EG_BEGINS(w, at, n - at, "\0\6MQIsdp\3") == EG_YES && len >= 12 ? EG_YES : EG_NO;
}
EG_APART(eg_match_mqtt)

static int eg_zero_step(__u32 i, struct eg_first **ctx)
{
	struct eg_parse *z = &(*ctx)->parse;

	z->flag = z->at < z->end && !EG_AT(*ctx, z->at);
	z->at++;
	return z->flag != 0;
}

/* A startup packet with its first parameter, or one of three requests with numbers of their own. */
static __always_inline int eg_match_postgres(struct eg_first *w, __u32 n)
{
	__u32 len = eg_at32(w, 0), code = eg_at32(w, 4);

	if (EG_AT(w, 0))
		return EG_NO;
	if (n < 8)
		return EG_MORE;
	if (code == 80877103 || code == 80877104)
		return len == 8 ? EG_YES : EG_NO;
	if (code == 80877102)
		return len == 16 ? EG_YES : EG_NO;
	if (code >> 16 != 3 || (code & 0xffff) > 2 || len < 14 || len > 10000)
		return EG_NO;
	if (n < 13)
		return EG_MORE;
	if (EG_AT(w, 8) < 'a' || EG_AT(w, 8) > 'z')
		return EG_NO;
	w->parse.at = 9;
	w->parse.end = n;
	w->parse.flag = 0;
	EG_LOOP(63, eg_zero_step, &w);
	return w->parse.flag ? EG_YES : EG_NO;
}
EG_APART(eg_match_postgres)

/* "*3\r\n$3\r\nset": the command's length, its letters. */
static __always_inline int eg_match_redis(struct eg_first *w, __u32 n)
{
	__u32 at = 1, i;

	if (EG_AT(w, 0) != '*')
		return EG_NO;
	for (i = 0; i < 6 && eg_within(EG_AT(w, at), '0', 10); i++)
		at++;
	if (at == 1 || (n > at && EG_AT(w, at) != '\r'))
		return EG_NO;
	if (n < at + 7)
		return EG_MORE;
	if (EG_AT(w, at + 1) != '\n' || EG_AT(w, at + 2) != '$')
		return EG_NO;
	at += 3;
	for (i = 0; i < 6 && eg_within(EG_AT(w, at), '0', 10); i++)
		at++;
	if (n <= at + 2)
		return EG_MORE;
	return eg_at16(w, at) == 0x0d0a && eg_within(EG_AT(w, at + 2) | 0x20, 'a', 26) ? EG_YES
										       : EG_NO;
}
EG_APART(eg_match_redis)

static __always_inline int eg_match_telnet(const struct eg_first *w, __u32 n)
{
	if (EG_AT(w, 0) != 0xff)
		return EG_NO;
	if (n < 3)
		return EG_MORE;
	if (EG_AT(w, 1) - 0xfbU > 3 || EG_AT(w, 2) > 49)
		return EG_NO;
	if (eg_port_is(w, 23))
		return EG_YES;
	if (n > 3 && EG_AT(w, 3) != 0xff)
		return EG_NO;
	if (n < 6)
		return EG_MORE;
	return EG_AT(w, 4) - 0xfbU <= 3 && EG_AT(w, 5) <= 49 ? EG_YES : EG_NO;
}

static __always_inline int eg_match_openvpn(struct eg_first *w, __u32 n)
{
	__u32 len = eg_at16(w, 0);

	if (EG_AT(w, 0) > 4)
		return EG_NO;
	if (n < 3)
		return EG_MORE;
	if (len < 14 || len > 1400 || (EG_AT(w, 2) != 0x38 && EG_AT(w, 2) != 0x50))
		return EG_NO;
	if (n < 2 + len)
		return EG_MORE;
	return eg_is_openvpn_apart(w, 2, len) ? EG_YES : EG_NO;
}

static __always_inline int eg_match_stun(const struct eg_first *w, __u32 n)
{
	if (EG_AT(w, 0) > 1 || (n >= 8 && eg_at32(w, 4) != 0x2112a442))
		return EG_NO;
	return n < 20 ? EG_MORE : EG_YES;
}

static __always_inline int eg_match_kerberos(struct eg_first *w, __u32 n)
{
	if (EG_AT(w, 0) || (n > 4 && (EG_AT(w, 4) & 0xe0) != 0x60))
		return EG_NO;
	if (n < 4 + 24)
		return EG_MORE;
	return eg_at32(w, 0) <= 1 << 20 && eg_is_kerberos(w, 4, n - 4) ? EG_YES : EG_NO;
}

static __always_inline int eg_match_ldap(struct eg_first *w, __u32 n)
{
	if (EG_AT(w, 0) != 0x30)
		return EG_NO;
	if (n < 16 && !eg_is_ldap(w, 0, n, 1))
		return EG_MORE;
	return eg_is_ldap(w, 0, n, 1) ? EG_YES : EG_NO;
}

static __always_inline int eg_match_dns(struct eg_first *w, __u32 n)
{
	__u32 len = eg_at16(w, 0);

	if (n >= 2 && len < 12 + 5)
		return EG_NO;
	if (n >= 8 && eg_at16(w, 6) != 1)
		return EG_NO;
	if (n < 2 + 12)
		return EG_MORE;
	if (n > 2 + len)
		n = 2 + len;
	if (eg_is_dns(w, 2, n - 2))
		return n == 2 + len || eg_port_is(w, 53) ? EG_YES : EG_MORE;
	return n < 2 + len && n < 2 + 12 + 255 + 4 ? EG_MORE : EG_NO;
}

#define EG_TRY(matcher, id)                 \
	do {                                \
		int m_ = (matcher);         \
                                            \
		if (m_ == EG_YES)           \
			return EG_APP_##id; \
		more |= m_ == EG_MORE;      \
	} while (0)

/* The first n bytes of a stream, in the order of src/decode/appproto.c. UNDECIDED: more bytes may tell. */
EG_ONCE int eg_recognise_binary(struct eg_first *w, __u32 n)
{
	int more = 0;

	if (!w || !n)
		return EG_APP_UNDECIDED;
	EG_TRY(eg_match_tls_apart(w, n), TLS);
	EG_TRY(eg_match_ssl2(w, n), TLS);
	EG_TRY(eg_match_stun(w, n), STUN);
	EG_TRY(EG_BEGINS(w, 0, n,
			 "\x13"
			 "BitTorrent protocol"),
	       BITTORRENT);
	EG_TRY(eg_match_openvpn(w, n), OPENVPN);
	EG_TRY(eg_match_rdp_apart(w, n), RDP);
	EG_TRY(eg_match_smb(w, n), SMB);
	EG_TRY(eg_match_mqtt_apart(w, n), MQTT);
	EG_TRY(eg_match_kerberos(w, n), KERBEROS);
	EG_TRY(eg_match_ldap(w, n), LDAP);
	EG_TRY(eg_match_postgres_apart(w, n), POSTGRES);
	EG_TRY(eg_match_redis_apart(w, n), REDIS);
	EG_TRY(eg_match_socks_apart(w, n), SOCKS);
	EG_TRY(eg_match_telnet(w, n), TELNET);
	EG_TRY(eg_syslog(w, 0, n), SYSLOG);
	EG_TRY(eg_match_dns(w, n), DNS);
	return more ? EG_APP_UNDECIDED : EG_APP_UNKNOWN;
}

EG_ONCE int eg_recognise_tcp(struct eg_first *w, __u32 n)
{
	int more = 0, app;

	if (!w || !n)
		return EG_APP_UNDECIDED;
	if (EG_AT(w, 0) < ' ' || EG_AT(w, 0) > '~')
		return eg_recognise_binary(w, n);
	EG_TRY(EG_BEGINS(w, 0, n, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), HTTP2);
	if (n >= 6 && eg_at32(w, 0) == 0x5353482d && (EG_AT(w, 4) == '1' || EG_AT(w, 4) == '2') &&
	    EG_AT(w, 5) == '.')
		return EG_APP_SSH;
	if (n < 6)
		EG_TRY(EG_BEGINS(w, 0, n, "SSH-"), UNDECIDED);
	if (n >= 12 && eg_at32(w, 0) == 0x52464220 && EG_AT(w, 7) == '.' && EG_AT(w, 11) == '\n')
		return EG_APP_VNC;
	app = eg_recognise_text(w, 0, n, 1);
	if (app > EG_APP_UNKNOWN)
		return app;
	more |= app == EG_APP_UNDECIDED;
	app = eg_recognise_binary(w, n);
	if (app != EG_APP_UNKNOWN)
		return app;
	return more ? EG_APP_UNDECIDED : EG_APP_UNKNOWN;
}
