/* SPDX-License-Identifier: Apache-2.0 */
/* What the page's process and `egret page` ask: who may what, the words of the filter language, an address with a token. */
#include "base/json.h"
#include "flow/filter.h"
#include "serve/answer.h"
#include "serve/conn.h"

static void put_rights(struct json *j, const struct rights *r)
{
	json_bool(j, "read", r->read);
	json_bool(j, "change", r->change);
	if (r->how[0])
		json_text(j, "how", r->how);
	if (r->until_s)
		json_u64(j, "until", r->until_s);
}

void answer_put_rights(struct json *j, const char *key, const struct rights *r)
{
	json_object_begin(j, key);
	put_rights(j, r);
	json_object_end(j);
}

static void end_line(const struct answer_source *s, struct conn *c, size_t from)
{
	buf_putc(&c->out, '\n');
	conn_line_end(c, from, s->lost);
}

void answer_rights(const struct answer_source *s, struct conn *c)
{
	size_t from;
	struct json j = JSON_INIT(conn_line_begin(c, &from));

	json_object_begin(&j, NULL);
	put_rights(&j, &c->rights);
	json_bool(&j, "live", s->cfg->flows != NULL);
	json_object_end(&j);
	end_line(s, c, from);
}

void answer_keys(const struct answer_source *s, struct conn *c)
{
	size_t n, from;
	const struct filter_key_help *keys = filter_keys(&n);
	struct json j = JSON_INIT(conn_line_begin(c, &from));

	json_array_begin(&j, NULL);
	for (size_t i = 0; i < n; i++) {
		json_object_begin(&j, NULL);
		json_text(&j, "key", keys[i].key);
		json_text(&j, "help", keys[i].help);
		json_object_end(&j);
	}
	json_array_end(&j);
	end_line(s, c, from);
}

void answer_page(const struct answer_source *s, struct conn *c)
{
	const struct page_request *q = &c->request.page;
	struct json j;
	size_t from;

	if (!s->cfg->page) {
		conn_error(c, "the page is off in egret.conf");
		return;
	}
	/* A token never makes another one, nor does whoever was let in by one. */
	if (c->web) {
		conn_refuse(c, "not allowed: tokens are made and revoked on the machine itself");
		return;
	}
	if ((q->change || q->verb == PAGE_DO_REVOKE) && !c->rights.change) {
		conn_refuse(c, "not allowed: only root and egretd's own user may do that");
		return;
	}
	j = JSON_INIT(conn_line_begin(c, &from));
	json_object_begin(&j, NULL);
	s->cfg->page(s->cfg->page_ctx, q, &j);
	json_object_end(&j);
	end_line(s, c, from);
}
