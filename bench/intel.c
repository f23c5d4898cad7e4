/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an index of threat intelligence costs: built from feeds of text in a child, its size, and the time of a question that
 * finds and of one that does not, warm and with every line of the snapshot flushed from the caches. Beside it, in the same run
 * and from the same questions, an open-addressed table of 64-bit hashes (12 bytes a slot, filled to at most 0.6). One row of
 * JSON for each measurement. Usage: bench-intel FOLDER INDICATORS
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/time.h"
#include "detect/intel_build.h"
#include "detect/intel_feeds.h"
#include "detect/intel_file.h"
#include "detect/intel_map.h"

#define QUESTIONS 50000
#define COLD_BATCH 10000 /* questions between two flushes: few lines are met twice */
#define LINE 64

/* Of a hundred indicators. */
enum { NAMES = 55, ADDRESSES = 25, PORTS = 8, SIXES = 2, URLS = 7, HASHES = 2, RANGES = 1 };

struct peer {
	uint8_t *slots;
	size_t n; /* a power of two */
};

struct question {
	enum { ASK_NAME, ASK_ADDR, ASK_URL, ASK_HASH } kind;
	struct addr addr;
	uint16_t port;
	uint8_t n, path_at;
	char text[70];
};

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 31) * 0x7fb5d329728ea185ULL;
	x = (x ^ x >> 27) * 0x81dadef4bc2dd44dULL;
	return x ^ x >> 33;
}

/* Indicator `i`: what kind is told by i % 100. Beyond the number of indicators: what is not listed. */
static void draw(uint64_t i, struct question *q)
{
	uint64_t x = mix(i + 1), y = mix(x);
	unsigned kind = (unsigned)(i % 100), ip = (unsigned)(x % 0xc0000000U) + 0x0b000000U;

	memset(q, 0, sizeof(*q));
	if (kind < NAMES) {
		q->kind = ASK_NAME;
		q->n = (uint8_t)snprintf(q->text, sizeof(q->text), "%s%08x.example%03x.com",
					 i % 3 ? "" : "www.", (unsigned)x, (unsigned)(y & 0xfff));
	} else if (kind < NAMES + ADDRESSES + PORTS) {
		q->kind = ASK_ADDR;
		q->addr = addr_from_v4(&(uint32_t){ __builtin_bswap32(ip) });
		q->port = kind < NAMES + ADDRESSES ? 0 : (uint16_t)(1 + y % 65000);
	} else if (kind < NAMES + ADDRESSES + PORTS + SIXES) {
		uint64_t six[2] = { x, y };

		q->kind = ASK_ADDR;
		q->addr = addr_from_v6(six);
		q->addr.b[0] = 0x20;
		q->addr.b[1] = 1;
	} else if (kind < NAMES + ADDRESSES + PORTS + SIXES + URLS) {
		q->kind = ASK_URL;
		q->path_at = (uint8_t)snprintf(q->text, sizeof(q->text), "u%08x.example.net",
					       (unsigned)x);
		q->n = (uint8_t)(q->path_at + snprintf(q->text + q->path_at,
						       sizeof(q->text) - q->path_at, "/a/%x/b.php",
						       (unsigned)y));
	} else {
		q->kind = ASK_HASH;
		q->n = (uint8_t)snprintf(q->text, sizeof(q->text), "%016llx%016llx%08x",
					 (unsigned long long)x, (unsigned long long)y,
					 (unsigned)mix(y));
	}
}

/* --- feeds ---------------------------------------------------------------------------------------------------------- */

static int write_feeds(const char *folder, uint64_t n)
{
	static const char *const names[] = { "plain", "ports", "certs" };
	FILE *files[ARRAY_SIZE(names)];
	char path[PATH_MAX], text[ADDR_TEXT_MAX];
	FILE *feeds;
	int r = 0;

	snprintf(path, sizeof(path), "%s/feeds", folder);
	feeds = fopen(path, "we");
	if (!feeds)
		return -errno;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		fprintf(feeds, "feed %s file \"%s/%s.txt\" class c2\n", names[i], folder, names[i]);
		snprintf(path, sizeof(path), "%s/%s.txt", folder, names[i]);
		files[i] = fopen(path, "we");
		if (!files[i])
			return -errno;
	}
	fprintf(files[1], "first_seen,ip,port,malware,confidence\n");
	fprintf(files[2], "# Listingdate,SHA1,Listingreason\n");
	for (uint64_t i = 0; i < n; i++) {
		unsigned kind = (unsigned)(i % 100);
		struct question q;

		draw(i, &q);
		if (q.kind == ASK_HASH && kind >= 100 - RANGES)
			fprintf(files[0], "%u.%u.%u.0/24\n", 203 + (unsigned)(i / 100 >> 16 & 7),
				(unsigned)(i / 100 >> 8 & 255), (unsigned)(i / 100 & 255));
		else if (q.kind == ASK_HASH)
			fprintf(files[2], "2026-%02u-01 00:00:00,%s,Family %u C&C\n",
				(unsigned)(1 + mix(i) % 11), q.text, (unsigned)(mix(i) % 300));
		else if (q.kind == ASK_ADDR && q.port)
			fprintf(files[1], "2026-%02u-%02u,%s,%u,Family %u,%u\n",
				(unsigned)(1 + mix(i) % 11), (unsigned)(1 + mix(i) % 28),
				addr_format(&q.addr, text), q.port, (unsigned)(mix(i) % 50),
				(unsigned)(50 + mix(i) % 3 * 25));
		else if (q.kind == ASK_ADDR)
			fprintf(files[0], "%s\n", addr_format(&q.addr, text));
		else
			fprintf(files[0], "%s%s # Family %u\n", q.kind == ASK_URL ? "http://" : "",
				q.text, (unsigned)(mix(i) % 2000));
	}
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		r = fclose(files[i]) ? -EIO : r;
	return fclose(feeds) ? -EIO : r;
}

