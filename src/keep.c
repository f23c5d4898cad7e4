/* SPDX-License-Identifier: Apache-2.0 */
#include "keep.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/log.h"

int keep_history(struct keeper **ret, const struct config *c, struct flow_table *flows,
		 const char *host, uint64_t boot)
{
	char dir[sizeof(c->state) + 16];
	int r;

	if (!c->store)
		return 0;
	if (mkdir(c->state, 0750) < 0 && errno != EEXIST)
		return log_errno(errno, "cannot make the folder %s", c->state);
	snprintf(dir, sizeof(dir), "%s/history", c->state);
	r = keeper_new(ret, &(struct keeper_config){
				    .kind = c->store,
				    .store = { .dir = dir,
					       .flows_ns = c->keep_flows_ns,
					       .rollups_ns = c->keep_rollups_ns,
					       .max_bytes = c->keep_bytes },
				    .flows = flows,
				    .format = { .vantage = EVE_HOST, .host = host },
				    .boot = boot,
			    });
	return r < 0 ? log_errno(r, "cannot keep history") : 0;
}
