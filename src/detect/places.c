/* SPDX-License-Identifier: Apache-2.0 */
#include "detect/places.h"
#include "detect/peer_class.h"

#include "base/cleanup.h"

#define PORTS 24
#define NAME_SLOTS 1024 /* a power of two */

/* Homes of protocols, 0 at the end. A protocol without a row chooses its ports freely. */
static const struct {
	enum app_proto app;
	uint16_t ports[PORTS];
} homes[] = {
	{ APP_DNS, { 53, 5353, 5355, 853, 54, 1053, 5300, 8053 } },
	{ APP_TLS, { 443,  8443, 853,  993,  995,  465,  636,  989,  990,  992,  994,  3269,
		     4433, 5061, 5223, 5228, 5349, 5671, 6443, 6697, 8883, 9443, 10443 } },
	{ APP_HTTP, { 80,   81,   591,  631,  1080, 1400, 2869, 3000, 3128, 5000, 5357, 5985,
		      7547, 8000, 8008, 8060, 8080, 8081, 8088, 8090, 8888, 9090, 9200 } },
	{ APP_HTTP2, { 80, 8080, 8000, 50051, 443 } },
	{ APP_QUIC, { 443, 80, 784, 853, 4433, 8443, 8853 } },
	{ APP_SSH, { 22, 222, 830, 2022, 2200, 2222, 22222, 7999, 29418 } },
	{ APP_SMTP, { 25, 465, 587, 2525, 26 } },
	{ APP_IMAP, { 143, 993 } },
	{ APP_POP3, { 110, 995 } },
	{ APP_FTP, { 21, 990, 2121 } },
	{ APP_NTP, { 123 } },
	{ APP_RDP, { 3389, 3388, 2179 } },
	{ APP_SMB, { 445, 139 } },
	{ APP_IRC,
	  { 6660, 6661, 6662, 6663, 6664, 6665, 6666, 6667, 6668, 6669, 7000, 6697, 194 } },
	{ APP_TELNET, { 23, 2323, 992 } },
	{ APP_LDAP, { 389, 636, 3268, 3269 } },
	{ APP_MYSQL, { 3306, 33060 } },
	{ APP_POSTGRES, { 5432, 6432 } },
	{ APP_REDIS, { 6379, 26379 } },
};

/* More homes of TLS: it is what most things of today speak, whatever their port. */
static const uint16_t tls_too[] = {
	563,  614,  832,  2083, 2087, 2096, 2376, 2484, 3389, 3478,  4460,  4843,  5222,  5229,
	5230, 5242, 5269, 5280, 5432, 5443, 5986, 6514, 6568, 7443,  8009,  8080,  8089,  8140,
	8243, 8333, 8444, 8531, 8801, 8834, 9001, 9093, 9091, 10250, 14433, 27017, 50443,
};

