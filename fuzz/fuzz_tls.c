// SPDX-License-Identifier: Apache-2.0
/* A client's first bytes as a TLS stream, as bare handshake bytes and as a DTLS datagram; then its fingerprints. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "decode/appproto.h"
#include "decode/tls.h"

static void use(const struct tls_hello *h)
{
	struct buf text = BUF_INIT(1 << 16);
	struct tls_fingerprint f;

	tls_fingerprint(h, &f);
	ja3_string(h, &text);
	ja4_raw(h, &text);
	app_tls_is_tor_like(h);
	if (text.failed)
		abort();
	buf_done(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char scratch[TLS_HELLO_MAX];
	struct str s = { (const char *)data, size };
	struct tls_hello h;
	size_t need = 0;
	int r;

	r = tls_stream_parse(s, scratch, &h, &need);
	if (r == 0)
		use(&h);
	else if (r == -EAGAIN && need <= size)
		abort(); /* a caller that waits for `need` would wait for ever */
	need = 0;
	r = tls_hello_parse(s, TLS_OVER_QUIC, &h, &need);
	if (r == 0)
		use(&h);
	else if (r == -EAGAIN && need <= size)
		abort();
	if (dtls_parse(s, &h) == 0)
		use(&h);
	return 0;
}
