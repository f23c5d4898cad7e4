/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking the publisher. The signature is asked for first: as long as it is the one that was dealt with, nothing is new. So
 * whoever publishes puts the bundle in its place first, then the signature, and no host ever sees half of a change.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/time.h"
#include "fleet/internal.h"
#include "policy/fetch.h"

#define FIRST_NS (5 * NSEC_PER_SEC)
#define AGAIN_MIN_S 1

struct work {
	const struct follow_settings *settings;
	struct str seen; /* the signature that is not news */
};

static int copy_file(const char *path, int fd, uint64_t most, char why[FETCH_WHY_MAX])
{
	_cleanup_close_ int from = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char block[65536];
	struct stat st;
	uint64_t sum = 0;
	ssize_t n;

	if (from < 0 || fstat(from, &st) < 0 || !S_ISREG(st.st_mode)) {
		snprintf(why, FETCH_WHY_MAX, "%.180s: %s", path,
			 from < 0 ? strerror(errno) : "it is no file");
		return -ENOENT;
	}
	while ((n = read(from, block, sizeof(block))) > 0) {
		sum += (uint64_t)n;
		if (sum > most) {
			snprintf(why, FETCH_WHY_MAX, "it is larger than %llu KiB",
				 (unsigned long long)most >> 10);
			return -EFBIG;
		}
		if (file_write_all(fd, (struct str){ block, (size_t)n }) < 0)
			return -ENOMEM;
	}
	return n < 0 ? -errno : 0;
}

static int get_one(const struct work *w, const char *suffix, int fd, uint64_t most,
		   char why[FETCH_WHY_MAX])
{
	const struct follow_settings *s = w->settings;
	struct fetch_limits limits = {
		.connect_s = 10, .stall_s = 20, .total_s = 120, .bytes = most
	};
	struct fetch_get get = { .ca = s->ca[0] ? s->ca : NULL, .fd = fd };
	char place[PATH_MAX];
	struct stat st;
	bool folder = s->from[0] == '/' && stat(s->from, &st) == 0 && S_ISDIR(st.st_mode);

	if ((size_t)snprintf(place, sizeof(place), "%s%s%s", s->from,
			     folder ? "/" FLEET_BUNDLE_NAME : "", suffix) >= sizeof(place)) {
		snprintf(why, FETCH_WHY_MAX, "its name is too long");
		return -ENAMETOOLONG;
	}
	if (s->from[0] == '/')
		return copy_file(place, fd, most, why);
	get.url = place;
	return MIN(fetch_get(&get, &limits, why), 0);
}

static int unpack(int fd, off_t from, uint64_t most, struct list_text *ret, char why[FETCH_WHY_MAX])
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	int r = copy < 0 ? -errno : lseek(copy, from, SEEK_SET) < 0 ? -errno : 0;

	if (r == 0)
		r = list_text_read(ret, copy, most);
	if (r < 0)
		snprintf(why, FETCH_WHY_MAX, "it cannot be unpacked, or is too large: %s",
			 strerror(-r));
	return r;
}

/* In the child: the signature's bytes, then those of the bundle, in `fd`. Bytes of the signature; 0: nothing is new. */
static int work(const void *arg, int fd, char why[FETCH_WHY_MAX])
{
	const struct work *w = arg;
	struct list_text signature = { 0 }, bundle = { 0 };
	off_t middle;
	int r = get_one(w, FLEET_SIGNATURE_SUFFIX, fd, FLEET_SIGNATURE_MAX, why);

	if (r == 0)
		r = unpack(fd, 0, FLEET_SIGNATURE_MAX, &signature, why);
	if (r < 0 || str_eq((struct str){ signature.p, signature.n }, w->seen))
		goto out;
	middle = lseek(fd, 0, SEEK_END);
	r = get_one(w, "", fd, FLEET_BUNDLE_MAX, why);
	if (r == 0)
		r = unpack(fd, middle, FLEET_BUNDLE_MAX, &bundle, why);
	if (r == 0 && (ftruncate(fd, 0) < 0 || lseek(fd, 0, SEEK_SET) < 0))
		r = -errno;
	if (r == 0)
		r = file_write_all(fd, (struct str){ signature.p, signature.n });
	if (r == 0)
		r = file_write_all(fd, (struct str){ bundle.p, bundle.n });
	if (r == 0)
		r = (int)signature.n;
out:
	list_text_done(&signature);
	list_text_done(&bundle);
	return r;
}

