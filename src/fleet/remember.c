/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was taken and where this host stands with it, in one file: after a restart without a network it is there. The
 * signature is verified again when it is read.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "fleet/internal.h"
#include "guard/sealed.h"

#define NAME "taken"
#define WORD "egret-fleet-taken 1 "
#define KEPT_MAX (FLEET_BUNDLE_MAX + FLEET_SIGNATURE_MAX + (64U << 10))

/* Numbers of struct progress, by the names they have in the file. */
struct number {
	const char *key;
	size_t offset;
};
#define NUMBER(key, field)                            \
	{                                             \
		key, offsetof(struct progress, field) \
	}
static const struct number numbers[] = {
	NUMBER("version", version),
	NUMBER("start", start_s),
	NUMBER("in_force", in_force),
	NUMBER("before", before),
	NUMBER("enforced", enforced_s),
	NUMBER("trial", trial_s),
	NUMBER("most", most),
	NUMBER("tries", tries),
	NUMBER("bad", bad),
	NUMBER("refused_before", refused_before.n),
	NUMBER("refused_before_s", refused_before.seconds),
	NUMBER("refused_after", refused_after),
	NUMBER("watched", watched),
	NUMBER("would_refuse", would_refuse),
};
_Static_assert(sizeof(int64_t) == sizeof(((struct progress *)0)->start_s) &&
		       sizeof(int64_t) == sizeof(((struct progress *)0)->version),
	       "all numbers are 64 bits");

static void put_progress(struct json *j, const struct follower *f)
{
	json_object_begin(j, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		json_i64(j, numbers[i].key,
			 *(const int64_t *)((const char *)&f->at + numbers[i].offset));
	json_bool(j, "on_trial", f->at.on_trial);
	json_text(j, "bad_why", f->at.bad_why);
	json_u64(j, "signature_bytes", f->taken.signature.n);
	json_object_end(j);
}

int follower_keep(struct follower *f)
{
	_cleanup_buf_ struct buf body = BUF_INIT(KEPT_MAX);
	struct json j = JSON_INIT(&body);
	int r;

	if (!f->folder)
		return 0;
	put_progress(&j, f);
	buf_putc(&body, '\n');
	buf_put_str(&body, buf_str(&f->taken.signature));
	buf_put_str(&body, buf_str(&f->taken.bundle));
	r = sealed_write(f->folder, NAME, WORD, &body);
	return r < 0 ? log_errno(r, "cannot write %s/" NAME, f->folder) : 0;
}

static int get_progress(struct progress *ret, struct str line, size_t *ret_signature)
{
	_cleanup_(json_decrefp) json_t *j = json_loadb(line.p, line.n, 0, NULL);
	const char *why = json_string_value(json_object_get(j, "bad_why"));
	json_int_t n = json_integer_value(json_object_get(j, "signature_bytes"));

	if (!json_is_object(j) || !why || n < 0 || n > FLEET_SIGNATURE_MAX)
		return -EBADMSG;
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		json_int_t v = json_integer_value(json_object_get(j, numbers[i].key));

		if (v < 0)
			return -EBADMSG;
		*(int64_t *)((char *)ret + numbers[i].offset) = v;
	}
	ret->on_trial = json_is_true(json_object_get(j, "on_trial"));
	snprintf(ret->bad_why, sizeof(ret->bad_why), "%s", why);
	*ret_signature = (size_t)n;
	return 0;
}

/* Whose signature is not good any more is forgotten, with the number that others had to exceed: the keys were changed. */
static int recall(struct follower *f, struct str text)
{
	struct taken t = { 0 };
	struct progress at = { 0 };
	char why[WHY_MAX] = "";
	int64_t signed_s;
	struct str line;
	size_t n = 0;
	int r = sealed_open(WORD, &text);

	if (r == 0 && !str_cut(&text, '\n', &line))
		r = -EBADMSG;
	if (r == 0)
		r = get_progress(&at, line, &n);
	if (r < 0)
		return r;
	r = n ? taken_verify(f, str_sub(text, 0, n), str_sub(text, n, text.n), &t, &signed_s, why)
	      : -ENODATA;
	if (r == 0) {
		taken_done(&f->taken);
		f->taken = t;
		f->has = true;
		f->at = at;
		buf_put_str(&f->seen, buf_str(&t.signature));
		return 0;
	}
	taken_done(&t);
	f->at.in_force = at.in_force;
	log_warn("fleet policy: version %" PRIu64
		 ", which was taken before, is not taken any more: %s",
		 at.version, why);
	return 0;
}

void follower_recall(struct follower *f)
{
	_cleanup_buf_ struct buf text = BUF_INIT(KEPT_MAX + FILE_READ_MORE);
	_cleanup_close_ int dir = f->folder ? file_open_folder(f->folder) : -ENOENT;
	int r = dir < 0 ? dir : file_read(dir, NAME, &text);

	if (r == 0)
		r = recall(f, buf_str(&text));
	if (r == -EBADMSG) {
		file_set_aside(dir, NAME);
		log_warn("fleet policy: %s/" NAME
			 " is damaged and was set aside: what is published is "
			 "taken anew",
			 f->folder);
	} else if (r < 0 && r != -ENOENT) {
		log_errno(r, "cannot read %s/" NAME, f->folder);
	}
}
