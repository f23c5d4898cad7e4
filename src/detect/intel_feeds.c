// SPDX-License-Identifier: Apache-2.0
/* The file of feeds: read, and changed without touching what else stands in it. */
#include "detect/intel_feeds.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/lex.h"
#include "base/time.h"
#include "policy/fetch.h"

#define FILE_MAX (1U << 20)
#define FEEDS_MAX 1024
#define REFRESH_LEAST_NS (60 * NSEC_PER_SEC)

static const char *const formats[] = {
#define X(id, name) name,
	LIST_FORMATS(X)
#undef X
		NULL
};

static const char *const classes[] = {
#define X(id, name) name,
	INTEL_CLASSES(X)
#undef X
		NULL
};

static const char *const names_words[] = { "auto", "exact", "below", NULL };

struct parser {
	struct lex lex;
	struct intel_feeds *feeds;
	const char *cut; /* a feed whose lines are to be left out of `kept`; NULL: none */
	struct buf *kept;
	bool found;
};

/* --- words ---------------------------------------------------------------------------------------------------------- */

static bool at_end(const struct lex_token *t)
{
	return t->kind == LEX_NEWLINE || t->kind == LEX_END;
}

static bool is_name(struct str s)
{
	if (!s.n || s.n > INTEL_FEED_NAME_MAX)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      c == '-' || c == '_' || c == '.'))
			return false;
	}
	return true;
}

/* What is written into the file has to be read back as it is. */
static const char *wrong_with_where(struct str where, bool is_url)
{
	if (!where.n || where.n >= sizeof(((struct intel_feed *)0)->where))
		return "is empty or too long";
	for (size_t i = 0; i < where.n; i++)
		if ((unsigned char)where.p[i] < ' ' || where.p[i] == '"' ||
		    (is_url && where.p[i] == ' '))
			return "holds a character that cannot stand there";
	if (is_url && !str_has_prefix_nocase(where, STR("http://")) &&
	    !str_has_prefix_nocase(where, STR("https://")))
		return "is no http or https URL";
	if (!is_url && where.p[0] != '/')
		return "is no path that begins with '/'";
	return NULL;
}

/* The next of this statement: its end is not gone past. */
static struct lex_token next_word(struct parser *p)
{
	struct lex_token t = lex_peek(&p->lex);

	return at_end(&t) ? t : lex_next(&p->lex);
}

static int take_choice(struct parser *p, const char *const *words)
{
	struct lex_token t = next_word(p);
	const char *near;

	for (int i = 0; t.kind == LEX_WORD && words[i]; i++)
		if (str_eq(t.text, str_of(words[i])))
			return i;
	near = lex_nearest(t.text, words);
	lex_complain(&p->lex, &t, "error",
		     near ? "unknown word; did you mean '%s'?"
			  : "unknown word; '%s' is one that is known",
		     near ? near : words[0]);
	return -1;
}

static void take_duration(struct parser *p, uint64_t *ret, uint64_t least)
{
	struct lex_token t = next_word(p);

	if (t.kind != LEX_WORD || duration_parse(t.text, ret) < 0 || *ret < least)
		lex_complain(&p->lex, &t, "error",
			     least ? "a time of a minute or more is expected here, as 6h"
				   : "a time is expected here, as 14d");
}

/* "2026-11-28" */
static bool date_parse(struct str s, int64_t *ret)
{
	uint64_t y, m, d;
	struct tm tm = { 0 }, back;
	time_t at;

	if (s.n != 10 || s.p[4] != '-' || s.p[7] != '-' ||
	    str_parse_u64(str_sub(s, 0, 4), &y) < 0 || str_parse_u64(str_sub(s, 5, 2), &m) < 0 ||
	    str_parse_u64(str_sub(s, 8, 2), &d) < 0 || y < 1970 || m < 1 || m > 12 || d < 1 ||
	    d > 31)
		return false;
	tm.tm_year = (int)y - 1900;
	tm.tm_mon = (int)m - 1;
	tm.tm_mday = (int)d;
	at = timegm(&tm);
	*ret = at;
	return gmtime_r(&at, &back) && back.tm_mday == (int)d;
}

