#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`egret read --zeek`: the same flows as the capture, what Zeek itself wrote of the same capture, and the logs read back."""
import collections
import glob
import json
import os
import re
import resource
import signal
import string
import struct
import subprocess
import sys
import tempfile

import golden
from make import answer, query
from wire import Capture, Tcp, raw, udp
from zeeklogs import logs_of, rows

LOGS = ("conn", "dns", "ssl", "http", "quic", "notice")
CAPTURES = os.path.join(golden.SOURCE, "tests", "golden", "captures")
DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
HEAD = ["#separator \\x09", "#set_separator\t,", "#empty_field\t(empty)", "#unset_field\t-"]


class Logs:
    """One run of `egret read --zeek` into a new folder: its logs as dicts, unset columns left out."""

    def __init__(self, tmp, *args, **kw):
        self.folder = tempfile.mktemp(prefix="out.", dir=tmp)
        self.run = golden.Read("--zeek", self.folder, *args, json_out=False, **kw)
        for log in LOGS:
            setattr(self, log, list(rows(os.path.join(self.folder, f"{log}.log"))))

    def text(self, log):
        with open(os.path.join(self.folder, f"{log}.log"), encoding="utf-8") as f:
            return f.read().split("\n")


def id_of(uid):
    n = 0
    for c in uid[1:]:
        n = n * 62 + DIGITS.index(c)
    return n


def check_form(cases, name, logs):
    """Heads as Zeek writes them, a type a column, a value a column, an end."""
    wrong = []
    for log in LOGS:
        lines = logs.text(log)
        fields, types = lines[6].split("\t"), lines[7].split("\t")
        if lines[:4] != HEAD or lines[4] != f"#path\t{log}" or not re.fullmatch(r"#open\t\d{4}(-\d\d){5}", lines[5]) or \
                fields[0] != "#fields" or types[0] != "#types" or len(fields) != len(types) or \
                not re.fullmatch(r"#close\t\d{4}(-\d\d){5}", lines[-2]) or lines[-1]:
            wrong.append((log, lines[:8], lines[-2:]))
        wrong += [(log, line) for line in lines[8:-2] if line.count("\t") != len(fields) - 2 or "\t\t" in line]
    cases.check(f"{name}: heads, columns and ends", not wrong, wrong[:3])


def seconds(a, b):
    """From one time of a record to another, as conn.log has it."""
    def us(t):
        h, m, s = t[11:26].split(":")
        return round((int(h) * 3600 + int(m) * 60 + float(s)) * 1e6)
    return (us(b) - us(a)) % (86400 * 10**6) / 1e6


def flow_of_record(r):
    f, e = r["flow"], r["egret"]
    ports = (r.get("src_port"), r.get("dest_port"))
    return (r["flow_id"], r["src_ip"], ports[0], r["dest_ip"], ports[1], seconds(f["start"], f["end"]),
            f["pkts_toserver"], f["bytes_toserver"], f["pkts_toclient"], f["bytes_toclient"],
            *((e.get("payload_toserver"), e.get("payload_toclient")) if ports[0] is not None else (None, None)),
            r["community_id"])


def flow_of_row(r):
    ports = (int(r["id.orig_p"]), int(r["id.resp_p"])) if r["proto"] in ("tcp", "udp") or r["ip_proto"] == "132" else \
        (None, None)
    return (id_of(r["uid"]), r["id.orig_h"], ports[0], r["id.resp_h"], ports[1], float(r["duration"]),
            *(int(r[k]) for k in ("orig_pkts", "orig_ip_bytes", "resp_pkts", "resp_ip_bytes")),
            *(int(r[k]) if k in r else None for k in ("orig_bytes", "resp_bytes")), r["community_id"])