/* [from, to]: unknown bytes are expected there, of databases, games, telephony, remote help, industry. */
static const struct {
	uint16_t from, to;
} services[] = {
	{ 7, 7 },         { 9, 9 },         { 13, 13 },       { 19, 19 },       { 37, 37 },
	{ 43, 43 },       { 49, 49 },       { 70, 70 },       { 79, 79 },       { 102, 102 },
	{ 111, 111 },     { 113, 113 },     { 119, 119 },     { 123, 123 },     { 135, 139 },
	{ 161, 162 },     { 179, 179 },     { 264, 264 },     { 427, 427 },     { 500, 502 },
	{ 514, 515 },     { 548, 548 },     { 554, 554 },     { 593, 593 },     { 623, 623 },
	{ 646, 646 },     { 860, 873 },     { 902, 902 },     { 1099, 1099 },   { 1119, 1120 },
	{ 1194, 1194 },   { 1352, 1352 },   { 1414, 1414 },   { 1433, 1434 },   { 1494, 1494 },
	{ 1521, 1521 },   { 1701, 1702 },   { 1719, 1723 },   { 1755, 1755 },   { 1812, 1813 },
	{ 1863, 1863 },   { 1900, 1900 },   { 1935, 1935 },   { 2000, 2004 },   { 2049, 2049 },
	{ 2055, 2055 },   { 2181, 2181 },   { 2123, 2123 },   { 2152, 2152 },   { 2379, 2380 },
	{ 2404, 2404 },   { 2598, 2598 },   { 3050, 3050 },   { 3074, 3074 },   { 3222, 3222 },
	{ 3260, 3260 },   { 3283, 3283 },   { 3306, 3306 },   { 3389, 3389 },   { 3478, 3481 },
	{ 3544, 3544 },   { 3690, 3690 },   { 3702, 3702 },   { 8125, 8126 },   { 25826, 25826 },
	{ 3724, 3725 },   { 4000, 4000 },   { 4070, 4070 },   { 4172, 4172 },   { 4244, 4244 },
	{ 4369, 4369 },   { 4379, 4380 },   { 4500, 4500 },   { 4569, 4569 },   { 4662, 4672 },
	{ 4840, 4840 },   { 5004, 5005 },   { 5037, 5037 },   { 5050, 5051 },   { 5060, 5061 },
	{ 5190, 5190 },   { 5222, 5223 },   { 5228, 5230 },   { 5242, 5243 },   { 5353, 5355 },
	{ 5432, 5432 },   { 5500, 5500 },   { 5555, 5555 },   { 5671, 5672 },   { 5678, 5678 },
	{ 5800, 5800 },   { 5900, 5909 },   { 5938, 5938 },   { 6000, 6009 },   { 6112, 6119 },
	{ 6129, 6129 },   { 6343, 6343 },   { 6379, 6379 },   { 6568, 6568 },   { 6667, 6669 },
	{ 6771, 6771 },   { 6881, 6999 },   { 7070, 7070 },   { 7350, 7350 },   { 7680, 7680 },
	{ 7777, 7778 },   { 8009, 8009 },   { 8291, 8291 },   { 8333, 8333 },   { 8801, 8810 },
	{ 9000, 9001 },   { 9042, 9042 },   { 9092, 9092 },   { 9100, 9100 },   { 9229, 9229 },
	{ 9300, 9300 },   { 9418, 9418 },   { 9987, 9987 },   { 9993, 9993 },   { 10000, 10001 },
	{ 10011, 10011 }, { 10050, 10051 }, { 10101, 10101 }, { 11211, 11211 }, { 14000, 14000 },
	{ 16384, 16403 }, { 17500, 17500 }, { 19132, 19133 }, { 19294, 19310 }, { 20000, 20000 },
	{ 22067, 22067 }, { 22000, 22000 }, { 25565, 25565 }, { 27000, 27060 }, { 28015, 28018 },
	{ 30303, 30303 }, { 32400, 32400 }, { 33434, 33534 }, { 41641, 41641 }, { 44818, 44818 },
	{ 47808, 47808 }, { 47984, 48010 }, { 50000, 50059 }, { 51413, 51413 }, { 51820, 51821 },
	{ 57621, 57621 }, { 64738, 64738 },
};

/*
 * What owners tell administrators of firewalls to let through (Telegram, Microsoft 365, Zoom, Apple, Valve, Blizzard, Riot), and
 * what is assigned to Meta. A block that has changed hands costs a few decibans of evidence, and nothing else.
 */
static const struct {
	const char *cidr, *owner;
} networks[] = {
	{ "17.0.0.0/8", "Apple" },
	{ "2620:149::/32", "Apple" },
	{ "91.105.192.0/23", "Telegram" },
	{ "91.108.4.0/22", "Telegram" },
	{ "91.108.8.0/21", "Telegram" },
	{ "91.108.16.0/21", "Telegram" },
	{ "91.108.56.0/22", "Telegram" },
	{ "95.161.64.0/20", "Telegram" },
	{ "149.154.160.0/20", "Telegram" },
	{ "185.76.151.0/24", "Telegram" },
	{ "2001:67c:4e8::/48", "Telegram" },
	{ "2001:b28:f23c::/46", "Telegram" },
	{ "2a0a:f280::/32", "Telegram" },
	{ "13.107.64.0/18", "Microsoft Teams" },
	{ "52.112.0.0/14", "Microsoft Teams" },
	{ "52.120.0.0/14", "Microsoft Teams" },
	{ "2603:1063::/38", "Microsoft Teams" },
	{ "31.13.24.0/21", "Meta" },
	{ "31.13.64.0/18", "Meta" },
	{ "66.220.144.0/20", "Meta" },
	{ "69.171.224.0/19", "Meta" },
	{ "129.134.0.0/17", "Meta" },
	{ "157.240.0.0/16", "Meta" },
	{ "173.252.64.0/18", "Meta" },
	{ "179.60.192.0/22", "Meta" },
	{ "185.60.216.0/22", "Meta" },
	{ "2a03:2880::/32", "Meta" },
	{ "149.137.0.0/17", "Zoom" },
	{ "162.255.36.0/22", "Zoom" },
	{ "170.114.0.0/16", "Zoom" },
	{ "206.247.0.0/16", "Zoom" },
	{ "147.124.96.0/19", "Zoom" },
	{ "103.10.124.0/23", "Valve" },
	{ "103.28.54.0/23", "Valve" },
	{ "146.66.152.0/21", "Valve" },
	{ "155.133.224.0/19", "Valve" },
	{ "162.254.192.0/21", "Valve" },
	{ "185.25.180.0/22", "Valve" },
	{ "205.196.6.0/24", "Valve" },
	{ "208.64.200.0/22", "Valve" },
	{ "208.78.164.0/22", "Valve" },
	{ "24.105.0.0/18", "Blizzard" },
	{ "37.244.0.0/17", "Blizzard" },
	{ "137.221.64.0/18", "Blizzard" },
	{ "104.160.128.0/19", "Riot Games" },
	{ "162.249.72.0/21", "Riot Games" },
};

