// SPDX-License-Identifier: Apache-2.0
/*
 * The client's command lines of mail protocols. Text that a client sends as content (a message after DATA or BDAT, an
 * IMAP literal) is never read as commands: SMTP parsing ends there, a literal's octets are stepped over.
 */
#include "decode/mail.h"

#include <errno.h>

#include "base/cleanup.h"
#include "decode/text_line.h"

#define COMMAND_MAX 4096 /* longest line taken for a command; AUTH lines are the long ones */

static const char *const smtp_verbs[] = {
	"EHLO", "HELO", "LHLO", "MAIL", "RCPT",     "DATA", "BDAT",    "RSET",     "VRFY", "EXPN",
	"HELP", "NOOP", "QUIT", "AUTH", "STARTTLS", "ETRN", "XCLIENT", "XFORWARD", "TURN", "ATRN",
};

static const char *const pop3_ftp_verbs[] = {
	"USER", "PASS", "CAPA", "APOP", "AUTH", "STLS", "STAT", "LIST", "FEAT", "OPTS",
	"SYST", "QUIT", "HELP", "NOOP", "PBSZ", "PROT", "UTF8", "HOST", "CLNT", "ACCT",
};

static const char *const imap_verbs[] = {
	"CAPABILITY", "NOOP", "LOGOUT", "STARTTLS", "AUTHENTICATE",
	"LOGIN",      "ID",   "ENABLE", "SELECT",
};

static bool is_one_of(struct str word, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq_nocase(word, str_of(list[i])))
			return true;
	return false;
}

#define IS_ONE_OF(word, list) is_one_of(word, list, ARRAY_SIZE(list))

static bool may_become_smtp(struct str bytes)
{
	struct str word = text_word(&bytes);

	for (size_t i = 0; i < ARRAY_SIZE(smtp_verbs); i++)
		if (str_has_prefix_nocase(str_of(smtp_verbs[i]), word) ||
		    str_eq_nocase(word, str_of(smtp_verbs[i])))
			return true;
	return false;
}

/* "FROM:<a@b> SIZE=1": what stands between the angle brackets, or the word after the colon. */
static bool read_path(struct str args, struct str keyword, struct str *ret)
{
	const char *end;

	if (!str_has_prefix_nocase(args, keyword))
		return false;
	args = str_trim(str_sub(args, keyword.n, args.n));
	if (args.n && args.p[0] == '<') {
		args = str_sub(args, 1, args.n);
		end = args.n ? memchr(args.p, '>', args.n) : NULL;
		if (end)
			args.n = (size_t)(end - args.p);
		*ret = args;
	} else {
		*ret = text_word(&args);
	}
	return true;
}

static void reset_envelope(struct smtp_envelope *e)
{
	e->mail_from = STR_NONE;
	e->n_rcpt = 0;
}

/* One command. True when the envelope ends with it. */
static bool read_command(struct str line, struct smtp_envelope *e)
{
	struct str verb = text_word(&line), path;

	if (str_eq_nocase(verb, STR("EHLO")) || str_eq_nocase(verb, STR("HELO")) ||
	    str_eq_nocase(verb, STR("LHLO"))) {
		e->helo = str_trim(line);
	} else if (str_eq_nocase(verb, STR("MAIL"))) {
		if (read_path(line, STR("FROM:"), &path)) {
			reset_envelope(e);
			e->mail_from = path;
		}
	} else if (str_eq_nocase(verb, STR("RCPT"))) {
		if (read_path(line, STR("TO:"), &path) && e->n_rcpt < SMTP_MAX_RCPT)
			e->rcpt_to[e->n_rcpt++] = path;
	} else if (str_eq_nocase(verb, STR("RSET"))) {
		reset_envelope(e);
	} else if (str_eq_nocase(verb, STR("AUTH"))) {
		e->auth = true;
	} else if (str_eq_nocase(verb, STR("STARTTLS"))) {
		e->starttls = true;
	} else if (str_eq_nocase(verb, STR("DATA")) || str_eq_nocase(verb, STR("BDAT")) ||
		   str_eq_nocase(verb, STR("QUIT"))) {
		e->data = true;
	}
	return e->starttls || e->data;
}

