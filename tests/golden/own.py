#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Our own captures (make.py) through `egret read`, against expected/NAME.jsonl: product facts, nothing internal.

usage: own.py [--update]      --update writes the expected files anew; `git diff` is the review
"""
import glob
import json
import os
import subprocess
import sys
import tempfile

import golden
import oracle

CAPTURES = os.path.join(golden.HERE, "captures")
EXPECTED = os.path.join(golden.HERE, "expected")
EGRET_FACTS = ("name", "name_source", "names", "cname_chain", "mid_stream", "payload_toserver", "payload_toclient",
               "direction", "ja3", "ja4", "ja4_r", "ech", "tcp", "cipher", "alpn", "certificate")


def facts(run):
    """Records without what differs from run to run or follows from other fields."""
    out = []
    for r in run.records:
        if r["event_type"] == "stats":
            continue
        kept = {k: v for k, v in r.items() if k not in ("flow_id", "timestamp", "egret", "community_id", "flow")}
        if "flow" in r:
            kept["flow"] = {k: v for k, v in r["flow"].items() if k not in ("start", "end", "age", "alerted")}
        kept["egret"] = {k: v for k, v in r.get("egret", {}).items() if k in EGRET_FACTS}
        kept["egret"].get("tcp", {}).pop("rtt_us", None)
        out.append(json.dumps(kept, sort_keys=True))
    return out


def compare(cases, name, got, update):
    path = os.path.join(EXPECTED, name + ".jsonl")
    if update:
        os.makedirs(EXPECTED, exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write("\n".join(got) + "\n")
    with open(path, encoding="utf-8") as f:
        want = f.read().splitlines()
    missing, extra = [x for x in want if x not in got], [x for x in got if x not in want]
    cases.check(name, got == want, *(["the order differs"] if not missing and not extra else []),
                *("- " + x for x in missing[:6]), *("+ " + x for x in extra[:6]))


def check_made(cases):
    """The committed captures are what make.py makes."""
    with tempfile.TemporaryDirectory() as tmp:
        subprocess.run(["/usr/bin/python3", "-c", "import sys, make; make.HERE = sys.argv[1]; make.main()", tmp],
                       cwd=golden.HERE, check=True, capture_output=True,
                       env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
        for name in sorted(set(os.listdir(tmp)) | set(os.listdir(CAPTURES))):
            same = all(os.path.exists(os.path.join(d, name)) for d in (tmp, CAPTURES))
            if same:
                with open(os.path.join(tmp, name), "rb") as a, open(os.path.join(CAPTURES, name), "rb") as b:
                    same = a.read() == b.read()
            cases.check(f"{name} is as make.py makes it", same)


def check_forms(cases):
    """One conversation in every encapsulation and file format: the same facts, whatever stands around it."""
    plain = [x for x in facts(golden.Read(os.path.join(CAPTURES, "encap-ethernet.pcap")))]
    for path in sorted(glob.glob(os.path.join(CAPTURES, "encap-*")) + glob.glob(os.path.join(CAPTURES, "form-*"))):
        got = facts(golden.Read(path))
        stripped = [json.dumps({k: v for k, v in json.loads(x).items() if k not in ("vlan", "in_iface")},
                               sort_keys=True) for x in got]
        cases.check(f"{os.path.basename(path)}: the same facts as plain Ethernet", stripped == plain,
                    *(x for x in stripped if x not in plain), "-- not", *(x for x in plain if x not in stripped))


def check_protocols(cases):
    """protocols.pcap: each flow has the protocol that hello.first_bytes() says."""
    import hello
    want = {50000 + n: name for n, (name, *_) in enumerate(hello.first_bytes())}
    got = {r["dest_port"]: r.get("app_proto") for r in
           golden.Read(os.path.join(CAPTURES, "protocols.pcap")).flows()}
    for port, name in want.items():
        cases.equal(f"protocols: {name} ({port})", got.get(port), name)


def check_inputs(cases):
    """Standard input, several inputs at once in any order, and what is not a capture."""
    path = os.path.join(CAPTURES, "dns.pcap")
    plain = facts(golden.Read(path))
    with open(path, "rb") as f:
        raw = f.read()
    cases.equal("standard input", facts(golden.Read("-", stdin=raw)), plain)
    zst = subprocess.run(["zstd", "-q", "-c"], input=raw, capture_output=True, check=True).stdout
    cases.equal("zstd on standard input", facts(golden.Read("-", stdin=zst)), plain)
    http = os.path.join(CAPTURES, "http.pcap")
    both = golden.Read(path, http)
    cases.equal("two files", sorted(facts(both)), sorted(facts(golden.Read(http, path))))
    cases.equal("two files: flows", len(both.flows()), len(golden.Read(path).flows()) + len(golden.Read(http).flows()))
    halves = oracle_split(raw)
    cases.equal("a capture in two files, the second one first",
                sorted(facts(golden.Read("-", halves[0], stdin=halves[1]))), sorted(plain))
    os.unlink(halves[0])
    cases.equal("no such file", golden.Read("/nonexistent.pcap", json_out=False).status, 1)
    cases.equal("not a capture", golden.Read("-", stdin=b"#!/bin/sh\necho hello\n" * 9, json_out=False).status, 1)
    cases.equal("nothing at all", golden.Read("-", stdin=b"", json_out=False).status, 1)
    one_bad = golden.Read("/nonexistent.pcap", path)
    cases.check("one of two files is missing: the other is read", facts(one_bad) == plain and one_bad.err,
                one_bad.status, one_bad.err)
    cases.equal("wrong option", golden.Read("--no-such-option", json_out=False).status, 2)
    cases.equal("no file given", golden.Read(json_out=False).status, 2)


def oracle_split(raw):
    """A pcap in two halves: the first as a file, the second as bytes."""
    at = 24
    while at < len(raw) // 2:
        at += 16 + int.from_bytes(raw[at + 8:at + 12], "little")
    with tempfile.NamedTemporaryFile(suffix=".pcap", delete=False) as f:
        f.write(raw[:at])
    return f.name, raw[:24] + raw[at:]


def check_filter_and_summary(cases):
    http = os.path.join(CAPTURES, "http.pcap")
    some = golden.Read("--filter", "port:8081", http).flows()
    cases.equal("--filter port:8081", [r["dest_port"] for r in some], [8081])
    text = golden.Read(http, json_out=False)
    cases.check("summary names what was contacted", text.status == 0 and b"one.example.org" in text.out, text.out)
    cases.check("findings come last, and none are here", text.out.endswith(b"\nFindings: none\n"), text.out[-200:])
    cases.check("before them what was read", b"packets" in text.out[:text.out.rindex(b"\nFindings")].splitlines()[-1],
                text.out)


def check_counts(cases):
    """Packets and bytes against the plain count, for the captures where one frame is one packet of a flow."""
    for name in ("tcp", "http", "dns", "split-hellos", "starttls", "others", "fragments"):
        path = os.path.join(CAPTURES, name + ".pcap")
        flows, _ = oracle.count(path)
        run = golden.Read(path)
        got = [sum(r["flow"][k] for r in run.flows()) for k in ("pkts_toserver", "pkts_toclient", "bytes_toserver",
                                                               "bytes_toclient")]
        cases.equal(f"{name}: packets, bytes of all flows", [got[0] + got[1], got[2] + got[3]],
                    [sum(sum(f.packets) for f in flows.values()), sum(sum(f.bytes) for f in flows.values())])


def main():
    update = sys.argv[1:] == ["--update"]
    cases = golden.Cases()
    lines = []
    check_made(cases)
    for path in sorted(glob.glob(os.path.join(CAPTURES, "*.pcap*"))):
        name = os.path.basename(path)
        if name.startswith("encap-") and name != "encap-ethernet.pcap" or name.startswith("form-"):
            continue
        run = golden.Read(path)
        cases.check(f"{name}: exit status", run.status == 0, run.status, run.err)
        compare(cases, name.split(".")[0], facts(run), update)
        lines += run.lines
    check_forms(cases)
    check_protocols(cases)
    check_counts(cases)
    check_inputs(cases)
    check_filter_and_summary(cases)
    golden.check_schema(cases, "own captures", lines)
    return cases.end()


sys.exit(main())
