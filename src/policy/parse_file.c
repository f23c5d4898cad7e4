/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of a policy: reading them whole, refusing what is no text, and `include`. Names of included files are relative
 * to the file that includes them. No file is read twice, so there are no circles.
 */
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "policy/parse.h"

int read_policy_file(const char *path, bool regular, struct buf *ret, char key[FILE_KEY_MAX])
{
	_cleanup_close_ int own = -1;
	int fd = STDIN_FILENO;
	struct stat st;
	ssize_t n;

	if (strcmp(path, "-")) {
		/* A FIFO that nobody writes to must not hold up the reader. */
		fd = own = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | (regular ? O_NONBLOCK : 0));
		if (fd < 0)
			return -errno;
	}
	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (regular && !S_ISREG(st.st_mode))
		return -EINVAL;
	snprintf(key, FILE_KEY_MAX, "%llu %llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino);
	if (st.st_size > 0 && st.st_size < POLICY_TEXT_MAX)
		buf_reserve(ret, (size_t)st.st_size);
	for (;;) {
		char *at = buf_reserve(ret, 65536);

		if (!at)
			return -ENOMEM;
		n = read(fd, at, 65536);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		ret->n += (size_t)n;
		if (ret->max - ret->n < 65536)
			return -EFBIG;
	}
	return n < 0 ? -errno : 0;
}

/* Bytes up to the first that is no text: NUL, or not UTF-8. *ret_ascii: there are no others than ASCII. */
static size_t text_length(struct str s, bool *ret_ascii)
{
	const unsigned char *p = (const unsigned char *)s.p;
	size_t i = 0;

	*ret_ascii = true;
	while (i < s.n) {
		size_t n = p[i] >= 0xf0 ? 4 : p[i] >= 0xe0 ? 3 : 2;

		if (p[i] && p[i] < 0x80) {
			i++;
			continue;
		}
		if (p[i] < 0xc2 || p[i] > 0xf4 || n > s.n - i)
			return i;
		for (size_t k = 1; k < n; k++)
			if ((p[i + k] & 0xc0) != 0x80)
				return i;
		*ret_ascii = false;
		i += n;
	}
	return i;
}

/* False, with a message, when this is no text. */
static bool check_text(struct parser *p, struct str name, struct str text)
{
	struct policy_place at = { .file = p->file, .line = 1, .column = 1 };
	size_t bad = text_length(text, &p->ascii);

	if (bad == text.n)
		return true;
	for (const char *c = text.p; c < text.p + bad; c++) {
		at.column++;
		if (*c == '\n') {
			at.line++;
			at.column = 1;
		}
	}
	p->lex.line_start = NULL;
	p->no_text = true;
	if (text.n > 1 && (!memcmp(text.p, "\xff\xfe", 2) || !memcmp(text.p, "\xfe\xff", 2)))
		complain(p, at, "error", "this file is UTF-16\nsave it as UTF-8");
	else if (!text.p[bad])
		complain(p, at, "error", "a NUL byte: this is no text file");
	else
		complain(p, at, "error", "this is not UTF-8\nsave the file as UTF-8");
	return false;
}

void parse_text(struct parser *p, struct str name, struct str text)
{
	struct lex lex = p->lex;
	struct lex_token tok = p->tok;
	uint32_t file = p->file;
	unsigned muted_line = p->muted_line;
	bool ascii = p->ascii;

	p->file = (uint32_t)p->files.n;
	*(struct str *)vec_add(p, &p->files, sizeof(name)) = name;
	*(struct str *)vec_add(p, &p->sources, sizeof(text)) = text;
	p->total_bytes += text.n;
	p->muted_line = 0;
	if (!p->failed && check_text(p, name, text)) {
		p->include_chain[p->depth++] = p->file;
		lex_init(&p->lex, name.p, text, p->messages);
		p->tok = (struct lex_token){ .kind = LEX_NEWLINE };
		while (p->tok.kind != LEX_END && !p->failed) {
			next(p);
			if (!at_end(&p->tok))
				parse_statement(p);
		}
		p->depth--;
	}
	p->lex = lex;
	p->tok = tok;
	p->file = file;
	p->muted_line = muted_line;
	p->ascii = ascii;
}

/* --- include ---------------------------------------------------------------------------------------------------------- */

