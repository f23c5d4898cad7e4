/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/redact.h"

#include "base/cleanup.h"

#define MASK "***"

static char lower(char c)
{
	return (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
}

static bool is_key_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-' || c == '.';
}

/* A key without case, dashes, underscores and dots: "--API_Key" is "apikey". */
static struct str plain_key(struct str key, char text[40])
{
	size_t n = 0;

	for (size_t i = 0; i < key.n && n < 40; i++)
		if (key.p[i] != '-' && key.p[i] != '_' && key.p[i] != '.')
			text[n++] = lower(key.p[i]);
	return (struct str){ text, n };
}

static bool contains(struct str s, struct str part)
{
	return s.n >= part.n && memmem(s.p, s.n, part.p, part.n);
}

static bool is_secret_key(struct str key)
{
	/* Anywhere in the key, and only as its end: "pass" is also in "passive", "auth" in "author". */
	static const struct str anywhere[] = { STR("password"),   STR("passwd"),
					       STR("passphrase"), STR("secret"),
					       STR("apikey"),     STR("accesskey"),
					       STR("privatekey"), STR("credential"),
					       STR("bearer") };
	static const struct str at_end[] = { STR("token"),   STR("pass"),         STR("pwd"),
					     STR("auth"),    STR("pw"),           STR("psk"),
					     STR("authkey"), STR("sessionid"),    STR("signature"),
					     STR("cookie"),  STR("authorization") };
	char text[40];
	struct str k = plain_key(key, text);

	for (size_t i = 0; i < ARRAY_SIZE(anywhere); i++)
		if (contains(k, anywhere[i]))
			return true;
	for (size_t i = 0; i < ARRAY_SIZE(at_end); i++)
		if (k.n >= at_end[i].n &&
		    str_eq(str_sub(k, k.n - at_end[i].n, at_end[i].n), at_end[i]))
			return true;
	return false;
}

static struct str base_name(struct str path)
{
	const char *slash = path.n ? memrchr(path.p, '/', path.n) : NULL;

	return slash ? str_sub(path, (size_t)(slash + 1 - path.p), path.n) : path;
}

static bool is_one_of(struct str s, const struct str *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(s, list[i]))
			return true;
	return false;
}

/* Programs whose -pSECRET is a password and never anything else. */
static bool takes_p(struct str program)
{
	static const struct str list[] = {
		STR("mysql"),         STR("mysqldump"),  STR("mysqladmin"), STR("mysqlimport"),
		STR("mysqlshow"),     STR("mysqlcheck"), STR("mariadb"),    STR("mariadb-dump"),
		STR("mariadb-admin"), STR("sshpass"),    STR("7z"),         STR("7za")
	};

	return is_one_of(program, list, ARRAY_SIZE(list));
}

/* Options whose next argument is a password although their name does not say so. */
static bool next_is_secret(struct str program, struct str arg)
{
	if (str_eq(program, STR("sshpass")))
		return str_eq(arg, STR("-p"));
	if (str_eq(program, STR("redis-cli")))
		return str_eq(arg, STR("-a"));
	if (str_has_prefix(program, STR("ldap")))
		return str_eq(arg, STR("-w"));
	if (str_eq(program, STR("zip")) || str_eq(program, STR("unzip")))
		return str_eq(arg, STR("-P"));
	if (str_eq(program, STR("docker")) || str_eq(program, STR("podman")))
		return str_eq(arg, STR("-p"));
	return false;
}

/* Options whose next argument is user:password (or user%password). */
static bool next_is_user(struct str program, struct str arg)
{
	static const struct str list[] = { STR("-u"), STR("--user"), STR("-U"),
					   STR("--proxy-user") };

	return (str_eq(program, STR("curl")) || str_eq(program, STR("wget")) ||
		str_eq(program, STR("smbclient"))) &&
	       is_one_of(arg, list, ARRAY_SIZE(list));
}

static void put_user(struct str arg, struct buf *out)
{
	size_t n = 0;

	while (n < arg.n && arg.p[n] != ':' && arg.p[n] != '%')
		n++;
	buf_put(out, arg.p, MIN(n + 1, arg.n));
	if (n < arg.n)
		buf_puts(out, MASK);
}

