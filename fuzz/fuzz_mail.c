// SPDX-License-Identifier: Apache-2.0
/* The client's side of mail protocols and FTP. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "decode/ftp.h"
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
	/* What is true of the beginning is true of the whole, whatever follows. */
	if (ftp_client_stores(str_sub(s, 0, size / 2)) && !ftp_client_stores(s))
		abort();
	return 0;
}
