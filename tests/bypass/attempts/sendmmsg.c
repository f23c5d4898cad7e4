/* SPDX-License-Identifier: Apache-2.0 */
/* Several datagrams in one call, the allowed server's first, the forbidden one in the middle: sendmmsg MARK PORT. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
	static const char *const hosts[] = { "10.77.0.2", "10.77.0.3", "10.77.0.2" };
	struct mmsghdr messages[3] = { 0 };
	struct sockaddr_in to[3] = { 0 };
	struct iovec data[3];
	int fd = socket(AF_INET, SOCK_DGRAM, 0), sent = 0;

	if (argc < 3 || fd < 0)
		return 2;
	for (int i = 0; i < 3; i++) {
		to[i].sin_family = AF_INET;
		to[i].sin_port = htons(i == 1 ? (uint16_t)strtoul(argv[2], NULL, 10) : 7002);
		inet_pton(AF_INET, hosts[i], &to[i].sin_addr);
		data[i] =
			(struct iovec){ i == 1 ? argv[1] : "hello", i == 1 ? strlen(argv[1]) : 5 };
		messages[i].msg_hdr = (struct msghdr){ .msg_name = &to[i],
						       .msg_namelen = sizeof(to[i]),
						       .msg_iov = &data[i],
						       .msg_iovlen = 1 };
	}
	/* after a message that was refused go on with the next */
	while (sent < 3) {
		int n = sendmmsg(fd, messages + sent, (unsigned int)(3 - sent), 0);

		if (n < 0)
			perror("sendmmsg");
		sent += n > 0 ? n : 1;
	}
	return 0;
}
