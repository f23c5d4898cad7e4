/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Zones that are asked for many different names by everybody, and that nobody but their owner can answer for: what is written in
 * a name ends there. Names of customers are in here only where the owner of the zone makes the names up and answers for them.
 * Sorted; a row with nothing below covers all of its domain. A query that goes past the usual resolvers is not covered.
 */
#include "detect/dns_allow.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

/* One row a line. */
// clang-format off
const struct dns_allow_row dns_allow_rows[] = {
	{ "0spam.org", "", "block list" },
	{ "1e100.net", "", "machines of Google" },
	{ "2o7.net", "", "advertising; one name a customer" },
	{ "a-msedge.net", "", "content network" },
	{ "aaplimg.com", "", "content network" },
	{ "abuse.ch", "spam", "block list" },
	{ "abuseat.org", "", "block list" },
	{ "adnxs.com", "", "advertising" },
	{ "adsafeprotected.com", "", "advertising; one name a view" },
	{ "ahbl.org", "", "block list" },
	{ "akadns.net", "", "content network" },
	{ "akagtm.org", "", "content network" },
	{ "akam.net", "", "content network" },
	{ "akamai.net", "", "content network" },
	{ "akamaiedge.net", "", "content network" },
	{ "akamaihd.net", "", "content network" },
	{ "akamaistream.net", "", "content network" },
	{ "akamaitechnologies.com", "", "content network" },
	{ "akamaized.net", "", "content network" },
	{ "akaquill.net", "", "content network" },
	{ "akstat.io", "", "measurement of pages; one name a visit" },
	{ "alicdn.com", "", "content network" },
	{ "alikunlun.com", "", "content network" },
	{ "amazonaws.com", "", "names of machines and of stores, given by Amazon" },
	{ "ampproject.org", "cdn", "pages kept by Google; the name is a hash" },
	{ "anonmails.de", "spam.dnsbl", "block list" },
	{ "apnic.net", "labs", "measurement of resolvers; one name a visit" },
	{ "apple-dns.net", "", "content network" },
	{ "apple.com", "push", "push; numbered names" },
	{ "avast.com", "ns", "reputation" },
	{ "awsglobalaccelerator.com", "", "names given by Amazon" },
	{ "azure.com", "cloudapp", "names given by Microsoft" },
	{ "azureedge.net", "", "content network" },
	{ "azurefd.net", "", "content network" },
	{ "azurewebsites.net", "", "names given by Microsoft" },
	{ "b-cdn.net", "", "content network" },
	{ "b-msedge.net", "", "content network" },
	{ "backscatterer.org", "", "block list" },
	{ "barracudabrts.com", "", "mail reputation" },
	{ "barracudacentral.org", "", "block list" },
	{ "bash.ws", "", "which resolver is this; one name a visit" },
	{ "bitdefender.net", "nimbus", "web reputation" },
	{ "blocklist.de", "", "block list" },
	{ "bondedsender.org", "", "white list" },
	{ "browserleaks.org", "", "which resolver is this; one name a visit" },
	{ "bunnycdn.com", "", "content network" },
	{ "c-msedge.net", "", "content network" },
	{ "cachefly.net", "", "content network" },
	{ "cdn-apple.com", "", "content network" },
	{ "cdn77.org", "", "content network" },
	{ "cdnetworks.net", "", "content network" },
	{ "cdngc.net", "", "content network" },
	{ "cdnhwc1.com", "", "content network" },
	{ "cedexis-radar.net", "", "measurement of content networks; one name a visit" },
	{ "cedexis.com", "", "measurement of content networks; one name a visit" },
	{ "cedexis.net", "", "measurement of content networks; one name a visit" },
	{ "circl.lu", "hashlookup", "known files by hash" },
	{ "clamav.net", "current.cvd", "database version" },
	{ "cloudflare.net", "", "content network" },
	{ "cloudflareinsights.com", "", "telemetry of pages" },
	{ "cloudfront.net", "", "content network" },
	{ "cloudmark.com", "", "mail reputation" },
	{ "conviva.com", "", "measurement of video" },
	{ "cymru.com", "", "malware hash registry, origin AS, bogons" },
	{ "dan.me.uk", "tor", "list of Tor exits" },
	{ "demdex.net", "", "advertising; one name a customer" },
	{ "dnsleaktest.com", "", "which resolver is this; one name a visit" },
	{ "dnssec-tools.org", "", "measurement of resolvers" },
	{ "dnswl.org", "", "white list" },
	{ "doubleclick.net", "", "advertising; one name a customer" },
	{ "doubleverify.com", "", "advertising; one name a view" },
	{ "dronebl.org", "", "block list" },
	{ "e-msedge.net", "", "content network" },
	{ "e5.sk", "", "ESET reputation" },
	{ "edgecastcdn.net", "", "content network" },
	{ "edgekey.net", "", "content network" },
	{ "edgesuite.net", "", "content network" },
	{ "efnetrbl.org", "", "block list" },
	{ "eset.com", "live", "ESET reputation" },
	{ "f-secure.com", "orsp", "reputation" },
	{ "fastly-edge.com", "", "content network" },
	{ "fastly.net", "", "content network" },
	{ "fastlylb.net", "", "content network" },
	{ "fbcdn.net", "", "content network" },
	{ "footprint.net", "", "content network" },
	{ "footprintdns.com", "", "measurement by Microsoft; one name a visit" },
	{ "gbudb.net", "", "block list" },
	{ "gcdn.co", "", "content network" },
	{ "go-mpulse.net", "", "measurement of pages; one name a visit" },
	{ "googleapis.com", "", "stores and services of Google" },
	{ "googlesyndication.com", "safeframe", "one name a frame" },
	{ "googleusercontent.com", "", "one name a content, given by Google" },
	{ "googlevideo.com", "", "content network; names of caches" },
	{ "googlezip.net", "", "proxy of a browser" },
	{ "gtld-servers.net", "", "servers of the generic domains" },
	{ "gvt1.com", "", "downloads and measurements of Google" },
	{ "gvt2.com", "", "downloads and measurements of Google" },
	{ "gvt3.com", "", "downloads and measurements of Google" },
	{ "habeas.com", "", "white list" },
	{ "httpbl.org", "", "block list" },
	{ "hwcdn.net", "", "content network" },
	{ "icloud-content.com", "", "stores of Apple" },
	{ "icloud.com", "", "services of Apple" },
	{ "impervadns.net", "", "content network" },
	{ "imrworldwide.com", "", "audience measurement; one name a view" },
	{ "in-addr-servers.arpa", "", "servers of the reverse zones" },
	{ "incapdns.net", "", "content network" },
	{ "inps.de", "dnsbl", "block list" },
	{ "interserver.net", "rbl", "block list" },
	{ "invaluement.com", "", "block list" },
	{ "ip6-servers.arpa", "", "servers of the reverse zones" },
	{ "ipleak.net", "", "which resolver is this; one name a visit" },
	{ "isipp.com", "", "white list" },
	{ "jsdelivr.net", "", "content network" },
	{ "junkemailfilter.com", "", "block list" },
	{ "kaspersky-labs.com", "", "updates and reputation" },
	{ "kempt.net", "dnsbl", "block list" },
	{ "kunlunaq.com", "", "content network" },
	{ "kxcdn.com", "", "content network" },
	{ "l-msedge.net", "", "content network" },
	{ "lashback.com", "ubl", "block list" },
	{ "live.com", "", "services of Microsoft" },
	{ "lldns.net", "", "content network" },
	{ "llnwd.net", "", "content network" },
	{ "llnwi.net", "", "content network" },
	{ "lync.com", "", "names of relays and calls" },
	{ "mailspike.net", "", "block list" },
	{ "mailspike.org", "", "block list" },
	{ "manitu.net", "dnsbl", "block list" },
	{ "mcafee.com", "avqs", "file reputation by hash" },
	{ "mcafee.com", "avts", "file reputation by hash" },
	{ "mcafee.com", "gti", "file reputation by hash" },
	{ "microsoft.com", "", "services of Microsoft" },
	{ "moatads.com", "", "advertising; one name a view" },
	{ "msedge.net", "", "content network" },
	{ "msftconnecttest.com", "", "is the network there" },
	{ "msftncsi.com", "", "is the network there" },
	{ "msrbl.net", "", "block list" },
	{ "mzstatic.com", "", "content network" },
	{ "nerd.dk", "zz.countries", "countries by address" },
	{ "nflxso.net", "", "content network" },
	{ "nflxvideo.net", "", "content network" },
	{ "njabl.org", "", "block list" },
	{ "nordspam.com", "", "block list" },
	{ "nr-data.net", "", "measurement of pages" },
	{ "nsone.net", "", "measurement of content networks" },
	{ "ntp.org", "pool", "numbered names of time servers" },
	{ "octopusrbl.net", "rbl", "block list" },
	{ "office.com", "", "one name a service and tenant" },
	{ "office.net", "", "one name a service and tenant" },
	{ "office365.com", "", "one name a service and tenant" },
	{ "omtrdc.net", "", "advertising; one name a customer" },
	{ "opendns.com", "debug", "which resolver is this" },
	{ "outlook.com", "", "one name a tenant" },
	{ "perfops.io", "", "measurement of content networks; one name a visit" },
	{ "potaroo.net", "", "measurement of resolvers; one name a visit" },
	{ "pphosted.com", "has", "policies of senders, by address" },
	{ "projecthoneypot.org", "", "block list" },
	{ "psbl.org", "", "block list" },
	{ "qcloudcdn.com", "", "content network" },
	{ "returnpath.net", "", "mail reputation" },
	{ "ripe.net", "atlas", "measurement of the Internet" },
	{ "root-servers.net", "", "servers of the root" },
	{ "rspamd.com", "", "mail reputation" },
	{ "s-msedge.net", "", "content network" },
	{ "scdn.co", "", "content network" },
	{ "schulte.org", "rbl", "block list" },
	{ "scorecardresearch.com", "", "audience measurement" },
	{ "senderbase.org", "", "mail reputation" },
	{ "senderscore.com", "", "mail reputation" },
	{ "shadowserver.org", "", "origin AS" },
	{ "sharepoint.com", "", "one name a tenant" },
	{ "skype.com", "", "names of relays and calls" },
	{ "sophosxl.com", "", "file and web reputation" },
	{ "sophosxl.net", "", "file and web reputation" },
	{ "sorbs.net", "", "block list" },
	{ "spamassassin.org", "", "rules, by version" },
	{ "spamcop.net", "", "block list" },
	{ "spameatingmonkey.net", "", "block list" },
	{ "spamhaus.net", "", "block list" },
	{ "spamhaus.org", "", "block list" },
	{ "spamhausdbl.net", "", "block list" },
	{ "spfbl.net", "", "block list" },
	{ "spotifycdn.com", "", "content network" },
	{ "stackpathcdn.com", "", "content network" },
	{ "stackpathdns.com", "", "content network" },
	{ "steamcontent.com", "", "content network" },
	{ "support-intelligence.net", "", "block list" },
	{ "surbl.org", "", "block list" },
	{ "surriel.com", "psbl", "block list" },
	{ "swinog.ch", "dnsrbl", "block list" },
	{ "systemcdn.net", "", "content network" },
	{ "t-msedge.net", "", "content network" },
	{ "tencent-cloud.net", "", "content network" },
	{ "tiktokcdn.com", "", "content network" },
	{ "torproject.org", "dnsel", "list of Tor exits" },
	{ "torproject.org", "exitlist", "list of Tor exits" },
	{ "trafficmanager.net", "", "names given by Microsoft" },
	{ "trellix.com", "gti", "file reputation by hash" },
	{ "trendmicro.com", "ers", "mail reputation" },
	{ "trendmicro.com", "icrc", "file reputation" },
	{ "trendmicro.com", "url", "web reputation" },
	{ "ttlivecdn.com", "", "content network" },
	{ "ttvnw.net", "", "content network" },
	{ "uceprotect.net", "", "block list" },
	{ "unpkg.com", "", "content network" },
	{ "unsubscore.com", "ubl", "block list" },
	{ "uribl.com", "", "block list" },
	{ "webroot.com", "brightcloud", "web reputation" },
	{ "windows.com", "", "services of Microsoft" },
	{ "windows.net", "", "names of stores, given by Microsoft" },
	{ "woody.ch", "blacklist", "block list" },
	{ "wpbl.info", "", "block list" },
};
// clang-format on
const size_t n_dns_allow_rows = ARRAY_SIZE(dns_allow_rows);

static int compare(const void *key, const void *row)
{
	const struct str *domain = key;
	const char *of = ((const struct dns_allow_row *)row)->domain;
	size_t n = strlen(of);
	int r = memcmp(domain->p, of, MIN(domain->n, n));

	return r ? r : (domain->n > n) - (domain->n < n);
}

const struct dns_allow_row *dns_allow_find(struct str domain)
{
	const struct dns_allow_row *row = bsearch(&domain, dns_allow_rows, n_dns_allow_rows,
						  sizeof(*dns_allow_rows), compare);

	while (row && row > dns_allow_rows && !strcmp(row[-1].domain, row->domain))
		row--;
	return row;
}

bool dns_allow_covers(const struct dns_allow_row *row, struct str sub)
{
	const char *domain = row->domain;

	for (; row < dns_allow_rows + n_dns_allow_rows && !strcmp(row->domain, domain); row++) {
		size_t n = strlen(row->below);

		if (!n)
			return true;
		if (sub.n >= n && !memcmp(sub.p + sub.n - n, row->below, n) &&
		    (sub.n == n || sub.p[sub.n - n - 1] == '.'))
			return true;
	}
	return false;
}
