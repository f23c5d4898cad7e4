/* SPDX-License-Identifier: Apache-2.0 */
/* {"ask":"policy"} and {"ask":"why"}: who may, and one object made by whoever holds the policy. */
#include <unistd.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "serve/answer.h"
#include "serve/conn.h"

void answer_policy(const struct answer_source *s, struct conn *c)
{
	const struct policy_request *q = &c->request.policy;
	_cleanup_close_ int fd = TAKE_FD(c->passed_fd);
	struct json j;
	size_t from;

	if (!s->cfg->policy) {
		conn_error(c, "there is no policy here");
		return;
	}
	if (policy_verb_changes(q->verb) && !c->rights.change) {
		conn_refuse(c,
			    "not allowed: only root and egretd's own user may change the policy");
		return;
	}
	j = JSON_INIT(conn_line_begin(c, &from));
	json_object_begin(&j, NULL);
	s->cfg->policy(s->cfg->policy_ctx, q, fd, &j);
	json_object_end(&j);
	buf_putc(&c->out, '\n');
	conn_line_end(c, from, s->lost);
}

void answer_why(const struct answer_source *s, struct conn *c)
{
	struct json j;
	size_t from;

	if (!s->cfg->why) {
		conn_error(c, "there is no policy here");
		return;
	}
	j = JSON_INIT(conn_line_begin(c, &from));
	json_object_begin(&j, NULL);
	s->cfg->why(s->cfg->policy_ctx, &c->request.why, &j);
	json_object_end(&j);
	buf_putc(&c->out, '\n');
	conn_line_end(c, from, s->lost);
}
