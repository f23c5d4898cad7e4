/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/read_feeds.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/time.h"
#include "detect/intel_build.h"
#include "detect/intel_feeds.h"

/* Feeds, the snapshot, what the builder puts beside them, and an empty folder of downloads. */
static void remove_folder(const char *path)
{
	char cache[PATH_MAX];
	struct dirent *e;
	DIR *dir;

	intel_cache_path(path, cache);
	rmdir(cache);
	dir = opendir(path);
	while (dir && (e = readdir(dir)))
		unlinkat(dirfd(dir), e->d_name, 0);
	if (dir)
		closedir(dir);
	rmdir(path);
}

static int add(const char *folder, const char *spec, size_t number)
{
	_cleanup_buf_ struct buf messages = BUF_INIT(4096);
	struct intel_feed f = INTEL_FEED_INIT;
	const char *equals = strchr(spec, '='), *path = spec;
	char full[PATH_MAX];
	int r;

	if (equals && intel_class_parse((struct str){ spec, (size_t)(equals - spec) }, &f.class))
		path = equals + 1;
	if (!realpath(path, full))
		return log_errno(errno, "--intel %s", path);
	snprintf(f.name, sizeof(f.name), "%zu-%.40s", number, strrchr(full, '/') + 1);
	for (char *c = f.name; *c; c++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.",
			    *c))
			*c = '_';
	if ((size_t)snprintf(f.where, sizeof(f.where), "%s", full) >= sizeof(f.where))
		return log_errno(ENAMETOOLONG, "--intel %s", path);
	r = intel_feeds_add(folder, &f, &messages);
	if (r < 0)
		log_error("--intel %s: %s%.*s", path, messages.n ? "" : strerror(-r),
			  STR_FMT(buf_str(&messages)));
	return r;
}

static void say_what_failed(const struct intel_index *ix)
{
	struct intel_feed_state st;

	for (uint32_t i = 0; intel_index_feed(ix, i, &st); i++)
		if (st.error || st.bad)
			log_warn("feed %.*s: %s%.*s", STR_FMT(st.name),
				 st.error ? "cannot be read: "
					  : "lines not understood, the first: ",
				 STR_FMT(st.why));
}

static int build(const char *folder, char **specs, size_t n, struct intel_index **ret)
{
	char path[PATH_MAX], why[256] = "";
	struct intel_built built;
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = add(folder, specs[i], i + 1);
	if (r < 0)
		return r;
	r = intel_build(folder, (int64_t)(time_now() / NSEC_PER_SEC), &built, why);
	if (r < 0)
		return log_errno(r, "the feeds cannot be built: %s", why);
	intel_snapshot_path(folder, path);
	r = intel_index_open(ret, path, INTEL_OPEN_QUICK);
	if (r < 0)
		return log_errno(r, "the feeds cannot be read");
	say_what_failed(*ret);
	return 0;
}

int read_feeds(struct intel_slot **ret, char **specs, size_t n)
{
	const char *tmp = getenv("TMPDIR");
	char folder[PATH_MAX];
	struct intel_index *ix = NULL;
	int r;

	snprintf(folder, sizeof(folder), "%s/egret-intel-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(folder))
		return log_errno(errno, "cannot make a folder for the feeds");
	r = build(folder, specs, n, &ix);
	remove_folder(folder); /* what is mapped stays */
	if (r == 0)
		r = intel_slot_new(ret);
	if (r == 0)
		intel_slot_set(*ret, ix);
	else
		intel_index_free(ix);
	return r;
}
