#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every capture of the shared data against FACTS.jsonl (tshark, FoxIO's ja4.py) and against a plain count of packets.

What is compared, and where the definitions differ on purpose:
- packets and IP bytes a flow, both ways: exact, against tests/golden/oracle.py.
- TCP payload: egret counts what was sent again once, the oracle's unique_payload() does the same; for UDP all of it.
- the oracle itself: payload of each address pair against tshark, so that the yardstick is checked too (ODD_PAIRS).
- names in ClientHellos, JA3, JA4: as sets a 5-tuple (tshark lists a retransmitted hello twice).
- DNS: request messages, without mDNS and LLMNR, which tshark counts apart.
"""
import base64
import collections
import hashlib
import ipaddress
import json
import struct
import sys

import golden
import oracle

# tshark's own view of these differs from what is on the wire; each with its reason.
ODD_PAIRS = {
    "c2-otrf-apt29/UTICA-C.cap": "frames shorter than their IP length: tshark counts what is there",
    "ja4-foxio/gre-sample.pcap": "tshark lists the outer addresses, egret the inner ones",
    "ja4-foxio/v6.pcap": "tshark also counts headers quoted inside ICMP errors",
    "ja4-foxio/http-empty-useragent.pcap": "both ends have one address: tshark's sums cannot tell the sides apart",
    "ndpi/doq.pcapng": "both ends have one address",
    "suricata-verify/quic-v2/input.pcap": "both ends have one address",
    "zeek-btest/quicdoq.pcap": "both ends have one address",
}
MDNS_LLMNR = (5353, 5355)
ODD_DNS = {
    "ja4-foxio/gre-sample.pcap": "tshark also counts questions quoted inside ICMP errors",
    "ndpi/doq.pcapng": "tshark decrypts it with the keys in the capture",
}


def check_oracle(cases, fact, flows):
    """The yardstick agrees with tshark."""
    if fact["file"] in ODD_PAIRS:
        return
    sums = collections.Counter()
    for (proto, pair), f in flows.items():
        if proto not in (6, 17):
            continue
        for side, port_of in enumerate(({p for p in pair if p != f.src} or {f.src}, {f.src})):
            server = next(iter(port_of))
            client = f.src[0] if side == 0 else next(iter({p for p in pair if p != f.src} or {f.src}))[0]
            sums[client, *server, proto, "up"] += f.payload[side]
            sums[client, *server, proto, "down"] += f.payload[1 - side]
    wrong = []
    for p in fact.get("pairs", []):
        key = p["src"], p["dst"], p["dport"], 6 if p["proto"] == "tcp" else 17
        got = sums[key + ("up",)], sums[key + ("down",)]
        if got != (p["up"], p["down"]):
            wrong.append((key, got, (p["up"], p["down"])))
    cases.check(f"{fact['file']}: yardstick", not wrong, wrong)


def summed(records):
    """Flow records summed by the ends, as egret splits a 5-tuple after its time-out: side 0 is `src` of the first."""
    out = {}
    for r in records:
        a, b = golden.ends(r)
        if r["proto"] not in ("TCP", "UDP", "SCTP"):
            a, b = (a[0], 0), (b[0], 0)
        key = r["proto"], frozenset((a, b))
        first, *sums = out.setdefault(key, [a, [0, 0], [0, 0], [0, 0]])
        f, e = r["flow"], r["egret"]
        up = 0 if first == a else 1
        for total, what in zip(sums, ((f["pkts_toserver"], f["pkts_toclient"]),
                                      (f["bytes_toserver"], f["bytes_toclient"]),
                                      (e.get("payload_toserver", 0), e.get("payload_toclient", 0)))):
            total[up] += what[0]
            total[1 - up] += what[1]
    return out


PROTO = {1: "ICMP", 6: "TCP", 17: "UDP", 58: "IPv6-ICMP", 132: "SCTP"}


def check_counts(cases, name, run, flows):
    got = summed(run.flows())
    want = {}
    for (proto, pair), f in flows.items():
        want[PROTO.get(proto, str(proto)), pair] = f
    cases.same_set(f"{name}: flows", got, want)
    counts, payload = [], []
    for key in set(got) & set(want):
        first, packets, size, sent = got[key]
        f = want[key]
        order = (0, 1) if f.src == first else (1, 0)
        expect = [[f.packets[i] for i in order], [f.bytes[i] for i in order]]
        if [packets, size] != expect:
            counts.append((key, [packets, size], expect))
        unique = [f.unique_payload(i) if key[0] == "TCP" else f.payload[i] for i in order]
        if key[0] in ("TCP", "UDP") and sent != unique:
            payload.append((key, sent, unique))
    cases.check(f"{name}: packets and bytes of {len(want)} flows", not counts, *counts[:5])
    cases.check(f"{name}: payload", not payload, *payload[:5])


def community_id(r):
    """Version 1, seed 0, from the specification; TCP, UDP and SCTP."""
    (a, ap), (b, bp) = golden.ends(r)
    a, b = (ipaddress.ip_address(x).packed for x in (a, b))
    if (a, ap) > (b, bp):
        a, ap, b, bp = b, bp, a, ap
    proto = {"TCP": 6, "UDP": 17, "SCTP": 132}[r["proto"]]
    digest = hashlib.sha1(struct.pack(">H", 0) + a + b + struct.pack(">BBHH", proto, 0, ap, bp)).digest()
    return "1:" + base64.b64encode(digest).decode()


def check_community(cases, name, run):
    wrong = [(golden.ends(r), r["community_id"]) for r in run.flows()
             if r["proto"] in ("TCP", "UDP", "SCTP") and r["community_id"] != community_id(r)]
    cases.check(f"{name}: community ids", not wrong, wrong[:5])


def check_hellos(cases, fact, run):
    name = fact["file"]
    # tshark does not look into Google's own QUIC from before the standard.
    ours = [r for r in run.of("tls", "quic") if not r.get("quic", {}).get("version", "").startswith("Q0")]
    full = fact.get("client_hellos_total", 0) <= len(fact.get("client_hellos", []))
    if fact.get("client_hellos_total"):
        got = {(r["event_type"] == "quic", *map(tuple, golden.ends(r)),
                r[r["event_type"]].get("sni", "").lower()) for r in ours}
        want = {(h["proto"] == "udp", (h["src"], h["sport"]), (h["dst"], h["dport"]), h["sni"].lower())
                for h in fact["client_hellos"]}
        if not full:
            got &= want
        cases.same_set(f"{name}: names in hellos", got, want)
    if fact.get("ja3"):
        got = collections.Counter(r[r["event_type"]].get("ja3", {}).get("hash") for r in ours)
        got.pop(None, None)
        cases.same_set(f"{name}: ja3", got, fact["ja3"])
    if fact.get("ja4_foxio"):
        got = {(*map(tuple, golden.ends(r)), r["tls"].get("ja4")) for r in ours if r["event_type"] == "tls"}
        want = {((h["src"], h["sport"]), (h["dst"], h["dport"]), h["ja4"]) for h in fact["ja4_foxio"]}
        if fact["ja4_total"] > len(fact["ja4_foxio"]):
            got &= want
        got = {g for g in got if g[2]}
        cases.same_set(f"{name}: ja4", got, want)


def check_one(cases, fact):
    path = golden.data(fact["file"])
    if not path:
        cases.skip(fact["file"], "not in the shared data")
        return None
    run = golden.Read(path)
    flows, _ = oracle.count(path)
    name = fact["file"]
    cases.check(f"{name}: exit status", run.status == 0, run.status, run.err)
    cases.check(f"{name}: frames", f"{fact['packets']:,} packets" in run.err, run.err)
    check_oracle(cases, fact, flows)
    check_counts(cases, name, run, flows)
    check_community(cases, name, run)
    check_hellos(cases, fact, run)
    if "dns" in fact and name not in ODD_DNS:
        got = sum(1 for r in run.of("dns") if r["dns"]["type"] == "request" and r["dest_port"] not in MDNS_LLMNR)
        cases.equal(f"{name}: DNS requests", got, fact["dns"]["queries"])
    return run


def main():
    cases = golden.Cases()
    facts = golden.data("FACTS.jsonl")
    if not facts:
        cases.skip("FACTS.jsonl", "no shared data")
        return cases.end()
    lines = []
    with open(facts, encoding="utf-8") as f:
        for line in f:
            run = check_one(cases, json.loads(line))
            lines += run.lines if run else []
    golden.check_schema(cases, "all captures", lines)
    return cases.end()


sys.exit(main())
