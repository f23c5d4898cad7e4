/* SPDX-License-Identifier: Apache-2.0 */
#include "guard/bundle.h"

#include <errno.h>

#include "base/cleanup.h"

#define NAME_MAX_BYTES 4096

void bundle_put(struct buf *out, const struct policy_file *files, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		buf_printf(out, "file %zu %zu\n", files[i].name.n, files[i].text.n);
		buf_put_str(out, files[i].name);
		buf_putc(out, '\n');
		buf_put_str(out, files[i].text);
		buf_putc(out, '\n');
	}
}

void bundle_policy(struct buf *out, const struct policy *p)
{
	for (size_t i = 0; i < p->n_files; i++)
		bundle_put(out, &(struct policy_file){ p->files[i], p->sources[i] }, 1);
}

/* `n` bytes and the line end behind them. */
static bool take(struct str *rest, uint64_t n, struct str *ret)
{
	if (n >= rest->n || rest->p[n] != '\n')
		return false;
	*ret = str_sub(*rest, 0, n);
	*rest = str_sub(*rest, n + 1, rest->n);
	return true;
}

static bool take_file(struct str *rest, struct policy_file *ret)
{
	struct str line, word;
	uint64_t name, text;

	if (!memchr(rest->p, '\n', MIN(rest->n, (size_t)64)) || !str_cut(rest, '\n', &line))
		return false;
	if (!str_cut(&line, ' ', &word) || !str_eq(word, STR("file")) ||
	    !str_cut(&line, ' ', &word) || str_parse_u64(word, &name) < 0 ||
	    str_parse_u64(line, &text) < 0)
		return false;
	return name && name <= NAME_MAX_BYTES && text <= POLICY_TEXT_MAX &&
	       take(rest, name, &ret->name) && take(rest, text, &ret->text) &&
	       !memchr(ret->name.p, '\n', ret->name.n) && !memchr(ret->name.p, 0, ret->name.n);
}

int bundle_parse(struct str bytes, struct policy_file **ret, size_t *ret_n)
{
	_cleanup_free_ struct policy_file *files = NULL;
	size_t n = 0, room = 0;

	if (!bytes.n)
		return -EINVAL;
	while (bytes.n) {
		if (n == BUNDLE_FILES_MAX)
			return -E2BIG;
		if (n == room) {
			struct policy_file *more;

			room = room ? 2 * room : 8;
			more = realloc(files, room * sizeof(*files));
			if (!more)
				return -ENOMEM;
			files = more;
		}
		if (!take_file(&bytes, &files[n]))
			return -EINVAL;
		n++;
	}
	*ret = TAKE_PTR(files);
	*ret_n = n;
	return 0;
}