static const char *const resolvers[] = {
	"1.1.1.1",
	"1.0.0.1",
	"1.1.1.2",
	"1.0.0.2",
	"1.1.1.3",
	"8.8.8.8",
	"8.8.4.4",
	"9.9.9.9",
	"149.112.112.112",
	"9.9.9.10",
	"208.67.222.222",
	"208.67.220.220",
	"94.140.14.14",
	"94.140.15.15",
	"185.228.168.168",
	"76.76.2.0",
	"76.76.10.0",
	"45.90.28.0",
	"45.90.30.0",
	"223.5.5.5",
	"223.6.6.6",
	"119.29.29.29",
	"114.114.114.114",
	"77.88.8.8",
	"77.88.8.1",
	"4.2.2.1",
	"4.2.2.2",
	"4.2.2.3",
	"4.2.2.4",
	"101.101.101.101",
	"2606:4700:4700::1111",
	"2606:4700:4700::1001",
	"2001:4860:4860::8888",
	"2001:4860:4860::8844",
	"2620:fe::fe",
	"2620:fe::9",
};

bool port_is_home(enum app_proto app, uint16_t port)
{
	if (app == APP_TLS)
		for (size_t i = 0; i < ARRAY_SIZE(tls_too); i++)
			if (tls_too[i] == port)
				return true;
	for (size_t i = 0; i < ARRAY_SIZE(homes); i++) {
		if (homes[i].app != app)
			continue;
		for (size_t k = 0; k < PORTS && homes[i].ports[k]; k++)
			if (homes[i].ports[k] == port)
				return true;
		return false;
	}
	return true;
}

bool port_has_service(uint16_t port)
{
	for (size_t i = 0; i < ARRAY_SIZE(services); i++)
		if (port >= services[i].from && port <= services[i].to)
			return true;
	return false;
}

const char *network_owner(const struct addr *a)
{
	static struct cidr parsed[ARRAY_SIZE(networks)];
	static bool ready;

	if (!ready) {
		for (size_t i = 0; i < ARRAY_SIZE(networks); i++)
			if (cidr_parse(str_of(networks[i].cidr), &parsed[i]) < 0)
				parsed[i].bits = 128;
		ready = true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(networks); i++)
		if (cidr_has(&parsed[i], a))
			return networks[i].owner;
	return NULL;
}

bool addr_is_public_resolver(const struct addr *a)
{
	static struct addr parsed[ARRAY_SIZE(resolvers)];
	static bool ready;

	if (!ready) {
		for (size_t i = 0; i < ARRAY_SIZE(resolvers); i++)
			(void)addr_parse(str_of(resolvers[i]), &parsed[i]);
		ready = true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(resolvers); i++)
		if (addr_eq(&parsed[i], a))
			return true;
	return false;
}

bool addr_is_broadcast(const struct addr *a)
{
	return addr_is_v4(a) && a->b[15] == 255 &&
	       (addr_class(a) != ADDR_INTERNET || (a->b[12] & a->b[13] & a->b[14]) == 255);
}

static enum name_kind kind_of(const struct peer_class_row *row)
{
	if (!row)
		return NAME_ORDINARY;
	return row->class == PEER_DYNAMIC_DNS || row->class == PEER_TUNNEL ? NAME_DYNAMIC
	       : row->class == PEER_LOOKUP                                 ? NAME_TELLS_ADDRESS
									   : NAME_ORDINARY;
}

enum name_kind name_kind(const struct text *name)
{
	static struct {
		uint64_t hash; /* of a keyed hash function: texts that collide cannot be made */
		uint32_t n;
		enum name_kind kind;
	} slots[NAME_SLOTS];
	size_t i;

	if (!name || !name->n)
		return NAME_ORDINARY;
	i = name->hash & (NAME_SLOTS - 1);
	if (slots[i].hash != name->hash || slots[i].n != name->n) {
		slots[i].hash = name->hash;
		slots[i].n = name->n;
		slots[i].kind = kind_of(peer_class_of(text_str(name)));
	}
	return slots[i].kind;
}
