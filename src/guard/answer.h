/* SPDX-License-Identifier: Apache-2.0 */
/* What the control socket asks (serve/control.h, "policy" and "why"), put to the guard. */
#pragma once

#include "serve/request_policy.h"

struct guard;
struct json;

void guard_answer(struct guard *g, const struct policy_request *q, int fd, struct json *j);
void guard_answer_why(struct guard *g, const struct why_request *q, struct json *j);
