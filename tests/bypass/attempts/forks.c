/* SPDX-License-Identifier: Apache-2.0 */
/* So many processes, a few at a time: forks NUMBER. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	unsigned long n = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;

	while (n) {
		int alive = 0;

		for (; alive < 16 && n; alive++, n--) {
			pid_t pid = fork();

			if (pid == 0)
				_exit(0);
			if (pid < 0)
				return 1;
		}
		while (alive--)
			wait(NULL);
	}
	return 0;
}