static void take_option(struct parser *p, struct intel_feed *f)
{
	static const char *const words[] = { "class",   "format", "confidence", "expire",
					     "refresh", "names",  "added",      NULL };
	struct lex_token t;
	uint64_t number;
	int word = take_choice(p, words), v;

	switch (word) {
	case 0:
		v = take_choice(p, classes);
		f->class = v < 0 ? f->class : (enum intel_class)v;
		break;
	case 1:
		v = take_choice(p, formats);
		f->format = v < 0 ? f->format : (enum list_format)v;
		break;
	case 2:
		t = next_word(p);
		if (t.kind != LEX_WORD || str_parse_u64(t.text, &number) < 0 || number < 1 ||
		    number > 100)
			lex_complain(&p->lex, &t, "error",
				     "a confidence is a number from 1 to 100");
		else
			f->confidence = (uint8_t)number;
		break;
	case 3:
		take_duration(p, &f->expire_ns, 0);
		break;
	case 4:
		take_duration(p, &f->refresh_ns, REFRESH_LEAST_NS);
		break;
	case 5:
		v = take_choice(p, names_words);
		f->names = v < 0 ? f->names : (enum intel_names)v;
		break;
	case 6:
		t = next_word(p);
		if (t.kind != LEX_WORD || !date_parse(t.text, &f->added_s))
			lex_complain(&p->lex, &t, "error",
				     "a date is expected here, as 2026-11-28");
		break;
	default:
		break;
	}
}

/* --- statements ----------------------------------------------------------------------------------------------------- */

static void keep_feed(struct parser *p, const struct intel_feed *f, const struct lex_token *at)
{
	struct intel_feeds *all = p->feeds;
	struct intel_feed *v;

	if (intel_feeds_find(all, f->name)) {
		lex_complain(&p->lex, at, "error", "there is a feed of this name already");
		return;
	}
	if (all->n == FEEDS_MAX) {
		lex_complain(&p->lex, at, "error", "more than %d feeds", FEEDS_MAX);
		return;
	}
	v = realloc(all->v, (all->n + 1) * sizeof(*v));
	if (!v) {
		lex_complain(&p->lex, at, "error", "no memory for another feed");
		return;
	}
	all->v = v;
	all->v[all->n++] = *f;
}

static void take_feed(struct parser *p)
{
	static const char *const kinds[] = { "url", "file", NULL };
	struct intel_feed f = INTEL_FEED_INIT;
	unsigned errors = p->lex.n_errors;
	struct lex_token name = next_word(p), t;
	const char *wrong;
	int kind;

	if (name.kind != LEX_WORD || !is_name(name.text))
		lex_complain(&p->lex, &name, "error",
			     "the name of a feed is expected here: at most %d letters, digits, "
			     "'-', '_', '.'",
			     INTEL_FEED_NAME_MAX);
	else
		memcpy(f.name, name.text.p, name.text.n);
	kind = p->lex.n_errors == errors ? take_choice(p, kinds) : -1;
	if (kind >= 0) {
		f.is_url = kind == 0;
		t = next_word(p);
		wrong = t.kind == LEX_STRING ? wrong_with_where(t.text, f.is_url)
					     : "is not in quotes";
		if (wrong)
			lex_complain(&p->lex, &t, "error", "the %s %s", f.is_url ? "URL" : "path",
				     wrong);
		else
			memcpy(f.where, t.text.p, t.text.n);
	}
	for (t = lex_peek(&p->lex); !at_end(&t) && p->lex.n_errors == errors; t = lex_peek(&p->lex))
		take_option(p, &f);
	if (p->lex.n_errors != errors) {
		lex_skip_line(&p->lex);
		return;
	}
	if (p->cut && !strcmp(p->cut, f.name))
		p->found = true;
	keep_feed(p, &f, &name);
}

static void take_statement(struct parser *p)
{
	static const char *const words[] = { "feed", NULL };
	struct lex_token t = lex_peek(&p->lex);

	if (at_end(&t)) {
		lex_next(&p->lex);
		return;
	}
	if (take_choice(p, words) < 0)
		lex_skip_line(&p->lex);
	else
		take_feed(p);
}

