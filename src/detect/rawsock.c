/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Around the sockets that are watched: packet sockets, which read and write below IP (a backdoor that waits for a magic packet has
 * one), and IP protocols that hardly any program speaks. What a host needs them for is done by a few programs, named here.
 */
#include <netinet/in.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "detect/detectors.h"
#include "detect/say.h"

/* Globs over the last part of the executable's path: captures, leases, link layers, virtual machines, routing. */
static const char *const owners[] = {
	"tcpdump",
	"wireshark*",
	"tshark",
	"dumpcap",
	"ngrep",
	"tcpflow",
	"suricata*",
	"snort*",
	"zeek*",
	"arkime*",
	"nprobe",
	"ntop*",
	"dhclient*",
	"dhcpcd*",
	"dhcpd",
	"udhcp*",
	"pump",
	"busybox*",
	"NetworkManager*",
	"systemd-network*",
	"nm-*",
	"wpa_supplicant",
	"hostapd",
	"iwd",
	"connmand",
	"wicked*",
	"lldpd",
	"lldpad",
	"ladvd",
	"cdpd",
	"arping*",
	"arp-scan",
	"arpwatch",
	"nmap*",
	"masscan",
	"zmap",
	"hping*",
	"pppoe*",
	"pppd",
	"rp-pppoe*",
	"xl2tpd",
	"keepalived",
	"ucarp",
	"carp*",
	"pacemaker*",
	"conntrackd",
	"ptp4l",
	"phc2sys",
	"openvswitch*",
	"ovs-*",
	"qemu*",
	"libvirtd",
	"dockerd",
	"containerd*",
	"calico*",
	"cilium*",
	"flannel*",
	"kube-*",
	"bird*",
	"frr*",
	"zebra",
	"bgpd",
	"ospfd",
	"isisd",
	"pimd",
	"avahi-*",
	"tcpreplay*",
	"ettercap*",
	"kismet*",
	"netdata",
	"netsniff-ng",
	"trafgen",
	"iftop",
	"nethogs",
	"bandwhich",
	"vnstatd",
	"egret*",
	"radvd",
	"ndppd",
	"odhcp*",
	"dnsmasq",
	"isc-dhcp*",
	"kea-*",
	"p0f",
};

static bool owns(struct str name)
{
	for (size_t i = 0; i < ARRAY_SIZE(owners); i++)
		if (str_glob(str_of(owners[i]), name))
			return true;
	return false;
}

static void record(struct detect *d, struct sighting *s, const struct record *r)
{
	const struct proc *proc = r->proc;
	struct entity *e;
	struct peer *peer;
	struct pair *p;
	bool odd;

	(void)s;
	if (r->type != RECORD_PACKET_SOCKET || !proc || owns(proc_name(proc)))
		return;
	e = entity_of_proc(d, proc);
	if (!e)
		return;
	e->refs++; /* not to be evicted by the peer's making */
	peer = peer_of_domain(d, STR("packet socket"));
	e->refs--;
	p = peer ? pair_of(d, e, peer) : NULL;
	if (!p || was_said(p, E_PACKET_SOCKET, evidence_rows[E_PACKET_SOCKET].most))
		return;
	p->last_ns = d->now_ns;
	if (!p->proc)
		p->proc = proc_ref(r->proc ? (struct proc *)r->proc : NULL);
	/* Interpreters run scripts of people who look after networks. */
	odd = proc->exe_state != EXE_FILE || e->class == PROGRAM_UNKNOWN ||
	      e->class == PROGRAM_SHELL || e->class == PROGRAM_RELAY;
	detect_evidence(
		d, p, E_PACKET_SOCKET,
		&(struct evidence_in){
			.db = odd ? 0 : evidence_rows[E_PACKET_SOCKET].most / 2,
			.what = "it opened a packet socket: it sees and sends what no socket shows",
			.baseline = "none of the programs that ordinarily do" });
}

/* Tunnels and routing that networks are built of. */
static bool is_tunnel(uint8_t proto)
{
	switch (proto) {
	case IPPROTO_IPIP:
	case IPPROTO_IPV6: /* 6in4 */
	case IPPROTO_GRE:
	case IPPROTO_ESP:
	case IPPROTO_AH:
	case 97:  /* EtherIP */
	case 115: /* L2TP */
		return true;
	default:
		return false;
	}
}

static bool is_ordinary(uint8_t proto)
{
	switch (proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
	case IPPROTO_IGMP:
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
		return true;
	default:
		return false;
	}
}

static void flow(struct detect *d, struct sighting *s, const struct flow *f)
{
	uint8_t proto = f->key.proto;
	char what[128], name[8];
	int db;

	if (is_ordinary(proto) || !is_outside(f) || s->pair->entity->class == PROGRAM_VPN)
		return;
	/* The kernel's own tunnels have no program. */
	db = is_tunnel(proto) ? 3 : evidence_rows[E_RAW_PROTOCOL].most;
	if (was_said(s->pair, E_RAW_PROTOCOL, db))
		return;
	snprintf(what, sizeof(what), "IP protocol %s to the Internet",
		 flow_proto_name(proto, name));
	detect_evidence(d, s->pair, E_RAW_PROTOCOL,
			&(struct evidence_in){ .db = db,
					       .measured = proto,
					       .n = s->pair->flows,
					       .flow_id = f->id,
					       .what = what,
					       .baseline = is_tunnel(proto) ? "a tunnel" : NULL });
}

const struct detector detect_rawsock = {
	.name = "rawsock",
	.flow = flow,
	.record = record,
};