def check_capture(cases, tmp, path):
    """The capture's own records beside its logs, and the logs read again."""
    name = os.path.basename(path)
    records, logs = golden.Read(path), Logs(tmp, path)
    cases.equal(f"{name}: exit status", (logs.run.status, records.status), (0, 0))
    check_form(cases, name, logs)
    cases.same_set(f"{name}: the same {len(records.flows())} flows", map(flow_of_row, logs.conn),
                   map(flow_of_record, records.flows()))
    cases.equal(f"{name}: names of TLS and QUIC",
                collections.Counter((id_of(r["uid"]), r.get("server_name"), r.get("ja4")) for r in logs.ssl),
                collections.Counter((r["flow_id"], r[r["event_type"]].get("sni"), r[r["event_type"]].get("ja4"))
                                    for r in records.of("tls", "quic") if r["event_type"] == "tls" or "ja4" in r["quic"]))
    cases.equal(f"{name}: requests of HTTP", [(id_of(r["uid"]), r.get("host"), r.get("uri"), r.get("status_code"))
                                              for r in logs.http],
                [(r["flow_id"], r["http"].get("hostname"), r["http"].get("url"),
                  str(r["http"]["status"]) if "status" in r["http"] else None) for r in records.of("http")])
    questions = collections.Counter((r["flow_id"], r["dns"]["id"]) for r in records.of("dns") if r["dns"]["type"] == "request")
    answers = collections.Counter((r["flow_id"], r["dns"]["id"]) for r in records.of("dns") if r["dns"]["type"] == "response")
    cases.equal(f"{name}: one line a question and its answer",
                collections.Counter((id_of(r["uid"]), int(r["trans_id"])) for r in logs.dns), questions | answers)
    cases.equal(f"{name}: findings", len(logs.notice), sum(r["egret"]["finding"]["state"] != "closed" for r in
                                                          records.of("alert") if "finding" in r["egret"]))
    if not logs.conn:
        return
    again = Logs(tmp, logs.folder)

    def others(r):
        return tuple(sorted((k, v) for k, v in r.items() if k not in ("uid", "service")))
    cases.equal(f"{name}: conn.log read back", collections.Counter(map(others, again.conn)),
                collections.Counter(map(others, logs.conn)))
    cases.equal(f"{name}: dns.log read back", collections.Counter(
        (r["id.orig_h"], r["id.orig_p"], r["trans_id"], r.get("query"), r.get("answers"), r.get("TTLs")) for r in again.dns),
        collections.Counter((r["id.orig_h"], r["id.orig_p"], r["trans_id"], r.get("query"), r.get("answers"), r.get("TTLs"))
                            for r in logs.dns))


def check_zeek_of_capture(cases, tmp, capture, baseline):
    """What Zeek wrote of the same capture (its own tests' expectation; times and uids are blanked there)."""
    path, folder = golden.data(f"zeek-btest/{capture}"), golden.data(f"zeek-btest/baseline/scripts.base.protocols.{baseline}")
    if not path or not folder:
        cases.skip(f"Zeek's logs of {capture}", "not in the shared data")
        return
    logs = Logs(tmp, path)
    for log, known in (("ssl", ("version", "cipher", "server_name", "cert_chain_fps", "subject", "issuer", "sni_matches_cert")),
                       ("quic", ("server_name", "client_protocol"))):
        if not os.path.exists(os.path.join(folder, f"{log}.log")):
            continue
        want = list(rows(os.path.join(folder, f"{log}.log")))
        got = getattr(logs, log)
        # Of QUIC the server's answer is encrypted to who does not follow its keys: no cipher.
        keys = [k for k in ("id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", *known)
                if not (k == "cipher" and baseline.startswith("quic"))]
        # A certificate beyond the window of 8 KiB is not read: then all of its columns are unset.
        if log == "ssl" and len(got) == 1 and "cert_chain_fps" not in got[0]:
            keys = [k for k in keys if k not in ("cert_chain_fps", "subject", "issuer", "sni_matches_cert") or k in got[0]]
        cases.equal(f"{capture}: Zeek's {log}.log", [[r.get(k) for k in keys] for r in got],
                    [[r.get(k) for k in keys] for r in want])
    cut = os.path.join(folder, "conn.log.cut")
    if os.path.exists(cut):
        with open(cut, encoding="ascii") as f:
            want = [line.split("\t")[2:] for line in f.read().split("\n")[2:] if line]
        cases.equal(f"{capture}: Zeek's conn.log", [[r.get("history"), r.get("service")] for r in logs.conn], want)


