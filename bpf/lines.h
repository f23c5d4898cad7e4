/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Protocols that speak in lines of text, by the opener's first ones. Pure, see flight.h. */
#pragma once

#include "flight.h"

enum eg_match { EG_NO, EG_MORE, EG_YES };

static __always_inline int eg_port_is(const struct eg_first *w, __u16 port)
{
	return w->port == port || w->sport == port;
}

static __always_inline int eg_within(__u32 c, __u32 first, __u32 count)
{
	return c - first < count;
}

/* Do the bytes from `at` on begin with these? A literal of at most 32 bytes. */
#define EG_BEGINS(w, at, n, lit) eg_begins(w, at, n, lit, sizeof(lit) - 1)

static __always_inline int eg_begins(const struct eg_first *w, __u32 at, __u32 n, const char *lit,
				     __u32 len)
{
	__u32 i;

	for (i = 0; i < 32; i++) {
		if (i >= len)
			break;
		if (i >= n)
			return EG_MORE;
		if (EG_AT(w, at + i) != (__u8)lit[i])
			return EG_NO;
	}
	return EG_YES;
}

#define EG_LINE_MAX 2048

static int eg_line_step(__u32 i, struct eg_first **ctx)
{
	struct eg_first *w = *ctx;
	struct eg_parse *l = &w->parse;
	__u8 c = EG_AT(w, l->at);

	if (l->at >= l->end)
		return 1;
	if (c == '\n') {
		l->flag = 1;
		return 1;
	}
	if ((c < ' ' && c != '\t' && c != '\r') || c == 0x7f) {
		l->bad = 1;
		return 1;
	}
	if (c == ' ' && !l->label)
		l->label = l->at + 1; /* behind the first blank */
	l->at++;
	return 0;
}

/*
 * The line that begins at `at`: parse.at is its end without CR, parse.flag whether that was seen, parse.label where its
 * second word begins (0: none), parse.bad that it is no text.
 */
static __always_inline void eg_line(struct eg_first *w, __u32 at, __u32 end)
{
	struct eg_parse *l = &w->parse;

	l->at = at;
	l->end = end;
	l->label = 0;
	l->bad = l->flag = 0;
	EG_LOOP(EG_LINE_MAX, eg_line_step, &w);
	l->phase = l->at + 1; /* where the next one begins */
	if (l->at > at && EG_AT(w, l->at - 1) == '\r')
		l->at--;
}

/* The first eight octets of a word, in lower case. */
EG_ONCE __u64 eg_word(struct eg_first *w, __u32 at, __u32 end)
{
	__u64 word = 0;
	__u32 i;

	if (!w)
		return 0;
	for (i = 0; i < 8; i++) {
		__u8 c = EG_AT(w, at + i);

		if (at + i >= end || c == ' ' || c == '\t')
			break;
		if (c >= 'A' && c <= 'Z')
			c |= 0x20;
		word = word << 8 | c;
	}
	return word;
}

#define EG_WORD3(a, b, c) ((__u64)(a) << 16 | (b) << 8 | (c))
#define EG_WORD4(a, b, c, d) (EG_WORD3(a, b, c) << 8 | (d))
#define EG_WORD6(a, b, c, d, e, f) (EG_WORD4(a, b, c, d) << 16 | (e) << 8 | (f))

#define EG_USER EG_WORD4('u', 's', 'e', 'r')
#define EG_NICK EG_WORD4('n', 'i', 'c', 'k')

static __always_inline int eg_is_smtp(__u64 word)
{
	return word == EG_WORD4('e', 'h', 'l', 'o') || word == EG_WORD4('h', 'e', 'l', 'o') ||
	       word == EG_WORD4('l', 'h', 'l', 'o');
}

static __always_inline int eg_is_ftp(__u64 word)
{
	return word == EG_USER || word == EG_WORD4('a', 'u', 't', 'h') ||
	       word == EG_WORD4('f', 'e', 'a', 't') || word == EG_WORD4('s', 'y', 's', 't') ||
	       word == EG_WORD4('o', 'p', 't', 's') || word == EG_WORD4('h', 'o', 's', 't') ||
	       word == EG_WORD4('c', 'l', 'n', 't');
}

static __always_inline int eg_is_pop3(__u64 word)
{
	return word == EG_USER || word == EG_WORD4('c', 'a', 'p', 'a') ||
	       word == EG_WORD4('a', 'p', 'o', 'p') || word == EG_WORD4('a', 'u', 't', 'h') ||
	       word == EG_WORD4('s', 't', 'l', 's') || word == EG_WORD4('q', 'u', 'i', 't');
}

/* The second word of a line; longer ones by their first eight letters. */
static __always_inline int eg_is_imap(__u64 word)
{
	return word == EG_WORD4('n', 'o', 'o', 'p') || word == EG_WORD3(0, 'i', 'd') ||
	       word == EG_WORD6('l', 'o', 'g', 'o', 'u', 't') ||
	       word == EG_WORD6('e', 'n', 'a', 'b', 'l', 'e') ||
	       word == (EG_WORD4('l', 'o', 'g', 'i') << 8 | 'n') ||
	       word == (EG_WORD4('c', 'a', 'p', 'a') << 32 | EG_WORD4('b', 'i', 'l', 'i')) ||
	       word == (EG_WORD4('a', 'u', 't', 'h') << 32 | EG_WORD4('e', 'n', 't', 'i')) ||
	       word == (EG_WORD4('s', 't', 'a', 'r') << 32 | EG_WORD4('t', 't', 'l', 's'));
}

