/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage: resolve ROUNDS SEED PORT
 *
 * Looks names up and connects, at once, to one of the addresses; each round afresh. Kinds of names are those of
 * names_server.py. Prints how it went: "passed 900 refused 100 wrong 0 errors 0"; wrong: refused though the name is
 * allowed, or passed though it is not, or though no answer ever gave the address.
 */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include <arpa/inet.h>

static const char *const kinds[] = {
	"one.allowed", "many.allowed", "tcp.allowed", "chain.allowed", "both.allowed",
	"cut.allowed", "six.allowed",  "one.denied",  "chain.denied",  "nobody",
};

static unsigned int passed, refused, wrong, errors;

static void complain(const char *what, const char *name, const char *why)
{
	errors++;
	fprintf(stderr, "%s %s: %s\n", what, name, why);
}

/* 0: connected, and answered; 1: refused; -1: something else */
static int dial(const struct addrinfo *a, const char *name)
{
	const struct linger at_once = { 1, 0 };
	const struct timeval patience = { .tv_sec = 20 };
	int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0), r = -1;
	char byte = 'x';

	if (fd < 0) {
		complain("socket", name, strerror(errno));
		return -1;
	}
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (connect(fd, a->ai_addr, a->ai_addrlen))
		r = errno == EPERM ? 1 : -1;
	else if (write(fd, &byte, 1) == 1 && read(fd, &byte, 1) == 1)
		r = 0;
	if (r < 0)
		complain("connect", name, strerror(errno));
	close(fd);
	return r;
}

static void judge(const struct addrinfo *a, const char *name, int allowed)
{
	char text[64];
	int r = dial(a, name);

	if (r < 0)
		return;
	if (r)
		refused++;
	else
		passed++;
	if (r != !allowed) {
		wrong++;
		getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof(text), NULL, 0, NI_NUMERICHOST);
		fprintf(stderr, "%s (%s) was %s\n", name, text, r ? "refused" : "let pass");
	}
}

/* An address that no answer gives, among those of the allowed names. */
static void guess(const char *port)
{
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM }, *a;
	char text[32];

	snprintf(text, sizeof(text), "10.78.255.%ld", random() % 250 + 1);
	if (getaddrinfo(text, port, &hints, &a))
		return;
	judge(a, text, 0);
	freeaddrinfo(a);
}

static void one_round(const char *port)
{
	const char *kind = kinds[random() % (sizeof(kinds) / sizeof(*kinds))];
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *all, *a;
	char name[128];
	int r, n = 0;

	if (!strcmp(kind, "nobody")) {
		guess(port);
		return;
	}
	snprintf(name, sizeof(name), "%c%ld.%s.test", "hH"[random() & 1], random() % 400, kind);
	r = getaddrinfo(name, port, &hints, &all);
	if (r) {
		complain("look-up of", name, gai_strerror(r));
		return;
	}
	for (a = all; a; a = a->ai_next)
		n++;
	n = random() % n;
	for (a = all; n--; a = a->ai_next)
		;
	judge(a, name, strstr(kind, ".allowed") != NULL);
	freeaddrinfo(all);
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	srandom(atoi(argv[2]));
	for (int i = atoi(argv[1]); i > 0; i--)
		one_round(argv[3]);
	printf("passed %u refused %u wrong %u errors %u\n", passed, refused, wrong, errors);
	return wrong || errors;
}
