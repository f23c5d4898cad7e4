/* SPDX-License-Identifier: Apache-2.0 */
#include "store/ship_prevalence.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "detect/prevalence.h"

#define BESIDE PREVALENCE_FILE ".new" /* the spool removes what a killed process left */

struct download {
	int fd, error;
	size_t n;
};

static bool on_part(void *ctx, struct str part)
{
	struct download *d = ctx;

	d->n += part.n;
	d->error = d->n > PREVALENCE_BYTES_MAX ? -EFBIG : file_write_all(d->fd, part);
	return d->error == 0;
}

static int download(struct clickhouse_http *http, int fd, struct str head, uint64_t time_s,
		    char why[SHIP_WHY_MAX])
{
	struct download d = { .fd = fd };
	char query[256];
	int r;

	on_part(&d, head);
	snprintf(query, sizeof(query), SHIP_PREVALENCE_ROWS, time_s);
	r = d.error ?: clickhouse_http_ask(http, str_of(query), on_part, &d, why);
	if (d.error) {
		snprintf(why, SHIP_WHY_MAX, "what the fleet contacts cannot be kept: %s",
			 strerror(-d.error));
		return -EIO;
	}
	return r;
}

int ship_prevalence_fetch(struct clickhouse_http *http, int folder, uint64_t *time_s,
			  char why[SHIP_WHY_MAX])
{
	_cleanup_close_ int fd = -1;
	struct str answer, field;
	char head[128];
	uint64_t newest;
	int r = clickhouse_http_post(http, SHIP_PREVALENCE_HEAD, STR_NONE, "", why);

	if (r < 0)
		return -EIO;
	answer = clickhouse_http_answer(http);
	if (!answer.n)
		return 0; /* nobody has made one */
	snprintf(head, sizeof(head), "%.*s", STR_FMT(answer));
	if (answer.n >= sizeof(head) || !str_cut(&answer, '\t', &field) ||
	    str_parse_u64(field, &newest) < 0) {
		snprintf(why, SHIP_WHY_MAX, "what the fleet contacts is told in no known form");
		return -EIO;
	}
	if (newest == *time_s)
		return 0;
	fd = openat(folder, BESIDE, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		snprintf(why, SHIP_WHY_MAX, "what the fleet contacts cannot be kept: %s",
			 strerror(errno));
		return -EIO;
	}
	r = download(http, fd, str_of(head), newest, why);
	if (r == 0 && renameat(folder, BESIDE, folder, PREVALENCE_FILE) < 0) {
		snprintf(why, SHIP_WHY_MAX, "what the fleet contacts cannot be kept: %s",
			 strerror(errno));
		r = -EIO;
	}
	if (r < 0) {
		unlinkat(folder, BESIDE, 0);
		return -EIO;
	}
	*time_s = newest;
	return 1;
}
