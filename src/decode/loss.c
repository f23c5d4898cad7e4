/* SPDX-License-Identifier: Apache-2.0 */
/* Losses in words, for `egret status` and the page. A reason that is added to LOSS_REASONS needs a row; a test counts them. */
#include "decode/event.h"

static const struct loss_words words[LOSS_COUNT] = {
	[LOSS_RING_FLOW] = { "openings or ends of flows were told late; their bytes are counted",
			     "more processor time for egretd; it reads the ring too slowly" },
	[LOSS_RING_PAYLOAD] = { "first bytes were not seen: some flows lack protocol or name",
				"more processor time for egretd; it reads the ring too slowly" },
	[LOSS_RING_DNS] = { "DNS messages were not seen: some addresses lack a name",
			    "more processor time for egretd; it reads the ring too slowly" },
	[LOSS_RING_PROC] = { "process notices were missed: some flows may lack their program",
			     "more processor time for egretd; it reads the ring too slowly" },
	[LOSS_MAP_FLOWS] = { "peers of unconnected sockets without a flow; their bytes are in "
			     "'unreported'",
			     "a program that scans by UDP? 'egret top --by program' shows it" },
	[LOSS_MAP_SOCKETS] = { "sockets without counters: the kernel had no memory for them",
			       "more memory, or a higher limit of the unit's cgroup" },
	[LOSS_MAP_HANDSHAKE] = { "inbound handshakes whose first packets are not in the counts",
				 "a SYN flood? The counts of established connections are right" },
	[LOSS_MAP_JUDGE] = { "no buffer to judge with: what could not be judged was refused",
			     "nothing, if it was once: 256 verdicts were under way at the same "
			     "time" },
	[LOSS_PACKET_UNREAD] = { "IP packets whose headers cannot be read; under a policy that can "
				 "refuse they do not leave",
				 "a program that writes broken headers, or a device that does" },
	[LOSS_MAP_LIMIT] = { "packets whose rate had no bucket of its own and shared a common one",
			     "fewer than 100,000 at a time for 'each'; egretd must run to clear "
			     "them away" },
	[LOSS_MAP_WHO] = { "programs, paths or groups the kernel had no room for: rules that name "
			   "them do not hold",
			   "a program that is started under ever new paths? The log names the "
			   "map" },
	[LOSS_TABLE_FLOWS] = { "idle flows were ended early to make room",
			       "a scan? More than 262,144 flows lived at once" },
	[LOSS_TABLE_STREAMS] = { "split hellos or requests were not joined: names may be missing",
				 "too many connections began at once; nothing, if it was once" },
	[LOSS_TABLE_NAMES] = { "old names were forgotten early",
			       "a program that resolves without end? 'egret top --by name'" },
	[LOSS_TABLE_PROCS] = { "processes were not kept: their flows lack a program",
			       "more than 65,536 processes lived at once" },
	[LOSS_TABLE_TEXTS] = { "texts were left out of records",
			       "more than 524,288 names, paths and arguments were in use" },
	[LOSS_TABLE_NAT] = { "translations of addresses were forgotten early: flows may lack "
			     "theirs",
			     "more than 131,072 connections were translated at once" },
	[LOSS_TABLE_MACHINES] = { "machines inside, or leases, were not kept: flows lack name and "
				  "MAC address",
				  "more than 65,536 addresses inside: a scan, or forged senders?" },
	[LOSS_CONNTRACK] = { "conntrack's notices overran: flows of that moment may lack their "
			     "translation",
			     "more processor time for egretd; it reads them too slowly" },
	[LOSS_HAIRPIN] = { "connections from inside that the gateway's own address sends back "
			   "inside: counted in part, or not at all",
			   "a name that leads to the inside address for those inside" },
	[LOSS_FRAGMENTS] = { "fragments were never completed",
			     "packets are lost on the way, or somebody sends halves" },
	[LOSS_CLIENT_QUEUE] = { "a client of the control socket read too slowly and missed records",
				"a filter for the live view, or a faster reader" },
	[LOSS_ALERT_SEND] = { "alerts did not reach syslog or the journal",
			      "see that the log server in egret.conf answers" },
	[LOSS_IPFIX_SEND] = { "flows did not reach the IPFIX collector",
			      "see that the collector in egret.conf answers" },
	[LOSS_STORE_QUEUE] = { "pieces of flows are not in history: the disk was full or too slow",
			       "room on the disk; a faster disk" },
	[LOSS_STORE_WRITE] = { "pieces of flows are not in history: they could not be written",
			       "'history' of 'egret status' says what hinders it" },
	[LOSS_SPOOL_DROP] = { "rows did not reach ClickHouse: the spool or its disk was full",
			      "'clickhouse' of 'egret status' says what hinders it; a larger "
			      "spool" },
	[LOSS_EVE_WRITE] = { "records did not get into eve.json",
			     "room on the disk; a faster disk" },
};

const struct loss_words *loss_words(enum loss_reason r)
{
	return &words[r];
}
