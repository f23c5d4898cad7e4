/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must outlive the process, as one file: a line with a checksum, a line of JSON, the texts of the policy. It is
 * written beside its place, synced and renamed, so that a crash leaves the old or the new, never a part.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "guard/bundle.h"
#include "guard/internal.h"

#define HEAD "egret-policy 1 "
#define KEPT_MAX (BUNDLE_MAX + (8U << 20))

void kept_init(struct kept *k)
{
	*k = (struct kept){ .files = BUF_INIT(BUNDLE_MAX) };
}

void kept_done(struct kept *k)
{
	buf_done(&k->files);
	free(k->blocks);
	free(k->counts);
	kept_init(k);
}

static void *copy_array(const void *p, size_t n, size_t size)
{
	void *copy = calloc(n ? n : 1, size);

	if (copy && n)
		memcpy(copy, p, n * size);
	return copy;
}

int kept_copy(struct kept *ret, const struct kept *k)
{
	struct kept c = *k;

	c.files = BUF_INIT(BUNDLE_MAX);
	buf_put_str(&c.files, buf_str(&k->files));
	c.blocks = copy_array(k->blocks, k->n_blocks, sizeof(*k->blocks));
	c.counts = copy_array(k->counts, k->n_counts, sizeof(*k->counts));
	if (c.files.failed || !c.blocks || !c.counts) {
		kept_done(&c);
		return -ENOMEM;
	}
	*ret = c;
	return 0;
}

/* ---- writing ---- */

static void put_ids(struct json *j, const struct policy_ids *ids)
{
	json_array_begin(j, "trees");
	for (size_t i = 0; i < EG_TREES_MAX; i++) {
		if (!ids->tree[i].pattern)
			continue;
		json_object_begin(j, NULL);
		json_u64(j, "id", i);
		json_text(j, "pattern", ids->tree[i].pattern);
		json_u64(j, "unused", ids->tree[i].unused);
		json_object_end(j);
	}
	json_array_end(j);
	json_array_begin(j, "groups");
	for (size_t i = 0; i < EG_GIDS_MAX; i++) {
		if (!ids->group[i].used)
			continue;
		json_object_begin(j, NULL);
		json_u64(j, "id", i);
		json_u64(j, "gid", ids->group[i].gid);
		json_u64(j, "unused", ids->group[i].unused);
		json_object_end(j);
	}
	json_array_end(j);
}

static void put_facts(struct json *j, const struct kept *k, const struct policy_ids *ids)
{
	json_object_begin(j, NULL);
	json_text(j, "mode", guard_mode_name(k->mode));
	json_bool(j, "from_conf", k->from_conf);
	json_i64(j, "loaded", k->loaded_s);
	json_i64(j, "confirm_by", k->confirm_by_s);
	json_array_begin(j, "blocks");
	for (size_t i = 0; i < k->n_blocks; i++) {
		json_object_begin(j, NULL);
		json_text(j, "rule", k->blocks[i].rule);
		json_text(j, "note", k->blocks[i].note);
		json_i64(j, "since", k->blocks[i].since_s);
		json_i64(j, "until", k->blocks[i].until_s);
		json_object_end(j);
	}
	json_array_end(j);
	json_array_begin(j, "counts");
	for (size_t i = 0; i < k->n_counts; i++) {
		const struct attach_hits *h = &k->counts[i].hits;

		json_array_begin(j, NULL);
		json_u64(j, NULL, h->verdicts);
		json_u64(j, NULL, h->refused_packets);
		json_u64(j, NULL, h->refused_bytes);
		json_u64(j, NULL, h->refused_calls);
		json_u64(j, NULL, h->last_ns);
		json_u64(j, NULL, k->counts[i].flows);
		json_u64(j, NULL, k->counts[i].up_bytes);
		json_u64(j, NULL, k->counts[i].down_bytes);
		json_u64(j, NULL, h->limited_packets);
		json_u64(j, NULL, h->limited_bytes);
		json_array_end(j);
	}
	json_array_end(j);
	put_ids(j, ids);
	json_object_end(j);
}

int kept_write(const char *folder, const char *name, const struct kept *k,
	       const struct policy_ids *ids)
{
	_cleanup_buf_ struct buf body = BUF_INIT(KEPT_MAX);
	struct json j = JSON_INIT(&body);

	put_facts(&j, k, ids);
	buf_putc(&body, '\n');
	buf_put_str(&body, buf_str(&k->files));
	if (body.failed)
		return -ENOMEM;
	return sealed_write(folder, name, HEAD, &body);
}

void kept_remove(const char *folder, const char *name)
{
	_cleanup_close_ int dir = file_open_folder(folder);

	if (dir >= 0)
		unlinkat(dir, name, 0);
}

/* ---- reading ---- */

static bool get_int(const json_t *j, const char *key, int64_t *ret)
{
	const json_t *v = json_object_get(j, key);

	*ret = json_integer_value(v);
	return json_is_integer(v);
}

static bool get_text(const json_t *j, const char *key, char *ret, size_t size)
{
	const json_t *v = json_object_get(j, key);

	return json_is_string(v) && !strchr(json_string_value(v), '\n') &&
	       json_string_length(v) == strlen(json_string_value(v)) &&
	       (size_t)snprintf(ret, size, "%s", json_string_value(v)) < size;
}

