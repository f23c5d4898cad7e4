/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `egret why`: would this leave, and which line decides? Asked of the policy that is in force, or with --policy of a
 * file, without a daemon.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "base/time.h"
#include "cli/ask_policy.h"
#include "cli/cells.h"
#include "cli/cmd.h"
#include "guard/question.h"
#include "policy/image.h"

#define MAX_MESSAGES (1U << 20)
#define MAX_ANSWER (16U << 20)
#define LISTS "/var/lib/egret/lists"
#define DAY_S (24 * 3600)

static const char usage[] =
	"usage: egret why [OPTION...] DEST[:PORT][/PROTO]\n\n"
	"Says whether this would leave, by which rule, and for each rule before that one the fact "
	"that made it not\n"
	"match. DEST is a name, an address or [an IPv6 address]; PORT 443 and PROTO tcp unless "
	"given (udp, sctp,\n"
	"icmp, icmp6). Nothing is sent, but a name is looked up unless --address says where it "
	"leads.\n\n"
	"  --app PATH        the program\n"
	"  --user NAME       the user, by name or number\n"
	"  --unit NAME       the systemd unit\n"
	"  --from ADDRESS    the local address\n"
	"  --address ADDRESS the address that DEST is taken to have\n"
	"  --speaking PROTO  the application protocol (tls, http, quic, dns, ssh ...)\n"
	"  --policy FILE     ask this policy instead of the one in force\n"
	"  --json            the answer as it is\n\n"
	"Exit status: 0 it would pass, 1 it would be refused, 2 wrong call, 3 no answer.\n";

#define EXIT_NO_ANSWER 3

struct why_args {
	struct question q;
	const char *policy;
	bool as_json;
};

static int wrong(const char *fmt, const char *what)
{
	log_error(fmt, what);
	return -EINVAL;
}

static int set(char *to, size_t size, const char *value, const char *what)
{
	if ((size_t)snprintf(to, size, "%s", value) >= size)
		return wrong("%s is too long", what);
	return 0;
}

/* ---- DEST[:PORT][/PROTO] ---- */

static int take_proto(struct question *q, struct str word)
{
	static const struct {
		const char *word;
		uint8_t proto;
	} words[] = { { "tcp", IPPROTO_TCP },
		      { "udp", IPPROTO_UDP },
		      { "sctp", IPPROTO_SCTP },
		      { "icmp", IPPROTO_ICMP },
		      { "icmp6", IPPROTO_ICMPV6 } };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (!str_eq(word, str_of(words[i].word)))
			continue;
		q->proto = words[i].proto;
		return 0;
	}
	return wrong("PROTO is tcp, udp, sctp, icmp or icmp6%s", "");
}

static int take_port(struct question *q, struct str word)
{
	uint64_t n;

	if (str_parse_u64(word, &n) < 0 || n > UINT16_MAX)
		return wrong("PORT is a number up to 65535%s", "");
	q->port = (uint16_t)n;
	q->has_port = true;
	return 0;
}

static int take_dest(struct question *q, const char *word)
{
	struct str s = str_of(word);
	const char *slash = strrchr(word, '/'), *colon, *close = strchr(word, ']');
	struct addr addr;
	int r = 0;

	if (slash) {
		r = take_proto(q, str_of(slash + 1));
		s.n = (size_t)(slash - word);
	}
	if (r < 0)
		return r;
	if (s.n && s.p[0] == '[' && close) {
		struct str rest = str_sub(s, (size_t)(close - word) + 1, s.n);

		if (rest.n && rest.p[0] == ':')
			r = take_port(q, str_sub(rest, 1, rest.n));
		else if (rest.n)
			r = wrong("'%s': a port follows the ']' after a colon", word);
		s = str_sub(s, 1, (size_t)(close - word) - 1);
	} else if (addr_parse(s, &addr) < 0 && (colon = memrchr(s.p, ':', s.n))) {
		r = take_port(q, str_sub(s, (size_t)(colon - s.p) + 1, s.n));
		s.n = (size_t)(colon - s.p);
	}
	if (r < 0)
		return r;
	if (!s.n || s.n >= sizeof(q->to))
		return wrong("'%s' is no destination", word);
	memcpy(q->to, s.p, s.n);
	q->to[s.n] = 0;
	return 0;
}