int smtp_client_parse(struct str bytes, struct smtp_envelope *ret)
{
	struct str rest = bytes, line;
	bool first = true;

	*ret = (struct smtp_envelope){ 0 };
	if (!bytes.n)
		return -EAGAIN;
	while (text_line(&rest, &line)) {
		struct str args = line;

		if (line.n > COMMAND_MAX || !text_is_plain(line))
			return -EBADMSG;
		if (first && !IS_ONE_OF(text_word(&args), smtp_verbs))
			return -EBADMSG;
		first = false;
		if (read_command(line, ret)) {
			ret->tls_at = ret->starttls ? bytes.n - rest.n : 0;
			return 0;
		}
	}
	if (rest.n > COMMAND_MAX || !text_is_plain(rest) || (first && !may_become_smtp(rest)))
		return -EBADMSG;
	return -EAGAIN;
}

enum dialect { NO_DIALECT, SMTP, POP3_OR_FTP, IMAP };

static enum dialect dialect_of(struct str line)
{
	struct str verb = text_word(&line);

	/* An SMTP client greets before all else that changes anything, so what both speak is the others'. */
	if (IS_ONE_OF(verb, pop3_ftp_verbs))
		return POP3_OR_FTP;
	if (IS_ONE_OF(verb, smtp_verbs))
		return SMTP;
	if (verb.n && IS_ONE_OF(text_word(&line), imap_verbs))
		return IMAP;
	return NO_DIALECT;
}

/* "… {12}" or "… {12+}" at the end of a line: that many octets of content follow. */
static size_t imap_literal(struct str line)
{
	const char *open = line.n ? memrchr(line.p, '{', line.n) : NULL;
	struct str digits;
	uint64_t n;

	if (!open || line.p[line.n - 1] != '}')
		return 0;
	digits = str_sub(line, (size_t)(open + 1 - line.p), line.n);
	digits.n--;
	if (digits.n && digits.p[digits.n - 1] == '+')
		digits.n--;
	return str_parse_u64(digits, &n) < 0 ? 0 : (size_t)n;
}

static bool asks_for_tls(enum dialect d, struct str line)
{
	struct str word = text_word(&line);

	switch (d) {
	case SMTP:
		return str_eq_nocase(word, STR("STARTTLS"));
	case POP3_OR_FTP:
		return str_eq_nocase(word, STR("STLS")) ||
		       (str_eq_nocase(word, STR("AUTH")) &&
			(str_has_prefix_nocase(line, STR("TLS")) ||
			 str_has_prefix_nocase(line, STR("SSL"))));
	case IMAP:
		return str_eq_nocase(str_trim(line), STR("STARTTLS"));
	default:
		return false;
	}
}

static bool begins_content(enum dialect d, struct str line)
{
	struct str word = text_word(&line);

	return d == SMTP && (str_eq_nocase(word, STR("DATA")) || str_eq_nocase(word, STR("BDAT")));
}

size_t starttls_offset(struct str client_bytes)
{
	struct str rest = client_bytes, line;
	enum dialect d = NO_DIALECT;

	while (text_line(&rest, &line)) {
		if (line.n > COMMAND_MAX || !text_is_plain(line))
			return 0;
		if (d == NO_DIALECT || (d == POP3_OR_FTP && dialect_of(line) == SMTP))
			d = dialect_of(line);
		if (d == NO_DIALECT || begins_content(d, line))
			return 0;
		if (asks_for_tls(d, line))
			return client_bytes.n - rest.n;
		if (d == IMAP)
			rest = str_sub(rest, imap_literal(line), rest.n);
	}
	return 0;
}
