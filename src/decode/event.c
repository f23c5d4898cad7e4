/* SPDX-License-Identifier: Apache-2.0 */
#include "decode/event.h"

const char *loss_name(enum loss_reason r)
{
	static const char *const names[] = {
#define X(id, name) name,
		LOSS_REASONS(X)
#undef X
	};

	return names[r];
}
