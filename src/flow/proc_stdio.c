/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/proc_stdio.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "flow/proc_read.h"

#define NET_LINES_MAX 65536 /* of one file of /proc/PID/net */
#define HELD_MAX 256

struct asked {
	uint32_t pid;
	int dir;   /* of the process in /proc */
	int pidfd; /* -1: not opened yet, -2: refused */
};

/* As the kernel's side writes it. */
static uint64_t pipe_id(const struct stat *st)
{
	return (uint64_t)(major(st->st_dev) << 20 | minor(st->st_dev)) << 32 ^ st->st_ino;
}

static void set_device(struct stdio *to, dev_t dev)
{
	unsigned int m = major(dev);

	if (m == 1 && minor(dev) == 3) {
		to->kind = STDIO_NULL;
	} else if (m == 4 || m == 5 || (m >= 136 && m <= 143)) {
		to->kind = STDIO_TTY;
		to->id = m << 20 | minor(dev);
	}
}

static struct addr sockaddr_addr(const struct sockaddr_storage *s, uint16_t *ret_port)
{
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)s;
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)s;

	if (s->ss_family == AF_INET6) {
		*ret_port = ntohs(v6->sin6_port);
		return addr_from_v6(&v6->sin6_addr);
	}
	*ret_port = ntohs(v4->sin_port);
	return addr_from_v4(&v4->sin_addr);
}

/* The process's descriptor as one of ours; its number is only ours while `dir` says that the process lives. */
static int copy_of(struct asked *a, int fd)
{
	if (a->pidfd == -1) {
		a->pidfd = (int)syscall(SYS_pidfd_open, a->pid, 0);
		if (a->pidfd < 0 || faccessat(a->dir, "stat", F_OK, 0)) {
			if (a->pidfd >= 0)
				close(a->pidfd);
			a->pidfd = -2;
		}
	}
	return a->pidfd < 0 ? -EPERM : (int)syscall(SYS_pidfd_getfd, a->pidfd, fd, 0);
}

static bool ask_socket(struct asked *a, int number, const struct stat *st, struct stdio *to)
{
	_cleanup_close_ int fd = copy_of(a, number);
	int domain, proto = 0;
	socklen_t len = sizeof(domain);
	struct sockaddr_storage s = { 0 };

	if (fd < 0)
		return false;
	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len)) /* of a folder, by O_PATH */
		return true;
	if (domain == AF_UNIX) {
		to->kind = STDIO_UNIX;
		to->id = (uint64_t)st->st_ino << 32;
		return true;
	}
	if (domain != AF_INET && domain != AF_INET6) {
		to->kind = STDIO_UNKNOWN;
		return true;
	}
	to->kind = STDIO_INET;
	len = sizeof(to->id);
	if (getsockopt(fd, SOL_SOCKET, SO_COOKIE, &to->id, &len))
		to->id = 0;
	len = sizeof(proto);
	if (!getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &proto, &len))
		to->proto = (uint8_t)proto;
	len = sizeof(s);
	if (!getsockname(fd, (struct sockaddr *)&s, &len))
		sockaddr_addr(&s, &to->lport);
	len = sizeof(s);
	if (!getpeername(fd, (struct sockaddr *)&s, &len))
		to->remote = sockaddr_addr(&s, &to->rport);
	return true;
}

/* "0100007F" or four such words, each as the machine holds it. */
static bool parse_net_addr(const char *hex, struct addr *ret)
{
	uint32_t word[4];
	size_t n = strlen(hex) / 8;

	if (n != 1 && n != 4)
		return false;
	for (size_t i = 0; i < n; i++)
		if (sscanf(hex + 8 * i, "%8x", &word[i]) != 1)
			return false;
	*ret = n == 1 ? addr_from_v4(word) : addr_from_v6(word);
	return true;
}

static bool net_line_is(const char *line, uint64_t inode, struct stdio *to)
{
	char local[33], remote[33];
	unsigned int lport, rport;
	unsigned long found;

	if (sscanf(line, " %*u: %32[0-9A-F]:%x %32[0-9A-F]:%x %*x %*x:%*x %*x:%*x %*x %*u %*u %lu",
		   local, &lport, remote, &rport, &found) != 5 ||
	    found != inode || !parse_net_addr(remote, &to->remote))
		return false;
	if (!rport)
		to->remote = (struct addr){ 0 };
	to->lport = (uint16_t)lport;
	to->rport = (uint16_t)rport;
	return true;
}

static bool unix_line_is(const char *line, uint64_t inode)
{
	unsigned long found;

	return sscanf(line, "%*x: %*x %*x %*x %*x %*x %lu", &found) == 1 && found == inode;
}

static bool find_in(const struct asked *a, const char *name, uint8_t proto, uint64_t inode,
		    struct stdio *to)
{
	int fd = openat(a->dir, name, O_RDONLY | O_CLOEXEC);
	_cleanup_fclose_ FILE *f = fd >= 0 ? fdopen(fd, "re") : NULL;
	char line[512];

	if (!f) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	for (size_t i = 0; i < NET_LINES_MAX && fgets(line, sizeof(line), f); i++) {
		if (!proto && unix_line_is(line, inode)) {
			to->kind = STDIO_UNIX;
			to->id = inode << 32;
			return true;
		}
		if (proto && net_line_is(line, inode, to)) {
			to->kind = STDIO_INET;
			to->proto = proto;
			return true;
		}
	}
	return false;
}