/* Where a name leads, as the program would find out. */
static void look_up(struct question *q)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list;
	struct addr addr;

	if (q->address[0] || addr_parse(str_of(q->to), &addr) == 0 ||
	    getaddrinfo(q->to, NULL, &hints, &list))
		return;
	for (const struct addrinfo *i = list; i && !q->address[0]; i = i->ai_next)
		if (getnameinfo(i->ai_addr, i->ai_addrlen, q->address, sizeof(q->address), NULL, 0,
				NI_NUMERICHOST))
			q->address[0] = 0;
	freeaddrinfo(list);
}

/* ---- asking ---- */

static void put_text(struct json *j, const char *key, const char *v)
{
	if (v[0])
		json_text(j, key, v);
}

static const char *proto_word(uint8_t proto)
{
	switch (proto) {
	case IPPROTO_UDP:
		return "udp";
	case IPPROTO_SCTP:
		return "sctp";
	case IPPROTO_ICMP:
		return "icmp";
	case IPPROTO_ICMPV6:
		return "icmp6";
	default:
		return "tcp";
	}
}

static json_t *ask_egretd(const struct question *q)
{
	_cleanup_buf_ struct buf request = BUF_INIT(8000);
	struct json j = JSON_INIT(&request);

	json_object_begin(&j, NULL);
	json_text(&j, "ask", "why");
	put_text(&j, "to", q->to);
	put_text(&j, "address", q->address);
	put_text(&j, "app", q->app);
	put_text(&j, "user", q->user);
	put_text(&j, "unit", q->unit);
	put_text(&j, "from", q->from);
	put_text(&j, "speaking", q->speaking);
	if (q->has_port)
		json_u64(&j, "port", q->port);
	if (q->proto)
		json_text(&j, "proto", proto_word(q->proto));
	json_object_end(&j);
	return policy_request_send(buf_str(&request), -1);
}

static int compile(const char *path, struct policy **ret, struct policy_image **ret_image)
{
	_cleanup_buf_ struct buf messages = BUF_INIT(MAX_MESSAGES);
	int64_t now = (int64_t)(time_now() / NSEC_PER_SEC);
	const struct compile_config cfg = {
		.enforce = true, .from_s = now, .to_s = now + DAY_S, .list_cache = LISTS
	};
	int r = policy_read(ret, path, &messages);

	if (r == 0) {
		r = policy_compile(ret_image, *ret, &cfg, &messages);
		if (r < 0)
			policy_free(*ret);
	}
	if (r < 0 && messages.n)
		fwrite(messages.p, 1, messages.n, stderr);
	return r;
}

static json_t *ask_file(const struct question *q, const char *path)
{
	_cleanup_buf_ struct buf out = BUF_INIT(MAX_ANSWER);
	struct json j = JSON_INIT(&out);
	struct policy_image *image;
	struct policy *policy;
	char error[256] = "";
	json_t *answer = NULL;

	if (compile(path, &policy, &image) < 0)
		return NULL;
	json_object_begin(&j, NULL);
	if (question_answer(q, policy, image, NULL, time_now(), &j, error) < 0)
		log_error("%s", error);
	json_object_end(&j);
	if (!error[0] && !out.failed)
		answer = json_loadb(out.p, out.n, 0, NULL);
	policy_image_free(image);
	policy_free(policy);
	return answer;
}

/* ---- the answer ---- */

static void put_member(struct buf *out, const json_t *j, const char *key)
{
	const json_t *v = json_object_get(j, key);

	cell_put_all(out, (struct str){ json_string_value(v), json_string_length(v) });
}

static void print_rule(const json_t *rule, const char *before, const char *after)
{
	_cleanup_buf_ struct buf safe = BUF_INIT(16384);
	json_int_t line = json_integer_value(json_object_get(rule, "line"));

	buf_puts(&safe, before);
	if (json_is_true(json_object_get(rule, "block"))) {
		buf_puts(&safe, "egret block: ");
	} else if (line > 0) {
		put_member(&safe, rule, "file");
		buf_printf(&safe, ":%lld: ", (long long)line);
	}
	put_member(&safe, rule, "text");
	if (json_object_get(rule, after)) {
		buf_puts(&safe, "\n      ");
		if (json_is_true(json_object_get(rule, "possible")))
			buf_puts(&safe, "may still match: ");
		put_member(&safe, rule, after);
	}
	puts(safe.failed ? "?" : safe.p);
}

