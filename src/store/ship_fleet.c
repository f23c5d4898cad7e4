/* SPDX-License-Identifier: Apache-2.0 */
#include "store/ship_fleet.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/time.h"
#include "detect/prevalence.h"

#define PREVALENCE_EVERY_NS (3600 * NSEC_PER_SEC)
#define PREVALENCE_AGAIN_NS (600 * NSEC_PER_SEC) /* after a failure */
#define LATER_NS (60 * NSEC_PER_SEC)
#define OTHERS_MAX (16U << 10)
#define OTHERS_EVERY_NS (300 * NSEC_PER_SEC)

struct download {
	int fd, error;
	size_t n, most;
};

static bool on_part(void *ctx, struct str part)
{
	struct download *d = ctx;

	d->n += part.n;
	d->error = d->n > d->most ? -EFBIG : file_write_all(d->fd, part);
	return d->error == 0;
}

/* The file becomes `head` and what the question is answered with; the spool removes what a killed process left beside it. */
static int download(struct clickhouse_http *http, int folder, const char *name, struct str head,
		    const char *query, size_t most, char why[SHIP_WHY_MAX])
{
	char beside[64];
	struct download d = { .most = most };
	_cleanup_close_ int fd = -1;
	int r;

	snprintf(beside, sizeof(beside), "%s.new", name);
	fd = openat(folder, beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	d.fd = fd;
	if (fd < 0)
		d.error = -errno;
	else
		on_part(&d, head);
	r = d.error ?: clickhouse_http_ask(http, str_of(query), on_part, &d, why);
	if (r == 0 && !d.error && renameat(folder, beside, folder, name) < 0)
		d.error = -errno;
	if (d.error)
		snprintf(why, SHIP_WHY_MAX, "what comes back of the fleet cannot be kept: %s",
			 strerror(-d.error));
	if (r < 0 || d.error)
		unlinkat(folder, beside, 0);
	return r < 0 || d.error ? -EIO : 0;
}

static int fetch_prevalence(struct ship_fleet *f, struct clickhouse_http *http, int folder,
			    char why[SHIP_WHY_MAX])
{
	int r = clickhouse_http_post(http, SHIP_PREVALENCE_HEAD, STR_NONE, "", why);
	struct str answer = clickhouse_http_answer(http), field;
	char head[128], query[256];
	uint64_t newest;

	if (r < 0 || !answer.n) /* nobody has made one */
		return r;
	snprintf(head, sizeof(head), "%.*s", STR_FMT(answer));
	if (answer.n >= sizeof(head) || !str_cut(&answer, '\t', &field) ||
	    str_parse_u64(field, &newest) < 0) {
		snprintf(why, SHIP_WHY_MAX, "what the fleet contacts is told in no known form");
		return -EIO;
	}
	if (newest == f->prevalence_s)
		return 0;
	snprintf(query, sizeof(query), SHIP_PREVALENCE_ROWS, newest);
	r = download(http, folder, PREVALENCE_FILE, str_of(head), query, PREVALENCE_BYTES_MAX, why);
	if (r == 0)
		f->prevalence_s = newest;
	return r;
}

bool ship_fleet_due(const struct ship_fleet *f)
{
	return time_now_boot() >= MIN(f->prevalence_ns, f->others_ns);
}

/* Many machines do not ask at the same moment. */
static uint64_t after(uint64_t ns)
{
	return time_now_boot() + ns + hash_random_seed() % (ns / 4);
}

void ship_fleet_later(struct ship_fleet *f)
{
	f->prevalence_ns = f->others_ns = after(LATER_NS);
}

const char *ship_fleet_fetch(struct ship_fleet *f, struct clickhouse_http *http, int folder)
{
	uint64_t now = time_now_boot();

	if (now >= f->prevalence_ns) {
		f->prevalence_why[0] = 0;
		f->prevalence_ns = after(fetch_prevalence(f, http, folder, f->prevalence_why) < 0
						 ? PREVALENCE_AGAIN_NS
						 : PREVALENCE_EVERY_NS);
	}
	if (now >= f->others_ns) {
		f->others_why[0] = 0;
		download(http, folder, SHIP_OTHERS_FILE, STR_NONE, SHIP_OTHERS, OTHERS_MAX,
			 f->others_why);
		f->others_ns = after(OTHERS_EVERY_NS);
	}
	return f->prevalence_why[0] ? f->prevalence_why : f->others_why;
}
