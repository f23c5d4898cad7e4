/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program that the policy of the bypass suite allows to one server, and, built under the name "stranger", one that does
 * the same and is allowed nothing.
 *
 *     courier tcp ADDRESS PORT TEXT          connects, sends, waits for a word
 *     courier tcp-wait ADDRESS PORT TEXT     the same after a line on its input
 *     courier tcp-hold|udp-hold ADDRESS PORT TEXT   sends, prints the descriptor or its port, stays until its input ends
 *     courier give-fresh | give-connected ADDRESS PORT   hands a socket out through its input (SCM_RIGHTS)
 *     courier exec PROGRAM ARGUMENT...       starts another program
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static _Noreturn void die(const char *what)
{
	perror(what);
	exit(1);
}

static int make(int type)
{
	struct timeval wait = { .tv_sec = 2 };
	int fd = socket(AF_INET, type, 0), one = 1;

	if (fd < 0)
		die("socket");
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	if (type == SOCK_DGRAM) {
		struct sockaddr_in any = { .sin_family = AF_INET };

		/* in time for a twin that binds the same port */
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
		if (bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0)
			die("bind");
	}
	return fd;
}

static void reach(int fd, char **argv)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10)) };

	if (inet_pton(AF_INET, argv[0], &to.sin_addr) != 1 ||
	    connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		die("connect");
}

static void tell(int fd, const char *text, int wait)
{
	char word[64];

	if (send(fd, text, strlen(text), MSG_NOSIGNAL) < 0)
		die("send");
	if (wait && recv(fd, word, sizeof(word), 0) <= 0)
		die("recv");
}

static void until_input_ends(void)
{
	char byte;

	while (read(0, &byte, 1) > 0)
		;
}

static void give(int fd)
{
	char byte = 'x', control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { &byte, 1 };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	if (sendmsg(0, &m, 0) < 0)
		die("sendmsg");
}

static uint16_t port_of(int fd)
{
	struct sockaddr_in a;
	socklen_t n = sizeof(a);

	return getsockname(fd, (struct sockaddr *)&a, &n) < 0 ? 0 : ntohs(a.sin_port);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	char line[16];
	int fd;

	setlinebuf(stdout);
	if (!strcmp(what, "exec") && argc > 2) {
		execv(argv[2], argv + 2);
		die(argv[2]);
	}
	if (!strcmp(what, "give-fresh")) {
		give(make(SOCK_STREAM));
		return 0;
	}
	if (argc < 4)
		return 2;
	if (!strcmp(what, "tcp-wait")) {
		puts("ready");
		if (!fgets(line, sizeof(line), stdin))
			return 1;
	}
	fd = make(!strncmp(what, "udp", 3) ? SOCK_DGRAM : SOCK_STREAM);
	reach(fd, argv + 2);
	if (!strcmp(what, "give-connected")) {
		give(fd);
		return 0;
	}
	if (argc < 5)
		return 2;
	tell(fd, argv[4], strncmp(what, "udp", 3) != 0);
	if (strstr(what, "hold")) {
		printf("%d\n", what[0] == 'u' ? port_of(fd) : fd);
		until_input_ends();
	}
	return 0;
}
