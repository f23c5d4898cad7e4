/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A main() for a fuzz target without libFuzzer: runs every file of the corpus folders it is given, each also cut
 * short at many lengths and with bytes flipped by a fixed generator, so that plain and sanitized test runs walk the
 * decoders' error paths the same way every time. Each input lies in memory of exactly its size.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

#define CUTS 64
#define FLIPS 192
#define LARGEST_INPUT (1u << 20)
#define SECONDS_PER_INPUT 10

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *current;

static void too_slow(int signo)
{
	static const char text[] = "an input took too long: ";

	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0 ||
	    write(STDERR_FILENO, current, strlen(current)) < 0 || write(STDERR_FILENO, "\n", 1) < 0)
		_exit(2);
	_exit(1);
}

static uint64_t next(uint64_t *state)
{
	/* splitmix64 */
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* A copy that ends where its memory ends: a sanitizer sees the first byte read past it. */
static void run(const uint8_t *data, size_t n)
{
	_cleanup_free_ uint8_t *copy = malloc(n ? n : 1);

	if (!copy)
		abort();
	if (n)
		memcpy(copy, data, n);
	alarm(SECONDS_PER_INPUT);
	LLVMFuzzerTestOneInput(copy, n);
	alarm(0);
}

static void run_mutations(const uint8_t *data, size_t n)
{
	_cleanup_free_ uint8_t *changed = malloc(n ? n : 1);
	uint64_t state = n;

	if (!changed)
		abort();
	for (size_t i = 0; i < CUTS && i < n; i++)
		run(data, n <= CUTS ? i : n * i / CUTS);
	for (size_t i = 0; i < FLIPS && n; i++) {
		memcpy(changed, data, n);
		for (size_t k = 0; k <= i / 64; k++) {
			uint64_t r = next(&state);

			changed[(r >> 8) % n] = i & 1 ? (uint8_t)r : 0xff;
		}
		run(changed, n);
	}
}

static int run_file(const char *path)
{
	_cleanup_fclose_ FILE *f = fopen(path, "rb");
	_cleanup_free_ uint8_t *data = malloc(LARGEST_INPUT);
	size_t n;

	if (!f || !data) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return -EIO;
	}
	n = fread(data, 1, LARGEST_INPUT, f);
	current = path;
	run(data, n);
	run_mutations(data, n);
	return 0;
}

/* The number of files, or -errno. */
static int run_folder(const char *folder)
{
	struct dirent **names;
	int n = scandir(folder, &names, NULL, alphasort), files = 0, r = 0;

	if (n < 0) {
		fprintf(stderr, "%s: %s\n", folder, strerror(errno));
		return -errno;
	}
	for (int i = 0; i < n; i++) {
		char path[4096];
		struct stat st;

		snprintf(path, sizeof(path), "%s/%s", folder, names[i]->d_name);
		free(names[i]);
		if (r < 0 || stat(path, &st) < 0 || !S_ISREG(st.st_mode))
			continue;
		r = run_file(path);
		files++;
	}
	free(names);
	return r < 0 ? r : files;
}

int main(int argc, char **argv)
{
	int total = 0;

	signal(SIGALRM, too_slow);
	for (int i = 1; i < argc; i++) {
		int files = run_folder(argv[i]);

		if (files < 0)
			return EXIT_FAILURE;
		total += files;
	}
	printf("%d files\n", total);
	if (!total)
		fputs("the corpus is empty\n", stderr);
	return total ? EXIT_SUCCESS : EXIT_FAILURE;
}
