/* SPDX-License-Identifier: Apache-2.0 */
/* What a server answers, and names of files in the spool's folder: any bytes give a verdict, in words that a terminal may show. */
#include <stdlib.h>

#include "store/ship.h"
#include "store/spool.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str answer = { (const char *)data, size };
	char why[SHIP_WHY_MAX] = "", version[SHIP_VERSION_MAX];
	struct spool_name name;
	bool async;

	ship_explain(500, answer, "egret", why);
	if (!why[0])
		abort(); /* a failure without a word */
	for (const char *p = why; *p; p++)
		if (*p < ' ' || *p > '~')
			abort();
	if (ship_hello_parse(answer, version, &async) == 0 && !version[0])
		abort();
	if (spool_name_parse(answer, &name) && (!name.kind.n || !name.rows))
		abort();
	ship_check_url(answer);
	ship_check_word(answer);
	return 0;
}
