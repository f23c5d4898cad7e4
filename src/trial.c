/* SPDX-License-Identifier: Apache-2.0 */
#include "trial.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "config.h"
#include "guard/guard.h"

#define MAX_MESSAGES (1U << 20)

int trial_run(const struct config *c, const char *path)
{
	_cleanup_buf_ struct buf messages = BUF_INIT(MAX_MESSAGES);
	struct guard *guard = NULL;
	char lists[sizeof(c->state) + 8];
	int r = 0;

	snprintf(lists, sizeof(lists), "%s/lists", c->state);
	if (config_has_policy(c)) {
		r = guard_new(&guard,
			      &(struct guard_config){
				      .geo_country = c->geo_country[0] ? c->geo_country : NULL,
				      .geo_asn = c->geo_asn[0] ? c->geo_asn : NULL,
				      .lists = lists,
				      .lenient_lists = true,
				      .keeps_history = c->store != NULL,
			      });
		if (r == 0)
			r = guard_load_file(guard, c->policy, GUARD_WATCH, false, &messages);
		guard_free(guard);
	}
	if (r == 0)
		r = page_check(&c->page, &messages);
	if (messages.n)
		fwrite(messages.p, 1, messages.n, stderr);
	if (r == 0)
		printf("%s: ok\n", path);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