static void print_steps(const json_t *j)
{
	const json_t *steps = json_object_get(j, "passed_over"), *step;
	size_t i;

	if (json_array_size(steps))
		puts("\npassed over:");
	json_array_foreach(steps, i, step) print_rule(step, "  ", "why");
}

static void print_assumed(const json_t *j)
{
	_cleanup_buf_ struct buf safe = BUF_INIT(16384);
	const json_t *all = json_object_get(j, "assumed"), *v;
	size_t i;

	if (json_array_size(all))
		puts("\nassumed:");
	json_array_foreach(all, i, v)
	{
		buf_clear(&safe);
		cell_put_all(&safe, (struct str){ json_string_value(v), json_string_length(v) });
		printf("  %s\n", safe.failed ? "?" : safe.p);
	}
}

static void print_answer(const json_t *j)
{
	_cleanup_buf_ struct buf safe = BUF_INIT(16384);

	put_member(&safe, j, "verdict");
	if (json_is_true(json_object_get(j, "would_refuse")))
		buf_puts(&safe, " (recorded, not refused)");
	if (!json_is_true(json_object_get(j, "final")))
		buf_puts(&safe, ", for now: a fact is still to come");
	buf_puts(&safe, "  ");
	put_member(&safe, j, "to");
	if (json_object_get(j, "port"))
		buf_printf(&safe, " port %lld",
			   (long long)json_integer_value(json_object_get(j, "port")));
	buf_puts(&safe, " at ");
	put_member(&safe, j, "address");
	puts(safe.failed ? "?" : safe.p);
	print_rule(json_object_get(j, "rule"), "by  ", "note");
	print_steps(j);
	print_assumed(j);
}

static int run(struct why_args *a)
{
	json_t *j;
	int status;

	look_up(&a->q);
	j = a->policy ? ask_file(&a->q, a->policy) : ask_egretd(&a->q);
	if (!j)
		return EXIT_NO_ANSWER;
	if (a->as_json) {
		json_dumpf(j, stdout, JSON_COMPACT);
		putchar('\n');
	} else {
		print_answer(j);
	}
	status = json_is_true(json_object_get(j, "refused")) ? EXIT_FAILURE : EXIT_SUCCESS;
	json_decref(j);
	return status;
}

/* A program as it is called in a shell, as its path. */
static int set_app(struct question *q, const char *word)
{
	_cleanup_free_ char *full = realpath(word, NULL);

	return set(q->app, sizeof(q->app), full ? full : word, "the program's path");
}

static int take_option(struct why_args *a, int o, const char *value)
{
	struct question *q = &a->q;

	switch (o) {
	case 'a':
		return set_app(q, value);
	case 'u':
		return set(q->user, sizeof(q->user), value, "the user");
	case 'n':
		return set(q->unit, sizeof(q->unit), value, "the unit");
	case 'f':
		return set(q->from, sizeof(q->from), value, "the local address");
	case 'd':
		return set(q->address, sizeof(q->address), value, "the address");
	case 's':
		return set(q->speaking, sizeof(q->speaking), value, "the protocol");
	case 'p':
		a->policy = value;
		return 0;
	case 'j':
		a->as_json = true;
		return 0;
	default:
		return -EINVAL;
	}
}

int cmd_why(int argc, char **argv)
{
	static const struct option options[] = {
		{ "app", required_argument, NULL, 'a' },
		{ "user", required_argument, NULL, 'u' },
		{ "unit", required_argument, NULL, 'n' },
		{ "from", required_argument, NULL, 'f' },
		{ "address", required_argument, NULL, 'd' },
		{ "speaking", required_argument, NULL, 's' },
		{ "policy", required_argument, NULL, 'p' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct why_args args = { 0 };
	int o;

	cells_init();
	while ((o = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (o == 'h') {
			fputs(usage, stdout);
			return EXIT_SUCCESS;
		}
		if (take_option(&args, o, optarg) < 0)
			return EXIT_USAGE;
	}
	if (optind != argc - 1) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	return take_dest(&args.q, argv[optind]) < 0 ? EXIT_USAGE : run(&args);
}