static void find_socket(const struct asked *a, uint64_t inode, struct stdio *to)
{
	static const struct {
		const char *name;
		uint8_t proto;
	} files[] = {
		{ "net/tcp", IPPROTO_TCP }, { "net/tcp6", IPPROTO_TCP }, { "net/unix", 0 },
		{ "net/udp", IPPROTO_UDP }, { "net/udp6", IPPROTO_UDP },
	};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (find_in(a, files[i].name, files[i].proto, inode, to))
			return;
	to->kind = STDIO_UNKNOWN;
}

static int look(struct asked *a, int number, struct stat *st, struct stdio *to)
{
	char name[16];

	snprintf(name, sizeof(name), "fd/%d", number);
	if (fstatat(a->dir, name, st, 0)) {
		if (errno != ENOENT)
			return -errno;
		to->kind = STDIO_CLOSED;
		st->st_ino = 0;
		return 0;
	}
	to->kind = STDIO_FILE;
	if (S_ISFIFO(st->st_mode)) {
		to->kind = STDIO_PIPE;
		to->id = pipe_id(st);
	} else if (S_ISCHR(st->st_mode)) {
		set_device(to, st->st_rdev);
	} else if (S_ISSOCK(st->st_mode) && !ask_socket(a, number, st, to)) {
		find_socket(a, st->st_ino, to);
	}
	return 0;
}

int proc_stdio_now(uint32_t pid, uint64_t start_ns, struct stdio ret[STDIO_COUNT])
{
	_cleanup_close_ int dir = -1, pidfd = -1;
	struct asked a = { .pid = pid, .pidfd = -1 };
	struct stat st[STDIO_COUNT] = { 0 };
	int r = 0;

	memset(ret, 0, STDIO_COUNT * sizeof(*ret));
	dir = a.dir = proc_open(pid, start_ns);
	if (dir < 0)
		return dir;
	for (int i = 0; i < STDIO_COUNT && !r; i++)
		r = look(&a, i, &st[i], &ret[i]);
	pidfd = a.pidfd;
	/* A process on its way out has its folder, but nothing open any more. */
	if (!r && faccessat(dir, "exe", F_OK, 0) && errno == ESRCH)
		r = -ESRCH;
	if (r)
		memset(ret, 0, STDIO_COUNT * sizeof(*ret));
	return r;
}

/* The index of the terminal that a master stands for; -1: it is none. */
static int terminal_of(int dir, const char *number)
{
	char name[32], text[1024];
	_cleanup_close_ int fd = -1;
	const char *at;
	int index = -1;
	ssize_t n;

	snprintf(name, sizeof(name), "fdinfo/%.16s", number);
	fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return -1;
	text[n] = 0;
	at = strstr(text, "tty-index:");
	return at && sscanf(at, "tty-index: %d", &index) == 1 ? index : -1;
}

static bool is_other_end(int dir, int fds, const char *number, const struct stdio *s)
{
	struct stat st;

	if (fstatat(fds, number, &st, 0))
		return false;
	switch (s->kind) {
	case STDIO_PIPE:
		return S_ISFIFO(st.st_mode) && pipe_id(&st) == s->id;
	case STDIO_UNIX:
		return S_ISSOCK(st.st_mode) && st.st_ino == stdio_unix_peer(s);
	default: /* /dev/ptmx is 5:2; the terminals behind it are 136:index */
		return S_ISCHR(st.st_mode) && st.st_rdev == makedev(5, 2) && s->id >> 20 == 136 &&
		       terminal_of(dir, number) == (int)(s->id & 0xfffff);
	}
}

int proc_holds(uint32_t pid, uint64_t start_ns, const struct stdio *s)
{
	_cleanup_close_ int dir = -1;
	struct dirent *d;
	int fds, found = 0;
	DIR *all;

	if ((s->kind != STDIO_PIPE && s->kind != STDIO_UNIX && s->kind != STDIO_TTY) || !s->id)
		return 0;
	dir = proc_open(pid, start_ns);
	if (dir < 0)
		return dir;
	fds = openat(dir, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fds < 0)
		return -errno;
	all = fdopendir(fds);
	if (!all) {
		close(fds);
		return -ENOMEM;
	}
	for (size_t i = 0; i < HELD_MAX && !found && (d = readdir(all));)
		if (d->d_name[0] != '.') {
			found = is_other_end(dir, dirfd(all), d->d_name, s);
			i++;
		}
	closedir(all);
	return found;
}

bool stdio_is_flow(const struct stdio *s, uint64_t cookie, const struct event_key *key)
{
	if (s->kind != STDIO_INET)
		return false;
	if (s->id && cookie)
		return s->id == cookie;
	/* live, src is the local end; the remote address of a flow that came from outside is there, too */
	return s->proto == key->proto && s->rport &&
	       ((s->lport == key->sport && s->rport == key->dport &&
		 !memcmp(&s->remote, &key->dst, sizeof(s->remote))) ||
		(s->lport == key->dport && s->rport == key->sport &&
		 !memcmp(&s->remote, &key->src, sizeof(s->remote))));
}
