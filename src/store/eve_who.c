/* SPDX-License-Identifier: Apache-2.0 */
/* Who did it, in the names of the Elastic Common Schema (8.x: process, user, container, service) plus `cgroup`. */
#include "store/eve_parts.h"

#include <stdio.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "flow/proc.h"

#define MAX_ANCESTORS 32 /* deeper trees are shown from the process up, so far */
#define COMMAND_LINE_MAX 4096

static void put_text(struct json *j, const char *key, const struct text *t)
{
	if (t && t->n)
		json_str(j, key, text_str(t));
}

/* Arguments stand NUL-separated; people read them with blanks. */
static void put_command_line(struct json *j, const struct proc *p)
{
	static const char more[] = " \xe2\x80\xa6"; /* … */
	char line[COMMAND_LINE_MAX + sizeof(more)];
	struct str args = text_str(p->args);
	bool cut = p->args_cut;
	size_t n = args.n;

	if (n > COMMAND_LINE_MAX) {
		n = COMMAND_LINE_MAX;
		cut = true;
	}
	while (n && !args.p[n - 1])
		n--;
	if (!n)
		return;
	memcpy(line, args.p, n);
	for (char *at = line; (at = memchr(at, 0, (size_t)(line + n - at)));)
		*at = ' ';
	if (cut) {
		memcpy(line + n, more, sizeof(more) - 1);
		n += sizeof(more) - 1;
	}
	json_str(j, "command_line", (struct str){ line, n });
}

/* One process, whatever it executes: the same for all its images, different on every host and after every boot. */
static void put_entity_id(struct json *j, const struct eve_format *fmt, const struct proc *p)
{
	static const char hex[] = "0123456789abcdef";
	uint64_t id[2] = { p->pid, p->start_ns };
	uint64_t seed = fmt->host ? hash_bytes(fmt->host, strlen(fmt->host), 0) : 0;
	uint64_t h = hash_bytes(id, sizeof(id), seed);
	char text[16];

	if (!p->start_ns)
		return;
	for (size_t i = sizeof(text); i-- > 0; h >>= 4)
		text[i] = hex[h & 15];
	json_str(j, "entity_id", (struct str){ text, sizeof(text) });
}

static void put_ancestors(struct json *j, const struct proc *p)
{
	const struct proc *up = p->parent;

	if (up) {
		json_object_begin(j, "parent");
		json_u64(j, "pid", up->pid);
		json_str(j, "name", proc_name(up));
		put_text(j, "executable", up->exe);
		json_object_end(j);
	} else if (p->ppid) {
		json_object_begin(j, "parent");
		json_u64(j, "pid", p->ppid);
		json_object_end(j);
	}
	if (!up)
		return;
	json_array_begin(j, "ancestors");
	for (unsigned i = 0; up && i < MAX_ANCESTORS; i++, up = up->parent) {
		json_object_begin(j, NULL);
		json_u64(j, "pid", up->pid);
		json_str(j, "name", proc_name(up));
		put_text(j, "executable", up->exe);
		json_object_end(j);
	}
	json_array_end(j);
}

/* Of the process and of those it comes from; none, mostly. */
static void put_was(struct json *j, const struct proc *p)
{
	bool begun = false;

	for (unsigned i = 0; p && i <= MAX_ANCESTORS; i++, p = p->parent) {
		struct str rest = text_str(p->was), path;

		while (str_cut(&rest, 0, &path)) {
			if (!begun)
				json_array_begin(j, "was");
			begun = true;
			json_str(j, NULL, path);
		}
	}
	if (begun)
		json_array_end(j);
}

static void put_process(struct json *j, const struct eve_format *fmt, const struct proc *p)
{
	json_object_begin(j, "process");
	json_u64(j, "pid", p->pid);
	put_entity_id(j, fmt, p);
	json_str(j, "name", proc_name(p));
	put_text(j, "executable", p->exe);
	put_command_line(j, p);
	if (p->start_unix_ns)
		eve_put_time(j, "start", p->start_unix_ns);
	put_ancestors(j, p);
	put_was(j, p);
	json_object_end(j);
}

static void put_user(struct json *j, const struct proc *p)
{
	char text[12];
	int n = snprintf(text, sizeof(text), "%u", p->uid);

	json_object_begin(j, "user");
	json_str(j, "id", (struct str){ text, (size_t)n });
	put_text(j, "name", p->user);
	n = snprintf(text, sizeof(text), "%u", p->gid);
	json_object_begin(j, "group");
	json_str(j, "id", (struct str){ text, (size_t)n });
	json_object_end(j);
	json_object_end(j);
}

static void put_container(struct json *j, const struct workload *w)
{
	json_object_begin(j, "container");
	put_text(j, "id", w->container_id);
	put_text(j, "name", w->container_name);
	put_text(j, "runtime", w->container_runtime);
	if (w->container_image) {
		json_object_begin(j, "image");
		put_text(j, "name", w->container_image);
		json_object_end(j);
	}
	json_object_end(j);
}

void eve_put_who(struct json *j, const struct eve_format *fmt, const struct proc *p)
{
	const struct workload *w;

	if (!p)
		return;
	w = p->workload;
	put_process(j, fmt, p);
	put_user(j, p);
	if (!w)
		return;
	if (w->container_id || w->container_name)
		put_container(j, w);
	if (w->unit) {
		json_object_begin(j, "service");
		put_text(j, "name", w->unit);
		json_object_end(j);
	}
	put_text(j, "cgroup", w->cgroup);
}
