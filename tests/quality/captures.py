#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every shared capture, read as a user reads it: what is labelled malicious yields a finding of the right class that names the right
peer, and nothing else; what is benign yields no finding of medium or above. Prints the table of bench/QUALITY.md with --table.

Labels are those of ../shared/data/MANIFEST.md. Seconds: of recorded traffic, until the finding would have been told.
"""
import glob
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "golden"))
from golden import Cases, Read, data  # noqa: E402

C2, EXFIL = {"c2"}, {"exfil"}
EITHER = C2 | EXFIL | {"intel"}

# Capture (or its parts): the label, classes that are right, what the peer, its name or its address must contain, and what
# the reader has to say: the network that was attacked there is 10.0.0.0/8, its Internet another private one.
APT29 = ["--inside", "10.0.0.0/8"]
MALICIOUS = [
    ("c2-corelight/ragdoll.pcap", "CALDERA over HTTP", C2, ["172.18.0.2"]),
    ("c2-corelight/manx-udp-c2-only.pcap", "CALDERA over UDP", C2, ["172.18.0.3", "172.18.0.2"]),
    ("c2-corelight/cd010953-5faf-4054-86be-58c020c3a532.pcap", "AsyncRAT over TLS", C2, ["181.131.218.39"]),
    ("c2-corelight/f9421792-7d2c-47d3-90e0-07eb54ae12fa.pcap", "AgentTesla by FTP", EXFIL, ["143.95.79.226"]),
    ("c2-corelight/a30789ce-1e1c-4f96-a097-78c34b9fb612.pcap", "AgentTesla by SMTP", EXFIL, ["43.255.154.57"]),
    ("c2-corelight/long_connection.pcap", "long connection", C2, ["192.168.2.21"]),
    ("c2-corelight/strrat-4423258f-59bc-4a88-bfec-d8ac08c88538.pcap", "STRRAT, pings inside", C2, ["185.255.114.40"]),
    ("c2-slips/test-cc-capture-1.pcap", "beacon, 2 s", C2, ["testing.com"]),
    ("c2-slips/test-cc-capture-2.pcap", "beacon, 2 to 3 s", C2, ["testing.com"]),
    ("c2-otrf-apt29/UTICA-C.cap", "APT29 emulation", C2, ["192.168.0.4"], APT29),
    ("c2-otrf-apt29/zeek-day1/NASHUA_*.log.gz", "APT29 emulation, Zeek", C2, ["192.168.0.4", "192.168.0.5"], APT29),
    ("suricata-verify/bug-5713-01/TLSv1-Extracted-MaliciousC2.pcap", "TLS 1.0 C2, one hello", C2, ["91.254.215.167"]),
    ("ndpi/dns-tunnel-iodine.pcap", "iodine", EITHER, ["pirate.sea", "10.0.2.20"]),
    ("ndpi/dns_exfiltration.pcap", "dnscat2", EITHER, ["192.168.203.167", "dnscat"]),
    ("ndpi/bad-dns-traffic.pcap", "dnscat2", EITHER, ["skullseclabs.org"]),
    ("ndpi/icmp-tunnel.pcap", "ICMP tunnel", EITHER, ["192.168.154.132", "192.168.154.131"]),
    ("zeek-logs/rita-proxy", "beacon through a proxy, Zeek", C2, ["honestimnotevil.com"]),
]

# Labelled malicious, and not told: two TLS connections to an address and a self-signed certificate are in half the offices.
LIGHT = [
    ("c2-otrf-apt29/zeek-day1/SCRANTON_*.log.gz", "APT29 emulation, Zeek", ["192.168.0.4", "192.168.0.5"], APT29),
]

# One query says nothing: ndpi/dns-exf.pcap asks for "test.txt", once. The "high entropy" of test10 is what printers say of themselves by
# mDNS; the label of test9 is a JA3S that only a feed could name.
BENIGN_FOLDERS = ["benign-browsing-ndpi42", "ndpi", "zeek-btest", "arkime", "ja4-foxio", "pcapplusplus", "suricata-verify/*",
                  "zeek-logs/008-zeek-mixed", "zeek-logs/test9-mixed-zeek-dir", "zeek-logs/test10-mixed-zeek-dir"]


def paths_of(pattern):
    root = data("")
    return sorted(glob.glob(os.path.join(root, pattern))) if root else []


def benign():
    bad = {p for pattern, *_ in MALICIOUS for p in paths_of(pattern)}
    for folder in BENIGN_FOLDERS:
        for place in paths_of(folder):
            logs = glob.glob(os.path.join(place, "*.log*"))
            if "zeek-logs" in place:
                yield os.path.relpath(place, data("")), logs
                continue
            for path in sorted(glob.glob(os.path.join(place, "*"))):
                if path not in bad and path.split(".")[-1] in ("pcap", "pcapng", "cap", "gz") and ".log" not in path:
                    yield os.path.relpath(path, data("")), [path]


def findings_of(paths, *options):
    """Of medium or above unless asked for --low, and the time of the first flow."""
    read = Read("--quiet", *options, *paths)
    found = [dict(r["egret"]["finding"], record=r) for r in read.of("alert") if "finding" in r["egret"]]
    starts = [r["flow"]["start"] for r in read.of("flow")]
    return found, min(starts) if starts else None


def seconds(start, opened):
    from datetime import datetime
    form = "%Y-%m-%dT%H:%M:%S.%f%z"
    return (datetime.strptime(opened, form) - datetime.strptime(start, form)).total_seconds()


def names(f):
    return f"{f['peer']} {f.get('name', '')} {f['record'].get('dest_ip', '')} {f['entity']}"


def check_light(cases, rows):
    """What is there, but too light to be told: --low shows it."""
    for pattern, label, peers, *options in LIGHT:
        paths = paths_of(pattern)
        if not paths:
            cases.skip(pattern, "not in the shared data here")
            continue
        found, _ = findings_of(paths, "--low", *(options[0] if options else []))
        right = [f for f in found if any(p in names(f) for p in peers)]
        cases.check(f"{pattern}: among what --low shows", right, *(f["explain"] for f in found))
        rows.append((pattern, label, right and f"NOT told: {right[0]['level']}, {right[0]['detector']}, {right[0]['score_db']:+d} dB", 0, None))


def main():
    cases, rows = Cases(), []
    for pattern, label, classes, peers, *options in MALICIOUS:
        paths = paths_of(pattern)
        if not paths:
            cases.skip(pattern, "not in the shared data here")
            continue
        found, start = findings_of(paths, *(options[0] if options else []))
        right = [f for f in found if f["class"] in classes and (not peers or any(p in names(f) for p in peers))]
        wrong = [f for f in found if peers and not any(p in names(f) for p in peers)]
        cases.check(f"{pattern}: found", right, *(f"{f['class']} {f['level']} {names(f)}" for f in found))
        cases.check(f"{pattern}: nothing else", not wrong, *(f["explain"] for f in wrong))
        first = min(right, key=lambda f: f["opened"]) if right else None
        rows.append((pattern, label, first and f"{first['level']} {first['class']}, {first['detector']}, {first['score_db']:+d} dB",
                     len(wrong), first and seconds(start, first["opened"])))
    for name, paths in benign():
        if not paths:
            continue
        found, _ = findings_of(paths)
        cases.check(f"{name}: quiet", not found, *(f"{f['level']} {f['explain']}" for f in found))
        rows.append((name, "benign", found and f"{found[0]['level']} {found[0]['detector']}", len(found), None))
    check_light(cases, rows)
    if not rows:
        cases.skip("captures", "there is no shared data here")
    if "--table" in sys.argv:
        print("| capture | label | finding | false | seconds |\n|---|---|---|---|---|")
        for name, label, what, wrong, took in rows:
            print(f"| {name} | {label} | {what or '-'} | {wrong or '-'} | {'-' if took is None else round(took, 1)} |")
    return cases.end()


sys.exit(main())
