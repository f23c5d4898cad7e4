/* SPDX-License-Identifier: Apache-2.0 */
#include "keep.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "policy/locate.h"

static void on_place(void *ctx, const struct addr *peer, struct store_peer *ret)
{
	const struct location *is = locator_find(ctx, peer);

	ret->segment = is->segment;
	memcpy(ret->country, is->country, sizeof(ret->country));
	ret->asn = is->asn;
	ret->as_org = is->as_org;
}

int keep_history(struct keeper **ret, const struct config *c, struct flow_table *flows,
		 struct locator *locator, const char *host, uint64_t boot)
{
	char dir[sizeof(c->state) + 16];
	int r;

	if (!c->store)
		return 0;
	if (mkdir(c->state, 0750) < 0 && errno != EEXIST)
		return log_errno(errno, "cannot make the folder %s", c->state);
	snprintf(dir, sizeof(dir), "%s/history", c->state);
	r = keeper_new(ret,
		       &(struct keeper_config){
			       .kind = c->store,
			       .store = { .dir = dir,
					  .flows_ns = c->keep_flows_ns,
					  .rollups_ns = c->keep_rollups_ns,
					  .max_bytes = c->keep_bytes },
			       .flows = flows,
			       .format = { .vantage = EVE_HOST, .host = host, .locator = locator },
			       .places = { on_place, locator },
			       .boot = boot,
		       });
	return r < 0 ? log_errno(r, "cannot keep history") : 0;
}