static int get_blocks(struct kept *k, const json_t *all)
{
	size_t n = json_array_size(all);

	if (!json_is_array(all) || n > BLOCKS_MAX)
		return -EBADMSG;
	k->blocks = calloc(n ? n : 1, sizeof(*k->blocks));
	if (!k->blocks)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++, k->n_blocks++) {
		struct dated_rule *b = &k->blocks[i];
		const json_t *j = json_array_get(all, i);

		if (!get_text(j, "rule", b->rule, sizeof(b->rule)) ||
		    !get_text(j, "note", b->note, sizeof(b->note)) ||
		    !get_int(j, "since", &b->since_s) || !get_int(j, "until", &b->until_s))
			return -EBADMSG;
	}
	return 0;
}

#define COUNT_FIELDS 10
#define COUNT_FIELDS_OLD 8 /* before there were rates */

static int get_count(struct rule_count *c, const json_t *all)
{
	uint64_t v[COUNT_FIELDS] = { 0 };
	size_t n = json_array_size(all);

	if (n != COUNT_FIELDS && n != COUNT_FIELDS_OLD)
		return -EBADMSG;
	for (size_t i = 0; i < n; i++)
		v[i] = (uint64_t)json_integer_value(json_array_get(all, i));
	*c = (struct rule_count){ { .verdicts = v[0],
				    .refused_packets = v[1],
				    .refused_bytes = v[2],
				    .refused_calls = v[3],
				    .limited_packets = v[8],
				    .limited_bytes = v[9],
				    .last_ns = v[4] },
				  v[5],
				  v[6],
				  v[7] };
	return 0;
}

static int get_counts(struct kept *k, const json_t *all)
{
	size_t n = json_array_size(all);
	int r = 0;

	if (!json_is_array(all) || n > POLICY_RULES_MAX + 2)
		return -EBADMSG;
	k->counts = calloc(n ? n : 1, sizeof(*k->counts));
	if (!k->counts)
		return -ENOMEM;
	for (; r == 0 && k->n_counts < n; k->n_counts++)
		r = get_count(&k->counts[k->n_counts], json_array_get(all, k->n_counts));
	return r;
}

static int get_ids(struct policy_ids *ids, const json_t *j)
{
	const json_t *trees = json_object_get(j, "trees"), *groups = json_object_get(j, "groups");
	int64_t id, unused, gid;

	for (size_t i = 0; i < json_array_size(trees); i++) {
		const json_t *t = json_array_get(trees, i);
		const char *pattern = json_string_value(json_object_get(t, "pattern"));

		if (!pattern || !get_int(t, "id", &id) || !get_int(t, "unused", &unused) ||
		    id < 0 || id >= EG_TREES_MAX || ids->tree[id].pattern)
			return -EBADMSG;
		ids->tree[id].pattern = strdup(pattern);
		ids->tree[id].unused = (uint32_t)unused;
		if (!ids->tree[id].pattern)
			return -ENOMEM;
	}
	for (size_t i = 0; i < json_array_size(groups); i++) {
		const json_t *t = json_array_get(groups, i);

		if (!get_int(t, "id", &id) || !get_int(t, "unused", &unused) ||
		    !get_int(t, "gid", &gid) || id < 0 || id >= EG_GIDS_MAX)
			return -EBADMSG;
		ids->group[id].gid = (uint32_t)gid;
		ids->group[id].unused = (uint32_t)unused;
		ids->group[id].used = true;
	}
	return 0;
}

static int get_mode(struct kept *k, const json_t *j)
{
	const char *word = json_string_value(json_object_get(j, "mode"));

	for (int m = GUARD_OFF; word && m <= GUARD_ENFORCE; m++) {
		if (strcmp(word, guard_mode_name((enum guard_mode)m)))
			continue;
		k->mode = (enum guard_mode)m;
		return 0;
	}
	return -EBADMSG;
}

static int get_facts(struct kept *k, struct policy_ids *ids, struct str line)
{
	_cleanup_(json_decrefp) json_t *j = json_loadb(line.p, line.n, 0, NULL);
	int r;

	k->from_conf = json_is_true(json_object_get(j, "from_conf"));
	if (!j || !get_int(j, "loaded", &k->loaded_s) ||
	    !get_int(j, "confirm_by", &k->confirm_by_s))
		return -EBADMSG;
	r = get_mode(k, j);
	if (r == 0)
		r = get_blocks(k, json_object_get(j, "blocks"));
	if (r == 0)
		r = get_counts(k, json_object_get(j, "counts"));
	if (r == 0 && ids)
		r = get_ids(ids, j);
	return r;
}

static int parse_kept(struct kept *k, struct policy_ids *ids, struct str text)
{
	_cleanup_free_ struct policy_file *files = NULL;
	struct str line;
	size_t n;
	int r = sealed_open(HEAD, &text);

	if (r < 0)
		return r;
	if (!str_cut(&text, '\n', &line))
		return -EBADMSG;
	r = get_facts(k, ids, line);
	if (r < 0 || !text.n)
		return r;
	if (bundle_parse(text, &files, &n) < 0)
		return -EBADMSG;
	buf_put_str(&k->files, text);
	return k->files.failed ? -ENOMEM : 0;
}

int kept_read(const char *folder, const char *name, struct kept *ret, struct policy_ids *ids)
{
	_cleanup_buf_ struct buf text = BUF_INIT(KEPT_MAX);
	_cleanup_close_ int dir = file_open_folder(folder);
	struct policy_ids got = { 0 };
	struct kept k;
	int r = dir < 0 ? dir : file_read(dir, name, &text);

	kept_init(&k);
	if (r == 0)
		r = parse_kept(&k, ids ? &got : NULL, buf_str(&text));
	if (r == -EBADMSG)
		file_set_aside(dir, name);
	if (r < 0) {
		policy_ids_free(&got);
		kept_done(&k);
		return r;
	}
	if (ids) {
		policy_ids_free(ids);
		*ids = got;
	}
	*ret = k;
	return 0;
}
