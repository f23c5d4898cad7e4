/* SPDX-License-Identifier: Apache-2.0 */
#include "guard/budget.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/time.h"
#include "guard/internal.h"

#define NAME "budgets"
#define WORD "egret-budgets 1 "
#define FILE_MAX (1U << 20)
#define ANSWER_MAX (64U << 20)
#define PIECE (64U << 10)
#define EVERY_NS (60 * NSEC_PER_SEC)
#define REST 100 /* times as long as an answer takes nothing is asked: 1 % of a processor at most */
#define TOLD_MAX 4096

/* The months that the span touches are reckoned as a whole: a second of this one is enough. */
static const char question[] = "{\"ask\":\"history\",\"do\":\"usage\",\"last\":1,\"limit\":1}";

enum budget_told { TOLD_NOTHING, TOLD_AHEAD, TOLD_OVER };

static uint64_t now_ns(const struct guard *g)
{
	return g->cfg.now ? g->cfg.now() : time_now();
}

/* ---- telling ---- */

static const char *text_of(const json_t *budget, const char *key)
{
	return json_string_value(json_object_get(budget, key)) ?: "";
}

static double number_of(const json_t *budget, const char *key)
{
	return json_number_value(json_object_get(budget, key));
}

static void say(const json_t *b, enum budget_told what)
{
	const char *currency = text_of(b, "currency");
	long long line = (long long)json_integer_value(json_object_get(b, "line"));
	time_t to = (time_t)json_integer_value(json_object_get(b, "to"));
	struct tm tm = { 0 };
	char end[32] = "";

	gmtime_r(&to, &tm);
	strftime(end, sizeof(end), "%F %R UTC", &tm);
	if (what == TOLD_OVER)
		log_warn("%s:%lld: the budget '%s' is passed: %.2f of %.2f %s are used, until %s",
			 text_of(b, "file"), line, text_of(b, "budget"), number_of(b, "used"),
			 number_of(b, "of"), currency, end);
	else
		log_warn("%s:%lld: the budget '%s' will be passed: %.2f of %.2f %s are used, "
			 "%.2f %s by %s if it goes on like this",
			 text_of(b, "file"), line, text_of(b, "budget"), number_of(b, "used"),
			 number_of(b, "of"), currency, number_of(b, "forecast"), currency, end);
}

static enum budget_told state_of(const json_t *budget)
{
	const char *state = text_of(budget, "state");

	return !strcmp(state, "over")    ? TOLD_OVER
	       : !strcmp(state, "ahead") ? TOLD_AHEAD
					 : TOLD_NOTHING;
}

/* What was told of months that are over is of no use. */
static void forget_before(json_t *told, json_int_t from)
{
	const char *text;
	json_t *one;
	void *next;

	json_object_foreach_safe(told, next, text, one)
	{
		if (json_integer_value(json_array_get(one, 0)) < from)
			json_object_del(told, text);
	}
}

/* True: something was told. */
static bool tell(struct guard *g, const json_t *b)
{
	json_t *told = json_object_get(g->budgets.told, text_of(b, "text"));
	json_int_t from = json_integer_value(json_object_get(b, "from"));
	enum budget_told now = state_of(b);

	if (json_integer_value(json_array_get(told, 0)) == from &&
	    json_integer_value(json_array_get(told, 1)) >= now)
		return false;
	if (now == TOLD_NOTHING)
		return false;
	forget_before(g->budgets.told, from);
	say(b, now);
	if (json_object_size(g->budgets.told) < TOLD_MAX)
		json_object_set_new(g->budgets.told, text_of(b, "text"),
				    json_pack("[I,i]", from, (int)now));
	return true;
}

static void keep(struct guard *g)
{
	_cleanup_free_ char *text = json_dumps(g->budgets.told, JSON_COMPACT);
	_cleanup_buf_ struct buf body = BUF_INIT(FILE_MAX);
	int r = text ? 0 : -ENOMEM;

	if (!g->state)
		return;
	if (r == 0) {
		buf_puts(&body, text);
		r = sealed_write(g->state, NAME, WORD, &body);
	}
	if (r < 0)
		log_errno(r, "cannot write %s/" NAME ": a restart will warn of budgets again",
			  g->state);
}

bool budgets_take(struct guard *g, struct str answer)
{
	struct str line, last = STR_NONE;
	json_t *end, *budgets, *b;
	bool any = false;
	size_t i;

	while (str_cut(&answer, '\n', &line))
		if (line.n)
			last = line;
	end = last.n ? json_loadb(last.p, last.n, 0, NULL) : NULL;
	budgets = json_object_get(end, "budgets");
	if (!json_is_array(budgets)) {
		json_decref(end);
		return false;
	}
	json_decref(g->budgets.now);
	g->budgets.now = json_incref(budgets);
	json_array_foreach(budgets, i, b) any |= tell(g, b);
	json_decref(end);
	if (any)
		keep(g);
	return true;
}

