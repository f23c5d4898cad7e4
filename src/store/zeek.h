/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records as the logs that Zeek writes: conn.log, dns.log, ssl.log, http.log, quic.log and notice.log in a folder, in Zeek's TSV
 * form (docs.zeek.org, "Log Files"), so that scripts made for those go on working. A flow that ends is a line of conn.log; a DNS
 * question and its answer are one line; findings are notices. What egret does not know is unset ("-"): docs/zeek-logs.md says
 * which columns that are.
 */
#pragma once

#include <limits.h>
#include <stdint.h>

#include "store/sink.h"

/*
 * All files are made at once, so that nothing has to be opened later; the folder is made when it is not there. A log that is there
 * already is never written to: -EEXIST. On failure `path` is the file or folder in question and what was made is removed again.
 * *lost (borrowed) counts lines that could not be written.
 */
int zeek_sink_new(struct sink **ret, const char *folder, uint64_t *lost, char path[PATH_MAX]);
