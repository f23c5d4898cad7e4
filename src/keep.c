/* SPDX-License-Identifier: Apache-2.0 */
#include "keep.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "policy/locate.h"
#include "shipper.h"
#include "store/ship_fleet.h"

static void on_place(void *ctx, const struct addr *peer, struct store_peer *ret)
{
	const struct location *is = locator_find(ctx, peer);

	ret->segment = is->segment;
	memcpy(ret->country, is->country, sizeof(ret->country));
	ret->asn = is->asn;
	ret->as_org = is->as_org;
}

const char *keep_spool(const struct config *c, char path[KEEP_PATH_MAX])
{
	if (!c->clickhouse.url[0])
		return NULL;
	snprintf(path, KEEP_PATH_MAX, "%s/spool", c->state);
	return path;
}

const char *keep_others(const struct config *c, char path[KEEP_PATH_MAX])
{
	if (!c->clickhouse.url[0])
		return NULL;
	snprintf(path, KEEP_PATH_MAX, "%s/spool/" SHIP_OTHERS_FILE, c->state);
	return path;
}

int keep_history(struct keeper **ret, const struct config *c, struct flow_table *flows,
		 struct locator *locator, const char *host, uint64_t boot)
{
	char dir[KEEP_PATH_MAX], spool[KEEP_PATH_MAX];
	struct keeper_config cfg = {
		.flows = flows,
		.format = { .vantage = EVE_HOST, .host = host, .locator = locator },
		.places = { on_place, locator },
		.boot = boot,
	};
	int r;

	if (!c->store && !c->clickhouse.url[0])
		return 0;
	if (mkdir(c->state, 0750) < 0 && errno != EEXIST)
		return log_errno(errno, "cannot make the folder %s", c->state);
	snprintf(dir, sizeof(dir), "%s/history", c->state);
	cfg.to[KEEPER_HISTORY].kind = c->store;
	cfg.to[KEEPER_HISTORY].store = (struct store_config){ .dir = dir,
							      .flows_ns = c->keep_flows_ns,
							      .rollups_ns = c->keep_rollups_ns,
							      .max_bytes = c->keep_bytes };
	if (keep_spool(c, spool)) {
		cfg.to[KEEPER_FLEET].kind = &store_clickhouse;
		cfg.to[KEEPER_FLEET].store = (struct store_config){
			.dir = spool, .max_bytes = c->clickhouse.spool_bytes, .host = host
		};
	}
	r = keeper_new(ret, &cfg);
	return r < 0 ? log_errno(r, "cannot keep history") : 0;
}

int keep_ship(struct shipper **ret, const struct config *c, struct loop *loop)
{
	char spool[KEEP_PATH_MAX];
	int r;

	if (!keep_spool(c, spool))
		return 0;
	r = shipper_new(ret, loop, &c->clickhouse, spool);
	return r < 0 ? log_errno(r, "cannot send to %s", c->clickhouse.url) : 0;
}