def check_logs(cases, tmp, folder):
    """Zeek's logs in, the same logs out: states and histories are worked out anew from what a flow knows."""
    path = golden.data(folder)
    if not path:
        cases.skip(f"{folder}: the logs again", "not in the shared data")
        return

    def key(r):
        return tuple(str(r[k]) for k in ("id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "proto")) + \
            (f"{float(r['ts']):.5f}",)

    def counts(r):
        columns = ("orig_pkts", "orig_ip_bytes", "resp_pkts", "resp_ip_bytes", *(("orig_bytes", "resp_bytes") *
                                                                                 (r["proto"] != "icmp")))
        return tuple(int(float(r.get(k) or 0)) for k in columns)
    zeek = {key(r): r for p in logs_of(path, "conn") for r in rows(p)}
    ours = {key(r): r for r in Logs(tmp, path).conn}
    both = zeek.keys() & ours.keys()
    cases.equal(f"{folder}: all {len(zeek)} lines of conn.log", len(both), len(zeek))
    differ = [(zeek[k], ours[k]) for k in both if counts(zeek[k]) != counts(ours[k]) or
              abs(float(zeek[k].get("duration") or 0) - float(ours[k]["duration"])) > 2e-6]
    cases.check(f"{folder}: counters and durations", not differ, differ[:2])
    # Zeek numbers the state of each side as packets come; a flow keeps less. What it cannot tell apart is rare.
    tcp = [k for k in both if k[4] == "tcp"]
    differ = collections.Counter((zeek[k].get("conn_state"), ours[k].get("conn_state")) for k in tcp
                                 if zeek[k].get("conn_state") != ours[k].get("conn_state"))
    cases.check(f"{folder}: {len(tcp)} TCP states", sum(differ.values()) * 100 <= len(tcp), differ)

    def letters(r):
        return {c for c in r.get("history", "") if c in "SHFRshfr"}
    differ = collections.Counter((zeek[k].get("history"), ours[k].get("history")) for k in tcp
                                 if letters(zeek[k]) != letters(ours[k]))
    cases.check(f"{folder}: letters of the histories", sum(differ.values()) * 100 <= len(tcp), differ)


def check_states(cases, tmp):
    """Each state of TCP that a whole capture can tell, from packets."""
    a, b = "10.1.0.5", "203.0.113.7"
    syn, ack, fin, rst = 2, 16, 1, 4
    stories = {
        "S0": [(0, syn)],
        "REJ": [(0, syn), (1, rst | ack)],
        "S1": [(0, syn), (1, syn | ack), (0, ack)],
        "SF": [(0, syn), (1, syn | ack), (0, ack), (0, fin | ack), (1, fin | ack), (0, ack)],
        "S2": [(0, syn), (1, syn | ack), (0, ack), (0, fin | ack), (1, ack)],
        "S3": [(0, syn), (1, syn | ack), (0, ack), (1, fin | ack), (0, ack)],
        "RSTO": [(0, syn), (1, syn | ack), (0, ack), (0, rst | ack)],
        "RSTR": [(0, syn), (1, syn | ack), (0, ack), (1, rst | ack)],
        "RSTOS0": [(0, syn), (0, rst)],
        "SH": [(0, syn), (0, fin)],
        "OTH": [(0, ack), (1, ack)],
    }
    c = Capture(101, raw)
    for i, packets in enumerate(stories.values()):
        t = Tcp(c, a, b, 41000 + i, 80)
        for side, flags in packets:
            t.raw(side, flags)
    c.write(os.path.join(tmp, "states.pcap"))
    logs = Logs(tmp, os.path.join(tmp, "states.pcap"))
    cases.equal("states of TCP", {r["id.orig_p"]: r.get("conn_state") for r in logs.conn},
                {str(41000 + i): s for i, s in enumerate(stories)})
    cases.equal("a history", [r["history"] for r in logs.conn if r["conn_state"] == "SF"], ["ShAFf"])


def check_hostile(cases, tmp):
    """Texts with all that has a meaning in a log: nothing breaks a line, and each comes back byte by byte."""
    a, r, b = "10.1.0.5", "10.1.0.1", "203.0.113.7"
    nasty = b"t\tn\nr\rz\0c,b\\y41\\\\e\x1b-\xff\xfe \xc3\xa4"

    def dns_name(name):
        return b"".join(bytes([len(x)]) + x for x in name) + b"\0"
    c = Capture(101, raw)
    for i, name in enumerate(((nasty,), (b"-",), (b"(empty)",), (nasty, b"x" * 63, b"\xff" * 63, b"\t" * 60))):
        head = struct.pack(">HHHHHH", i + 1, 0x0100, 1, 0, 0, 0)
        question = dns_name(name) + struct.pack(">HH", 16, 1)
        c.add(udp(a, r, 5300 + i, 53, head + question))
        txt = bytes([len(nasty)]) + nasty
        c.add(udp(r, a, 53, 5300 + i, struct.pack(">HHHHHH", i + 1, 0x8180, 1, 2, 0, 0) + question +
                  2 * (b"\xc0\x0c" + struct.pack(">HHIH", 16, 1, 60, len(txt)) + txt)))
    c.add(udp(a, r, 5310, 53, query(9, "unanswered.example.org")))
    c.add(udp(r, a, 53, 5311, answer(10, "unasked.example.org", [])))
    t = Tcp(c, a, b, 43000, 80)
    t.open()
    t.send(b"GET /\t\\x09\xff,- HTTP/1.1\r\nHost: h\tost\xff\r\nUser-Agent: -\r\n\r\n")
    t.close()
    c.write(os.path.join(tmp, "hostile.pcap"))
    records, logs = golden.Read(os.path.join(tmp, "hostile.pcap")), Logs(tmp, os.path.join(tmp, "hostile.pcap"))
    check_form(cases, "hostile texts", logs)

    def back(text):
        """A column's bytes, as Zeek's own readers take the escapes back."""
        return re.sub(rb"\\(\\|x[0-9a-f]{2})", lambda m: b"\\" if m.group(1) == b"\\" else
                      bytes([int(m.group(1)[1:], 16)]), text.encode("utf-8", "surrogateescape"))

    def presented(name):
        return "".join(chr(x) if 0x21 <= x < 0x7F and x != 0x5C else f"\\{x:03d}" for x in name)
    # Dots within a label stand as \046 in records and as themselves in a log.
    asked = {q["rrname"] for x in records.of("dns") for q in x["dns"]["queries"]}
    cases.same_set("hostile names come back", (presented(back(x["query"])) for x in logs.dns), asked)
    cases.check("hostile TXT answers: two elements", all(len(x["answers"].split(",")) == 2 for x in logs.dns if "TTLs" in x),
                logs.dns)
    cases.equal("hostile HTTP comes back", [(back(x["uri"]), back(x["host"])) for x in logs.http],
                [(x["http"]["url"].encode().replace(b"\xef\xbf\xbd", b"\xff"),
                  x["http"]["hostname"].encode().replace(b"\xef\xbf\xbd", b"\xff")) for x in records.of("http")])
    cases.equal("a text that looks unset is none", [x["user_agent"] for x in logs.http], ["\\x2d"])
    by_name = {x["query"]: x for x in logs.dns}
    lone = by_name.get("unanswered.example.org", {})
    cases.check("a question without an answer has a line", lone and "rtt" not in lone and "rcode" not in lone, lone)
    lone = by_name.get("unasked.example.org", {})
    cases.check("an answer without a question, too", lone and "rtt" not in lone and lone.get("rcode") == "0", lone)
    again = golden.Read(logs.folder)
    cases.same_set("hostile names read back from the log", {q["rrname"] for x in again.of("dns") for q in x["dns"]["queries"]},
                   asked)
    huge = {"_path": "http", "ts": 1.5, "uid": "C1", "id.orig_h": a, "id.orig_p": 1, "id.resp_h": b, "id.resp_p": 80,
            "trans_depth": 1, "method": "GET", "host": "h" * 65536, "uri": "/" + "\t" * 65536}
    small = {**huge, "host": "h", "uri": "/"}
    logs = Logs(tmp, "-", stdin=b"".join(json.dumps(x).encode() + b"\n" for x in (small, huge)))
    cases.equal("texts of 64 KiB", [(len(x["host"]), len(x["uri"])) for x in logs.http], [(1, 1), (65536, 1 + 4 * 65536)])
    # One socket that asks more than is waited for: the first are written without an answer, none is lost.
    c = Capture(101, raw)
    for i in range(5000):
        c.add(udp(a, r, 5353, 53, query(i, f"n{i}.example.org")))
    c.write(os.path.join(tmp, "many.pcap"))
    logs = Logs(tmp, os.path.join(tmp, "many.pcap"))
    cases.equal("more questions than are waited for", sorted(int(x["trans_id"]) for x in logs.dns), list(range(5000)))


def check_files(cases, tmp):
    capture = os.path.join(CAPTURES, "http.pcap")
    there = os.path.join(tmp, "there")
    os.mkdir(there)
    with open(os.path.join(there, "ssl.log"), "w", encoding="ascii") as f:
        f.write("mine")
    run = golden.Read("--zeek", there, capture, json_out=False)
    with open(os.path.join(there, "ssl.log"), encoding="ascii") as f:
        text = f.read()
    cases.check("a log that is there is not touched, and no other is made", run.status == 1 and "ssl.log" in run.err and
                "exists" in run.err and text == "mine" and os.listdir(there) == ["ssl.log"], run.err, os.listdir(there))
    run = golden.Read("--zeek", os.path.join(tmp, "no", "such"), capture, json_out=False)
    cases.check("no folder to make it in", run.status == 1 and "no/such" in run.err, run.err)
    run = golden.Read("--zeek", tmp + "/x", "--json", capture, json_out=False)
    cases.check("--json and --zeek", run.status == 2 and "exclude" in run.err, run.err)
    logs = Logs(tmp, "--filter", "port:80", capture)
    cases.check("--filter holds for the logs", logs.conn and {r["id.resp_p"] for r in logs.conn} == {"80"}, logs.conn)

    def small_disk():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2500, 2500))
    out = os.path.join(tmp, "full")
    done = subprocess.run([golden.EGRET, "read", "--quiet", "--zeek", out, os.path.join(tmp, "many.pcap")],
                          capture_output=True, text=True, preexec_fn=small_disk)
    with open(os.path.join(out, "dns.log"), encoding="ascii") as f:
        lines = f.read()
    lost = re.search(r"records that could not be written: ([\d,]+)", done.stderr)
    cases.check("a full disk is told, and ends no line in the middle", done.returncode == 1 and "cannot write" in done.stderr
                and lines.endswith("\n") and lost and lines.count("\n") - 8 + int(lost.group(1).replace(",", "")) >= 5000,
                done.stderr, len(lines), lines[-200:])


