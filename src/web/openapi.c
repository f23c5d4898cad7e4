/* SPDX-License-Identifier: Apache-2.0 */
#include "web/openapi.h"

#include <stdio.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "web/route.h"

static void put_error_reply(struct json *j, const char *status, const char *what)
{
	json_object_begin(j, status);
	json_text(j, "description", what);
	json_object_begin(j, "content");
	json_object_begin(j, "application/json");
	json_object_begin(j, "schema");
	json_text(j, "$ref", "#/components/schemas/Error");
	for (int i = 0; i < 4; i++)
		json_object_end(j);
}

static void put_enum(struct json *j, const char *words)
{
	struct str rest = str_of(words), word;

	json_array_begin(j, "enum");
	while (str_cut(&rest, ' ', &word))
		json_str(j, NULL, word);
	json_array_end(j);
}

/* What a parameter may be; in a body numbers and flags are those of JSON. */
static void put_param_schema(struct json *j, const char *key, const struct web_param *p)
{
	json_object_begin(j, key);
	switch (p->kind) {
	case WEB_STRING:
	case WEB_FILE:
		json_text(j, "type", "string");
		json_u64(j, "maxLength", p->most);
		break;
	case WEB_NUMBER:
		json_text(j, "type", "integer");
		json_u64(j, "minimum", 0);
		json_u64(j, "maximum", p->most);
		break;
	case WEB_FLAG:
		json_text(j, "type", "boolean");
		break;
	case WEB_WORD:
		json_text(j, "type", "string");
		put_enum(j, p->words);
		break;
	case WEB_LIST:
		json_text(j, "type", "array");
		json_object_begin(j, "items");
		json_text(j, "type", "string");
		put_enum(j, p->words);
		json_object_end(j);
		break;
	case WEB_SPAN:
		json_text(j, "type", "string");
		json_text(j, "pattern", "^[0-9]+(ms|s|m|h|d|w)?$");
		json_text(j, "example", "7d");
		break;
	case WEB_TIME:
		json_text(j, "type", "string");
		json_text(j, "example", "2026-01-02T03:04:05Z");
		break;
	}
	json_object_end(j);
}

static void put_query(struct json *j, const struct web_route *r)
{
	json_array_begin(j, "parameters");
	for (const struct web_param *p = r->params; p && p->name; p++) {
		json_object_begin(j, NULL);
		json_text(j, "name", p->name);
		json_text(j, "in", "query");
		json_text(j, "description", p->help);
		json_bool(j, "required", p->required);
		if (p->kind == WEB_LIST) {
			json_text(j, "style", "form");
			json_bool(j, "explode", false);
		}
		put_param_schema(j, "schema", p);
		json_object_end(j);
	}
	json_array_end(j);
}

static void put_body(struct json *j, const struct web_route *r)
{
	json_array_begin(j, "parameters");
	json_object_begin(j, NULL);
	json_text(j, "name", "X-Egret");
	json_text(j, "in", "header");
	json_bool(j, "required", true);
	json_object_begin(j, "schema");
	json_text(j, "type", "string");
	put_enum(j, "1");
	json_object_end(j);
	json_object_end(j);
	json_array_end(j);
	json_object_begin(j, "requestBody");
	json_object_begin(j, "content");
	json_object_begin(j, "application/json");
	json_object_begin(j, "schema");
	json_text(j, "type", "object");
	json_bool(j, "additionalProperties", r->shape == WEB_LINES);
	json_object_begin(j, "properties");
	for (const struct web_param *p = r->params; p && p->name; p++)
		put_param_schema(j, p->name, p);
	json_object_end(j);
	json_object_end(j);
	json_object_end(j);
	json_object_end(j);
	json_object_end(j);
}

static const char *type_name(char letter)
{
	switch (letter) {
	case 's':
		return "string";
	case 'i':
		return "integer";
	case 'n':
		return "number";
	case 'b':
		return "boolean";
	case 'a':
		return "array";
	default:
		return "object";
	}
}

/* "name:T ?name:T" as properties; with `row`, "rows" is an array of such objects. */
static void put_members(struct json *j, const char *key, const char *members, const char *row)
{
	struct str rest = str_of(members), one, name;
	char text[64];

	json_object_begin(j, key);
	json_text(j, "type", "object");
	json_array_begin(j, "required");
	while (str_cut(&rest, ' ', &one))
		if (one.p[0] != '?' && str_cut(&one, ':', &name))
			json_str(j, NULL, name);
	if (row)
		json_text(j, NULL, "rows");
	json_array_end(j);
	json_object_begin(j, "properties");
	if (row) {
		json_object_begin(j, "rows");
		json_text(j, "type", "array");
		put_members(j, "items", row, NULL);
		json_object_end(j);
	}
	rest = str_of(members);
	while (str_cut(&rest, ' ', &one)) {
		one = one.p[0] == '?' ? str_sub(one, 1, one.n) : one;
		if (!str_cut(&one, ':', &name))
			continue;
		snprintf(text, sizeof(text), "%.*s", STR_FMT(name));
		json_object_begin(j, text);
		json_text(j, "type", type_name(one.p[0]));
		if (one.p[0] == 'a') {
			json_object_begin(j, "items");
			json_object_end(j);
		}
		json_object_end(j);
	}
	json_object_end(j);
	json_object_end(j);
}

