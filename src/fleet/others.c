/* SPDX-License-Identifier: Apache-2.0 */
/* What became of a version on other machines, as the sender last heard (store/ship_fleet.h): who has waited does not repeat what harmed those before it. */
#include <fcntl.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "fleet/internal.h"

#define OTHERS_MAX (128U << 10)

void fleet_others_parse(struct str text, uint64_t version, struct fleet_others *ret)
{
	struct str line, field[2];
	uint64_t of, hosts;

	*ret = (struct fleet_others){ 0 };
	while (str_cut(&text, '\n', &line)) {
		if (!str_cut(&line, '\t', &field[0]) || !str_cut(&line, '\t', &field[1]) ||
		    str_parse_u64(field[0], &of) < 0 || of != version ||
		    str_parse_u64(line, &hosts) < 0)
			continue;
		if (str_eq(field[1], STR("enforced")))
			ret->enforced = hosts;
		else if (str_eq(field[1], STR("stepped-back")))
			ret->back = hosts;
	}
	ret->enforced = MAX(ret->enforced, ret->back);
}

bool fleet_others_warn(const struct fleet_others *o)
{
	return o->back && o->back >= (o->enforced + 9) / 10;
}

bool follower_is_held(const struct follower *f, struct fleet_others *ret)
{
	_cleanup_buf_ struct buf text = BUF_INIT(OTHERS_MAX);

	if (!f->cfg.others || file_read(AT_FDCWD, f->cfg.others, &text) < 0)
		return false; /* nobody tells: the clock alone decides */
	fleet_others_parse(buf_str(&text), f->at.version, ret);
	return fleet_others_warn(ret);
}
