// SPDX-License-Identifier: Apache-2.0
/* Findings as `alert` records. */
#include "store/eve_parts.h"

#include <math.h>
#include <netinet/in.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "detect/finding.h"
#include "flow/flow.h"
#include "flow/record.h"

/* Of a detector, whatever it found: what people mute and count by. */
static uint64_t signature_id(const struct finding *f)
{
	return (hash_bytes(f->detector, strlen(f->detector), 0) & 0x7fffffff) | 1;
}

static uint64_t eve_severity(enum severity s)
{
	return s >= SEVERITY_HIGH ? 1 : s == SEVERITY_MEDIUM ? 2 : 3;
}

/* "T1071, T1029": each by itself. */
static void put_techniques(struct json *j, const char *key, const struct finding *f)
{
	json_array_begin(j, key);
	for (size_t i = 0; i < f->n_attack; i++) {
		struct str rest = str_of(f->attack[i]), one;

		while (str_cut(&rest, ',', &one))
			json_str(j, NULL, str_trim(one));
	}
	json_array_end(j);
}

void eve_put_finding_alert(struct json *j, const struct finding *f)
{
	json_object_begin(j, "alert");
	json_text(j, "action", "allowed");
	json_u64(j, "gid", 2);
	json_u64(j, "signature_id", signature_id(f));
	json_u64(j, "rev", 1);
	json_str(j, "signature", f->explain);
	json_text(j, "category", finding_class_name(f->class));
	json_u64(j, "severity", eve_severity(f->severity));
	json_object_begin(j, "metadata");
	json_array_begin(j, "level");
	json_text(j, NULL, severity_name(f->severity));
	json_array_end(j);
	put_techniques(j, "mitre_technique_id", f);
	json_object_end(j);
	json_object_end(j);
}

static void put_evidence(struct json *j, const struct evidence *e)
{
	const struct evidence_row *row = &evidence_rows[e->id];

	json_object_begin(j, NULL);
	json_text(j, "group", evidence_group_name(row->group));
	json_text(j, "kind", row->word);
	json_text(j, "what", e->what);
	if (isfinite(e->measured))
		json_f64(j, "measured", e->measured);
	if (e->baseline[0])
		json_text(j, "baseline", e->baseline);
	json_u64(j, "n", e->n);
	json_i64(j, "weight_db", e->db);
	json_object_end(j);
}

void eve_put_finding(struct json *j, const struct finding *f)
{
	json_object_begin(j, "finding");
	json_text(j, "id", f->id);
	json_text(j, "state", finding_state_name(f->state));
	json_text(j, "detector", f->detector);
	json_text(j, "class", finding_class_name(f->class));
	json_text(j, "level", severity_name(f->severity));
	json_i64(j, "score_db", f->score_db);
	json_str(j, "entity", f->entity);
	json_str(j, "peer", f->peer);
	if (f->name.n)
		json_str(j, "name", f->name);
	if (f->acked)
		json_bool(j, "acked", true);
	if (f->entities > 1)
		json_u64(j, "entities", f->entities);
	eve_put_time(j, "opened", f->opened_ns);
	eve_put_time(j, "first_seen", f->first_ns);
	eve_put_time(j, "last_seen", f->last_ns);
	json_u64(j, "flows_total", f->flows_total);
	json_u64(j, "payload_toserver", f->up);
	json_u64(j, "payload_toclient", f->down);
	json_array_begin(j, "flows");
	for (size_t i = 0; i < f->n_flows; i++)
		json_u64(j, NULL, f->flows[i]);
	json_array_end(j);
	json_array_begin(j, "evidence");
	for (size_t i = 0; i < f->n_evidence; i++)
		put_evidence(j, &f->evidence[i]);
	json_array_end(j);
	put_techniques(j, "attack", f);
	if (f->plot.what && f->plot.n) {
		json_object_begin(j, "plot");
		json_text(j, "what", f->plot.what);
		json_array_begin(j, "at");
		for (size_t i = 0; i < f->plot.n; i++)
			json_f64(j, NULL, isfinite(f->plot.at[i]) ? (double)f->plot.at[i] : 0);
		json_array_end(j);
		json_object_end(j);
	}
	if (f->response.n)
		json_str(j, "response", f->response);
	json_str(j, "explain", f->explain);
	json_object_end(j);
}

/* The two ends, as far as they are single ones. */
void eve_put_finding_ends(struct json *j, const struct finding *f)
{
	char text[8];

	if (f->has_source)
		eve_put_addr(j, "src_ip", &f->source);
	if (addr_is_unset(&f->addr))
		return;
	eve_put_addr(j, "dest_ip", &f->addr);
	if (flow_proto_has_ports(f->proto))
		json_u64(j, "dest_port", f->port);
	json_text(j, "proto", flow_proto_name(f->proto, text));
}