/* ---- asking ---- */

void budgets_stop(struct guard *g)
{
	struct budgets *b = &g->budgets;

	loop_remove(b->source);
	b->source = NULL;
	if (!b->pid)
		return;
	close(b->fd);
	kill(b->pid, SIGKILL);
	while (waitpid(b->pid, NULL, 0) < 0 && errno == EINTR)
		;
	b->pid = 0;
}

static void failed(struct guard *g, const char *why)
{
	if (!g->budgets.failing)
		log_warn("what budgets stand at is not known: %s; asked again in a minute", why);
	g->budgets.failing = true;
}

static void finish(struct guard *g)
{
	struct budgets *b = &g->budgets;
	uint64_t now = now_ns(g), took = MIN(now - b->asked_ns, EVERY_NS);

	budgets_stop(g);
	b->due_ns = now + MAX(EVERY_NS, took * REST);
	if (b->answer.failed || !budgets_take(g, buf_str(&b->answer)))
		failed(g, "the history gave no answer");
	else
		b->failing = false;
	buf_done(&b->answer);
}

static void on_piece(void *ctx, int fd, uint32_t events)
{
	struct guard *g = ctx;
	char *at = buf_reserve(&g->budgets.answer, PIECE);
	ssize_t n = at ? read(fd, at, PIECE) : 0;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		g->budgets.answer.n += (size_t)n;
	else
		finish(g);
}

static void ask(struct guard *g)
{
	struct budgets *b = &g->budgets;
	int r;

	b->asked_ns = now_ns(g);
	b->due_ns = b->asked_ns + EVERY_NS;
	b->answer = BUF_INIT(ANSWER_MAX);
	b->fd = g->cfg.history(g->cfg.history_ctx, STR(question), -1, &b->pid);
	r = b->fd < 0 ? b->fd : loop_add_io(g->cfg.loop, b->fd, EPOLLIN, on_piece, g, &b->source);
	if (r == 0)
		return;
	if (b->fd < 0)
		b->pid = 0;
	budgets_stop(g);
	failed(g, strerror(-r));
}

void budgets_tick(struct guard *g)
{
	const struct policy *p = g->built.rules ? g->built.rules->policy : NULL;
	struct budgets *b = &g->budgets;

	if (b->pid || !g->cfg.history)
		return;
	if (b->gen != g->gen) {
		json_decref(b->now);
		b->now = NULL;
		b->due_ns = 0;
	}
	b->gen = g->gen;
	if (p && p->n_budgets && now_ns(g) >= b->due_ns)
		ask(g);
}

/* ---- its file, its end ---- */

void budgets_read(struct guard *g)
{
	_cleanup_buf_ struct buf text = BUF_INIT(FILE_MAX);
	_cleanup_close_ int dir = g->state ? file_open_folder(g->state) : -ENOENT;
	int r = dir < 0 ? dir : file_read(dir, NAME, &text);
	struct str rest = buf_str(&text);

	if (r == 0)
		r = sealed_open(WORD, &rest);
	if (r == 0)
		g->budgets.told = json_loadb(rest.p, rest.n, 0, NULL);
	if (r == 0 && !json_is_object(g->budgets.told))
		r = -EBADMSG;
	if (r == -EBADMSG) {
		file_set_aside(dir, NAME);
		log_warn("%s/" NAME " is damaged and was set aside as " NAME
			 ".damaged: budgets may be warned of again",
			 g->state);
	}
	if (r < 0) {
		json_decref(g->budgets.told);
		g->budgets.told = json_object();
	}
}

void budgets_done(struct guard *g)
{
	budgets_stop(g);
	buf_done(&g->budgets.answer);
	json_decref(g->budgets.now);
	json_decref(g->budgets.told);
	g->budgets = (struct budgets){ 0 };
}

/* ---- showing ---- */

void budgets_put(const struct guard *g, struct json *j)
{
	_cleanup_free_ char *text =
		g->budgets.now ? json_dumps(g->budgets.now, JSON_COMPACT | JSON_REAL_PRECISION(12))
			       : NULL;

	if (text)
		json_raw(j, "budgets", str_of(text));
}

void guard_each_budget(const struct guard *g, void (*fn)(void *ctx, const struct guard_budget *b),
		       void *ctx)
{
	const json_t *b;
	size_t i;

	json_array_foreach(g->budgets.now, i, b)
	{
		const json_t *forecast = json_object_get(b, "forecast");

		fn(ctx, &(struct guard_budget){ text_of(b, "budget"), text_of(b, "currency"),
						number_of(b, "of"), number_of(b, "used"),
						forecast ? json_number_value(forecast) : -1 });
	}
}
