/* SPDX-License-Identifier: Apache-2.0 */
/* The whole list: a detector is a file and a line here (docs/recipes/add-a-detector.md). Order is that of being asked. */
#include "base/cleanup.h"
#include "detect/detectors.h"
#include "detect/engine.h"

/* One a line. */
// clang-format off
const struct detector *const detectors[] = {
	&detect_intel,
	&detect_beacon,
	&detect_dga,
	&detect_dns,
	&detect_doh,
	&detect_volume, /* notes who asks for his own address: before naming */
	&detect_naming,
	&detect_fingerprint,
	&detect_channel,
	&detect_http,
	&detect_icmp,
	&detect_tor,
	&detect_p2p,
	&detect_polling,
	&detect_mail,
	&detect_rawsock,
	&detect_execution,
	&detect_shell,
	NULL,
};
// clang-format on

const char *detect_detector(size_t i)
{
	return i < ARRAY_SIZE(detectors) && detectors[i] ? detectors[i]->name : NULL;
}