/* --- questions ------------------------------------------------------------------------------------------------------ */

static bool ask(const struct intel_index *ix, const struct question *q)
{
	struct str text = { q->text, q->n };
	struct intel_hit hit;

	switch (q->kind) {
	case ASK_NAME:
		return intel_name(ix, text, 443, &hit);
	case ASK_ADDR:
		return intel_addr(ix, &q->addr, q->port ? q->port : 443, &hit);
	case ASK_URL:
		return intel_url(ix, str_sub(text, 0, q->path_at), 80,
				 str_sub(text, q->path_at, text.n), &hit);
	case ASK_HASH:
		return intel_hash(ix, INTEL_CERT, text, &hit);
	}
	return false;
}

static uint64_t peer_hash(const struct question *q, size_t from)
{
	return q->kind == ASK_ADDR ? hash_bytes(q->addr.b, 16, 1)
				   : hash_bytes(q->text + from, q->n - from, 1);
}

static uint8_t *peer_slot(const struct peer *p, uint64_t hash, bool *ret_found)
{
	uint64_t there;

	for (size_t i = hash & (p->n - 1);; i = (i + 1) & (p->n - 1)) {
		memcpy(&there, p->slots + 12 * i, 8);
		*ret_found = there == hash;
		if (!there || there == hash)
			return p->slots + 12 * i;
	}
}

/* The same questions: an address once, a name and each name above it of two labels and more, a URL at each '/'. */
static bool ask_peer(const struct peer *p, const struct question *q)
{
	bool found;

	if (q->kind == ASK_NAME) {
		for (size_t at = 0; at < q->n;) {
			const char *dot = memchr(q->text + at, '.', q->n - at);

			if (!dot)
				return false;
			peer_slot(p, peer_hash(q, at), &found);
			if (found)
				return true;
			at = (size_t)(dot - q->text) + 1;
		}
		return false;
	}
	if (q->kind == ASK_URL) {
		for (size_t n = q->n; n > q->path_at;
		     n = (size_t)((char *)memrchr(q->text, '/', n) - q->text)) {
			peer_slot(p, hash_bytes(q->text, n, 1), &found);
			if (found)
				return true;
		}
		return false;
	}
	peer_slot(p, peer_hash(q, 0), &found);
	return found;
}

static int fill_peer(struct peer *p, uint64_t n)
{
	p->n = 1024;
	while ((double)n / (double)p->n > 0.6)
		p->n *= 2;
	p->slots = calloc(p->n, 12);
	if (!p->slots)
		return -ENOMEM;
	for (uint64_t i = 0; i < n; i++) {
		struct question q;
		uint64_t hash;
		bool found;

		draw(i, &q);
		hash = peer_hash(&q, 0);
		memcpy(peer_slot(p, hash, &found), &hash, 8);
	}
	return 0;
}

/* --- time ----------------------------------------------------------------------------------------------------------- */

static bool can_flush(void)
{
#ifdef __x86_64__
	return true;
#else
	return false;
#endif
}

static void flush(const void *p, size_t n)
{
#ifdef __x86_64__
	for (size_t i = 0; i < n; i += LINE)
		__builtin_ia32_clflush((const char *)p + i);
	__builtin_ia32_mfence();
#endif
}

struct timed {
	double ns;
	uint64_t found;
};

/* The machine is shared: what others had of the core is not counted. */
static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * NSEC_PER_SEC + (uint64_t)t.tv_nsec;
}

static struct timed time_all(const struct intel_index *ix, const struct peer *p,
			     const struct question *q, bool cold)
{
	const void *memory = p ? (const void *)p->slots : ix->map;
	size_t bytes = p ? 12 * p->n : ix->bytes;
	struct timed t = { 0 };
	uint64_t took = 0;

	for (size_t i = 0; i < QUESTIONS; i += COLD_BATCH) {
		uint64_t from;

		if (cold)
			flush(memory, bytes);
		from = cpu_ns();
		for (size_t k = i; k < i + COLD_BATCH; k++)
			t.found += p ? ask_peer(p, &q[k]) : ask(ix, &q[k]);
		took += cpu_ns() - from;
	}
	t.ns = (double)took / QUESTIONS;
	return t;
}