static const char *media_type(const struct web_route *r)
{
	if (r->shape == WEB_LIVE)
		return "text/event-stream";
	if (r->shape == WEB_LINES)
		return "application/x-ndjson";
	return r->shape == WEB_TEXT ? "text/plain" : "application/json";
}

static void put_replies(struct json *j, const struct web_route *r)
{
	bool rows = r->shape == WEB_ROWS;

	json_object_begin(j, "responses");
	json_object_begin(j, "200");
	json_text(j, "description", r->help);
	json_object_begin(j, "content");
	json_object_begin(j, media_type(r));
	if (r->answer || rows) {
		put_members(j, "schema", r->answer ? r->answer : "", rows ? r->row : NULL);
	} else {
		json_object_begin(j, "schema");
		if (r->shape == WEB_LIVE || r->shape == WEB_TEXT || r->shape == WEB_LINES)
			json_text(j, "type", "string");
		json_object_end(j);
	}
	json_object_end(j);
	json_object_end(j);
	json_object_end(j);
	put_error_reply(j, "400", "the question makes no sense; the error says why");
	put_error_reply(j, "401", "who asks is not known here; a token may help");
	put_error_reply(j, "403", "who asks is known and may not, or another site's page asks");
	if (r->method[0] == 'P')
		put_error_reply(j, "413", "the body is larger than 256 KiB");
	put_error_reply(j, "429", "too many requests from there");
	put_error_reply(j, "501", "a console has nothing of the kind; a machine has");
	put_error_reply(j, "503", "egretd is gone or busy");
	json_object_end(j);
}

static void put_route(struct json *j, const struct web_route *r)
{
	json_object_begin(j, r->method[0] == 'G' ? "get" : "post");
	json_text(j, "summary", r->help);
	if (r->method[0] == 'G')
		put_query(j, r);
	else
		put_body(j, r);
	put_replies(j, r);
	json_object_end(j);
}

static void put_components(struct json *j)
{
	json_object_begin(j, "components");
	json_object_begin(j, "schemas");
	json_object_begin(j, "Error");
	json_text(j, "type", "object");
	json_array_begin(j, "required");
	json_text(j, NULL, "error");
	json_array_end(j);
	json_object_begin(j, "properties");
	json_object_begin(j, "error");
	json_text(j, "type", "string");
	json_object_end(j);
	json_object_end(j);
	json_object_end(j);
	json_object_end(j);
	json_object_begin(j, "securitySchemes");
	json_object_begin(j, "token");
	json_text(j, "type", "http");
	json_text(j, "scheme", "bearer");
	json_text(j, "description",
		  "Made by `egret page`. On the machine itself root and group egret need none: the "
		  "kernel says who asks.");
	json_object_end(j);
	json_object_end(j);
	json_object_end(j);
	json_array_begin(j, "security");
	json_object_begin(j, NULL);
	json_object_end(j);
	json_object_begin(j, NULL);
	json_array_begin(j, "token");
	json_array_end(j);
	json_object_end(j);
	json_array_end(j);
}

void openapi_put(struct buf *out)
{
	struct json j = JSON_INIT(out);
	char path[128];
	size_t n;
	const struct web_route *routes = web_routes(&n);

	json_object_begin(&j, NULL);
	json_text(&j, "openapi", "3.0.3");
	json_object_begin(&j, "info");
	json_text(&j, "title", "egret");
	json_text(&j, "version", EGRET_VERSION);
	json_text(&j, "description",
		  "What leaves this host, who sent it, and what may. Changes (POST) need "
		  "Content-Type: application/json and "
		  "X-Egret: 1.");
	json_object_begin(&j, "license");
	json_text(&j, "name", "Apache-2.0");
	json_object_end(&j);
	json_object_end(&j);
	json_object_begin(&j, "paths");
	for (size_t i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s%s", routes[i].bare ? "" : API_BASE,
			 routes[i].path);
		json_object_begin(&j, path);
		put_route(&j, &routes[i]);
		json_object_end(&j);
	}
	json_object_end(&j);
	put_components(&j);
	json_object_end(&j);
	buf_putc(out, '\n');
}
