/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/finding_json.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/time.h"
#include "detect/detect.h"

static struct str text(const json_t *j, const char *key)
{
	const json_t *v = json_object_get(j, key);

	return json_is_string(v) ? (struct str){ json_string_value(v), json_string_length(v) }
				 : STR_NONE;
}

static uint64_t number(const json_t *j, const char *key)
{
	json_int_t v = json_integer_value(json_object_get(j, key));

	return v > 0 ? (uint64_t)v : 0;
}

static uint64_t when(const json_t *j, const char *key)
{
	uint64_t ns;

	return time_parse(text(j, key), &ns) == 0 ? ns : 0;
}

static bool get_evidence(struct evidence *ret, const json_t *j)
{
	struct str word = text(j, "kind"), what = text(j, "what"), baseline = text(j, "baseline");

	for (int i = 0; i < EVIDENCE_COUNT; i++) {
		if (!str_eq(str_of(evidence_rows[i].word), word))
			continue;
		*ret = (struct evidence){
			.id = (enum evidence_id)i,
			.db = (int16_t)json_integer_value(json_object_get(j, "weight_db")),
			.measured = json_number_value(json_object_get(j, "measured")),
			.n = number(j, "n")
		};
		snprintf(ret->what, sizeof(ret->what), "%.*s", STR_FMT(what));
		snprintf(ret->baseline, sizeof(ret->baseline), "%.*s", STR_FMT(baseline));
		return true;
	}
	return false;
}

static void get_lists(struct finding_copy *c, const json_t *j)
{
	const json_t *v, *plot = json_object_get(j, "plot");
	struct finding *f = &c->f;
	size_t i;

	json_array_foreach(json_object_get(j, "evidence"), i,
			   v) if (f->n_evidence < FINDING_EVIDENCE) f->n_evidence +=
		get_evidence(&c->evidence[f->n_evidence], v);
	f->evidence = c->evidence;
	json_array_foreach(json_object_get(j, "flows"), i, v) if (f->n_flows < FINDING_FLOWS)
		f->flows[f->n_flows++] = (uint64_t)json_integer_value(v);
	json_array_foreach(json_object_get(j, "attack"), i, v)
	{
		if (f->n_attack == ARRAY_SIZE(c->attack) || !json_is_string(v))
			continue;
		snprintf(c->attack[f->n_attack], sizeof(c->attack[0]), "%s", json_string_value(v));
		f->attack[f->n_attack] = c->attack[f->n_attack];
		f->n_attack++;
	}
	f->plot.what = json_string_value(json_object_get(plot, "what"));
	json_array_foreach(json_object_get(plot, "at"), i, v) if (f->plot.n < FINDING_PLOT)
		f->plot.at[f->plot.n++] = (float)json_number_value(v);
}

/* It goes to the terminal, and into commands people type. */
static bool is_id(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!strchr("0123456789abcdefghijklmnopqrstuvwxyz", s.p[i]) || !s.p[i])
			return false;
	return s.n < FINDING_ID_MAX;
}

static enum finding_class class_of(struct str word)
{
	for (enum finding_class c = CLASS_C2; c <= CLASS_POLICY; c++)
		if (str_eq(word, str_of(finding_class_name(c))))
			return c;
	return CLASS_NONE;
}

/* Of a newer egret's detectors there is no name here; nor of what somebody wrote into the file. */
static const char *detector_of(struct str word)
{
	const char *name;

	for (size_t i = 0; (name = detect_detector(i)); i++)
		if (str_eq(str_of(name), word))
			return name;
	return word.n ? "other" : NULL;
}

int finding_of_record(struct finding_copy *ret, const json_t *record)
{
	const json_t *j = json_object_get(json_object_get(record, "egret"), "finding");
	struct finding *f = &ret->f;
	struct str id = text(j, "id"), state = text(j, "state"), proto = text(record, "proto");

	if (!json_is_object(j))
		return -EINVAL;
	*ret = (struct finding_copy){ 0 };
	snprintf(f->id, sizeof(f->id), "%.*s", is_id(id) ? (int)id.n : 0, id.p ?: "");
	f->state = str_eq(state, STR("closed"))   ? FINDING_CLOSED
		   : str_eq(state, STR("update")) ? FINDING_UPDATE
						  : FINDING_OPEN;
	severity_parse(text(j, "level"), &f->severity);
	f->class = class_of(text(j, "class"));
	f->detector = detector_of(text(j, "detector"));
	f->score_db = (int)json_integer_value(json_object_get(j, "score_db"));
	f->entity = text(j, "entity");
	f->peer = text(j, "peer");
	f->name = text(j, "name");
	f->acked = json_is_true(json_object_get(j, "acked"));
	f->entities = (unsigned)number(j, "entities");
	f->opened_ns = when(j, "opened");
	f->first_ns = when(j, "first_seen");
	f->last_ns = when(j, "last_seen");
	f->time_ns = when(record, "timestamp");
	f->flows_total = number(j, "flows_total");
	f->up = number(j, "payload_toserver");
	f->down = number(j, "payload_toclient");
	f->explain = text(j, "explain");
	f->response = text(j, "response");
	addr_parse(text(record, "dest_ip"), &f->addr);
	f->port = (uint16_t)number(record, "dest_port");
	f->proto = str_eq(proto, STR("UDP"))   ? IPPROTO_UDP
		   : str_eq(proto, STR("TCP")) ? IPPROTO_TCP
					       : 0;
	get_lists(ret, j);
	return 0;
}
