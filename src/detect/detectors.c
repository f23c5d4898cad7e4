/* SPDX-License-Identifier: Apache-2.0 */
/* The whole list: a detector is a file and a line here (docs/recipes/add-a-detector.md). Order is that of being asked. */
#include "base/cleanup.h"
#include "detect/detectors.h"
#include "detect/engine.h"

const struct detector *const detectors[] = {
	&detect_intel,
	&detect_beacon,
	&detect_dga,
	&detect_shell,
	NULL,
};

const char *detect_detector(size_t i)
{
	return i < ARRAY_SIZE(detectors) && detectors[i] ? detectors[i]->name : NULL;
}
