/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which protocols the kernel tells by the opener's first bytes, before they leave, and which only user space does, later
 * (attach_app_told()). The code is recognise_tcp.h and recognise_udp.h; the numbers are EG_APPS() of policy_image.h.
 *
 *     EARLY   by the bytes alone
 *     PORT    likewise, but only on the usual port, because the bytes alone are too few; on others late
 *     LATE    when the other side has answered, or by the whole of a hello
 */
#pragma once

#define EG_APPS_EARLY(X) \
	X(DNS)           \
	X(MDNS)          \
	X(LLMNR)         \
	X(TLS)           \
	X(HTTP)          \
	X(HTTP2)         \
	X(QUIC)          \
	X(DTLS)          \
	X(SSH)           \
	X(SMTP)          \
	X(NTP)           \
	X(STUN)          \
	X(RDP)           \
	X(VNC)           \
	X(SMB)           \
	X(BITTORRENT)    \
	X(WIREGUARD)     \
	X(OPENVPN)       \
	X(MQTT)          \
	X(DHCP)          \
	X(NETBIOS)       \
	X(SNMP)          \
	X(SIP)           \
	X(SSDP)          \
	X(SYSLOG)        \
	X(LDAP)          \
	X(KERBEROS)      \
	X(POSTGRES)      \
	X(REDIS)         \
	X(IRC)           \
	X(TELNET)        \
	X(DOT)           \
	X(DOQ)           \
	X(DOH)
#define EG_APPS_PORT(X) X(IMAP) X(POP3) X(FTP) X(SOCKS)
#define EG_APPS_LATE(X) X(MYSQL) X(TOR)
