/* SPDX-License-Identifier: Apache-2.0 */
/* A library that does its work before main(): it is the allowed program that the kernel sees. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

__attribute__((constructor)) static void before_main(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(7001) };
	const char *mark = getenv("EGRET_MARK");
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	char word[16];

	inet_pton(AF_INET, "10.77.0.3", &to.sin_addr);
	if (mark && fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 &&
	    send(fd, mark, strlen(mark), MSG_NOSIGNAL) > 0 && recv(fd, word, sizeof(word), 0) < 0)
		_exit(1);
	close(fd);
}
