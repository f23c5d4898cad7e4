/* SPDX-License-Identifier: Apache-2.0 */
#include "guard/answer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "guard/bundle.h"
#include "guard/guard.h"
#include "guard/question.h"

#define MESSAGES_MAX (1U << 20)
#define TEXT_ANSWER_MAX \
	(4U << 20) /* of {"do":"text"}: what a client's queue holds with room to spare */

/* Only of a memory file: reading from anything else might wait for somebody. */
static int read_passed(int fd, struct buf *ret)
{
	struct stat st;
	char *at;
	off_t from = 0;

	if (fd < 0 || fcntl(fd, F_GET_SEALS) < 0 || fstat(fd, &st) < 0)
		return -EBADF;
	if (st.st_size <= 0 || st.st_size > (off_t)BUNDLE_MAX)
		return -EFBIG;
	at = buf_reserve(ret, (size_t)st.st_size);
	if (!at)
		return -ENOMEM;
	while (from < st.st_size) {
		ssize_t n = pread(fd, at + from, (size_t)(st.st_size - from), from);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EBADMSG;
		from += n;
	}
	ret->n += (size_t)st.st_size;
	return 0;
}

static int load(struct guard *g, const struct policy_request *q, int fd, struct buf *messages)
{
	_cleanup_buf_ struct buf bytes = BUF_INIT(BUNDLE_MAX);
	_cleanup_free_ struct policy_file *files = NULL;
	struct guard_load l = {
		.mode = q->enforce ? GUARD_ENFORCE : GUARD_WATCH,
		.confirm_s = q->seconds,
		.force = q->force,
		.session = q->session[0] ? q->session : NULL,
	};
	int r = read_passed(fd, &bytes);

	if (r == 0)
		r = bundle_parse(buf_str(&bytes), &files, &l.n_files);
	if (r < 0) {
		buf_printf(messages, "error: the policy's files did not come along: %s\n",
			   strerror(-r));
		return r;
	}
	l.files = files;
	return guard_load(g, &l, messages);
}

static int change(struct guard *g, const struct policy_request *q, int fd, struct buf *messages)
{
	int r;

	switch (q->verb) {
	case POLICY_DO_LOAD:
		return load(g, q, fd, messages);
	case POLICY_DO_CONFIRM:
		r = guard_confirm(g);
		if (r == -ENOENT)
			buf_puts(messages, "error: nothing waits to be confirmed\n");
		return r;
	case POLICY_DO_CLEAR:
	case POLICY_DO_DISARM:
		r = guard_clear(g);
		if (r < 0)
			buf_printf(messages, "error: the kernel keeps the policy: %s\n",
				   strerror(-r));
		return r;
	case POLICY_DO_BLOCK:
		return guard_block(g, str_of(q->rule), q->seconds, str_of(q->note), messages);
	default:
		r = guard_unblock(g, q->all ? STR_NONE : str_of(q->rule), messages);
		if (r == 0)
			buf_puts(messages, "error: no such dated rule is in force\n");
		return r == 0 ? -ENOENT : r;
	}
}

static void put_text(const struct guard *g, struct json *j)
{
	_cleanup_buf_ struct buf text = BUF_INIT(TEXT_ANSWER_MAX);
	int r = guard_text(g, &text);

	if (r == 0) {
		json_str(j, "text", buf_str(&text));
		guard_files(g, j);
	} else {
		json_text(j, "error",
			  r == -ENOENT ? "no policy is in force"
				       : "the policy is too large to be shown; its files are in "
					 "egretd's state folder");
	}
}

void guard_answer(struct guard *g, const struct policy_request *q, int fd, struct json *j)
{
	_cleanup_buf_ struct buf messages = BUF_INIT(MESSAGES_MAX);
	int r;

	if (q->verb == POLICY_DO_SHOW) {
		guard_show(g, j);
		return;
	}
	if (q->verb == POLICY_DO_QUOTA) {
		guard_quotas(g, j);
		return;
	}
	if (q->verb == POLICY_DO_TEXT) {
		put_text(g, j);
		return;
	}
	r = change(g, q, fd, &messages);
	json_bool(j, "done", r >= 0);
	if (r == -EINPROGRESS)
		json_bool(j, "again", true);
	if (r < 0 && !messages.n)
		buf_printf(&messages, "error: %s\n", strerror(-r));
	if (messages.n)
		json_str(j, "messages", buf_str(&messages));
	json_text(j, "mode", guard_mode_name(guard_mode(g)));
	json_u64(j, "gen", guard_gen(g));
}

static void question_from(struct question *ret, const struct why_request *q)
{
	memcpy(ret->to, q->to, sizeof(ret->to));
	memcpy(ret->address, q->address, sizeof(ret->address));
	memcpy(ret->app, q->app, sizeof(ret->app));
	memcpy(ret->user, q->user, sizeof(ret->user));
	memcpy(ret->unit, q->unit, sizeof(ret->unit));
	memcpy(ret->from, q->from, sizeof(ret->from));
	memcpy(ret->speaking, q->speaking, sizeof(ret->speaking));
	ret->port = q->port;
	ret->has_port = q->has_port;
	ret->proto = q->proto;
}

void guard_answer_why(struct guard *g, const struct why_request *q, struct json *j)
{
	struct question question = { 0 };
	char error[256] = "";

	question_from(&question, q);
	if (guard_why(g, &question, j, error) < 0)
		json_text(j, "error", error);
}
