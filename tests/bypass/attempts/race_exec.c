/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads that send without a pause while the first thread becomes the allowed program:
 * race_exec COURIER ADDRESS PORT MARK.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct sockaddr_in to = { .sin_family = AF_INET };
static const char *mark;

static void *send_on(void *unused)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	for (;;) {
		sendto(fd, mark, strlen(mark), 0, (struct sockaddr *)&to, sizeof(to));
		if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
			send(fd, mark, strlen(mark), MSG_DONTWAIT);
	}
	return unused;
}

int main(int argc, char **argv)
{
	pthread_t thread;

	if (argc < 5)
		return 2;
	mark = argv[4];
	to.sin_port = htons((uint16_t)strtoul(argv[3], NULL, 10));
	inet_pton(AF_INET, argv[2], &to.sin_addr);
	for (int i = 0; i < 3; i++)
		if (pthread_create(&thread, NULL, send_on, NULL))
			return 1;
	usleep(2000 + (unsigned int)getpid() % 5 * 1000);
	execl(argv[1], argv[1], "udp-hold", argv[2], argv[3], "hello", (char *)NULL);
	return 1;
}
