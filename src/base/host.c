/* SPDX-License-Identifier: Apache-2.0 */
#include "base/host.h"

#include <unistd.h>

void host_name(char ret[static HOST_NAME_SIZE])
{
	ret[0] = ret[HOST_NAME_SIZE - 1] = 0; /* a name that is cut off is not ended */
	gethostname(ret, HOST_NAME_SIZE - 1);
	for (char *c = ret; *c; c++)
		*c = *c >= 'A' && *c <= 'Z' ? (char)(*c | 0x20) : *c;
}