/* "user:password@" behind "://" at `at`: gives where the password begins and ends; false: there is none. */
static bool url_password(struct str s, size_t at, size_t *ret_from, size_t *ret_to)
{
	size_t colon = 0, end = at;

	while (end < s.n && !memchr("/?# \"'", s.p[end], 6) && s.p[end] != '@') {
		if (s.p[end] == ':' && !colon)
			colon = end + 1;
		end++;
	}
	if (end >= s.n || s.p[end] != '@' || !colon)
		return false;
	*ret_from = colon;
	*ret_to = end;
	return true;
}

static size_t value_end(struct str s, size_t from, bool whole)
{
	if (from < s.n && (s.p[from] == '"' || s.p[from] == '\'')) {
		const char *q = memchr(s.p + from + 1, s.p[from], s.n - from - 1);

		return q ? (size_t)(q + 1 - s.p) : s.n;
	}
	if (whole)
		return s.n;
	while (from < s.n && !memchr("&;, \t\n\"'}", s.p[from], 9))
		from++;
	return from;
}

/*
 * A '=' or ':' at `at`: is what stands before it a secret's name? ':' counts after a quoted name (JSON) and after the
 * name of a header, whose value takes the rest of the argument.
 */
static bool is_secret_at(struct str s, size_t at, bool *ret_whole)
{
	size_t end = at, from;
	bool quoted = end && (s.p[end - 1] == '"' || s.p[end - 1] == '\'');
	char text[40];
	struct str key;

	end -= quoted;
	from = end;
	while (from && is_key_char(s.p[from - 1]))
		from--;
	if (from == end || !is_secret_key(str_sub(s, from, end - from)))
		return false;
	if (s.p[at] == '=') {
		*ret_whole = from == 0;
		return true;
	}
	*ret_whole = !quoted;
	if (quoted || (at + 1 < s.n && s.p[at + 1] == ' '))
		return true;
	/* Without a blank only what cannot be a name and a tag, as in "my-auth:1.2". */
	key = plain_key(str_sub(s, from, end - from), text);
	return contains(key, STR("authorization")) || contains(key, STR("apikey")) ||
	       str_eq(key, STR("pass"));
}

static void put_arg(struct str s, struct buf *out)
{
	size_t done = 0, from, to;

	for (size_t i = 0; i < s.n; i++) {
		bool whole = false;

		if (s.p[i] != '=' && s.p[i] != ':')
			continue;
		if (s.p[i] == ':' && str_has_prefix(str_sub(s, i, 3), STR("://"))) {
			if (!url_password(s, i + 3, &from, &to)) {
				i += 2;
				continue;
			}
		} else if (is_secret_at(s, i, &whole)) {
			for (from = i + 1; from < s.n && s.p[from] == ' '; from++)
				;
			to = value_end(s, from, whole);
		} else {
			continue;
		}
		if (to <= from || from < done)
			continue;
		buf_put(out, s.p + done, from - done);
		buf_puts(out, MASK);
		done = to;
		i = to - 1;
	}
	buf_put(out, s.p + done, s.n - done);
}

void redact_args(struct str args, struct buf *out)
{
	struct str arg, program = STR_NONE;
	bool first = true, secret = false, user = false;

	while (str_cut(&args, 0, &arg)) {
		bool was_secret = secret && !str_has_prefix(arg, STR("-")), was_user = user;

		secret = user = false;
		if (first)
			program = base_name(arg);
		else
			buf_putc(out, 0);
		if (was_secret) {
			buf_puts(out, MASK);
		} else if (was_user) {
			put_user(arg, out);
		} else if (takes_p(program) && arg.n > 2 && str_has_prefix(arg, STR("-p"))) {
			buf_puts(out, "-p" MASK);
		} else {
			put_arg(arg, out);
			user = !first && next_is_user(program, arg);
			secret = !first && ((str_has_prefix(arg, STR("-")) &&
					     !memchr(arg.p, '=', arg.n) && is_secret_key(arg)) ||
					    next_is_secret(program, arg));
		}
		first = false;
	}
}
