// SPDX-License-Identifier: Apache-2.0
/*
 * dga-train train SUFFIX_LIST < INPUT > src/detect/dga_table.inc     (tools/dga/train does it all)
 * dga-train evaluate|glance SUFFIX_LIST < INPUT                      (tests/quality/dga.py)
 *
 * INPUT is what tools/dga/inputs writes.
 */
#include "tools/dga/dga.h"

#include <string.h>

int main(int argc, char **argv)
{
	static struct model m;
	static struct data d;
	int r;

	if (argc != 3) {
		fprintf(stderr, "usage: dga-train train|evaluate|glance SUFFIX_LIST < INPUT\n");
		return 2;
	}
	r = data_read(&d, stdin, argv[2]);
	if (r == 0 && !strcmp(argv[1], "train")) {
		r = model_fit(&m, &d, SIZE_MAX);
		if (r == 0)
			r = model_write(&m, &d, stdout);
	} else if (r == 0) {
		r = evaluate(&d, stdout, !strcmp(argv[1], "glance"));
	}
	if (r < 0)
		fprintf(stderr, "dga-train: %s\n", strerror(-r));
	data_clear(&d);
	return r < 0;
}