/* ---- the daemon's side ---- */

/* Give or take a quarter, so that a fleet that was started at once does not ask at once for ever. */
static uint64_t around(uint64_t ns)
{
	return ns - ns / 4 + hash_random_seed() % (ns / 2 + 1);
}

/* A server that is away is asked again soon, then ever more seldom, at last at half the pace. */
static void next(struct follower *f, bool failed)
{
	uint64_t every = (uint64_t)f->cfg.settings->every_s, wait = every;
	uint64_t soon = MAX(every / 8, (uint64_t)AGAIN_MIN_S);

	f->failed = failed ? MIN(f->failed + 1, 10U) : 0;
	if (failed)
		wait = MIN(soon << (f->failed - 1), 2 * every);
	f->ask_ns = time_now_boot() + around(wait * NSEC_PER_SEC);
}

static int read_out(int fd, struct buf *ret)
{
	struct stat st;
	char *at;

	if (fstat(fd, &st) < 0)
		return -errno;
	at = buf_reserve(ret, (size_t)st.st_size + 1);
	if (!at)
		return -EFBIG;
	if (pread(fd, at, (size_t)st.st_size, 0) != st.st_size)
		return -EIO;
	ret->n = (size_t)st.st_size;
	return 0;
}

static int take_out(struct follower *f, size_t signature)
{
	_cleanup_buf_ struct buf out = BUF_INIT(FLEET_SIGNATURE_MAX + FLEET_BUNDLE_MAX + 1);
	int r = read_out(f->out_fd, &out);

	if (r == 0 && signature > out.n)
		r = -EBADMSG;
	return r < 0 ? r
		     : follower_offer(f, str_sub(buf_str(&out), 0, signature),
				      str_sub(buf_str(&out), signature, out.n));
}

static void on_done(void *ctx, int result, const char *why)
{
	struct follower *f = ctx;
	int r = result;

	f->fetch = NULL; /* it has freed itself */
	if (result > 0)
		r = take_out(f, (size_t)result);
	if (f->out_fd >= 0)
		close(TAKE_FD(f->out_fd));
	if (result < 0) {
		follower_say(f->away, "%s: %s", f->cfg.settings->from,
			     why && why[0] ? why : strerror(-result));
	} else {
		f->answered++;
		follower_over(f->away, "the publisher answers again");
		f->asked_s = result ? f->asked_s : follower_now_s(f);
	}
	/* what is signed but not taken is not asked for more often; half of a change is */
	next(f, result < 0 || r == -EKEYREJECTED);
}

static void ask(struct follower *f)
{
	struct work w = { f->cfg.settings, buf_str(&f->seen) };
	int r;

	f->asked++;
	f->out_fd = memfd_create("fleet", MFD_CLOEXEC);
	r = f->out_fd < 0
		    ? -errno
		    : fetch_child_start(&f->fetch, f->cfg.loop, work, &w, f->out_fd, on_done, f);
	if (r == 0)
		return;
	if (f->out_fd >= 0)
		close(TAKE_FD(f->out_fd));
	follower_say(f->away, "cannot ask for the policy: %s", strerror(-r));
	next(f, true);
}

void follower_ask_tick(struct follower *f)
{
	if (!f->cfg.loop || f->fetch)
		return;
	if (!f->ask_ns) {
		uint64_t every = (uint64_t)f->cfg.settings->every_s * NSEC_PER_SEC;

		f->ask_ns = time_now_boot() + hash_random_seed() % MIN(FIRST_NS, every);
	}
	if (time_now_boot() >= f->ask_ns)
		ask(f);
}

void follower_ask(struct follower *f)
{
	if (f)
		f->ask_ns = 1;
}

void follower_ask_done(struct follower *f)
{
	f->fetch = fetch_child_cancel(f->fetch);
	if (f->out_fd >= 0)
		close(TAKE_FD(f->out_fd));
}
