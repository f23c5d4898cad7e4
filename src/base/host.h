/* SPDX-License-Identifier: Apache-2.0 */
/* What this machine is called: by gethostname(2), in lower case, as names of hosts are compared (RFC 4343). */
#pragma once

#define HOST_NAME_SIZE 256

void host_name(char ret[static HOST_NAME_SIZE]);
