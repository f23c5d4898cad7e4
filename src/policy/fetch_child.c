// SPDX-License-Identifier: Apache-2.0
/*
 * Fetching in a process of its own: TLS, HTTP and the parsers of lists meet hostile bytes there, without capabilities, and
 * the daemon never opens a network socket. The child writes its result into a pipe and ends.
 */
#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/loop.h"
#include "policy/fetch.h"
#include "policy/list.h"

struct result {
	int r;
	char why[FETCH_WHY_MAX];
};

struct fetch_child {
	struct loop_source *source;
	int fd; /* the pipe's end to read */
	pid_t pid;
	fetch_done_fn done;
	void *ctx;
};

/* What a download never needs, and what whoever took it over would want. */
static const int refused[] = {
	SCMP_SYS(execve),
	SCMP_SYS(execveat),
	SCMP_SYS(ptrace),
	SCMP_SYS(process_vm_readv),
	SCMP_SYS(process_vm_writev),
	SCMP_SYS(pidfd_open),
	SCMP_SYS(pidfd_getfd),
	SCMP_SYS(kill),
	SCMP_SYS(bpf),
	SCMP_SYS(perf_event_open),
	SCMP_SYS(io_uring_setup),
	SCMP_SYS(userfaultfd),
	SCMP_SYS(unshare),
	SCMP_SYS(setns),
	SCMP_SYS(mount),
	SCMP_SYS(umount2),
	SCMP_SYS(pivot_root),
	SCMP_SYS(chroot),
	SCMP_SYS(fsopen),
	SCMP_SYS(move_mount),
	SCMP_SYS(open_tree),
	SCMP_SYS(open_by_handle_at),
	SCMP_SYS(mknod),
	SCMP_SYS(mknodat),
	SCMP_SYS(init_module),
	SCMP_SYS(finit_module),
	SCMP_SYS(delete_module),
	SCMP_SYS(kexec_load),
	SCMP_SYS(kexec_file_load),
	SCMP_SYS(reboot),
	SCMP_SYS(add_key),
	SCMP_SYS(request_key),
	SCMP_SYS(keyctl),
	SCMP_SYS(personality),
	SCMP_SYS(listen),
	SCMP_SYS(accept),
	SCMP_SYS(accept4),
};

int fetch_confine(void)
{
	struct rlimit no_core = { 0, 0 };
	scmp_filter_ctx ctx;
	int r = 0;

	/* the bounding set takes a capability to change: whoever has none has nothing to lose there */
	capng_clear(CAPNG_SELECT_BOTH);
	if (capng_apply(CAPNG_SELECT_BOTH) != 0 && capng_apply(CAPNG_SELECT_CAPS) != 0)
		return -EPERM;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || setrlimit(RLIMIT_CORE, &no_core) < 0)
		return -errno;
	ctx = seccomp_init(SCMP_ACT_ALLOW);
	if (!ctx)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(refused); i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), refused[i], 0);
	if (r == 0)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	return r;
}

#define RESULT_FD 3
#define OUT_FD 4

/* Nothing of the daemon's is left open: maps, rings, sockets of clients. */
static int keep_two(int result_fd, int out_fd)
{
	int result = fcntl(result_fd, F_DUPFD, OUT_FD + 1);
	int out = out_fd < 0 ? -1 : fcntl(out_fd, F_DUPFD, OUT_FD + 1);

	if (result < 0 || dup2(result, RESULT_FD) < 0 ||
	    (out_fd >= 0 && (out < 0 || dup2(out, OUT_FD) < 0)))
		return -errno;
	close_range(out_fd < 0 ? OUT_FD : OUT_FD + 1, ~0U, 0);
	return 0;
}

static _Noreturn void child(int result_fd, fetch_work_fn work, const void *arg, int out_fd)
{
	struct result result = { 0 };
	sigset_t none;

	if (keep_two(result_fd, out_fd) < 0)
		_exit(1);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	result.r = fetch_confine();
	if (result.r < 0)
		snprintf(result.why, sizeof(result.why),
			 "the fetching process cannot be confined: %s", strerror(-result.r));
	else
		result.r = work(arg, out_fd < 0 ? -1 : OUT_FD, result.why);
	/* less than PIPE_BUF: whole or not at all */
	_exit(write(RESULT_FD, &result, sizeof(result)) == sizeof(result) ? 0 : 1);
}

static void on_result(void *ctx, int fd, uint32_t events)
{
	struct fetch_child *f = ctx;
	struct result result = { .r = -EIO };
	fetch_done_fn done = f->done;
	void *done_ctx = f->ctx;
	int status = 0;

	if (read(fd, &result, sizeof(result)) != sizeof(result)) {
		result.r = -EIO;
		waitpid(f->pid, &status, 0);
		f->pid = 0;
		if (WIFSIGNALED(status))
			snprintf(result.why, sizeof(result.why),
				 "the fetching process was ended by signal %d", WTERMSIG(status));
		else
			snprintf(result.why, sizeof(result.why),
				 "the fetching process ended early");
	}
	result.why[sizeof(result.why) - 1] = 0;
	fetch_child_cancel(f);
	done(done_ctx, result.r, result.why);
}

int fetch_child_start(struct fetch_child **ret, struct loop *loop, fetch_work_fn work,
		      const void *arg, int fd, fetch_done_fn done, void *ctx)
{
	struct fetch_child *f = calloc(1, sizeof(*f));
	int ends[2], r;

	if (!f)
		return -ENOMEM;
	if (pipe2(ends, O_CLOEXEC) < 0) {
		free(f);
		return -errno;
	}
	*f = (struct fetch_child){ .fd = ends[0], .done = done, .ctx = ctx };
	f->pid = fork();
	if (f->pid == 0)
		child(ends[1], work, arg, fd);
	r = f->pid < 0 ? -errno : 0;
	close(ends[1]);
	if (r < 0)
		f->pid = 0;
	else
		r = loop_add_io(loop, f->fd, EPOLLIN, on_result, f, &f->source);
	if (r < 0) {
		fetch_child_cancel(f);
		return r;
	}
	*ret = f;
	return 0;
}

struct fetch_child *fetch_child_cancel(struct fetch_child *f)
{
	if (!f)
		return NULL;
	loop_remove(f->source);
	close(f->fd);
	if (f->pid > 0) {
		kill(f->pid, SIGKILL);
		waitpid(f->pid, NULL, 0);
	}
	free(f);
	return NULL;
}

/* ---- lists ---- */

struct list_work {
	const struct policy_list *list;
	const char *cache;
};

static int fetch_list(const void *arg, int fd, char why[FETCH_WHY_MAX])
{
	const struct list_work *w = arg;

	return list_fetch(w->list, w->cache, why);
}

int list_fetch_start(struct fetch_child **ret, struct loop *loop, const struct policy_list *l,
		     const char *cache, void (*done)(void *ctx, int result, const char *why),
		     void *ctx)
{
	return fetch_child_start(ret, loop, fetch_list, &(struct list_work){ l, cache }, -1, done,
				 ctx);
}
