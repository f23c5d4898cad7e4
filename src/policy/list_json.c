// SPDX-License-Identifier: Apache-2.0
/*
 * The elements of certain arrays of a JSON text, without a tree of the whole: a STIX bundle of 512 MiB costs its text and
 * one element at a time. This walk only finds where things begin and end; jansson reads the elements and is strict.
 */
#include "policy/list_format.h"

#include <errno.h>

#include "base/cleanup.h"

#define DEPTH_MAX 64
#define ELEMENT_MAX (1U << 20)

struct walk {
	struct list_out *o;
	struct str text;
	size_t at, counted; /* counted: lines up to there are in o->line */
	char open[DEPTH_MAX];
	bool wanted[DEPTH_MAX]; /* an array under one of the keys */
	unsigned depth;
};

/* Behind the string that begins at `at`; 0: it does not end. */
static size_t end_of_string(struct str text, size_t at)
{
	for (size_t i = at + 1; i < text.n; i++) {
		if (text.p[i] == '\\')
			i++;
		else if (text.p[i] == '"')
			return i + 1;
	}
	return 0;
}

/* Behind the object or array that begins at `at`; 0: it does not end, or is too deep. */
static size_t end_of_value(struct str text, size_t at)
{
	char open[DEPTH_MAX];
	unsigned depth = 0;

	for (size_t i = at; i < text.n; i++) {
		char c = text.p[i];

		if (c == '"') {
			i = end_of_string(text, i);
			if (!i--)
				return 0;
		} else if (c == '{' || c == '[') {
			if (depth == DEPTH_MAX)
				return 0;
			open[depth++] = c;
		} else if (c == '}' || c == ']') {
			if (!depth || open[--depth] != (c == '}' ? '{' : '['))
				return 0;
			if (!depth)
				return i + 1;
		}
	}
	return 0;
}

static void count_lines(struct walk *w)
{
	while (w->counted < w->at) {
		const char *nl = memchr(w->text.p + w->counted, '\n', w->at - w->counted);

		if (!nl)
			break;
		w->o->line++;
		w->counted = (size_t)(nl - w->text.p) + 1;
	}
}

static bool is_one_of(struct str key, const char *const *keys)
{
	for (; *keys; keys++)
		if (str_eq(key, str_of(*keys)))
			return true;
	return false;
}

/* An element of a wanted array. */
static int take(struct walk *w, size_t end, int (*fn)(struct list_out *o, struct str element))
{
	struct str element = str_sub(w->text, w->at, end - w->at);
	int r = 0;

	count_lines(w);
	if (element.n > ELEMENT_MAX)
		list_bad(w->o, element, "is larger than an element can be");
	else
		r = fn(w->o, element);
	w->at = end;
	return r < 0 ? r : w->o->r;
}

int list_json_each(struct list_out *o, struct str text, const char *const *keys,
		   int (*fn)(struct list_out *o, struct str element))
{
	struct walk w = { .o = o, .text = text };
	struct str last = STR_NONE, key = STR_NONE;
	bool any = false;
	int r = 0;

	o->line = 1;
	while (w.at < text.n && r >= 0) {
		char c = text.p[w.at];
		bool wanted = w.depth && w.wanted[w.depth - 1];
		size_t end;

		if (c == '"') {
			end = end_of_string(text, w.at);
			if (!end || !w.depth)
				return -EINVAL;
			last = str_sub(text, w.at + 1, end - w.at - 2);
			if (wanted)
				r = take(&w, end, fn);
			else
				w.at = end;
			continue;
		}
		if ((c == '{' || c == '[') && wanted) {
			end = end_of_value(text, w.at);
			if (!end)
				return -EINVAL;
			r = take(&w, end, fn);
			continue;
		}
		if (c == '{' || c == '[') {
			if (w.depth == DEPTH_MAX || (any && !w.depth))
				return -EINVAL;
			w.wanted[w.depth] = c == '[' && is_one_of(key, keys);
			w.open[w.depth++] = c;
			key = STR_NONE;
			any = true;
		} else if (c == '}' || c == ']') {
			if (!w.depth || w.open[--w.depth] != (c == '}' ? '{' : '['))
				return -EINVAL;
		} else if (c == ':') {
			key = last;
		} else if (c == ',') {
			key = STR_NONE;
		} else if (!w.depth && !memchr(" \t\r\n", c, 4)) {
			return -EINVAL;
		}
		w.at++;
	}
	return r < 0 ? r : any && !w.depth ? 0 : -EINVAL;
}
