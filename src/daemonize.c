/* SPDX-License-Identifier: Apache-2.0 */
#include "daemonize.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"

int daemon_drop_capabilities(bool watches)
{
	static const unsigned keep[] = { CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON, CAP_SYS_PTRACE,
					 CAP_DAC_READ_SEARCH };
	bool have[ARRAY_SIZE(keep)];

	capng_get_caps_process();
	for (size_t i = 0; i < ARRAY_SIZE(keep); i++)
		have[i] = watches && capng_have_capability(CAPNG_PERMITTED, keep[i]);
	capng_clear(CAPNG_SELECT_BOTH);
	for (size_t i = 0; i < ARRAY_SIZE(keep); i++)
		if (have[i])
			capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, keep[i]);
	if (capng_apply(CAPNG_SELECT_CAPS) < 0) {
		log_error("cannot give up capabilities");
		return -EPERM;
	}
	return 0;
}

static void notify_systemd(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = -1;
	size_t n = path ? strlen(path) : 0;

	if (!n || n >= sizeof(to.sun_path))
		return;
	memcpy(to.sun_path, path, n);
	if (to.sun_path[0] == '@')
		to.sun_path[0] = 0;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || sendto(fd, "READY=1", 7, MSG_NOSIGNAL, (struct sockaddr *)&to,
			     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) < 0)
		log_warn("cannot tell systemd that egretd is ready, ignoring");
}

void daemon_ready(int *parent_fd)
{
	notify_systemd();
	if (*parent_fd >= 0 && write(*parent_fd, "", 1) == 1)
		close(TAKE_FD(*parent_fd));
}

int daemon_go_to_background(void)
{
	int fds[2];
	char ready;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return log_errno(errno, "cannot go to the background");
	pid = fork();
	if (pid < 0)
		return log_errno(errno, "cannot go to the background");
	if (pid > 0) {
		close(fds[1]);
		_exit(read(fds[0], &ready, 1) == 1 ? EXIT_SUCCESS : EXIT_FAILURE);
	}
	close(fds[0]);
	setsid();
	if (!freopen("/dev/null", "r", stdin) || !freopen("/dev/null", "w", stdout))
		return log_errno(errno, "cannot open /dev/null");
	return fds[1];
}