/* All statements; what stands in the file but for the lines of `cut` goes to `kept`. */
static int parse(struct intel_feeds *feeds, const char *path, struct str text, const char *cut,
		 struct buf *kept, bool *ret_found, struct buf *messages)
{
	struct parser p = { .feeds = feeds, .cut = cut, .kept = kept };

	lex_init(&p.lex, path, text, messages);
	while (lex_peek(&p.lex).kind != LEX_END) {
		const char *from = p.lex.rest.p;
		bool before = p.found;

		take_statement(&p);
		if (kept && p.found == before)
			buf_put(kept, from, (size_t)(p.lex.rest.p - from));
		else if (kept && lex_peek(&p.lex).kind == LEX_NEWLINE)
			lex_next(&p.lex); /* the end of the line that is left out */
	}
	if (kept)
		buf_put_str(kept, p.lex.rest);
	if (ret_found)
		*ret_found = p.found;
	return p.lex.n_errors ? -EINVAL : 0;
}

/* --- the file ------------------------------------------------------------------------------------------------------- */

static void feeds_path(const char *folder, const char *suffix, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/feeds%s", folder, suffix);
}

void intel_cache_path(const char *folder, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/cache", folder);
}

/* Nothing when there is no such file. */
static int read_text(struct list_text *ret, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), r;

	*ret = (struct list_text){ 0 };
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	r = list_text_read(ret, fd, FILE_MAX);
	return r == -EFBIG ? -E2BIG : r;
}

int intel_feeds_read(struct intel_feeds *ret, const char *folder, struct buf *messages)
{
	struct list_text text;
	char path[PATH_MAX];
	int r;

	*ret = (struct intel_feeds){ 0 };
	feeds_path(folder, "", path);
	r = read_text(&text, path);
	if (r < 0)
		return r;
	r = parse(ret, path, (struct str){ text.p ? text.p : "", text.n }, NULL, NULL, NULL,
		  messages);
	list_text_done(&text);
	return r;
}

void intel_feeds_done(struct intel_feeds *f)
{
	free(f->v);
	*f = (struct intel_feeds){ 0 };
}

const struct intel_feed *intel_feeds_find(const struct intel_feeds *f, const char *name)
{
	for (size_t i = 0; i < f->n; i++)
		if (!strcmp(f->v[i].name, name))
			return &f->v[i];
	return NULL;
}

