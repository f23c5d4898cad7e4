/* SPDX-License-Identifier: Apache-2.0 */
#include "config_collector.h"

#include "config_block.h"

static void take_listen(struct lex *lex, const struct lex_token *t, void *ret)
{
	struct page_settings *s = ret;

	if (!config_parse_endpoint(t->text, &s->addr, &s->port))
		lex_complain(lex, t, "error",
			     "an address and a port are expected here, as \"0.0.0.0:8443\" or "
			     "\"[::]:8443\"");
}

#define TEXT(field) \
	offsetof(struct page_settings, field), sizeof(((struct page_settings *)0)->field)

static const struct block_option options[] = {
	{ "listen", .take = take_listen },
	{ "certificate", config_check_path, TEXT(cert) },
	{ "key", config_check_secret, TEXT(key) },
	{ "client-ca", config_check_path, TEXT(client_ca) },
};

void config_parse_collector(struct lex *lex, struct page_settings *ret)
{
	struct lex_token at;

	*ret = (struct page_settings){ .on = true };
	if (!config_parse_block(lex, options, sizeof(options) / sizeof(options[0]), ret, &at))
		return;
	if (!ret->port)
		lex_complain(lex, &at, "error", "'listen' is missing: \"ADDRESS:PORT\"");
	else if (!ret->cert[0] || !ret->key[0])
		lex_complain(lex, &at, "error",
			     "'certificate' and 'key' are missing: those of the collector, PEM");
	else if (!ret->client_ca[0])
		lex_complain(lex, &at, "error",
			     "'client-ca' is missing: whose certificates agents are known by");
}