static void time_questions(const struct intel_index *ix, const struct peer *p, uint64_t n)
{
	static struct question questions[QUESTIONS];
	static const char *const words[] = { "name", "address", "URL", "certificate", "all" };
	static const unsigned firsts[] = { 0, NAMES, 100 - RANGES - HASHES - URLS,
					   100 - RANGES - HASHES, 0 };
	static const unsigned counts[] = { NAMES, ADDRESSES + PORTS + SIXES, URLS, HASHES,
					   100 - RANGES };

	for (size_t kind = 0; kind < ARRAY_SIZE(words); kind++)
		for (int hit = 1; hit >= 0; hit--)
			for (int cold = 0; cold <= can_flush(); cold++) {
				struct timed ours, theirs;

				for (uint64_t i = 0; i < QUESTIONS; i++) {
					uint64_t at = mix(i ^ 0x5555) % (n / 100) * 100 +
						      firsts[kind] + mix(i) % counts[kind];

					draw(hit ? at : at + ((uint64_t)1 << 40) / 100 * 100,
					     &questions[i]);
				}
				time_all(ix, NULL, questions, false);
				ours = time_all(ix, NULL, questions, cold);
				theirs = time_all(ix, p, questions, cold);
				printf("{\"row\": \"question\", \"indicators\": %llu, \"of\": "
				       "\"%s\", \"hit\": %s, "
				       "\"cold\": %s, \"ns\": %.1f, \"found\": %llu, \"peer_ns\": "
				       "%.1f, "
				       "\"peer_found\": %llu, \"asked\": %d}\n",
				       (unsigned long long)n, words[kind], hit ? "true" : "false",
				       cold ? "true" : "false", ours.ns,
				       (unsigned long long)ours.found, theirs.ns,
				       (unsigned long long)theirs.found, QUESTIONS);
			}
}

static long resident_kib(void)
{
	unsigned long size, resident;
	FILE *f = fopen("/proc/self/statm", "re");
	int r = f ? fscanf(f, "%lu %lu", &size, &resident) : 0;

	if (f)
		fclose(f);
	return r == 2 ? (long)resident * (sysconf(_SC_PAGESIZE) / 1024) : -1;
}

static int build_apart(const char *folder, uint64_t n)
{
	struct rusage usage;
	uint64_t from = time_now_boot();
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return -errno;
	if (!pid) {
		struct intel_built built;
		char why[256];
		int r = intel_build(folder, 1796000000, &built, why);

		if (r < 0)
			fprintf(stderr, "%s\n", why);
		else
			fprintf(stderr, "%llu entries, %llu merged, %llu unusable, %llu bad\n",
				(unsigned long long)built.entries, (unsigned long long)built.merged,
				(unsigned long long)built.unusable, (unsigned long long)built.bad);
		_exit(r < 0);
	}
	if (wait4(pid, &status, 0, &usage) < 0)
		return -errno;
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		return -EIO;
	printf("{\"row\": \"build\", \"indicators\": %llu, \"s\": %.2f, \"peak_mb\": %.1f}\n",
	       (unsigned long long)n, (double)(time_now_boot() - from) / 1e9,
	       (double)usage.ru_maxrss * 1024 / 1e6);
	return 0;
}

static int measure(const char *folder, uint64_t n)
{
	struct intel_index *ix = NULL;
	struct peer peer = { 0 };
	uint64_t t0, t1, t2;
	char path[PATH_MAX];
	long before, after;
	int r;

	intel_snapshot_path(folder, path);
	before = resident_kib();
	t0 = time_now_boot();
	r = intel_index_open(&ix, path, INTEL_OPEN_QUICK);
	t1 = time_now_boot();
	if (r < 0)
		return r;
	intel_index_free(ix);
	ix = NULL;
	t2 = time_now_boot();
	r = intel_index_open(&ix, path, INTEL_OPEN_CHECKED);
	if (r < 0)
		return r;
	after = resident_kib();
	printf("{\"row\": \"open\", \"indicators\": %llu, \"file_mb\": %.2f, \"resident_mb\": "
	       "%.2f, \"quick_ms\": %.3f, "
	       "\"checked_ms\": %.1f}\n",
	       (unsigned long long)n, (double)ix->bytes / 1e6,
	       (double)(after - before) * 1024 / 1e6, (double)(t1 - t0) / 1e6,
	       (double)(time_now_boot() - t2) / 1e6);
	r = fill_peer(&peer, n);
	if (r < 0)
		return r;
	printf("{\"row\": \"peer\", \"indicators\": %llu, \"mb\": %.2f}\n", (unsigned long long)n,
	       12.0 * (double)peer.n / 1e6);
	time_questions(ix, &peer, n);
	free(peer.slots);
	intel_index_free(ix);
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t n;
	int r;

	if (argc != 3 || str_parse_u64(str_of(argv[2]), &n) < 0 || n < 1000) {
		fprintf(stderr, "usage: bench-intel FOLDER INDICATORS\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	r = write_feeds(argv[1], n);
	if (r == 0)
		r = build_apart(argv[1], n);
	if (r == 0)
		r = measure(argv[1], n);
	if (r < 0)
		fprintf(stderr, "%s\n", strerror(-r));
	return r < 0;
}
