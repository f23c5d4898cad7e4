/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a policy costs in user space: from text (its own and its lists') to the image, the image's size, the memory on the
 * way, and the evaluator's time for a verdict. One row of JSON for each size, each in a process of its own.
 * Usage: bench-policy [RULES ADDRESSES NAMES]; all sizes without.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/time.h"
#include "policy/image.h"
#include "policy/list.h"

#define SUBJECTS 4096
#define VERDICTS 400000

struct size {
	uint64_t rules, addresses, names;
};

static uint64_t next(uint64_t *state)
{
	*state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
	return *state >> 16;
}

static void put_lists(struct buf *b, const struct size *size)
{
	uint64_t state = 1;

	for (uint64_t i = 0; i < size->addresses; i++) {
		uint64_t x = next(&state);

		if (i % 8)
			buf_printf(b, "%u.%u.%u.%u\n", (unsigned)(1 + x % 220),
				   (unsigned)(x >> 8 & 255), (unsigned)(x >> 16 & 255),
				   (unsigned)(x >> 24 & 255));
		else
			buf_printf(b, "2001:db8:%x:%x::%x\n", (unsigned)(x & 0xffff),
				   (unsigned)(x >> 16 & 0xffff), (unsigned)(x >> 32 & 0xffff));
	}
	for (uint64_t i = 0; i < size->names; i++)
		buf_printf(b, "h%llx.d%llu.example.net\n",
			   (unsigned long long)(next(&state) & 0xffffffff),
			   (unsigned long long)(i % 1000));
}

static void put_policy(struct buf *b, const struct size *size)
{
	buf_puts(b, "resolvers 192.0.2.53\nlist big = file \"big\"\ndeny to list big\n");
	for (uint64_t i = 2; i < size->rules; i++)
		buf_printf(b,
			   "allow app \"/usr/bin/p%llu\" to n%llu.example.org, 10.%u.%u.0/24 port "
			   "%u\n",
			   (unsigned long long)i, (unsigned long long)i, (unsigned)(i / 256),
			   (unsigned)(i % 256), (unsigned)(1000 + i));
	buf_puts(b, "default deny\n");
}

static int load_list(void *ctx, const struct policy_list *l, struct list_sink sink,
		     struct list_report *report)
{
	const struct buf *b = ctx;

	return list_parse(LIST_PLAIN, buf_str(b), sink, report);
}

static void draw_subjects(struct policy_subject *s)
{
	static const char *const exes[] = { "/usr/bin/p7", "/usr/bin/p900",
					    "/usr/lib/firefox/firefox" };
	static const char *const names[] = { "n7.example.org", "h0.d1.example.net",
					     "www.example.com" };
	uint64_t state = 7;

	for (size_t i = 0; i < SUBJECTS; i++) {
		uint32_t x = (uint32_t)next(&state) | 1;

		s[i] = (struct policy_subject){
			.exe = str_of(exes[i % 3]),
			.uid_known = true,
			.uid = 1000,
			.local = addr_from_v4(&(uint32_t){ 0x0100000a }),
			.remote = addr_from_v4(&x),
			.proto = 6,
			.port = i % 2 ? 443 : 1007,
			.has_ports = true,
			.visible = EG_VISIBLE_NONE,
			.app = EG_APP_TLS,
			.n_names = 1,
			.unix_s = 1790000000,
		};
		s[i].names[0] = str_of(names[i / 3 % 3]);
	}
}

/* Nanoseconds each: facts to classes, and the verdict. */
static void time_verdicts(const struct policy_image *img, double *ret_classify, double *ret_verdict,
			  uint64_t *ret_denied)
{
	static struct policy_subject subjects[SUBJECTS];
	static struct eg_facts facts[SUBJECTS];
	struct eg_verdict v;
	uint64_t t0, t1, t2, denied = 0;

	draw_subjects(subjects);
	t0 = time_now_boot();
	for (size_t i = 0; i < VERDICTS; i++)
		policy_classify(img, &subjects[i % SUBJECTS], &facts[i % SUBJECTS]);
	t1 = time_now_boot();
	for (size_t i = 0; i < VERDICTS; i++)
		denied +=
			policy_evaluate(img, &facts[i % SUBJECTS], &v) == 0 && v.action == EG_DENY;
	t2 = time_now_boot();
	*ret_classify = (double)(t1 - t0) / VERDICTS;
	*ret_verdict = (double)(t2 - t1) / VERDICTS;
	*ret_denied = denied;
}

static double cpu_ms(const struct rusage *u)
{
	return (double)(u->ru_utime.tv_sec + u->ru_stime.tv_sec) * 1e3 +
	       (double)(u->ru_utime.tv_usec + u->ru_stime.tv_usec) / 1e3;
}

static int measure(const struct size *size)
{
	_cleanup_buf_ struct buf list = BUF_INIT((size_t)1 << 30), text = BUF_INIT(64 << 20),
				 messages = BUF_INIT(1 << 20);
	struct compile_config cfg = { .from_s = 1790000000,
				      .to_s = 1790000000 + 86400,
				      .load_list = load_list,
				      .load_ctx = &list };
	struct policy_image *img = NULL;
	struct policy *p = NULL;
	struct rusage before, after;
	double classify, verdict;
	uint64_t t0, t1, denied;
	size_t bytes;
	int r;

	put_lists(&list, size);
	put_policy(&text, size);
	getrusage(RUSAGE_SELF, &before);
	t0 = time_now_boot();
	r = policy_parse(&p, "bench", buf_str(&text), STR_NONE, &messages);
	if (r == 0)
		r = policy_compile(&img, p, &cfg, &messages);
	t1 = time_now_boot();
	getrusage(RUSAGE_SELF, &after);
	if (r < 0) {
		fprintf(stderr, "%.*s", STR_FMT(buf_str(&messages)));
		return r;
	}
	policy_image_bytes(img, &bytes);
	time_verdicts(img, &classify, &verdict, &denied);
	printf("{\"rules\": %llu, \"addresses\": %llu, \"names\": %llu, \"compile_ms\": %.1f, "
	       "\"cpu_ms\": %.1f, "
	       "\"memory_mib\": %.1f, \"image_mib\": %.1f, \"classify_ns\": %.0f, \"verdict_ns\": "
	       "%.0f, \"denied\": %llu}\n",
	       (unsigned long long)size->rules, (unsigned long long)size->addresses,
	       (unsigned long long)size->names, (double)(t1 - t0) / 1e6,
	       cpu_ms(&after) - cpu_ms(&before),
	       (double)(after.ru_maxrss - before.ru_maxrss) / 1024, (double)bytes / (1 << 20),
	       classify, verdict, (unsigned long long)denied);
	policy_image_free(img);
	policy_free(p);
	return 0;
}

static int measure_apart(const struct size *size)
{
	pid_t pid;
	int status;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		return -errno;
	if (!pid) {
		int r = measure(size);

		fflush(stdout);
		_exit(r < 0);
	}
	if (waitpid(pid, &status, 0) < 0)
		return -errno;
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -EIO;
}

int main(int argc, char **argv)
{
	static const struct size sizes[] = {
		{ 10, 1000, 1000 },       { 10, 100000, 100000 },     { 10, 1000000, 1000 },
		{ 10, 1000, 1000000 },    { 10, 1000000, 1000000 },   { 1000, 1000, 1000 },
		{ 1000, 100000, 100000 }, { 1000, 1000000, 1000000 }, { 4000, 1000, 1000 },
	};
	struct size one;

	if (argc == 4) {
		if (str_parse_u64(str_of(argv[1]), &one.rules) < 0 ||
		    str_parse_u64(str_of(argv[2]), &one.addresses) < 0 ||
		    str_parse_u64(str_of(argv[3]), &one.names) < 0)
			return 2;
		return measure(&one) < 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		if (measure_apart(&sizes[i]) < 0)
			return 1;
	return 0;
}
