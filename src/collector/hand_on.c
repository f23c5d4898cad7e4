/* SPDX-License-Identifier: Apache-2.0 */
#include "collector/hand_on.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "detect/prevalence.h"
#include "store/ship_fleet.h"

#define HEAD_MAX 128

static bool open_file(const char *path, const char *name, struct hand_on *ret)
{
	_cleanup_close_ int folder = file_open_folder(path);
	_cleanup_close_ int fd =
		folder < 0 ? -1 : openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !st.st_size)
		return false;
	*ret = (struct hand_on){ .fd = TAKE_FD(fd), .size = (uint64_t)st.st_size };
	return true;
}

/* Its first line is one answer, and the others are another. */
static void cut_prevalence(struct str statement, struct hand_on *h)
{
	char line[HEAD_MAX], query[256];
	ssize_t n = pread(h->fd, line, sizeof(line) - 1, 0);
	char *end = n > 0 ? memchr(line, '\n', (size_t)n) : NULL;
	uint64_t head = end ? (uint64_t)(end + 1 - line) : 0;

	line[MAX(n, (ssize_t)0)] = 0;
	snprintf(query, sizeof(query), SHIP_PREVALENCE_ROWS, (uint64_t)strtoull(line, NULL, 10));
	if (str_eq(statement, STR(SHIP_PREVALENCE_HEAD))) {
		h->size = head;
	} else if (str_eq(statement, str_of(query))) {
		h->offset = head;
		h->size -= head;
	} else {
		h->size = 0; /* of another time: it is asked for again */
	}
	if (!h->size)
		close(TAKE_FD(h->fd));
}

bool hand_on(const char *folder, struct str statement, struct hand_on *ret)
{
	*ret = (struct hand_on){ .fd = -1 };
	if (str_eq(statement, STR(SHIP_OTHERS))) {
		open_file(folder, SHIP_OTHERS_FILE, ret);
		return true;
	}
	if (!str_eq(statement, STR(SHIP_PREVALENCE_HEAD)) &&
	    !str_has_prefix(statement, STR(SHIP_PREVALENCE_ASKED)))
		return false;
	if (open_file(folder, PREVALENCE_FILE, ret))
		cut_prevalence(statement, ret);
	return true;
}
