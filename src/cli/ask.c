/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/ask.h"

#include <errno.h>
#include <stdio.h>

#include "cli/console.h"

static const char *reason(int r)
{
	switch (r) {
	case -ENOENT:
	case -ECONNREFUSED:
		return "no egretd is running there; start it with 'systemctl start egretd' or "
		       "'sudo egretd'";
	case -EACCES:
		return "not allowed; be root or in the group egret";
	default:
		return strerror(-r);
	}
}

int ask_daemon(struct client **ret, const char *run, struct str request, char why[256])
{
	return ask_daemon_with(ret, run, request, -1, why);
}

int ask_daemon_with(struct client **ret, const char *run, struct str request, int fd, char why[256])
{
	int r;

	if (console_used() && fd >= 0) {
		snprintf(why, 256, "not over a console: on the machine itself");
		return -EOPNOTSUPP;
	}
	if (console_used()) {
		r = console_ask(ret, request);
		if (r < 0)
			snprintf(why, 256, "cannot ask the console: %s", strerror(-r));
		return r;
	}
	r = client_new_with(ret, run, request, fd);
	if (r < 0)
		snprintf(why, 256, "%.100s/egret.sock: %s", run, reason(r));
	return r;
}

json_t *ask_parse(struct str line, char why[256])
{
	json_error_t error;
	json_t *j = json_loadb(line.n ? line.p : "", line.n, JSON_ALLOW_NUL, &error);
	const char *said;

	if (!json_is_object(j)) {
		snprintf(why, 256, "egretd's answer makes no sense: %.150s", error.text);
		json_decref(j);
		return NULL;
	}
	said = json_string_value(json_object_get(j, "error"));
	if (!said)
		return j;
	snprintf(why, 256, "%.255s", said);
	json_decref(j);
	return NULL;
}

void ask_join_filter(struct buf *out, int n, char **words)
{
	for (int i = 0; i < n; i++) {
		if (i)
			buf_putc(out, ' ');
		buf_puts(out, words[i]);
	}
}
