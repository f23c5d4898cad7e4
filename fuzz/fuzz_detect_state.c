/* SPDX-License-Identifier: Apache-2.0 */
/*
 * STATE/detect with any bytes behind a good head: read or refused, a month lived with what was read, written again and read
 * again. Every reference must come back.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/time.h"
#include "detect/detect.h"

#define HEAD 28
#define T0 (1767225600ULL * NSEC_PER_SEC)
#define DAY (86400 * NSEC_PER_SEC)

static void on_finding(void *ctx, const struct finding *f)
{
	size_t *texts = ctx;

	*texts += f->entity.n + f->peer.n + f->explain.n + strlen(f->id) + f->n_evidence;
}

static struct detect *make(struct intern *texts, size_t max_pairs, size_t *seen)
{
	const struct detect_config cfg = { .vantage = DETECT_HOST,
					   .texts = texts,
					   .max_pairs = max_pairs,
					   .warm_up_ns = DETECT_WARM_UP_NS };
	struct detect *d;

	if (detect_new(&d, &cfg, (struct finding_out){ on_finding, seen }) < 0)
		abort();
	return d;
}

static void put_le(char *at, uint64_t v, int bytes)
{
	for (; bytes--; v >>= 8)
		*at++ = (char)v;
}

/* The magic is kept as it came: that, too, may be damaged. */
static void fix(struct buf *file)
{
	put_le(file->p + 12, file->n - HEAD, 8);
	put_le(file->p + 20, hash_bytes(file->p + HEAD, file->n - HEAD, 0), 8);
}

static void run(struct str file, size_t max_pairs)
{
	struct buf again = BUF_INIT(1 << 24);
	struct intern *texts;
	size_t seen = 0;
	struct detect *d;
	int r;

	if (intern_new(&texts, 1000) < 0)
		abort();
	d = make(texts, max_pairs, &seen);
	r = detect_load(d, file);
	if (r < 0 && r != -EBADMSG)
		abort();
	if (r == 0) {
		detect_tick(d, T0);
		detect_each(d, true, (struct finding_out){ on_finding, &seen });
		detect_tick(d, T0 + 2 * DAY);
		detect_tick(d, T0 + 40 * DAY);
		if (detect_save(d, &again) < 0)
			abort();
	}
	detect_free(d);
	if (again.n) {
		d = make(texts, 0, &seen);
		if (detect_load(d, buf_str(&again)) < 0)
			abort(); /* what was written must be readable */
		detect_free(d);
	}
	if (intern_count(texts))
		abort();
	intern_free(texts);
	buf_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf file = BUF_INIT(1 << 24);

	buf_put(&file, data, size);
	if (size >= HEAD)
		fix(&file);
	run(buf_str(&file), 0);
	run(buf_str(&file), 2);
	buf_done(&file);
	return 0;
}
