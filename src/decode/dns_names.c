// SPDX-License-Identifier: Apache-2.0
/* Names of record types and response codes (IANA's DNS Parameters), for records, logs and the terminal. */
#include "decode/dns.h"

#include <stdio.h>

#include "base/cleanup.h"

static const struct {
	uint16_t type;
	const char *name;
} types[] = {
	{ 1, "A" },           { 28, "AAAA" },   { 65, "HTTPS" },     { 12, "PTR" },
	{ 5, "CNAME" },       { 16, "TXT" },    { 15, "MX" },        { 2, "NS" },
	{ 6, "SOA" },         { 33, "SRV" },    { 64, "SVCB" },      { 255, "ANY" },
	{ 10, "NULL" },       { 39, "DNAME" },  { 41, "OPT" },       { 43, "DS" },
	{ 46, "RRSIG" },      { 47, "NSEC" },   { 48, "DNSKEY" },    { 50, "NSEC3" },
	{ 51, "NSEC3PARAM" }, { 52, "TLSA" },   { 257, "CAA" },      { 35, "NAPTR" },
	{ 3, "MD" },          { 4, "MF" },      { 7, "MB" },         { 8, "MG" },
	{ 9, "MR" },          { 11, "WKS" },    { 13, "HINFO" },     { 14, "MINFO" },
	{ 17, "RP" },         { 18, "AFSDB" },  { 19, "X25" },       { 20, "ISDN" },
	{ 21, "RT" },         { 22, "NSAP" },   { 23, "NSAP-PTR" },  { 24, "SIG" },
	{ 25, "KEY" },        { 26, "PX" },     { 27, "GPOS" },      { 29, "LOC" },
	{ 30, "NXT" },        { 31, "EID" },    { 32, "NIMLOC" },    { 34, "ATMA" },
	{ 36, "KX" },         { 37, "CERT" },   { 38, "A6" },        { 40, "SINK" },
	{ 42, "APL" },        { 44, "SSHFP" },  { 45, "IPSECKEY" },  { 49, "DHCID" },
	{ 53, "SMIMEA" },     { 55, "HIP" },    { 56, "NINFO" },     { 57, "RKEY" },
	{ 58, "TALINK" },     { 59, "CDS" },    { 60, "CDNSKEY" },   { 61, "OPENPGPKEY" },
	{ 62, "CSYNC" },      { 63, "ZONEMD" }, { 99, "SPF" },       { 100, "UINFO" },
	{ 101, "UID" },       { 102, "GID" },   { 103, "UNSPEC" },   { 104, "NID" },
	{ 105, "L32" },       { 106, "L64" },   { 107, "LP" },       { 108, "EUI48" },
	{ 109, "EUI64" },     { 249, "TKEY" },  { 250, "TSIG" },     { 251, "IXFR" },
	{ 252, "AXFR" },      { 253, "MAILB" }, { 254, "MAILA" },    { 256, "URI" },
	{ 258, "AVC" },       { 259, "DOA" },   { 260, "AMTRELAY" }, { 32768, "TA" },
	{ 32769, "DLV" },
};

static const char *const rcodes[] = {
	"NOERROR",  "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP",  "REFUSED",
	"YXDOMAIN", "YXRRSET", "NXRRSET",  "NOTAUTH",  "NOTZONE", "DSOTYPENI",
};

const char *dns_type_name(uint16_t type, char text[16])
{
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (types[i].type == type)
			return types[i].name;
	snprintf(text, 16, "TYPE%u", type);
	return text;
}

const char *dns_rcode_name(uint8_t rcode, char text[16])
{
	if (rcode < ARRAY_SIZE(rcodes))
		return rcodes[rcode];
	snprintf(text, 16, "RCODE%u", rcode);
	return text;
}

uint16_t dns_type_parse(struct str name)
{
	uint64_t v;

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (str_eq_nocase(name, str_of(types[i].name)))
			return types[i].type;
	if (str_eq(name, STR("*"))) /* Zeek's name for ANY */
		return 255;
	if (str_has_prefix_nocase(name, STR("TYPE")))
		name = str_sub(name, 4, name.n);
	else if (str_has_prefix_nocase(name,
				       STR("query-"))) /* Zeek's for types it has no name for */
		name = str_sub(name, 6, name.n);
	if (str_parse_u64(name, &v) < 0 || v > UINT16_MAX)
		return 0;
	return (uint16_t)v;
}
