/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The socket is made under a second name, given its mode and owner while nobody can connect to it, and then renamed to
 * its place: at no time is there a socket with other rights. A lock on the folder keeps two daemons that start at once
 * from replacing each other's.
 */
#include "serve/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"

#define BACKLOG 16
#define MAX_GROUPS 256

static int address_of(struct sockaddr_un *ret, const char *path, const char *suffix)
{
	int n;

	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	n = snprintf(ret->sun_path, sizeof(ret->sun_path), "%s%s", path, suffix);
	return n < 0 || (size_t)n >= sizeof(ret->sun_path) ? -ENAMETOOLONG : 0;
}

/* The folder of `path`, opened and locked until the descriptor is closed. */
static int lock_folder(const char *path)
{
	_cleanup_close_ int fd = -1;
	const char *slash = strrchr(path, '/');
	char folder[108];

	snprintf(folder, sizeof(folder), "%.*s", slash > path ? (int)(slash - path) : 1,
		 slash ? path : ".");
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || flock(fd, LOCK_EX) < 0)
		return log_errno(errno, "cannot use the folder %s", folder);
	return TAKE_FD(fd);
}

/* 0: nobody answers at `path`, and what is there, if anything, is a socket. */
static int check_place(const char *path)
{
	_cleanup_close_ int fd = -1;
	struct sockaddr_un at;
	struct stat st;
	int r;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : log_errno(errno, "cannot look at %s", path);
	if (!S_ISSOCK(st.st_mode)) {
		log_error("%s is in the way: it is no socket", path);
		return -EEXIST;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	r = fd < 0 ? -errno : address_of(&at, path, "");
	if (r < 0)
		return log_errno(r, "cannot look at %s", path);
	/* EAGAIN: its queue is full, so somebody listens. */
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0 || errno == EAGAIN) {
		log_error("another egretd answers at %s already; stop it first, or give this one a "
			  "folder of its own (run \"DIR\" in its configuration)",
			  path);
		return -EADDRINUSE;
	}
	return errno == ECONNREFUSED ? 0 : log_errno(errno, "cannot look at %s", path);
}

/* Group egret may be absent: then only root and the daemon's own user get in. */
static int set_rights(const char *path)
{
	const struct group *g = getgrnam(CONTROL_GROUP);

	if (g && chown(path, (uid_t)-1, g->gr_gid) < 0)
		log_warn("cannot give %s to group " CONTROL_GROUP ", ignoring: %s", path,
			 strerror(errno));
	return chmod(path, 0660) < 0 ? -errno : 0;
}

static int make(struct control_socket *s, const char *path)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un at;
	struct stat st;
	int r = fd < 0 ? -errno : address_of(&at, path, ".new");

	if (r < 0)
		return r;
	unlink(at.sun_path); /* of one that was killed just here */
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		return -errno;
	r = set_rights(at.sun_path);
	if (r == 0 && (listen(fd, BACKLOG) < 0 || lstat(at.sun_path, &st) < 0 ||
		       rename(at.sun_path, path) < 0))
		r = -errno;
	if (r < 0) {
		unlink(at.sun_path);
		return r;
	}
	snprintf(s->path, sizeof(s->path), "%s", path);
	s->dev = st.st_dev;
	s->ino = st.st_ino;
	s->fd = TAKE_FD(fd);
	return 0;
}

int control_socket_open(struct control_socket *s, const char *path)
{
	_cleanup_close_ int lock = -1;
	struct sockaddr_un at;
	int r = address_of(&at, path, ".new");

	if (r < 0)
		return log_errno(r, "cannot listen at %s", path);
	lock = lock_folder(path);
	if (lock < 0)
		return lock;
	r = check_place(path);
	if (r < 0)
		return r;
	r = make(s, path);
	return r < 0 ? log_errno(r, "cannot listen at %s", path) : 0;
}

void control_socket_close(struct control_socket *s)
{
	struct stat st;

	if (s->fd < 0)
		return;
	if (lstat(s->path, &st) == 0 && st.st_dev == s->dev && st.st_ino == s->ino)
		unlink(s->path);
	close(TAKE_FD(s->fd));
}

static bool in_group(int peer_fd, gid_t first)
{
	const struct group *g = getgrnam(CONTROL_GROUP);
	gid_t groups[MAX_GROUPS];
	socklen_t size = sizeof(groups);

	if (!g || first == g->gr_gid)
		return g;
	if (getsockopt(peer_fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0)
		return false;
	for (size_t i = 0; i < size / sizeof(groups[0]); i++)
		if (groups[i] == g->gr_gid)
			return true;
	return false;
}

bool control_socket_may_ask(int peer_fd)
{
	struct ucred who;
	socklen_t size = sizeof(who);

	if (getsockopt(peer_fd, SOL_SOCKET, SO_PEERCRED, &who, &size) < 0)
		return false;
	return who.uid == 0 || who.uid == geteuid() || in_group(peer_fd, who.gid);
}

bool control_socket_may_change(int peer_fd)
{
	struct ucred who;
	socklen_t size = sizeof(who);

	return getsockopt(peer_fd, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 &&
	       (who.uid == 0 || who.uid == geteuid());
}
