/* SPDX-License-Identifier: Apache-2.0 */
/* `egret explain DETECTOR`: its half page of docs/detection.md, which is built in (detection_doc.S). */
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"
#include "cli/cmd.h"
#include "detect/detect.h"

extern const char detection_doc[], detection_doc_end[];

static const char usage[] =
	"usage: egret explain [DETECTOR]\n\n"
	"Prints what a detector sees, what it cannot, its constants and where each was measured, "
	"its known "
	"false alarms,\nand how to quiet it. Without a name: the detectors there are.\n";

static struct str whole(void)
{
	return (struct str){ detection_doc, (size_t)(detection_doc_end - detection_doc) };
}

/* From the line "## NAME" to the next of its kind. */
static bool print_section(struct str name)
{
	struct str rest = whole(), line;
	bool within = false, found = false;

	while (str_cut(&rest, '\n', &line)) {
		if (str_has_prefix(line, STR("## ")))
			within = str_eq(str_sub(line, 3, line.n), name);
		found |= within;
		if (within)
			printf("%.*s\n", STR_FMT(line));
	}
	return found;
}

/* The first line of text of each section. */
static void print_list(void)
{
	for (size_t i = 0; detect_detector(i); i++) {
		struct str rest = whole(), line;
		bool within = false;

		while (str_cut(&rest, '\n', &line)) {
			if (within && line.n) {
				printf("%-12s %.*s\n", detect_detector(i), STR_FMT(line));
				break;
			}
			if (str_has_prefix(line, STR("## ")))
				within = str_eq(str_sub(line, 3, line.n),
						str_of(detect_detector(i)));
		}
	}
}

int cmd_explain(int argc, char **argv)
{
	if (argc == 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
		fputs(usage, stdout);
		return EXIT_SUCCESS;
	}
	if (argc > 2 || (argc == 2 && argv[1][0] == '-')) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	if (argc == 1) {
		print_list();
		return EXIT_SUCCESS;
	}
	if (print_section(str_of(argv[1])))
		return EXIT_SUCCESS;
	log_error("there is no detector '%s'; 'egret explain' lists them", argv[1]);
	return EXIT_FAILURE;
}
