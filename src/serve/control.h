/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket of egretd: a Unix stream socket, one JSON request a line, answers in JSON lines.
 *
 *     {"ask":"status"}                                             → one object
 *     {"ask":"metrics"}                                            → {"text":"…"}: what Prometheus scrapes
 *     {"ask":"flows","filter":"port:443","limit":100,"sort":"up"}  → one EVE flow record a line, then {"end":true,…}
 *     {"ask":"top","by":"program","filter":"","sort":"rate","limit":50}  → {"rows":[…],"totals":{…},"findings":{"open":N,
 *                                                                     "last":{…}}} each second
 *     {"ask":"events","filter":"","types":["flow","dns"]}          → EVE records as they happen
 *
 *     {"ask":"policy","do":"show"}                                 → one object; also text, load, confirm, clear, disarm,
 *                                                                    block, unblock: {"done":true|false,"messages":"…"}
 *     {"ask":"why","to":"example.com","port":443,"app":"/usr/bin/x"}   → one object
 *     {"ask":"findings","filter":"","last":86400,"low":true}       → an alert record each, heaviest first, then {"end":true,…};
 *                                                                    may name "id", "detector", "class", "level"
 *     {"ask":"rights"}, {"ask":"keys"}                         → what whoever asks may do, and whether anything lives here; the keys of the filter language
 *     {"ask":"page","do":"link","change":true,"for":28800}     → {"url":"…#token=…",…}; also revoke
 *     {"ask":"detect","do":"ack","id":"…","for":2592000}           → one object; also unack, exceptions, intel-list, intel-check,
 *                                                                    intel-add, intel-remove, intel-refresh
 *     {"ask":"history","do":"usage","by":"app","last":86400}       → JSON lines; history/question.h says what may be asked
 *
 * "load" takes "mode", and may take "confirm" (seconds), "force" and "session"; the files of the policy come along as
 * a sealed memory file (SCM_RIGHTS) in the form of guard/bundle.h. "block" takes "rule" and may take "for" (seconds)
 * and "note"; "unblock" takes "rule" or "all". Only root and the daemon's own user may change the policy.
 *
 * `limit` is 1000 when left out, 0 means all (flows in no order; a sorted list ends at 5000). `sort` of flows: start,
 * up, down, bytes, packets, last, none (by id, the default); of top: rate, up, down, bytes, flows, label. Flows also take
 * "ended":true (those that ended lately, too) and "group":{"by":"program","label":"curl"} (those of one row of a top).
 * {"end":true,"matched":M,"shown":N} says what a limit left out.
 *
 * A connection may ask again once it has its answer; a new request ends a running "top" or "events".
 * Errors: {"error":"…"}. Who may ask is told by the peer credentials: root, the daemon's own user, and group egret.
 * The process that serves the page hands over connections of its own, each with the socket of the HTTP client that it asks for
 * (control_adopt()); such a request may show a "token", and is refused with a "code" (401, 403). What a
 * console has not, as living flows, is refused with the code 501; it is asked for findings of the fleet like a host for its own.
 * "rights" takes "filter", "types", "by" and "limit", too, so that a question can be tried before it is asked.
 *
 * Requests are at most 8 KiB, a client at most 8 MiB behind (then it loses records, counted, and is told by
 * {"lost":n} where they are missing), 64 clients, 8 of them with a "top".
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "base/loop.h"
#include "flow/flow.h"
#include "detect/finding.h"
#include "store/eve.h"

struct control;

/* What the daemon adds to status; appended inside the object by this callback (NULL: nothing). */
struct json;
struct detect_request;
struct filter;
struct metrics_out;
struct page_request;
struct policy_request;
struct totals;
struct tokens;
struct why_request;
struct control_config {
	const char *path; /* of the socket; its folder must exist */
	struct loop *loop;
	struct flow_table
		*flows; /* NULL: this is a console, which asks the history even for findings */
	struct eve_format format;
	void (*status)(void *ctx, struct json *j);
	/* Adds what the daemon knows to the metrics (serve/metrics.h); NULL: nothing. */
	void (*metrics)(void *ctx, struct totals *totals, struct metrics_out *m);
	void *status_ctx; /* of both */
	uint64_t (*now)(void);
	/* Append the members of an answer; NULL: there is no policy here. `fd` is what came with the request, -1: nothing. */
	void (*policy)(void *ctx, const struct policy_request *q, int fd, struct json *j);
	void (*why)(void *ctx, const struct why_request *q, struct json *j);
	void *policy_ctx;
	/*
	 * Starts whoever answers a question to the history (the request's line; `fd` came with it, -1: nothing). The end of a pipe that
	 * lines come out of, and in *ret_pid the child; -EOPNOTSUPP: no history; -errno. NULL: no history is kept here.
	 */
	int (*history)(void *ctx, struct str question, int fd, pid_t *ret_pid);
	void *history_ctx;
	/* The findings that a request asks for, and all else about detection. NULL: nothing is detected here. */
	void (*findings)(void *ctx, const struct detect_request *q, const struct filter *filter,
			 struct finding_out to);
	void (*detect)(void *ctx, const struct detect_request *q, struct json *j);
	uint64_t (*findings_open)(void *ctx); /* how many cases are open; for "top" */
	void *detect_ctx;
	/* What `egret page` asks for. NULL: no page here. */
	void (*page)(void *ctx, const struct page_request *q, struct json *j);
	void *page_ctx;
	const struct tokens *tokens; /* borrowed; NULL: none is taken */
	bool trust_certificates;     /* the page's process has looked at them, and they let read */
	/* All three or none: with them the last 1000 ended flows are kept for "ended". Borrowed, must outlive the control. */
	struct intern *texts;
	struct name_table *names;
	struct proc_table *procs;
};

int control_new(struct control **ret, const struct control_config *cfg); /* -errno; logs why */
struct control *control_free(struct control *c);                         /* removes the socket */
void control_record(struct control *c,
		    const struct record *r); /* to clients of "events" and to open "top"s */
/* A connection from the page's process, asking for whoever is at the other end of `client_fd` (-1: nobody). Takes `fd`. */
void control_adopt(struct control *c, int fd, int client_fd);
void control_drop_adopted(struct control *c); /* rights have changed: all must ask anew */
uint64_t control_lost(const struct control *c);
