/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lpm CGROUP: reads IPv4 addresses from stdin, one a line, puts them into the trie of lpm.bpf.c, attaches that to the
 * cgroup, prints how long it took, and stays until it is told to end.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bench/lpm.skel.h"

#define BATCH 65536

struct key {
	uint32_t bits, addr;
};

static struct key keys[BATCH];
static uint8_t values[BATCH];

static _Noreturn void die(const char *what)
{
	perror(what);
	exit(1);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void put(int map, uint32_t n)
{
	if (n && bpf_map_update_batch(map, keys, values, &n, NULL))
		die("the trie");
}

int main(int argc, char **argv)
{
	struct lpm_bpf *skel = lpm_bpf__open_and_load();
	int cgroup = argc == 2 ? open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	double start = now();
	struct bpf_link *link;
	uint32_t n = 0;
	char line[64];

	if (!skel || cgroup < 0)
		die("lpm CGROUP");
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = 0;
		if (inet_pton(AF_INET, line, &keys[n].addr) != 1)
			continue;
		keys[n++].bits = 32;
		if (n == BATCH) {
			put(bpf_map__fd(skel->maps.refused), n);
			n = 0;
		}
	}
	put(bpf_map__fd(skel->maps.refused), n);
	link = bpf_program__attach_cgroup(skel->progs.lpm_egress, cgroup);
	if (!link)
		die("attach");
	printf("attached after %.2f s\n", now() - start);
	fflush(stdout);
	pause();
	return 0;
}
