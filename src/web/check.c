/* SPDX-License-Identifier: Apache-2.0 */
#include "web/check.h"

#include "base/cleanup.h"

/* "localhost:8710", "[::1]:8710", "127.0.0.1": without the port. Which port it is does not matter: ports are forwarded. */
static struct str host_name(struct str host)
{
	const char *end;

	if (host.n && host.p[0] == '[') {
		end = memchr(host.p, ']', host.n);
		return end ? str_sub(host, 0, (size_t)(end - host.p) + 1) : STR_NONE;
	}
	end = host.n ? memchr(host.p, ':', host.n) : NULL;
	return end ? str_sub(host, 0, (size_t)(end - host.p)) : host;
}

const char *check_host(const struct check_place *p, struct str host)
{
	struct str name = host_name(host);

	if (p->local || p->tls)
		return NULL;
	if (str_eq_nocase(name, p->listened) || str_eq_nocase(name, STR("localhost")))
		return NULL;
	return "the Host header names neither the address of this page nor localhost";
}

const char *check_site(const struct check_place *p, struct str host, struct str origin,
		       struct str fetch_site)
{
	struct str scheme = p->tls ? STR("https://") : STR("http://");

	if (fetch_site.n && !str_eq(fetch_site, STR("same-origin")) &&
	    !str_eq(fetch_site, STR("none")))
		return "another site's page asks (Sec-Fetch-Site)";
	if (!origin.n)
		return NULL;
	if (p->local || !str_has_prefix(origin, scheme) ||
	    !str_eq_nocase(str_sub(origin, scheme.n, origin.n), host))
		return "another site's page asks (Origin)";
	return NULL;
}

const char *check_change(struct str content_type, struct str x_egret)
{
	struct str type = STR_NONE;

	if (!str_eq(x_egret, STR("1")))
		return "a change needs the header 'X-Egret: 1'";
	if (!str_cut(&content_type, ';', &type) ||
	    !str_eq_nocase(str_trim(type), STR("application/json")))
		return "a change needs 'Content-Type: application/json'";
	return NULL;
}

struct str check_cookie(struct str cookies, struct str name)
{
	struct str pair, key;

	while (str_cut(&cookies, ';', &pair)) {
		pair = str_trim(pair);
		if (str_cut(&pair, '=', &key) && str_eq(key, name))
			return pair;
	}
	return STR_NONE;
}

struct str check_bearer(struct str authorization)
{
	if (!str_has_prefix_nocase(authorization, STR("Bearer ")))
		return STR_NONE;
	return str_trim(str_sub(authorization, 7, authorization.n));
}
