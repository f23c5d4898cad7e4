/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/ask_policy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/ask.h"
#include "cli/cmd.h"

void policy_request_begin(struct json *j, const char *verb)
{
	json_object_begin(j, NULL);
	json_text(j, "ask", "policy");
	json_text(j, "do", verb);
}

json_t *policy_request_send(struct str request, int fd)
{
	struct client *c;
	struct str line;
	char why[256];
	json_t *j = NULL;
	int r = ask_daemon_with(&c, arg_run, request, fd, why);

	if (r < 0) {
		log_error("%s", why);
		return NULL;
	}
	r = client_line(c, &line);
	if (r <= 0)
		log_error("egretd did not answer%s%s", r < 0 ? ": " : "",
			  r < 0 ? strerror(-r) : "");
	else if (!(j = ask_parse(line, why)))
		log_error("%s", why);
	client_free(c);
	return j;
}

int policy_request_print(const json_t *answer)
{
	const char *messages = json_string_value(json_object_get(answer, "messages"));

	if (messages)
		fputs(messages, stderr);
	return json_is_true(json_object_get(answer, "done")) ? EXIT_SUCCESS : EXIT_FAILURE;
}

int policy_request_plain(const char *verb)
{
	_cleanup_buf_ struct buf request = BUF_INIT(256);
	struct json j = JSON_INIT(&request);
	json_t *answer;
	int status;

	policy_request_begin(&j, verb);
	json_object_end(&j);
	answer = policy_request_send(buf_str(&request), -1);
	if (!answer)
		return EXIT_FAILURE;
	status = policy_request_print(answer);
	json_decref(answer);
	return status;
}