/*
 * A client of IRC says its nick and who it is ("USER a b c :d"), or asks for capabilities first. One octet a step: `label`
 * is where the line began, `hash` its first word, `dot` and `doq` what was seen.
 */
static int eg_irc_step(__u32 i, struct eg_first **ctx)
{
	struct eg_first *w = *ctx;
	struct eg_parse *l = &w->parse;
	__u8 c = EG_AT(w, l->at), d = EG_AT(w, l->at - 1);

	if (l->at >= l->end)
		return 1;
	if (l->at == l->label)
		l->hash = eg_word(w, l->at, l->end);
	l->at++;
	if (l->hash == EG_USER && c == ':' && d == ' ')
		l->flag = 1;
	if (l->hash == EG_WORD3('c', 'a', 'p') && l->at == l->label + 6 && (d | 0x20) == 'l' &&
	    (c | 0x20) == 's')
		l->flag = l->doq = 1;
	if (c != '\n')
		return 0;
	l->label = l->at;
	l->dot |= l->flag;
	l->flag = 0;
	if (l->hash == EG_NICK)
		l->doq = 1;
	return l->dot && l->doq;
}

static __always_inline int eg_irc(struct eg_first *w, __u32 at, __u32 end)
{
	struct eg_parse *l = &w->parse;

	l->at = l->label = at;
	l->end = end;
	l->dot = l->doq = l->flag = 0;
	EG_LOOP(512, eg_irc_step, &w);
	at = l->dot && l->doq;
	l->dot = l->doq = 0;
	return at;
}

/* A request or an answer of SIP: its version ends, or begins, the line. */
static __always_inline int eg_sip_line(const struct eg_first *w, __u32 at, __u32 end)
{
	return (end > at + 8 && EG_AT(w, end - 8) == ' ' && eg_at32(w, end - 7) == 0x5349502f &&
		eg_at24(w, end - 3) == 0x322e30) ||
	       (end > at + 8 && eg_at32(w, at) == 0x5349502f && eg_at32(w, at + 4) == 0x322e3020);
}

/* What lines of text tell, at `at` in the workspace; n bytes of them. */
EG_ONCE int eg_recognise_text(struct eg_first *w, __u32 at, __u32 n, int stream)
{
	struct eg_parse *l;
	__u64 word, second = 0;
	__u32 end = at + n;

	if (!w)
		return 0;
	l = &w->parse;
	eg_line(w, at, end);
	if (l->bad || (!l->flag && n >= EG_LINE_MAX))
		return EG_APP_UNKNOWN;
	if (!l->flag)
		return stream ? EG_APP_UNDECIDED : EG_APP_UNKNOWN;
	if (eg_sip_line(w, at, l->at))
		return EG_APP_SIP;
	if (!stream)
		return EG_APP_UNKNOWN;
	word = eg_word(w, at, l->at);
	if (l->label)
		second = eg_word(w, l->label, l->at);
	if (eg_is_smtp(word))
		return EG_APP_SMTP;
	if (eg_port_is(w, 21) && eg_is_ftp(word))
		return EG_APP_FTP;
	if (eg_port_is(w, 110) && eg_is_pop3(word))
		return EG_APP_POP3;
	if (eg_port_is(w, 143) && eg_is_imap(second))
		return EG_APP_IMAP;
	if ((word == EG_NICK || word == EG_USER || word == EG_WORD4('p', 'a', 's', 's') ||
	     word == EG_WORD3('c', 'a', 'p')) &&
	    eg_irc(w, at, end))
		return EG_APP_IRC;
	return EG_APP_UNKNOWN;
}

/* "<34>1 2003-…", "<34>Oct 11 …"; on the port, "<34>" and any text. */
static __always_inline int eg_syslog(struct eg_first *w, __u32 at, __u32 n)
{
	__u32 priority = 0, i = 1, month;

	if (EG_AT(w, at) != '<')
		return EG_NO;
	if (n < 8)
		return EG_MORE;
	for (; i < 4; i++) {
		__u8 c = EG_AT(w, at + i);

		if (c < '0' || c > '9')
			break;
		priority = priority * 10 + c - '0';
	}
	if (i == 1 || EG_AT(w, at + i) != '>' || priority > 191)
		return EG_NO;
	if (eg_port_is(w, 514))
		return EG_YES;
	at += i + 1;
	if (n > i + 8 && EG_AT(w, at) == '1' && EG_AT(w, at + 1) == ' ')
		return EG_YES;
	month = eg_at24(w, at);
	if (EG_AT(w, at + 3) != ' ')
		return EG_NO;
	return month == 0x4a616e || month == 0x466562 || month == 0x4d6172 || month == 0x417072 ||
			       month == 0x4d6179 || month == 0x4a756e || month == 0x4a756c ||
			       month == 0x417567 || month == 0x536570 || month == 0x4f6374 ||
			       month == 0x4e6f76 || month == 0x446563
		       ? EG_YES
		       : EG_NO;
}
