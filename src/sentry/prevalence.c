/* SPDX-License-Identifier: Apache-2.0 */
/* What a fleet contacts: the file that the sender fetches (store/ship_fleet.h), read again when it changed, and not believed when it is old. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/time.h"
#include "detect/prevalence.h"
#include "sentry/internal.h"

#define LOOK_EVERY_NS (30 * NSEC_PER_SEC)

/* 0: it is what it was; 1: it was read; -errno. */
static int look(struct sentry *s, struct prevalence **ret)
{
	_cleanup_buf_ struct buf text = BUF_INIT(PREVALENCE_BYTES_MAX + FILE_READ_MORE);
	_cleanup_close_ int folder = file_open_folder(s->fleet.folder);
	struct stat st;
	int r;

	if (folder < 0)
		return folder;
	if (fstatat(folder, PREVALENCE_FILE, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (st.st_ino == s->fleet.inode && st.st_mtim.tv_sec == s->fleet.changed.tv_sec &&
	    st.st_mtim.tv_nsec == s->fleet.changed.tv_nsec)
		return 0;
	r = file_read(folder, PREVALENCE_FILE, &text);
	if (r == 0)
		r = prevalence_parse(ret, buf_str(&text));
	if (r == 0 ||
	    r == -EBADMSG) { /* what is damaged is damaged until another takes its place */
		s->fleet.inode = st.st_ino;
		s->fleet.changed = st.st_mtim;
	}
	return r < 0 ? r : 1;
}

static const char *problem_words(int r)
{
	return r == -EBADMSG ? "it is damaged" : r < 0 ? strerror(-r) : NULL;
}

/* Or of a clock that cannot be right. */
static bool is_stale(const struct sentry *s)
{
	uint64_t time_s = s->fleet.head.time_s, now_s = s->cfg.now() / NSEC_PER_SEC;

	return time_s + PREVALENCE_STALE_S < now_s || time_s > now_s + PREVALENCE_STALE_S;
}

static void take(struct sentry *s, struct prevalence *p)
{
	s->fleet.head = *prevalence_head(p);
	s->fleet.used = !is_stale(s);
	if (!s->fleet.used)
		p = prevalence_free(p);
	detect_set_prevalence(s->detect, p);
}

void prevalence_tick(struct sentry *s)
{
	struct prevalence *p;
	int r;

	if (!s->fleet.folder[0] || s->cfg.now() < s->fleet.due_ns)
		return;
	s->fleet.due_ns = s->cfg.now() + LOOK_EVERY_NS;
	r = look(s, &p);
	if (r > 0)
		take(s, p);
	else if (r < 0 && r != -ENOENT && r != s->fleet.problem)
		log_warn("what the fleet contacts cannot be read from %s/" PREVALENCE_FILE
			 ": %s; what was there before stays",
			 s->fleet.folder, problem_words(r));
	if (r)
		s->fleet.problem = r > 0 || r == -ENOENT ? 0 : r;
	if (s->fleet.used && is_stale(s)) {
		s->fleet.used = false;
		detect_set_prevalence(s->detect, NULL);
	}
}

void prevalence_each(const struct sentry *s, feed_health_fn fn, void *ctx)
{
	const struct prevalence_head *h = &s->fleet.head;
	struct feed_health f = {
		.kind = "fleet",
		.name = STR(PREVALENCE_FILE),
		.from = str_of(s->fleet.folder),
		.entries = h->domains,
		.age_s = h->time_s ? (int64_t)(s->cfg.now() / NSEC_PER_SEC - h->time_s) : -1,
		.expired = !s->fleet.used,
		.problem = str_of(problem_words(s->fleet.problem))
	};

	if (h->time_s || s->fleet.problem)
		fn(ctx, &f);
}

void prevalence_status(const struct sentry *s, struct json *j)
{
	const struct prevalence_head *h = &s->fleet.head;
	char text[TIME_TEXT_MAX];

	if (!h->time_s)
		return;
	json_object_begin(j, "fleet");
	json_u64(j, "hosts", h->hosts);
	json_u64(j, "domains", h->domains);
	json_u64(j, "least", h->least);
	json_u64(j, "days", h->days);
	json_text(j, "as_of", time_format(h->time_s * NSEC_PER_SEC, text));
	json_bool(j, "used", s->fleet.used);
	json_object_end(j);
}
