/* SPDX-License-Identifier: Apache-2.0 */
/*
 * STATE/detect: written every five minutes by a child that has the memory as it was when it was forked, so that the daemon goes
 * on at once, and at the end by the daemon itself.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/time.h"
#include "sentry/internal.h"

#define NAME "detect"
#define FILE_MAX (1UL << 30)
#define SAVE_EVERY_NS (300 * NSEC_PER_SEC)

int state_write(struct sentry *s)
{
	_cleanup_buf_ struct buf bytes = BUF_INIT(FILE_MAX);
	_cleanup_close_ int folder = -1;
	int r;

	if (!s->cfg.state)
		return 0;
	folder = file_open_folder(s->cfg.state);
	if (folder < 0)
		return folder;
	r = detect_save(s->detect, &bytes);
	return r < 0 ? r : file_replace(folder, NAME, STR_NONE, buf_str(&bytes));
}

int state_read(struct sentry *s)
{
	_cleanup_buf_ struct buf bytes = BUF_INIT(FILE_MAX);
	_cleanup_close_ int folder = -1;
	int r;

	s->save.due_ns = s->cfg.now() + SAVE_EVERY_NS;
	if (!s->cfg.state)
		return -ENOENT;
	folder = file_open_folder(s->cfg.state);
	if (folder < 0)
		return folder;
	r = file_read(folder, NAME, &bytes);
	if (r == 0)
		r = detect_load(s->detect, buf_str(&bytes));
	if (r == -EBADMSG) {
		file_set_aside(folder, NAME);
		log_warn("%s/" NAME " is damaged or of another version: it is set aside as " NAME
			 ".damaged, and this host is learned anew",
			 s->cfg.state);
	} else if (r < 0 && r != -ENOENT) {
		log_errno(r, "cannot read %s/" NAME ": this host is learned anew", s->cfg.state);
	}
	return r;
}

static void told(struct sentry *s, int r)
{
	if (r < 0 && !s->save.failed)
		log_errno(r, "cannot write %s/" NAME ": a restart would forget what was learned",
			  s->cfg.state);
	s->save.failed = r < 0;
}

static void reap(struct sentry *s)
{
	int status;

	if (!s->save.child || waitpid(s->save.child, &status, WNOHANG) <= 0)
		return;
	s->save.child = 0;
	told(s, WIFEXITED(status) ? -WEXITSTATUS(status) : -EIO);
}

void state_stop(struct sentry *s)
{
	if (s->save.child)
		waitpid(s->save.child, NULL, 0);
	s->save.child = 0;
}

void state_tick(struct sentry *s)
{
	reap(s);
	if (!s->cfg.state || s->save.child || s->cfg.now() < s->save.due_ns)
		return;
	s->save.due_ns = s->cfg.now() + SAVE_EVERY_NS;
	s->save.child = fork();
	if (s->save.child < 0) {
		s->save.child = 0;
		told(s, -errno);
	} else if (!s->save.child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(-state_write(s) & 0x7f);
	}
}
