/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `egret policy load`, `confirm`, `clear`. The file and what it includes are read here, with the rights and from the
 * place of the person who asks; egretd gets the texts and decides.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "base/time.h"
#include "cli/ask_policy.h"
#include "cli/cmd.h"
#include "guard/bundle.h"
#include "policy/policy.h"

#define MAX_MESSAGES (1U << 20)
#define AGAIN_MS 250
#define WAIT_MS 180000 /* for lists that are downloaded for the first time */

static const char usage[] =
	"usage: egret policy load [OPTION...] FILE\n\n"
	"Puts a policy in force in the running egretd, all or nothing: with a mistake, an\n"
	"expectation that fails or a session that would be cut, what is in force stays.\n\n"
	"  --watch         nothing is refused; records say what would be\n"
	"  --enforce       refuse. Without either: the mode that is in force, else watch\n"
	"  --confirm TIME  roll back after so long (60s, 5m) unless 'egret policy confirm' "
	"follows\n"
	"  --force         in spite of expectations that fail and of a session that would be cut\n";

struct load_args {
	const char *mode, *file;
	uint64_t confirm_s;
	bool force;
};

/* The texts in a memory file. */
static int pack(const struct policy *p, int *ret_fd)
{
	_cleanup_buf_ struct buf bytes = BUF_INIT(BUNDLE_MAX);
	_cleanup_close_ int fd = memfd_create("policy", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	size_t from = 0;

	if (fd < 0)
		return log_errno(errno, "cannot make a memory file");
	bundle_policy(&bytes, p);
	if (bytes.failed)
		return log_errno(E2BIG, "cannot send the policy");
	while (from < bytes.n) {
		ssize_t n = write(fd, bytes.p + from, bytes.n - from);

		if (n <= 0)
			return log_errno(errno, "cannot send the policy");
		from += (size_t)n;
	}
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int read_policy(const char *path, int *ret_fd)
{
	_cleanup_buf_ struct buf messages = BUF_INIT(MAX_MESSAGES);
	_cleanup_free_ char *full = realpath(path, NULL);
	struct policy *p;
	int r;

	if (!full)
		return log_errno(errno, "cannot read %s", path);
	r = policy_read(&p, full, &messages);
	/* Warnings come again from egretd. */
	if (r < 0) {
		if (messages.n)
			fwrite(messages.p, 1, messages.n, stderr);
		return r;
	}
	r = pack(p, ret_fd);
	policy_free(p);
	return r;
}

static void put_request(struct buf *out, const struct load_args *a)
{
	const char *session = getenv("SSH_CONNECTION");
	struct json j = JSON_INIT(out);

	policy_request_begin(&j, "load");
	json_text(&j, "mode", a->mode);
	if (a->confirm_s)
		json_u64(&j, "confirm", a->confirm_s);
	if (a->force)
		json_bool(&j, "force", true);
	if (session && session[0] && strlen(session) < 160)
		json_text(&j, "session", session);
	json_object_end(&j);
}

/* Neither was said: as it is now. */
static const char *mode_now(void)
{
	json_t *j = policy_request_send(STR("{\"ask\":\"policy\",\"do\":\"show\"}"), -1);
	const char *mode;

	if (!j)
		return NULL;
	mode = json_string_value(json_object_get(j, "mode"));
	mode = mode && !strcmp(mode, "enforce") && json_object_get(j, "file") ? "enforce" : "watch";
	json_decref(j);
	return mode;
}

static int load(struct load_args *a)
{
	_cleanup_buf_ struct buf request = BUF_INIT(4096);
	_cleanup_close_ int fd = -1;
	json_t *answer = NULL;
	bool again = true;
	int status = EXIT_FAILURE;

	if (read_policy(a->file, &fd) < 0)
		return EXIT_FAILURE;
	if (!a->mode && !(a->mode = mode_now()))
		return EXIT_FAILURE;
	put_request(&request, a);
	for (unsigned waited = 0; again && waited < WAIT_MS; waited += AGAIN_MS) {
		json_decref(answer);
		answer = policy_request_send(buf_str(&request), fd);
		if (!answer)
			return EXIT_FAILURE;
		again = json_is_true(json_object_get(answer, "again"));
		if (again && !waited)
			policy_request_print(answer);
		if (again)
			usleep(AGAIN_MS * 1000);
	}
	status = policy_request_print(answer);
	json_decref(answer);
	if (status)
		return status;
	printf("in force: %s, mode %s\n", a->file, a->mode);
	if (a->confirm_s)
		printf("rolls back in %llu s unless 'egret policy confirm' follows\n",
		       (unsigned long long)a->confirm_s);
	return 0;
}

int cmd_policy_load(int argc, char **argv)
{
	static const struct option options[] = {
		{ "watch", no_argument, NULL, 'w' },         { "enforce", no_argument, NULL, 'e' },
		{ "confirm", required_argument, NULL, 'c' }, { "force", no_argument, NULL, 'f' },
		{ "help", no_argument, NULL, 'h' },          { 0 },
	};
	struct load_args args = { 0 };
	uint64_t ns;
	int o;

	optind = 0;
	while ((o = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (o) {
		case 'w':
		case 'e':
			args.mode = o == 'w' ? "watch" : "enforce";
			break;
		case 'c':
			if (duration_parse(str_of(optarg), &ns) < 0 || ns < NSEC_PER_SEC) {
				log_error("'%s' is no time like 60s or 5m", optarg);
				return EXIT_USAGE;
			}
			args.confirm_s = ns / NSEC_PER_SEC;
			break;
		case 'f':
			args.force = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			return EXIT_USAGE;
		}
	}
	if (optind != argc - 1) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	args.file = argv[optind];
	return load(&args);
}

static int plain(int argc, char **argv, const char *verb, const char *text)
{
	if (argc > 1) {
		bool help = !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h");

		fputs(text, help ? stdout : stderr);
		return help ? 0 : EXIT_USAGE;
	}
	return policy_request_plain(verb);
}

int cmd_policy_confirm(int argc, char **argv)
{
	return plain(argc, argv, "confirm",
		     "usage: egret policy confirm\n\n"
		     "Keeps the policy that 'egret policy load --confirm' put in force.\n");
}

int cmd_policy_clear(int argc, char **argv)
{
	return plain(argc, argv, "clear",
		     "usage: egret policy clear\n\n"
		     "Takes the policy and all dated rules out of force. egretd watches on; at its "
		     "next start the policy that\n"
		     "egret.conf names, if any, is loaded again.\n");
}
