/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policy text: any bytes parse, or fail with a word about it. What parses is walked through, so that no index leads
 * astray, compiled, checked and asked. Seeds are policies; "\n%%\n" separates the policy from files that it may include by the names "1", "2" …
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/image.h"

#define FILES_MAX 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void check_str(struct str s)
{
	static volatile char last;

	for (size_t i = 0; i < s.n; i++)
		last = s.p[i];
	(void)last;
}

static void check_dests(const struct policy *p, const struct policy_dest *d, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		check(d[i].place.file < p->n_files && d[i].place.line);
		if (d[i].kind == DEST_NAME || d[i].kind == DEST_BELOW || d[i].kind == DEST_TREE) {
			check(d[i].name.n && d[i].name.n <= 253);
			check_str(d[i].name);
		} else if (d[i].kind == DEST_RANGE) {
			check(memcmp(&d[i].lo, &d[i].hi, sizeof(d[i].lo)) <= 0);
			check(addr_is_v4(&d[i].lo) == addr_is_v4(&d[i].hi) ||
			      !addr_is_v4(&d[i].lo));
		} else if (d[i].kind == DEST_SEGMENT) {
			check(d[i].ref < p->n_segments);
		} else if (d[i].kind == DEST_SET) {
			check(d[i].ref < p->n_sets);
		} else if (d[i].kind == DEST_LIST) {
			check(d[i].ref < p->n_lists);
		}
	}
}

static void check_parts(const struct policy *p, const struct app_part *parts, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		check(parts[i].kind == APP_PART_APP ? parts[i].app < p->n_apps
						    : parts[i].pattern.n > 0);
		check_str(parts[i].pattern);
	}
}

static void check_terms(const struct policy *p, const struct policy_terms *t)
{
	for (size_t i = 0; i < t->n_apps; i++)
		check(t->apps[i] < p->n_apps);
	for (size_t i = 0; i < t->n_during; i++)
		check(t->during[i] < p->n_schedules);
	for (size_t i = 0; i < t->n_ports; i++)
		check(t->ports[i].lo <= t->ports[i].hi && t->ports[i].group < EG_PORTS_NONE);
	for (size_t i = 0; i < t->n_speaking; i++)
		check(policy_protocol_name(t->speaking[i]) != NULL);
	check_parts(p, t->units, t->n_units);
	check_parts(p, t->containers, t->n_containers);
	check_dests(p, t->from, t->n_from);
	check_dests(p, t->to, t->n_to);
}

static void check_policy(const struct policy *p)
{
	check(p->n_rules <= POLICY_RULES_MAX);
	for (size_t i = 0; i < p->n_rules; i++) {
		check(p->rules[i].action >= EG_ALLOW && p->rules[i].action <= EG_AUDIT);
		check_terms(p, &p->rules[i].match);
		for (size_t k = 0; k < p->rules[i].n_except; k++)
			check_terms(p, &p->rules[i].except[k]);
		check_str(p->rules[i].text);
	}
	for (size_t i = 0; i < p->n_expects; i++)
		check_terms(p, &p->expects[i].match);
	for (size_t i = 0; i < p->n_sets; i++)
		check_dests(p, p->sets[i].members, p->sets[i].n_members);
	for (size_t i = 0; i < p->n_segments; i++)
		check_dests(p, p->segments[i].ranges, p->segments[i].n_ranges);
	for (size_t i = 0; i < p->n_apps; i++)
		check_parts(p, p->apps[i].parts, p->apps[i].n_parts);
	if (p->resolver_mode == RESOLVERS_GIVEN)
		check_dests(p, p->resolvers, p->n_resolvers);
}

/* A list with one name and one address. */
static int load_list(void *ctx, const struct policy_list *l, struct list_sink sink,
		     struct list_report *report)
{
	struct list_entry e = { .kind = LIST_TREE, .text = STR("x.example") };
	int r;

	*report = (struct list_report){ .entries = 2, .as_of_s = 1 };
	r = sink.on_entry(sink.ctx, &e);
	if (r < 0)
		return r;
	e = (struct list_entry){ .kind = LIST_RANGE };
	addr_parse(STR("192.0.2.1"), &e.lo);
	e.hi = e.lo;
	return sink.on_entry(sink.ctx, &e);
}

static void compile(const struct policy *p, struct buf *messages)
{
	struct compile_config cfg = {
		.name_key = 1ULL << 60,
		.enforce = true,
		.from_s = 1800000000,
		.to_s = 1800000000 + 86400,
		.load_list = load_list,
	};
	struct policy_subject subject = {
		.exe = STR("/usr/bin/curl"), .proto = 6, .port = 443, .has_ports = true
	};
	struct policy_image *image = NULL;
	struct eg_verdict v;

	if (policy_compile(&image, p, &cfg, messages) < 0) {
		check(messages->n);
		return;
	}
	subject.names[subject.n_names++] = STR("x.example");
	addr_parse(STR("192.0.2.1"), &subject.remote);
	addr_parse(STR("10.0.0.1"), &subject.local);
	check(policy_judge(image, &subject, &v) == 0);
	check(v.action >= EG_ALLOW && v.action <= EG_AUDIT && v.rule <= p->n_rules + 1);
	policy_check(p, image, 1800000000, messages);
	policy_image_free(image);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[FILES_MAX] = { "p", "1", "2", "3" };
	struct str rest = { (const char *)data, size };
	struct buf messages = BUF_INIT(1 << 20);
	struct policy_file files[FILES_MAX];
	struct policy *p = NULL;
	size_t n = 0;
	int r;

	while (n < FILES_MAX) {
		const char *end = rest.n ? memmem(rest.p, rest.n, "\n%%\n", 4) : NULL;

		files[n].name = str_of(names[n]);
		files[n++].text = str_sub(rest, 0, end ? (size_t)(end - rest.p) + 1 : rest.n);
		if (!end)
			break;
		rest = str_sub(rest, (size_t)(end - rest.p) + 4, rest.n);
	}
	r = policy_parse_files(&p, files, n, STR_NONE, &messages);
	check((r == 0) == (p != NULL));
	check(r == 0 || messages.n); /* a mistake without a word */
	check(!messages.failed);
	if (p) {
		check_policy(p);
		buf_clear(&messages);
		policy_note_unenforced(p, &messages);
		policy_note_by_sni(p, &messages);
		compile(p, &messages);
	}
	policy_free(p);
	buf_done(&messages);
	return 0;
}
