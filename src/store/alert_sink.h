/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sink that takes alerts and refusals alone and hands them to a log: RFC 5424 syslog, CEF (ArcSight Common Event Format 0) in
 * a syslog frame, or the systemd journal with the field names of records.
 */
#pragma once

#include <stdint.h>

#include "detect/finding.h"
#include "store/sink.h"

enum alert_form { ALERT_SYSLOG, ALERT_CEF, ALERT_JOURNAL };

struct alert_config {
	enum alert_form form;
	char to[128]; /* "local" (/dev/log), a path, or as outlet_target_parse(); of the journal unused */
	char ca[256]; /* tls://: the file of CAs that the log server must be signed by; empty: the system's */
	enum severity least; /* findings and alerts below it are left out */
};

/* 0, or -EINVAL with what is wrong in `why`: addresses and no names, so that nothing has to be looked up. */
int alert_target_check(const char *to, char why[128]);

/*
 * What cannot be sent is tried again each second, up to 256 KiB; then the newest are lost, whole, and counted in *lost
 * (borrowed, as `host`). Never blocks.
 */
int alert_sink_new(struct sink **ret, const struct alert_config *cfg, const char *host,
		   uint64_t *lost);
