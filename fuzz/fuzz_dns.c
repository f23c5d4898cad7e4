// SPDX-License-Identifier: Apache-2.0
/* A DNS message as it comes off UDP. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "decode/dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct dns_message m;
	struct str s = { (const char *)data, size };
	char text[16];

	dns_is_message(s);
	if (dns_parse(s, &m) < 0)
		return 0;
	for (size_t i = 0; i < m.n_questions; i++)
		if (m.questions[i].name.n > DNS_NAME_MAX || !m.questions[i].name.n)
			abort();
	for (size_t i = 0; i < m.n_answers; i++) {
		const struct dns_record *r = &m.answers[i];

		dns_type_name(r->type, text);
		if (!r->name.n || r->name.n > DNS_NAME_MAX ||
		    (r->rdata.n &&
		     (r->rdata.p < m.arena || r->rdata.p + r->rdata.n > m.arena + m.arena_n)))
			abort();
	}
	return 0;
}
