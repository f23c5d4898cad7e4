/* SPDX-License-Identifier: Apache-2.0 */
/* Private to store/eve*.c: the objects that eve.c puts together to one record, and the look-ups they share. */
#pragma once

#include <stdint.h>

#include "base/addr.h"
#include "base/intern.h"
#include "base/json.h"
#include "store/eve.h"

struct proc;
struct finding;
struct flow_verdict;
struct record;
struct record_tls;
struct verdict_rule;

/* eve_app.c: the object of an application protocol, by the record's type. */
void eve_put_app(struct json *j, const struct record *r);

/* eve_tls.c: the objects of TLS and QUIC, and what egret adds to them in its own. */
void eve_put_tls(struct json *j, const struct record_tls *t);
void eve_put_quic(struct json *j, const struct record_tls *t);
void eve_put_tls_egret(struct json *j, const struct record_tls *t);

/* eve_who.c: process, user, container, service, cgroup (Elastic Common Schema). */
void eve_put_who(struct json *j, const struct eve_format *fmt, const struct proc *p);

/* eve_verdict.c: what policy decided. */
void eve_put_rule(struct json *j, const struct verdict_rule *r);
void eve_put_verdict(struct json *j, const struct flow_verdict *v);
void eve_put_drop(struct json *j, const struct record *r);
void eve_put_drop_egret(struct json *j, const struct record *r);
void eve_put_alert(struct json *j, const struct record *r);
void eve_put_program(struct json *j, const struct proc *p);

/* eve_finding.c: what detection concluded. */
void eve_put_finding_ends(struct json *j, const struct finding *f);
void eve_put_finding_alert(struct json *j, const struct finding *f);
void eve_put_finding(struct json *j, const struct finding *f);

/* eve_look.c: answers from outside the record, cached. */
/* Name of an interface of our own network namespace (`zone` is a namespace cookie); NULL: not known. */
const char *eve_iface_name(uint32_t ifindex, uint64_t zone, uint64_t now_ns);

/* eve_text.c: the forms that every record has several of, faster than base/ makes them. */
void eve_put_time(struct json *j, const char *key, uint64_t ns);
void eve_put_addr(struct json *j, const char *key, const struct addr *a);
/* (up - down) / (up + down) to four digits; not both 0. */
void eve_put_ratio(struct json *j, const char *key, uint64_t up, uint64_t down);