/* `key` tells the file apart from others: its device and inode, or its name. */
bool note_file(struct parser *p, struct policy_place at, const char *path, struct str key)
{
	struct symbol *s = symbol_at(p, symbol_get(p, SYMBOL_FILE, arena_str(p, key)));

	if (s->def == POLICY_ANON) {
		s->def = (uint32_t)p->files.n;
		s->place = at;
		return true;
	}
	for (unsigned i = 0; i < p->depth; i++)
		if (p->include_chain[i] == s->def) {
			complain(p, at, "error", "'%s' includes itself", path);
			return false;
		}
	complain(p, at, "error", "'%s' is included a second time\nfirst in line %u of %s", path,
		 s->place.line, ((const struct str *)p->files.p)[s->place.file].p);
	return false;
}

static bool has_room(struct parser *p, struct policy_place at, size_t bytes)
{
	if (p->depth == PARSE_DEPTH_MAX)
		complain(p, at, "error", "includes are nested more than %d deep", PARSE_DEPTH_MAX);
	else if (p->files.n == PARSE_FILES_MAX)
		complain(p, at, "error", "the policy has more than %d files", PARSE_FILES_MAX);
	else if (bytes > POLICY_TEXT_MAX - p->total_bytes)
		complain(p, at, "error", "the policy is larger than 64 MiB");
	else
		return true;
	return false;
}

static void include_file(struct parser *p, struct policy_place at, const char *path)
{
	_cleanup_buf_ struct buf text = BUF_INIT(POLICY_TEXT_MAX + 65536);
	char key[FILE_KEY_MAX];
	int r = read_policy_file(path, true, &text, key);

	if (r == 0 && !note_file(p, at, path, str_of(key)))
		return;
	if (r == -EINVAL)
		complain(p, at, "error", "'%s' is not a regular file", path);
	else if (r < 0 && r != -EFBIG)
		complain(p, at, "error", "'%s' cannot be read: %s", path, strerror(-r));
	else if (has_room(p, at, r == -EFBIG ? SIZE_MAX : text.n))
		parse_text(p, arena_str(p, str_of(path)), arena_take(p, &text));
}

static size_t include_from_disk(struct parser *p, struct policy_place at, const char *pattern,
				bool literal)
{
	glob_t found = { 0 };
	size_t n = 0;
	int r = literal ? GLOB_NOMATCH : glob(pattern, GLOB_ERR, NULL, &found);

	if (literal) {
		include_file(p, at, pattern);
		return 1;
	}
	if (r && r != GLOB_NOMATCH) {
		complain(p, at, "error", "'%s' cannot be looked for: %s", pattern,
			 r == GLOB_NOSPACE ? "no memory" : strerror(errno));
		n = 1;
	}
	for (size_t i = 0; !r && i < found.gl_pathc && !p->failed; i++, n++)
		include_file(p, at, found.gl_pathv[i]);
	globfree(&found);
	return n;
}

static size_t include_from_given(struct parser *p, struct policy_place at, const char *pattern,
				 bool literal)
{
	size_t n = 0;

	for (size_t i = 1; i < p->n_given && !p->failed; i++) {
		const struct policy_file *f = &p->given[i];
		struct str name = arena_str(p, f->name);

		if (literal ? !str_eq(name, str_of(pattern))
			    : fnmatch(pattern, name.p, FNM_PATHNAME | FNM_PERIOD))
			continue;
		n++;
		if (note_file(p, at, name.p, name) && has_room(p, at, f->text.n))
			parse_text(p, name, arena_str(p, f->text));
	}
	if (!n && literal) {
		complain(p, at, "error", "'%s' cannot be read: %s", pattern, strerror(ENOENT));
		return 1;
	}
	return n;
}

/* `name` as seen from the folder of the file that is read. */
bool path_from_here(struct parser *p, struct str name, char path[PATH_MAX])
{
	const char *here = ((const struct str *)p->files.p)[p->file].p, *slash = strrchr(here, '/');
	int n;

	if (name.p[0] == '/' || !slash)
		n = snprintf(path, PATH_MAX, "%.*s", STR_FMT(name));
	else
		n = snprintf(path, PATH_MAX, "%.*s%.*s", (int)(slash - here) + 1, here,
			     STR_FMT(name));
	return n < PATH_MAX && !memchr(name.p, 0, name.n);
}

void parse_include(struct parser *p)
{
	struct policy_place at = place_of(p, &p->tok);
	char path[PATH_MAX];
	struct str name;
	bool literal;
	size_t n;

	if (!take_string(p, &name, "the name of the file"))
		return;
	if (!path_from_here(p, name, path)) {
		complain(p, at, "error", "this name is too long");
		return;
	}
	literal = !memchr(name.p, '*', name.n) && !memchr(name.p, '?', name.n) &&
		  !memchr(name.p, '[', name.n);
	n = p->n_given ? include_from_given(p, at, path, literal)
		       : include_from_disk(p, at, path, literal);
	if (!n)
		complain(p, at, "warning", "no file matches; nothing is included");
}
