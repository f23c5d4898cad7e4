// SPDX-License-Identifier: Apache-2.0
/* A server's first bytes as a TLS stream, with the certificate in it; then the same bytes as a certificate. */
#include <errno.h>
#include <stdlib.h>

#include "base/buf.h"
#include "decode/tls_server.h"
#include "decode/x509.h"

static void certificate(struct str der)
{
	struct buf text = BUF_INIT(1 << 20);
	struct x509 x;
	struct str name;
	size_t at = 0;
	unsigned n = 0;

	if (x509_parse(der, &x) == 0) {
		x509_name_text(x.subject, &text);
		x509_name_text(x.issuer, &text);
		x509_common_name_text(&x, &text);
		while (n < X509_NAMES_MAX && x509_next_dns_name(&x, &at, &name)) {
			n++;
			/* Each name a certificate has, it covers, unless it is none (a star, an address). */
			if (n == 1 && name.n && name.p[0] >= 'a' && name.p[0] <= 'z' &&
			    name.p[name.n - 1] != '.' && !x509_covers(&x, name))
				abort();
		}
		if (n != x.n_dns_names)
			abort();
		x509_covers(&x, STR("www.example.org"));
		x509_covers(&x, STR("2001:db8::1"));
	}
	if (text.failed)
		abort();
	buf_done(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char scratch[TLS_SERVER_MAX];
	struct str s = { (const char *)data, size };
	struct tls_server_print print;
	struct tls_server server;
	size_t need = 0;
	int r = tls_server_parse(s, scratch, &server, &need);

	if (r == -EAGAIN && need <= size)
		abort(); /* a caller that waits for `need` would wait for ever */
	if (r == 0 && !server.known)
		abort();
	tls_server_fingerprint(&server, &print);
	if (server.certificate.n)
		certificate(server.certificate);
	if (size <= 65536)
		certificate(s);
	return 0;
}
