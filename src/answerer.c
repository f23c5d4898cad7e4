/* SPDX-License-Identifier: Apache-2.0 */
#include "answerer.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/time.h"
#include "guard/bundle.h"
#include "history/answer.h"
#include "history/question.h"
#include "store/ship.h"

#define SECONDS_MAX 60
#define MEMORY_MAX (4ULL << 30)

enum { FD_OVERLAY = 3, FD_POLICY, FD_CANDIDATE, FD_END };
enum {
	ARG_STATE = 2,
	ARG_HOST,
	ARG_COUNTRY,
	ARG_ASN,
	ARG_FLEET, /* of ClickHouse, ship_settings_put(); empty: STATE/history is asked */
	ARG_END
};

/* ---- the daemon's side ---- */

/* Above those that the other side expects; -1 stays -1. */
static int out_of_the_way(int fd)
{
	return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, FD_END);
}

/* After fork: nothing but system calls. */
static void become(const int *fds, char *const *argv)
{
	static const int none = -1;

	for (int i = 0; i < FD_END; i++)
		if (i != STDERR_FILENO && fds[i] >= 0 && dup2(fds[i], i) < 0)
			_exit(EXIT_FAILURE);
	for (int i = FD_OVERLAY; i < FD_END; i++)
		if (fds[i] == none)
			close(i);
	execv("/proc/self/exe", argv);
	_exit(EXIT_FAILURE);
}

static int file_of(struct str bytes)
{
	_cleanup_close_ int fd = memfd_create("egret-question", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (write(fd, bytes.p, bytes.n) != (ssize_t)bytes.n || lseek(fd, 0, SEEK_SET) < 0)
		return -EIO;
	return TAKE_FD(fd);
}

/* -1 without a policy. */
static int file_of_policy(const struct policy *p)
{
	_cleanup_buf_ struct buf bundle = BUF_INIT(BUNDLE_MAX);

	if (!p)
		return -1;
	bundle_policy(&bundle, p);
	return bundle.failed ? -1 : file_of(buf_str(&bundle));
}

int answerer_start(const struct answerer_inputs *in, pid_t *ret_pid)
{
	_cleanup_buf_ struct buf fleet = BUF_INIT(sizeof(struct ship_settings) + 64);
	char *argv[ARG_END + 1] = { "egretd",
				    "--answer",
				    (char *)in->state,
				    (char *)in->host,
				    (char *)in->geo_country,
				    (char *)in->geo_asn,
				    "" };
	_cleanup_close_ int question = file_of(in->question), policy = file_of_policy(in->policy);
	_cleanup_close_ int out = -1, back = -1;
	int fds[FD_END] = { -1, -1, -1, -1, -1, -1 }, ends[2], r = 0;
	pid_t pid;

	if (question < 0)
		return question;
	if (in->fleet) {
		ship_settings_put(&fleet, in->fleet);
		if (fleet.failed)
			return -ENOMEM;
		argv[ARG_FLEET] = fleet.p;
	}
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	back = ends[0];
	out = ends[1];
	if (fcntl(back, F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	fds[STDIN_FILENO] = out_of_the_way(question);
	fds[STDOUT_FILENO] = out_of_the_way(out);
	fds[FD_OVERLAY] = out_of_the_way(in->overlay);
	fds[FD_POLICY] = out_of_the_way(policy);
	fds[FD_CANDIDATE] = out_of_the_way(in->candidate);
	pid = fds[STDIN_FILENO] < 0 || fds[STDOUT_FILENO] < 0 ? -1 : fork();
	if (pid == 0)
		become(fds, argv);
	if (pid < 0)
		r = -errno;
	for (int i = 0; i < FD_END; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	if (r < 0)
		return r;
	*ret_pid = pid;
	return TAKE_FD(back);
}

/* ---- the other side ---- */

static int give_up_rights(void)
{
	const struct rlimit cpu = { SECONDS_MAX, SECONDS_MAX }, core = { 0, 0 };

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	alarm(SECONDS_MAX);
	setrlimit(RLIMIT_CPU, &cpu);
	setrlimit(RLIMIT_CORE, &core);
#ifndef __SANITIZE_ADDRESS__
	if (setrlimit(RLIMIT_AS, &(struct rlimit){ MEMORY_MAX, MEMORY_MAX }) < 0)
		return -errno;
#endif
	capng_clear(CAPNG_SELECT_BOTH);
	return capng_apply(CAPNG_SELECT_BOTH) < 0 ? -EPERM : 0;
}

/* All of a file that was passed; empty when there is none. */
static struct str mapped(int fd)
{
	struct stat st;
	void *p;

	if (fstat(fd, &st) < 0 || st.st_size <= 0)
		return STR_NONE;
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	return p == MAP_FAILED ? STR_NONE : (struct str){ p, (size_t)st.st_size };
}

/* The policy in force: for its prices and segments, and to compare with. */
static struct policy *policy_in_force(void)
{
	_cleanup_buf_ struct buf messages = BUF_INIT(1U << 20);
	_cleanup_free_ struct policy_file *files = NULL;
	struct str bundle = mapped(FD_POLICY);
	struct policy *p = NULL;
	size_t n;

	if (bundle.n && bundle_parse(bundle, &files, &n) == 0)
		policy_parse_files(&p, files, n, STR_NONE, &messages);
	return p;
}

static const char *or_null(const char *s)
{
	return s[0] ? s : NULL;
}

int answerer_main(int argc, char **argv)
{
	struct ship_settings fleet = { 0 };
	char question[QUESTION_MAX + 1], dir[512], lists[512];
	struct history_source source = { .dir = dir, .now_ns = time_now(), .lists = lists };
	_cleanup_free_ struct policy_file *candidate = NULL;
	struct policy *policy;
	struct str bundle;
	size_t n;
	int r;

	if (argc != ARG_END || give_up_rights() < 0)
		return EXIT_FAILURE;
	n = fread(question, 1, sizeof(question), stdin);
	snprintf(dir, sizeof(dir), "%s/history", argv[ARG_STATE]);
	snprintf(lists, sizeof(lists), "%s/lists", argv[ARG_STATE]);
	if (argv[ARG_FLEET][0]) {
		if (ship_settings_take(&fleet, str_of(argv[ARG_FLEET])) < 0)
			return EXIT_FAILURE;
		source.fleet = &fleet;
	}
	source.host = or_null(argv[ARG_HOST]);
	source.geo_country = or_null(argv[ARG_COUNTRY]);
	source.geo_asn = or_null(argv[ARG_ASN]);
	source.overlay = mapped(FD_OVERLAY);
	bundle = mapped(FD_CANDIDATE);
	if (bundle.n && bundle_parse(bundle, &candidate, &source.n_candidate) == 0)
		source.candidate = candidate;
	source.policy = policy = policy_in_force();
	r = history_answer(&source, (struct str){ question, n }, stdout);
	policy_free(policy);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