def main():
    cases = golden.Cases()
    with tempfile.TemporaryDirectory() as tmp:
        for path in sorted(glob.glob(os.path.join(CAPTURES, "*.pcap*"))):
            check_capture(cases, tmp, path)
        for name in ("c2-corelight/strrat-4423258f-59bc-4a88-bfec-d8ac08c88538.pcap", "c2-corelight/ragdoll.pcap",
                     "zeek-btest/wikipedia.pcap"):
            path = golden.data(name)
            if path:
                check_capture(cases, tmp, path)
            else:
                cases.skip(name, "not in the shared data")
        for capture, baseline in (("chromium-115.0.5790.110-api-cirrus-com.pcap", "quic.chromium"),
                                  ("curl-8.1.2-dev-http3-www-google-de.pcap", "quic.curl-http3"),
                                  ("quicdoq.pcap", "quic.quicdoq"), ("tls-fragmented-handshake.pcap.gz", "ssl.fragment")):
            check_zeek_of_capture(cases, tmp, capture, baseline)
        for folder in ("zeek-logs/rita-proxy", "zeek-logs/test9-mixed-zeek-dir", "zeek-logs/008-zeek-mixed"):
            check_logs(cases, tmp, folder)
        check_states(cases, tmp)
        check_hostile(cases, tmp)
        check_files(cases, tmp)
    return cases.end()


sys.exit(main())
