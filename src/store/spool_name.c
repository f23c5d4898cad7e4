/* SPDX-License-Identifier: Apache-2.0 */
#include "store/spool.h"

bool spool_name_parse(struct str name, struct spool_name *ret)
{
	struct str rest = name, seq, kind, rows;
	uint64_t n = 0;

	if (!str_cut(&rest, '-', &seq) || !str_cut(&rest, '-', &kind) ||
	    !str_cut(&rest, '-', &rows) || rest.n || seq.n != 16 || !kind.n ||
	    str_parse_u64(rows, &n) < 0 || !n || n > UINT32_MAX)
		return false;
	*ret = (struct spool_name){ .rows = (uint32_t)n, .kind = kind };
	for (size_t i = 0; i < seq.n; i++) {
		const char *digits = "0123456789abcdef", *at = memchr(digits, seq.p[i], 16);

		if (!at)
			return false;
		ret->seq = ret->seq << 4 | (uint64_t)(at - digits);
	}
	return true;
}
