// SPDX-License-Identifier: Apache-2.0
/* Names that do not exist, one a line: the label up to the first dot, then its suffix; all asked for by one client. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "detect/dga_seq.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str all = { (const char *)data, size }, name, label;
	struct dga_seq client = { 0 };
	uint16_t f[DGA_FEATURES_MAX];
	struct dga_verdict v;
	uint64_t now = 0;

	while (str_cut(&all, '\n', &name)) {
		if (!str_cut(&name, '.', &label))
			continue;
		if (dga_features(label, name, f) > DGA_FEATURES_MAX ||
		    dga_word_cell(label, dga_words) >= DGA_CELLS)
			abort();
		if (dga_seq_nxdomain(&client, label, name, now++, 1, &v) &&
		    (!dga_counts(label, name) || v.weight > 25 || !v.names ||
		     v.names > DGA_WINDOW_NAMES || !(v.log10_p <= 0)))
			abort();
		dga_answered_weight(label, name);
		for (unsigned i = 0; i < DGA_EXAMPLES; i++)
			if (dga_seq_example(&client, i).n > DGA_EXAMPLE_MAX)
				abort();
		if (client.sum[DGA_RANDOM] < 0 || client.sum[DGA_WORDS] < 0)
			abort();
	}
	return 0;
}
