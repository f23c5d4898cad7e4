/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages for the person at the terminal or in the journal, on stderr. Stages (decode, flow, replay) return
 * errors and do not log; attach/, serve/ and the main files log once, where the decision is taken.
 */
#pragma once

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

void log_set_level(enum log_level level);
void log_set_name(const char *name); /* what messages begin with; a string that stays valid */
void log_msg(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Logs "…: reason of r" as an error and returns -|r|, so that `return log_errno(r, …)` does both. */
int log_errno(int r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_msg(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_msg(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_msg(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_msg(LOG_DEBUG, __VA_ARGS__)
