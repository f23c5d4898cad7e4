/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Public servers of DNS over HTTPS: names that serve little else, and addresses that serve DNS alone. What is not in
 * here is not recognised: docs/limits.md. Kept small on purpose; a list of one's own does the rest.
 */
#include "policy/compile.h"

#define ADDRESSES(...)            \
	(const char *const[])     \
	{                         \
		__VA_ARGS__, NULL \
	}

const struct doh_server doh_servers[] = {
	{ STR("dns.google"),
	  ADDRESSES("8.8.8.8", "8.8.4.4", "2001:4860:4860::8888", "2001:4860:4860::8844") },
	{ STR("dns64.dns.google"), ADDRESSES("2001:4860:4860::6464", "2001:4860:4860::64") },
	{ STR("cloudflare-dns.com"),
	  ADDRESSES("1.1.1.1", "1.0.0.1", "2606:4700:4700::1111", "2606:4700:4700::1001") },
	{ STR("one.one.one.one"),
	  ADDRESSES("1.1.1.2", "1.0.0.2", "2606:4700:4700::1112", "2606:4700:4700::1002") },
	{ STR("family.cloudflare-dns.com"),
	  ADDRESSES("1.1.1.3", "1.0.0.3", "2606:4700:4700::1113", "2606:4700:4700::1003") },
	{ STR("dns.quad9.net"),
	  ADDRESSES("9.9.9.9", "149.112.112.112", "2620:fe::fe", "2620:fe::9") },
	{ STR("dns9.quad9.net"), ADDRESSES("9.9.9.9", "149.112.112.9", "2620:fe::fe:9") },
	{ STR("dns10.quad9.net"),
	  ADDRESSES("9.9.9.10", "149.112.112.10", "2620:fe::10", "2620:fe::fe:10") },
	{ STR("dns11.quad9.net"),
	  ADDRESSES("9.9.9.11", "149.112.112.11", "2620:fe::11", "2620:fe::fe:11") },
	{ STR("doh.opendns.com"),
	  ADDRESSES("208.67.222.222", "208.67.220.220", "2620:119:35::35", "2620:119:53::53") },
	{ STR("doh.familyshield.opendns.com"), ADDRESSES("208.67.222.123", "208.67.220.123") },
	{ STR("doh.umbrella.com"), ADDRESSES("146.112.41.5") },
	{ STR("dns.adguard-dns.com"),
	  ADDRESSES("94.140.14.14", "94.140.15.15", "2a10:50c0::ad1:ff", "2a10:50c0::ad2:ff") },
	{ STR("family.adguard-dns.com"), ADDRESSES("94.140.14.15", "94.140.15.16") },
	{ STR("unfiltered.adguard-dns.com"), ADDRESSES("94.140.14.140", "94.140.14.141") },
	{ STR("dns.adguard.com"), NULL },
	{ STR("doh.cleanbrowsing.org"),
	  ADDRESSES("185.228.168.9", "185.228.169.9", "185.228.168.168") },
	{ STR("dns.nextdns.io"), ADDRESSES("45.90.28.0", "45.90.30.0") },
	{ STR("freedns.controld.com"), ADDRESSES("76.76.2.0", "76.76.10.0") },
	{ STR("dns.controld.com"), ADDRESSES("76.76.2.22", "76.76.10.22") },
	{ STR("dns.mullvad.net"), ADDRESSES("194.242.2.2", "2a07:e340::2") },
	{ STR("doh.dns.sb"), ADDRESSES("185.222.222.222", "45.11.45.11") },
	{ STR("dns.alidns.com"), ADDRESSES("223.5.5.5", "223.6.6.6", "2400:3200::1") },
	{ STR("doh.pub"), ADDRESSES("1.12.12.12", "120.53.53.53") },
	{ STR("doh.360.cn"), NULL },
	{ STR("public.dns.iij.jp"), ADDRESSES("103.2.57.5", "103.2.57.6") },
	{ STR("dns.switch.ch"), ADDRESSES("130.59.31.248", "130.59.31.251") },
	{ STR("doh.applied-privacy.net"), ADDRESSES("146.255.56.98") },
	{ STR("doh.libredns.gr"), ADDRESSES("116.202.176.26") },
	{ STR("dns.digitale-gesellschaft.ch"), ADDRESSES("185.95.218.42", "185.95.218.43") },
	{ STR("doh.ffmuc.net"), ADDRESSES("5.1.66.255", "185.150.99.255") },
	{ STR("dns0.eu"), ADDRESSES("193.110.81.0", "185.253.5.0") },
	{ STR("dns.njal.la"), ADDRESSES("95.215.19.53") },
	{ STR("doh.xfinity.com"), NULL },
	{ STR("dns.comcast.net"), NULL },
	{ STR_NONE, NULL },
};
