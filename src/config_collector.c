/* SPDX-License-Identifier: Apache-2.0 */
#include "config_collector.h"

#include "base/human.h"
#include "config_block.h"

#define WAIT_MAX_NS (600 * NSEC_PER_SEC)

static void take_listen(struct lex *lex, const struct lex_token *t, void *ret)
{
	struct collector_settings *s = ret;

	if (!config_parse_endpoint(t->text, &s->at.addr, &s->at.port))
		lex_complain(lex, t, "error",
			     "an address and a port are expected here, as \"0.0.0.0:8443\" or "
			     "\"[::]:8443\"");
}

static void take_wait(struct lex *lex, const struct lex_token *t, void *ret)
{
	struct collector_settings *s = ret;

	if (t->kind != LEX_WORD || duration_parse(t->text, &s->wait_ns) < 0 ||
	    s->wait_ns < NSEC_PER_SEC || s->wait_ns > WAIT_MAX_NS)
		lex_complain(lex, t, "error", "a time from 1s to 10m is expected here, as 30s");
}

#define TEXT(field) \
	offsetof(struct collector_settings, field), sizeof(((struct collector_settings *)0)->field)

static const struct block_option options[] = {
	{ "listen", .take = take_listen },
	{ "certificate", config_check_path, TEXT(at.cert) },
	{ "key", config_check_secret, TEXT(at.key) },
	{ "client-ca", config_check_path, TEXT(at.client_ca) },
	{ "wait", .take = take_wait },
};

void config_parse_collector(struct lex *lex, struct collector_settings *ret)
{
	struct lex_token at;

	*ret = (struct collector_settings){ .at.on = true, .wait_ns = COLLECTOR_WAIT_NS };
	if (!config_parse_block(lex, options, sizeof(options) / sizeof(options[0]), ret, &at))
		return;
	if (!ret->at.port)
		lex_complain(lex, &at, "error", "'listen' is missing: \"ADDRESS:PORT\"");
	else if (!ret->at.cert[0] || !ret->at.key[0])
		lex_complain(lex, &at, "error",
			     "'certificate' and 'key' are missing: those of the collector, PEM");
	else if (!ret->at.client_ca[0])
		lex_complain(lex, &at, "error",
			     "'client-ca' is missing: whose certificates agents are known by");
}
