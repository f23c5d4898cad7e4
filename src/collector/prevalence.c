/* SPDX-License-Identifier: Apache-2.0 */
#include "collector/prevalence.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "detect/prevalence.h"
#include "store/ship_prevalence.h"

/* The file, and its first line; -1: there is none that is whole. */
static int open_file(const char *path, char line[128], uint64_t *ret_size)
{
	_cleanup_close_ int folder = file_open_folder(path);
	_cleanup_close_ int fd =
		folder < 0 ? -1
			   : openat(folder, PREVALENCE_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n = fd < 0 ? -1 : pread(fd, line, 127, 0);
	struct stat st;
	char *end;

	if (n <= 0 || fstat(fd, &st) < 0)
		return -1;
	line[n] = 0;
	end = strchr(line, '\n');
	if (!end)
		return -1;
	end[1] = 0;
	*ret_size = (uint64_t)st.st_size;
	return TAKE_FD(fd);
}

bool prevalence_answer(const char *folder, struct str statement, struct prevalence_part *ret)
{
	char line[128], query[256];
	uint64_t size = 0, head;
	bool is_head = str_eq(statement, STR(SHIP_PREVALENCE_HEAD));

	if (!is_head && !str_has_prefix(statement, STR(SHIP_PREVALENCE_ASKED)))
		return false;
	*ret = (struct prevalence_part){ .fd = open_file(folder, line, &size) };
	if (ret->fd < 0)
		return true;
	head = strlen(line);
	snprintf(query, sizeof(query), SHIP_PREVALENCE_ROWS, (uint64_t)strtoull(line, NULL, 10));
	if (is_head) {
		ret->size = head;
	} else if (str_eq(statement, str_of(query))) {
		ret->offset = head;
		ret->size = size - head;
	}
	if (!ret->size) /* of another time: it is asked for again; or without a row */
		close(TAKE_FD(ret->fd));
	return true;
}
