// SPDX-License-Identifier: Apache-2.0
/* A mail client's side. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "decode/mail.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str s = { (const char *)data, size };
	struct smtp_envelope e;

	if (smtp_client_parse(s, &e) == 0 && (e.n_rcpt > SMTP_MAX_RCPT || e.tls_at > size))
		abort();
	if (starttls_offset(s) > size)
		abort();
	return 0;
}
