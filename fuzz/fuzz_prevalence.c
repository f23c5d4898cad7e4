/* SPDX-License-Identifier: Apache-2.0 */
/* The summary of what a fleet contacts, as a server may send it: refused, or every number within what its first line says. */
#include <stdlib.h>

#include "base/str.h"
#include "detect/prevalence.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = { (const char *)data, size }, line, domain;
	struct prevalence *p = NULL;

	if (prevalence_parse(&p, text) < 0)
		return 0;
	str_cut(&text, '\n', &line);
	while (str_cut(&text, '\n', &line) && str_cut(&line, '\t', &domain)) {
		struct prevalence_row row = prevalence_look(p, domain);

		if (row.hosts < prevalence_head(p)->least ||
		    row.hosts > prevalence_head(p)->hosts || !row.days ||
		    row.days > prevalence_head(p)->days)
			abort();
	}
	prevalence_free(p);
	return 0;
}
