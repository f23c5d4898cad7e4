/* SPDX-License-Identifier: Apache-2.0 */
/* The allowed program, told by a debugger to send something else: ptrace COURIER ADDRESS PORT MARK. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

/* Where the stack of the process lies. */
static int find_stack(pid_t pid, unsigned long *from, unsigned long *to)
{
	char path[64], line[512];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	f = fopen(path, "r");
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f))
		if (strstr(line, "[stack]") && sscanf(line, "%lx-%lx", from, to) == 2) {
			fclose(f);
			return 0;
		}
	fclose(f);
	return -ENOENT;
}

int main(int argc, char **argv)
{
	unsigned long from = 0, to = 0;
	char path[64], *stack, *at, *placeholder;
	int status, fd;
	pid_t pid;

	if (argc < 5)
		return 2;
	placeholder = strdup(argv[4]);
	memset(placeholder, '#', strlen(placeholder));
	pid = fork();
	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		execl(argv[1], argv[1], "tcp", argv[2], argv[3], placeholder, (char *)NULL);
		_exit(127);
	}
	if (waitpid(pid, &status, 0) < 0 || !WIFSTOPPED(status) || find_stack(pid, &from, &to) < 0)
		return 1;
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_RDWR);
	stack = malloc(to - from);
	if (fd < 0 || !stack || pread(fd, stack, to - from, (off_t)from) != (ssize_t)(to - from))
		return 1;
	at = memmem(stack, to - from, placeholder, strlen(placeholder));
	if (!at ||
	    pwrite(fd, argv[4], strlen(argv[4]), (off_t)(from + (unsigned long)(at - stack))) < 0)
		return 1;
	ptrace(PTRACE_DETACH, pid, NULL, NULL);
	waitpid(pid, &status, 0);
	return status ? 1 : 0;
}
