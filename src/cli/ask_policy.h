/* SPDX-License-Identifier: Apache-2.0 */
/* Requests about the policy to egretd, and what it says to them. */
#pragma once

#include <jansson.h>

#include "base/buf.h"

struct json;

/* "{"ask":"policy","do":VERB" with more members to be put in by the caller, who ends the object. */
void policy_request_begin(struct json *j, const char *verb);

/* The answer, the caller's to decref; NULL: there was none, said. fd -1: nothing goes along. */
json_t *policy_request_send(struct str request, int fd);

/* Prints the answer's messages to stderr. Exit status: 0 when it was done, else 1. */
int policy_request_print(const json_t *answer);

/* A request without members: asks, prints, exit status. */
int policy_request_plain(const char *verb);
