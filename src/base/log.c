/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum log_level log_level = LOG_INFO;
static const char *log_name = "egret";

void log_set_level(enum log_level level)
{
	log_level = level;
}

void log_set_name(const char *name)
{
	log_name = name;
}

static void emit(enum log_level level, const char *fmt, va_list ap, const char *reason)
{
	static const char *const word[] = { "error: ", "warning: ", "", "debug: " };
	char line[1024];

	if (level > log_level)
		return;
	vsnprintf(line, sizeof(line), fmt, ap);
	fprintf(stderr, "%s: %s%s%s%s\n", log_name, word[level], line, reason ? ": " : "",
		reason ? reason : "");
}

void log_msg(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	emit(level, fmt, ap, NULL);
	va_end(ap);
}

int log_errno(int r, const char *fmt, ...)
{
	va_list ap;

	r = abs(r);
	va_start(ap, fmt);
	emit(LOG_ERROR, fmt, ap, strerror(r));
	va_end(ap);
	return -r;
}
