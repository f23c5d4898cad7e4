// SPDX-License-Identifier: Apache-2.0
/*
 * MISP: the attributes of events (also within objects, and as a search answers them), where `to_ids` does not say that they
 * are only context; and the plain list of a warning list. Attributes that were deleted are left out.
 */
#include "policy/list_format.h"

#include <errno.h>
#include <jansson.h>

static struct str text_of(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	return v && json_is_string(v) ? (struct str){ json_string_value(v), json_string_length(v) }
				      : STR_NONE;
}

/* MISP writes truth as true, as 1 and as "1". */
static bool says_no(const json_t *v)
{
	if (!v)
		return false;
	return json_is_false(v) || (json_is_integer(v) && !json_integer_value(v)) ||
	       (json_is_string(v) && !strcmp(json_string_value(v), "0"));
}

static void attribute(struct list_out *o, const json_t *a)
{
	const json_t *deleted = json_object_get(a, "deleted");
	struct str value = text_of(a, "value"), type = text_of(a, "type");
	int r;

	if (says_no(json_object_get(a, "to_ids")) || (deleted && !says_no(deleted))) {
		list_skip(o);
		return;
	}
	if (!type.n || !value.n) {
		list_bad(o, value.n ? value : type, "is an attribute without type or value");
		return;
	}
	o->seen_s = list_time(text_of(a, "last_seen"));
	if (!o->seen_s)
		o->seen_s = list_time(text_of(a, "first_seen"));
	if (!o->seen_s)
		o->seen_s = list_time(text_of(a, "timestamp"));
	r = list_put_typed(o, type, value, text_of(a, "comment"));
	o->seen_s = 0;
	if (r == -ENOENT)
		list_skip(o);
	else if (r < 0)
		list_bad(o, value, "is not what its type says");
}

static int element(struct list_out *o, struct str text)
{
	json_t *v = json_loadb(text.p, text.n, JSON_DECODE_ANY, NULL);

	if (json_is_object(v))
		attribute(o, v);
	else if (!json_is_string(v))
		list_bad(o, text, "is not JSON");
	else if (list_put_any(o, (struct str){ json_string_value(v), json_string_length(v) },
			      STR_NONE) < 0)
		list_bad(o, text, "is neither an address nor a name");
	json_decref(v);
	return 0;
}

static int misp_parse(struct list_out *o, struct str text)
{
	static const char *const keys[] = { "Attribute", "list", NULL };

	int r = list_json_each(o, text, keys, element);

	if (r == -EINVAL)
		list_bad(o, str_sub(text, 0, 40), "begins what is not whole JSON");
	return r;
}

static bool has(struct str head, const char *word)
{
	return head.n && memmem(head.p, head.n, word, strlen(word));
}

static unsigned misp_score(struct str head)
{
	head = str_trim(head);
	if (!head.n || (head.p[0] != '{' && head.p[0] != '['))
		return 0;
	return has(head, "\"Attribute\"") || has(head, "\"Event\"") || has(head, "\"list\"") ? 1000
											     : 0;
}

const struct list_reader list_misp = { LIST_MISP, misp_score, misp_parse };
