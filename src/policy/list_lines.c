// SPDX-License-Identifier: Apache-2.0
/*
 * Lists of one thing a line: plain (addresses, CIDRs, ranges, address:port, names, `*.name`; also as dnsmasq writes names),
 * and hosts files. This is where a million lines are read, so nothing is allocated and each byte is looked at about twice.
 */
#include "policy/list_format.h"

#include "base/cleanup.h"

#define LINES_LOOKED_AT 200

static bool is_comment(struct str s)
{
	return s.n &&
	       (s.p[0] == '#' || s.p[0] == ';' || (s.n > 1 && s.p[0] == '/' && s.p[1] == '/'));
}

static struct str comment_text(struct str s)
{
	while (s.n &&
	       (s.p[0] == '#' || s.p[0] == ';' || s.p[0] == '/' || s.p[0] == ' ' || s.p[0] == '\t'))
		s = str_sub(s, 1, s.n);
	return s;
}

/* --- plain ------------------------------------------------------------------------------------------------------- */

/* "server=/example.com/", "address=/a.example/b.example/0.0.0.0": the names between the slashes and all below them. */
static bool dnsmasq_names(struct str line, struct str *ret)
{
	const char *end;

	static const struct str words[] = { STR("server=/"), STR("address=/"), STR("local=/") };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (!str_has_prefix(line, words[i]))
			continue;
		line = str_sub(line, words[i].n, line.n);
		end = line.n ? memrchr(line.p, '/', line.n) : NULL;
		*ret = str_sub(line, 0, end ? (size_t)(end - line.p) : line.n);
		return ret->n > 0;
	}
	return false;
}

static void plain_line(struct list_out *o, struct str line)
{
	struct str rest = line, names, name, word;
	char text[LIST_NAME_MAX];
	int r;

	if (dnsmasq_names(line, &names)) {
		while (o->r >= 0 && str_cut(&names, '/', &name))
			if (list_put_name(o, LIST_TREE, name, 1, STR_NONE) < 0)
				list_bad(o, name, "is not a name");
		return;
	}
	word = list_word(&rest);
	if (is_comment(rest) || !rest.n)
		r = list_put_any(o, word, comment_text(rest));
	else if (rest.p[0] == '-' && line.n < 100)
		r = list_put_address(o, line, STR_NONE); /* "10.0.0.1 - 10.0.0.9" */
	else
		r = list_put_address(o, word, rest); /* with a count behind it */
	if (r < 0 && !rest.n && list_base64(word, text, &name) == 0)
		r = list_put_any(o, name, STR_NONE);
	if (r < 0)
		list_bad(o, line, "is neither an address nor a name");
}

static int plain_parse(struct list_out *o, struct str text)
{
	struct str line;

	while (list_line(o, &text, &line))
		if (line.n && !is_comment(line))
			plain_line(o, line);
	return 0;
}

/* What is nothing else. */
static unsigned plain_score(struct str head)
{
	return 0;
}

const struct list_reader list_plain = { LIST_PLAIN, plain_score, plain_parse };

/* --- hosts ------------------------------------------------------------------------------------------------------- */

/* What hosts files say of the machine itself; names of one label ("localhost", "ip6-allnodes") are left out anyway. */
static bool is_local_name(struct str name)
{
	static const struct str names[] = {
		STR("localhost.localdomain"),
		STR("localhost4.localdomain4"),
		STR("localhost6.localdomain6"),
		STR("0.0.0.0"),
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (str_eq_nocase(name, names[i]))
			return true;
	return false;
}

static void hosts_line(struct list_out *o, struct str line)
{
	struct str address = list_word(&line), name;
	struct addr addr;

	if (addr_parse(address, &addr) < 0) {
		list_bad(o, address, "is not an address");
		return;
	}
	if (!line.n || is_comment(line)) {
		list_bad(o, address, "has no name behind it");
		return;
	}
	while (line.n && !is_comment(line) && o->r >= 0) {
		name = list_word(&line);
		if (!memchr(name.p, '.', name.n) || is_local_name(name))
			list_skip(o);
		else if (list_put_name(o, LIST_NAME, name, 2, STR_NONE) < 0)
			list_bad(o, name, "is not a name");
	}
}

static int hosts_parse(struct list_out *o, struct str text)
{
	struct str line;

	while (list_line(o, &text, &line))
		if (line.n && !is_comment(line))
			hosts_line(o, line);
	return 0;
}

/* An address and a name behind it. */
static unsigned hosts_score(struct str head)
{
	struct list_report none = { 0 };
	struct list_out o = { .report = &none };
	char text[LIST_NAME_MAX];
	unsigned lines = 0, score = 0;
	struct str line, word;
	struct addr addr;

	while (lines < LINES_LOOKED_AT && list_line(&o, &head, &line)) {
		if (!line.n || is_comment(line))
			continue;
		lines++;
		word = list_word(&line);
		if (addr_parse(word, &addr) < 0 || !line.n || is_comment(line))
			continue;
		word = list_word(&line);
		score += list_name(word, 1, text, &word) == 0;
	}
	return 2 * score > lines ? score : 0;
}

const struct list_reader list_hosts = { LIST_HOSTS, hosts_score, hosts_parse };
