/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rights go by the path of a program: who can put another file at that path has them, too. Looked at are the folders in
 * front of the first wildcard, and the file itself when the pattern has none.
 */
#include "policy/check.h"

#include <limits.h>
#include <string.h>
#include <sys/stat.h>

/* Whether others than root may replace what is here; *ret_why in words. */
static bool is_writable(const struct stat *st, char why[64])
{
	if (st->st_uid != 0)
		snprintf(why, 64, "belongs to user %u", (unsigned)st->st_uid);
	else if (st->st_mode & S_IWOTH)
		snprintf(why, 64, "can be written by everybody");
	else if ((st->st_mode & S_IWGRP) && st->st_gid != 0)
		snprintf(why, 64, "can be written by group %u", (unsigned)st->st_gid);
	else
		return false;
	return true;
}

static void check_pattern(const struct policy *p, struct str pattern, struct policy_place at,
			  struct buf *messages)
{
	char path[PATH_MAX], why[64];
	size_t wild = 0, cut;
	struct stat st;

	while (wild < pattern.n && pattern.p[wild] != '*' && pattern.p[wild] != '?')
		wild++;
	if (!pattern.n || pattern.p[0] != '/' || pattern.n >= sizeof(path))
		return;
	memcpy(path, pattern.p, pattern.n);
	path[pattern.n] = 0;
	/* Each folder from the root on, then the file. */
	for (cut = 1; cut <= wild; cut++) {
		char had = path[cut];

		if (cut < pattern.n && path[cut] != '/')
			continue;
		path[cut] = 0;
		if (stat(path, &st) < 0)
			return;
		if (is_writable(&st, why)) {
			policy_complain(p, at, "warning", messages,
					"'%.*s' can be replaced by others than root: %s %s\n"
					"whoever can do that has the rights of this program",
					STR_FMT(pattern), path, why);
			return;
		}
		path[cut] = had;
	}
}

void check_writable(const struct policy *p, struct buf *messages)
{
	for (size_t i = 0; i < p->n_apps; i++)
		for (size_t k = 0; k < p->apps[i].n_parts; k++) {
			const struct app_part *part = &p->apps[i].parts[k];

			if (part->kind == APP_PART_EXE || part->kind == APP_PART_TREE)
				check_pattern(p, part->pattern, p->apps[i].place, messages);
		}
}
