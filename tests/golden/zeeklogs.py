#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Zeek logs through `egret read`: a flow a conn.log line with its counters, names from ssl, http and dns logs."""
import collections
import glob
import gzip
import json
import os
import re
import shutil
import sys
import tempfile

import golden

FOLDERS = ("zeek-logs/rita-proxy", "zeek-logs/test9-mixed-zeek-dir", "zeek-logs/test10-mixed-zeek-dir",
           "zeek-logs/008-zeek-mixed", "c2-otrf-apt29/zeek-day1")
PROTO = {"tcp": "TCP", "udp": "UDP", "icmp": "ICMP"}


def rows(path):
    """The lines of a Zeek log as dicts with the names of the TSV form."""
    fields = None
    with (gzip.open if path.endswith(".gz") else open)(path, "rt", encoding="utf-8", errors="replace") as f:
        for line in f:
            line = line.rstrip("\n")
            if line.startswith("#fields"):
                fields = line.split("\t")[1:]
            elif line.startswith("{"):
                r = json.loads(line)
                yield {k.replace("id_", "id.", 1) if k.startswith("id_") else k: v for k, v in r.items()}
            elif line and line[0] != "#" and fields:
                yield {k: v for k, v in zip(fields, line.split("\t")) if v not in ("-", "(empty)")}


def logs_of(folder, kind):
    return sorted(p for p in glob.glob(os.path.join(folder, "*")) if f"{kind}.log" in os.path.basename(p))


def name_of(r):
    return (r.get("server_name") or "").lower().rstrip(".")


def escaped(name):
    """A name as egret writes it: bytes that are not printable as \\DDD (RFC 4343), from Zeek's \\xHH."""
    raw = re.sub(rb"\\x([0-9a-f]{2})", lambda m: bytes([int(m.group(1), 16)]), name.lower().rstrip(".").encode())
    return "".join(chr(b) if 0x21 <= b < 0x7F else f"\\{b:03d}" for b in raw)


def check_folder(cases, folder):
    path = golden.data(folder)
    if not path:
        cases.skip(folder, "not in the shared data")
        return
    run = golden.Read(path)
    cases.check(f"{folder}: exit status", run.status == 0, run.status, run.err)
    conns = [r for p in logs_of(path, "conn") for r in rows(p)]
    flows = run.flows()

    def key(proto, a, ap, b, bp):
        ports = (int(ap or 0), int(bp or 0)) if proto in ("TCP", "UDP") else (0, 0)
        return proto, a, ports[0], b, ports[1]

    def counters(packets):
        return tuple(int(float(v or 0)) for v in packets)

    want = collections.Counter(
        (*key(PROTO.get(r["proto"], r["proto"]), r["id.orig_h"], r["id.orig_p"], r["id.resp_h"], r["id.resp_p"]),
         *counters((r.get("orig_pkts"), r.get("orig_ip_bytes"), r.get("resp_pkts"), r.get("resp_ip_bytes"))))
        for r in conns)
    got = collections.Counter(
        (*key("ICMP" if r["proto"].endswith("ICMP") else r["proto"], r["src_ip"], r.get("src_port"), r["dest_ip"],
              r.get("dest_port")),
         r["flow"]["pkts_toserver"], r["flow"]["bytes_toserver"], r["flow"]["pkts_toclient"],
         r["flow"]["bytes_toclient"])
        for r in flows)
    cases.check(f"{folder}: ends, packets and bytes of {len(conns)} conn.log lines", not want - got,
                f"missing {list((want - got).items())[:4]}")
    # What is left are ssl, dns and http lines whose connection is in no conn.log, or there with other ends (SLIPS
    # edited its logs): flows without counters.
    known = {r["uid"] for r in conns}
    ends = {(r["uid"], r["id.orig_h"], r["id.resp_h"]) for r in conns}
    strays = {(r["id.orig_h"], r["id.resp_h"]) for kind in ("ssl", "dns", "http") for p in logs_of(path, kind)
              for r in rows(p) if (r.get("uid"), r["id.orig_h"], r["id.resp_h"]) not in ends}
    odd = [k for k in got - want if any(k[5:]) or (k[1], k[3]) not in strays]
    cases.check(f"{folder}: no flow that no line tells of", not odd, odd[:5])
    hellos = [r for p in logs_of(path, "ssl") for r in rows(p) if name_of(r)]
    want = collections.Counter(((r["id.orig_h"], int(r["id.orig_p"])), (r["id.resp_h"], int(r["id.resp_p"])),
                                name_of(r)) for r in hellos)
    got = collections.Counter((*golden.ends(r), r[r["event_type"]].get("sni", "").lower().rstrip("."))
                              for r in run.of("tls", "quic") if r[r["event_type"]].get("sni"))
    cases.check(f"{folder}: names of {len(hellos)} ssl.log lines", got == want,
                f"missing {list((want - got).items())[:4]}", f"too many {list((got - want).items())[:4]}")
    named = collections.defaultdict(set)
    for r in flows:
        named[golden.ends(r)] |= {r["egret"].get("name")} | set(r["egret"].get("names", []))
    lost = [(k[:2], k[2]) for k, r in zip(want, hellos) if r["uid"] in known and
            k[2] not in named[k[:2]] and not re.fullmatch(r"[\d.]+", k[2])]
    cases.check(f"{folder}: flows carry the name of their ssl.log line", not lost, lost[:5])

    asked = [r for p in logs_of(path, "dns") for r in rows(p) if r.get("query")]
    got = collections.Counter(q["rrname"].lower() for r in run.of("dns") for q in r["dns"]["queries"])
    missing = {escaped(r["query"]) for r in asked} - set(got)
    cases.check(f"{folder}: names asked in {len(asked)} dns.log lines", not missing, sorted(missing)[:8])
    hosts = {r["host"].lower() for p in logs_of(path, "http") for r in rows(p) if r.get("host")}
    missing = hosts - {r["http"].get("hostname", "").lower() for r in run.of("http")}
    cases.check(f"{folder}: {len(hosts)} hosts of http.log", not missing, sorted(missing)[:8])
    golden.check_schema(cases, folder, run.lines)


def check_forms(cases):
    """One file, the same compressed, on standard input, and cut in the middle of a line."""
    path = golden.data("zeek-logs/rita-proxy/conn.log")
    if not path:
        cases.skip("forms of conn.log", "not in the shared data")
        return
    with open(path, "rb") as f:
        text = f.read()
    plain = golden.Read(path).flows()
    cases.equal("conn.log from standard input", len(golden.Read("-", stdin=text).flows()), len(plain))
    with tempfile.TemporaryDirectory() as tmp:
        packed = os.path.join(tmp, "conn.log.gz")
        with gzip.open(packed, "wb") as f:
            f.write(text)
        cases.equal("conn.log.gz", len(golden.Read(packed).flows()), len(plain))
        shutil.copy(path, tmp)
        with open(os.path.join(tmp, "conn.log"), "wb") as f:
            f.write(text[:len(text) // 2])
        half = golden.Read(os.path.join(tmp, "conn.log"))
        lines = text[:len(text) // 2].count(b"\n") - sum(1 for x in text.split(b"\n")[:12] if x[:1] == b"#")
        cases.check("conn.log cut in a line: the whole lines are there", lines <= len(half.flows()) <= lines + 1 and
                    half.status == 0, len(half.flows()), lines, half.err)


def main():
    cases = golden.Cases()
    for folder in FOLDERS:
        check_folder(cases, folder)
    check_forms(cases)
    return cases.end()


if __name__ == "__main__":
    sys.exit(main())