static int write_text(const char *folder, const struct buf *text)
{
	char path[PATH_MAX], new[PATH_MAX];
	_cleanup_close_ int fd = -1;
	size_t at = 0;

	if (text->failed)
		return -E2BIG;
	feeds_path(folder, "", path);
	feeds_path(folder, ".new", new);
	fd = open(new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return -errno;
	while (at < text->n) {
		ssize_t n = write(fd, text->p + at, text->n - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		at += (size_t)n;
	}
	if (fsync(fd) < 0 || rename(new, path) < 0)
		return -errno;
	return 0;
}

static void put_statement(struct buf *b, const struct intel_feed *f)
{
	char date[16];
	time_t at = f->added_s;
	struct tm tm;

	buf_printf(b, "feed %s %s \"%s\" class %s", f->name, f->is_url ? "url" : "file", f->where,
		   intel_class_name(f->class));
	if (f->format != LIST_AUTO)
		buf_printf(b, " format %s", formats[f->format]);
	if (f->confidence != 100)
		buf_printf(b, " confidence %u", f->confidence);
	if (f->names != INTEL_NAMES_AUTO)
		buf_printf(b, " names %s", names_words[f->names]);
	if (f->refresh_ns)
		buf_printf(b, " refresh %llus", (unsigned long long)(f->refresh_ns / NSEC_PER_SEC));
	if (f->expire_ns)
		buf_printf(b, " expire %llus", (unsigned long long)(f->expire_ns / NSEC_PER_SEC));
	if (f->added_s && gmtime_r(&at, &tm) && strftime(date, sizeof(date), "%Y-%m-%d", &tm))
		buf_printf(b, " added %s", date);
	buf_putc(b, '\n');
}

/* `add` or `remove`. */
static int change(const char *folder, const struct intel_feed *add, const char *remove,
		  struct buf *messages)
{
	_cleanup_buf_ struct buf kept = BUF_INIT(FILE_MAX);
	_cleanup_close_ int lock = -1;
	struct intel_feeds feeds = { 0 };
	struct list_text text;
	char path[PATH_MAX];
	bool found = false;
	int r;

	intel_cache_path(folder, path);
	if (add && ((mkdir(folder, 0755) < 0 && errno != EEXIST) ||
		    (mkdir(path, 0755) < 0 && errno != EEXIST)))
		return -errno;
	feeds_path(folder, ".lock", path);
	lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (lock < 0 || flock(lock, LOCK_EX) < 0)
		return -errno;
	feeds_path(folder, "", path);
	r = read_text(&text, path);
	if (r < 0)
		return r;
	r = parse(&feeds, path, (struct str){ text.p ? text.p : "", text.n }, remove, &kept, &found,
		  messages);
	if (r == 0 && add && intel_feeds_find(&feeds, add->name))
		r = -EEXIST;
	if (r == 0 && remove && !found)
		r = -ENOENT;
	if (r == 0 && add) {
		if (kept.n && kept.p[kept.n - 1] != '\n')
			buf_putc(&kept, '\n');
		put_statement(&kept, add);
		/* what was written is what will be read: a mistake in it is told now */
		intel_feeds_done(&feeds);
		r = kept.failed ? -E2BIG
				: parse(&feeds, path, buf_str(&kept), NULL, NULL, NULL, messages);
	}
	if (r == 0)
		r = write_text(folder, &kept);
	intel_feeds_done(&feeds);
	list_text_done(&text);
	return r;
}

static int mistake(struct buf *messages, const char *what, const char *wrong)
{
	buf_printf(messages, "the %s %s\n", what, wrong);
	return -EINVAL;
}

int intel_feeds_add(const char *folder, const struct intel_feed *feed, struct buf *messages)
{
	const char *wrong = wrong_with_where(str_of(feed->where), feed->is_url);

	if (!is_name(str_of(feed->name)))
		return mistake(messages, "name of a feed",
			       "has letters, digits, '-', '_' and '.', and at most 63 of them");
	if (wrong)
		return mistake(messages, feed->is_url ? "URL" : "path", wrong);
	if ((unsigned)feed->class >= INTEL_CLASS_COUNT ||
	    (unsigned)feed->format >= LIST_FORMAT_COUNT ||
	    (unsigned)feed->names > INTEL_NAMES_BELOW)
		return mistake(messages, "feed", "is of no known class or format");
	return change(folder, feed, NULL, messages);
}

int intel_feeds_remove(const char *folder, const char *name, struct buf *messages)
{
	return change(folder, NULL, name, messages);
}

/* --- for others ----------------------------------------------------------------------------------------------------- */

void intel_feed_list(const struct intel_feed *feed, struct policy_list *ret)
{
	*ret = (struct policy_list){
		.name = str_of(feed->name),
		.path = feed->is_url ? STR_NONE : str_of(feed->where),
		.url = feed->is_url ? str_of(feed->where) : STR_NONE,
		.format = feed->format,
		.refresh_ns = feed->refresh_ns,
		.expire_ns = feed->expire_ns,
	};
}

bool intel_feed_look(const struct intel_feed *feed, const struct intel_index *ix, int64_t now_s,
		     struct intel_feed_state *ret, int64_t *ret_age_s)
{
	*ret_age_s = -1;
	for (uint32_t i = 0; ix && intel_index_feed(ix, i, ret); i++) {
		if (!str_eq(ret->name, str_of(feed->name)))
			continue;
		if (ret->as_of_s)
			*ret_age_s = MAX(now_s - ret->as_of_s, (int64_t)0);
		if (feed->expire_ns && *ret_age_s > (int64_t)(feed->expire_ns / NSEC_PER_SEC))
			ret->expired = true;
		return true;
	}
	*ret = (struct intel_feed_state){ .name = str_of(feed->name), .class = feed->class };
	return false;
}
