#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What other programs' authors expect of the same captures: suricata-verify, Arkime, Zeek, FoxIO, nDPI, PcapPlusPlus.

Only what egret also claims is compared (names, fingerprints, certificates, community IDs, counts, protocols); alerts
and JA4S/H/X are not egret's.
"""
import collections
import datetime
import glob
import json
import os
import re
import sys

import yaml

import golden

RUNS = {}


def read(path):
    if path not in RUNS:
        RUNS[path] = golden.Read(path)
    return RUNS[path]


# --- suricata-verify ------------------------------------------------------------------------------------------------

# Fields of test.yaml that are other programs' inner matters, or facts that egret does not claim.
NOT_OURS = re.compile(r"^(pcap_cnt|quic\.extensions|alert|drop|app_proto_orig|tcp\.state|flow\.alerted|pkt_src)")
# Whole filters that ask for something egret defines otherwise, each with its reason.
OTHERWISE = {
    ("bug-2646-01", "flow"): "Suricata's 29 packets are two flows for it (pcap_cnt 28, 29 are another stream)",
    ("dns-over-http2", "dns"): "decrypted DNS over HTTP/2 is not egret's",
    ("dns-over-http2", "flow"): "doh2 is http2 to egret",
    ("dns__dns-udp-null", "dns"): "NULL records are hex to egret, text with escapes to Suricata",
}
SEEDED = ("community-id-ipv4",)     # their community ID has seed 7; egret's has 0 (facts.py computes it for every flow)
VERSIONS = {"TLSv1": "TLS 1.0", "TLS 1.2": "TLS 1.2", "TLS 1.3": "TLS 1.3"}


def dig(record, dotted):
    for part in dotted.split("."):
        m = re.fullmatch(r"(\w+)\[(\d+)\]", part)
        record = record.get(m.group(1) if m else part) if isinstance(record, dict) else None
        if m and isinstance(record, list):
            record = record[int(m.group(2))] if int(m.group(2)) < len(record) else None
    return record


def suricata(cases):
    for yml in sorted(glob.glob(os.path.join(golden.DATA, "suricata-verify", "*", "test.yaml"))):
        folder = os.path.dirname(yml)
        name = os.path.basename(folder)
        pcaps = glob.glob(os.path.join(folder, "*.pcap"))
        if not pcaps:
            continue
        with open(yml, encoding="utf-8") as f:
            checks = yaml.safe_load(f)["checks"]
        for n, check in enumerate(checks):
            want = check["filter"]["match"]
            kind = want.get("event_type") or ("dns" if "dns.type" in want else None)
            label = f"suricata-verify/{name} filter {n + 1}"
            if kind in (None, "alert", "drop") or "not-has-key" in want:
                continue
            if (name, kind) in OTHERWISE:
                continue
            want = {k: v for k, v in want.items() if not NOT_OURS.match(k) and
                    not (k == "community_id" and name in SEEDED)}
            if "tls.version" in want and not want["tls.version"].startswith("TLS 1"):
                want["tls.version"] = VERSIONS[want["tls.version"]]
            want["event_type"] = kind
            got = [r for r in read(pcaps[0]).records
                   if all(dig(r, k) == v for k, v in want.items())]
            near = [r for r in read(pcaps[0]).records if r["event_type"] == kind]
            cases.check(label, len(got) == check["filter"]["count"],
                        f"{len(got)} records, not {check['filter']['count']}, match {want}", near[:2])


# --- Arkime ---------------------------------------------------------------------------------------------------------

def calendar(ms):
    return datetime.datetime.fromtimestamp(ms // 1000, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")


def check_chain(cases, where, hellos, chain):
    """Arkime lists every certificate of the chain, in no order: the server's own is one of them, with its facts."""
    leaf = [c for c in chain if hellos and c["hash"] == hellos[0]["tls"].get("fingerprint")]
    if not cases.check(f"{where}: certificate", len(leaf) == 1, hellos, [c["hash"] for c in chain]):
        return
    tls, more = hellos[0]["tls"], hellos[0]["egret"]["certificate"]
    cases.equal(f"{where}: serial", tls["serial"].replace(":", "").lower().lstrip("0"), leaf[0]["serial"].lstrip("0"))
    cases.equal(f"{where}: validity", [tls["notbefore"], tls["notafter"]],
                [calendar(leaf[0]["notBefore"]), calendar(leaf[0]["notAfter"])])
    for cn in leaf[0].get("subjectCN", []):
        cases.check(f"{where}: subject", tls["subject"].lower().endswith("cn=" + cn), tls["subject"], cn)
    cases.equal(f"{where}: names in the certificate", more["dns_names"], leaf[0].get("altCnt", 0))


def arkime(cases):
    for test in sorted(glob.glob(os.path.join(golden.DATA, "arkime", "*.test"))):
        name = "arkime/" + os.path.basename(test)
        run = read(test[:-5] + ".pcap")
        flows = {golden.ends(r): r for r in run.flows()}
        with open(test, encoding="utf-8") as f:
            sessions = [s["body"] for s in json.load(f)["sessions3"]]
        cases.equal(f"{name}: sessions", len(flows), len(sessions))
        for s in sessions:
            key = ((s["source"]["ip"], s["source"]["port"]), (s["destination"]["ip"], s["destination"]["port"]))
            where = f"{name} {key[0][1]}"
            r = flows.get(key)
            if not cases.check(f"{where}: flow", r is not None, key, list(flows)):
                continue
            cases.equal(f"{where}: community id", r.get("community_id"), s["network"]["community_id"])
            cases.equal(f"{where}: packets", [r["flow"]["pkts_toserver"], r["flow"]["pkts_toclient"]],
                        [s["source"]["packets"], s["destination"]["packets"]])
            hellos = [h for h in run.of("tls", "quic") if golden.ends(h) == key]
            for field, path in (("ja3", "ja3.hash"), ("ja4", "ja4"), ("ja3s", "ja3s.hash"),
                                ("ja3sstring", "ja3s.string")):
                if field in s.get("tls", {}):
                    cases.same_set(f"{where}: {field}", [dig(h[h["event_type"]], path) for h in hellos],
                                   s["tls"][field])
            if "ja4_r" in s.get("tls", {}):
                cases.same_set(f"{where}: ja4_r", [h["egret"].get("ja4_r") for h in hellos], s["tls"]["ja4_r"])
            if "cert" in s:
                check_chain(cases, where, hellos, s["cert"])
            hosts = s.get("quic", {}).get("host") or (hellos and s.get("http", {}).get("host"))
            if hosts:
                cases.same_set(f"{where}: names", {h[h["event_type"]].get("sni") for h in hellos}, hosts)
            if "quic" in s and "useragent" in s["quic"]:
                cases.same_set(f"{where}: user agent", {h["quic"].get("ua") for h in hellos}, s["quic"]["useragent"])
            if "dns" in s:
                asked = {q["rrname"] for d in run.of("dns") if golden.ends(d) == key for q in d["dns"]["queries"]}
                cases.same_set(f"{where}: DNS names", asked, {h for d in s["dns"] for h in d["host"]})


# --- Zeek -----------------------------------------------------------------------------------------------------------

ZEEK = {
    "quic.chromium": "chromium-115.0.5790.110-api-cirrus-com.pcap",
    "quic.curl-http3": "curl-8.1.2-dev-http3-www-google-de.pcap",
    "quic.quicdoq": "quicdoq.pcap",
    "ssl.fragment": "tls-fragmented-handshake.pcap.gz",
}


ZEEK_VERSIONS = {"TLSv10": "TLS 1.0", "TLSv11": "TLS 1.1", "TLSv12": "TLS 1.2", "TLSv13": "TLS 1.3"}


def check_ssl_log(cases, log, rows, ours):
    """Versions; and certificates, whose names stand the other way round, as far as FLOW_WINDOW_TLS_SERVER reaches."""
    want = {(r["id.orig_h"], int(r["id.orig_p"])): r for r in rows}
    for r in ours:
        z = want[golden.ends(r)[0]]
        cases.equal(f"zeek {log}: version", r["tls"]["version"], ZEEK_VERSIONS[z["version"]])
        if "subject" in r["tls"]:
            cases.equal(f"zeek {log}: certificate", [r["tls"]["subject"], r["egret"]["certificate"]["sha256"]],
                        [", ".join(reversed(z["subject"].split(","))), z["cert_chain_fps"].split(",")[0]])


def zeek(cases):
    for log, pcap in ZEEK.items():
        path = golden.data("zeek-btest/" + pcap)
        kind = log.split(".")[0]
        base = golden.data(f"zeek-btest/baseline/scripts.base.protocols.{log}/{kind}.log")
        if not path or not base:
            cases.skip(f"zeek {log}", "no capture or baseline")
            continue
        with open(base, encoding="utf-8") as f:
            lines = f.read().splitlines()
        fields = next(line for line in lines if line.startswith("#fields")).split("\t")[1:]
        rows = [dict(zip(fields, line.split("\t"))) for line in lines if line and line[0] != "#"]
        want = {((r["id.orig_h"], int(r["id.orig_p"])), (r["id.resp_h"], int(r["id.resp_p"])),
                 r["server_name"] if r["server_name"] != "-" else None) for r in rows}
        got = {(*golden.ends(r), r["quic" if kind == "quic" else "tls"].get("sni"))
               for r in read(path).of("quic" if kind == "quic" else "tls")}
        cases.same_set(f"zeek {log}: names", got, want)
        if kind == "ssl":
            check_ssl_log(cases, log, rows, read(path).of("tls"))
        if kind == "quic":
            alpn = {a for r in read(path).of("quic") for a in r["quic"].get("alpns", [])}
            cases.check(f"zeek {log}: alpn", {r["client_protocol"] for r in rows} <= alpn, alpn)


# --- FoxIO: the authors' own JA4 ------------------------------------------------------------------------------------

def foxio(cases):
    for snap in sorted(glob.glob(os.path.join(golden.DATA, "ja4-foxio", "*.snap"))):
        pcap = os.path.basename(snap)[len("ja4__insta@"):-len(".snap")]
        with open(snap, encoding="utf-8") as f:
            streams = yaml.safe_load(f.read().split("---", 2)[2])
        want = {((s["src"], s["src_port"]), (s["dst"], s["dst_port"]), s["ja4"]) for s in streams or [] if "ja4" in s}
        run = read(os.path.join(golden.DATA, "ja4-foxio", pcap))
        got = {(*golden.ends(r), r[r["event_type"]].get("ja4")) for r in run.of("tls", "quic")}
        cases.same_set(f"foxio {pcap}: ja4 (rust)", got, want)
        names = {s["tls_server_name"] for s in streams or [] if "tls_server_name" in s}
        cases.same_set(f"foxio {pcap}: names", {r[r["event_type"]]["sni"] for r in run.of("tls", "quic")
                                                if r[r["event_type"]].get("sni")}, names)
        by_python = os.path.join(golden.DATA, "ja4-foxio", pcap + ".json")
        if os.path.exists(by_python):
            with open(by_python, encoding="utf-8") as f:
                streams = json.load(f)
            hashes = {v for s in streams for k, v in s.items() if re.fullmatch(r"JA4\.\d+", k)}
            raw = {v for s in streams for k, v in s.items() if re.fullmatch(r"JA4_r\.\d+", k)}
            if hashes:
                cases.same_set(f"foxio {pcap}: ja4 (python)", {g[2] for g in got}, hashes)
            if raw:
                cases.same_set(f"foxio {pcap}: ja4_r", {r["egret"].get("ja4_r") for r in run.of("tls", "quic")}, raw)


# --- nDPI -----------------------------------------------------------------------------------------------------------

NDPI_FLOW = re.compile(r"^\s*\d+\s+(TCP|UDP|ICMP|ICMPV6|IGMP) \[?([0-9a-f.:]+?)\]?(?::(\d+))? (<->|->) "
                       r"\[?([0-9a-f.:]+?)\]?(?::(\d+))? \[(?:VLAN: \d+\]\[)?proto: [\d.]+/([^\]]+)\]")
# Master protocols where a row of nDPI and a row of src/decode/appproto.h mean the same thing.
NDPI_NAMES = {"TLS": "tls", "QUIC": "quic", "DNS": "dns", "HTTP": "http", "SSH": "ssh", "NTP": "ntp", "STUN": "stun",
              "DTLS": "dtls", "MDNS": "mdns", "LLMNR": "llmnr", "DHCP": "dhcp", "SSDP": "ssdp", "SMBv23": "smb",
              "NetBIOS": "netbios"}
# Where the two disagree and egret is right or the definition differs; the reason beside it.
NDPI_ODD = {"ndpi/doq.pcapng": "nDPI calls DNS over QUIC by its inner name"}


def peer_of_tls(line, ours, server):
    """What nDPI tells of the server's side, against the tls records of the flow: server[0] are the odd ones."""
    for field, path in (("JA3S", "ja3s.hash"), ("Certificate SHA-1", "fingerprint"), ("Subject", "subject"),
                        ("Issuer", "issuerdn")):
        m = re.search(r"\[" + field + r": ([^\]]+)\]", line)
        if m:
            server[1] += 1
            want = m.group(1).lower()
            if want not in {str(dig(t, path)).lower() for t in ours}:
                server[0].append((line[:100].strip(), field, want, ours))


def ndpi(cases):
    for out in sorted(glob.glob(os.path.join(golden.DATA, "*", "*.out"))):
        pcap = out[:-4]
        name = os.path.relpath(pcap, golden.DATA)
        run = read(pcap)
        flows = collections.defaultdict(list)
        for r in run.flows():
            flows[r["proto"], frozenset(golden.ends(r))].append(r)
        wrong, names, compared, asked = [], [], 0, 0
        server = [[], 0]
        hellos = collections.defaultdict(dict)
        for r in run.of("tls"):
            hellos[r["flow_id"]] = r["tls"]
        with open(out, encoding="utf-8", errors="replace") as f:
            for line in f:
                m = NDPI_FLOW.match(line)
                if not m or m.group(1) not in ("TCP", "UDP") or name in NDPI_ODD:
                    continue
                proto, a, ap, _, b, bp, app = m.groups()
                ours = flows.get((proto, frozenset(((a, int(ap)), (b, int(bp))))))
                if not ours:
                    continue            # nDPI writes IPv6 in its own way at times; facts.py compares all flows
                want = NDPI_NAMES.get(app.split(".")[0])
                if want and "Confidence: DPI" in line:
                    compared += 1
                    if want not in {r.get("app_proto") for r in ours}:
                        wrong.append((line[:100].strip(), {r.get("app_proto") for r in ours}))
                sni = re.search(r"\[Hostname/SNI: ([^\]]+)\]", line)
                peer_of_tls(line, [hellos[r["flow_id"]] for r in ours], server)
                # An address in the place of a name (Teams does that) is no name to egret.
                if sni and want in ("tls", "quic", "http") and not re.fullmatch(r"[\d.]+", sni.group(1)):
                    asked += 1
                    seen = {r["egret"].get("name") for r in ours} | {n for r in ours for n in r["egret"].get("names", [])}
                    if sni.group(1).lower().split(":")[0] not in seen:
                        names.append((line[:90].strip(), sni.group(1), seen))
        if compared:
            cases.check(f"ndpi {name}: protocol of {compared} flows", not wrong, *wrong[:6])
        if asked:
            cases.check(f"ndpi {name}: names of {asked} flows", not names, *names[:6])
        if server[1]:
            cases.check(f"ndpi {name}: {server[1]} facts of TLS servers", not server[0], *server[0][:6])


# --- PcapPlusPlus: JA3 of every ClientHello -------------------------------------------------------------------------

def pcapplusplus(cases):
    table, pcap = golden.data("pcapplusplus/tls_fp_ch.txt"), golden.data("pcapplusplus/tls2.pcap")
    if not table or not pcap:
        cases.skip("pcapplusplus", "no data")
        return
    with open(table, encoding="utf-8") as f:
        rows = [line.rstrip("\n").split("\t") for line in f][1:]
    want = {((r[3], int(r[4])), (r[5], int(r[6])), r[0], r[1]) for r in rows}
    got = {(*golden.ends(r), r["tls"]["ja3"]["hash"], r["tls"]["ja3"].get("string"))
           for r in read(pcap).of("tls") if "ja3" in r["tls"]}
    cases.same_set("pcapplusplus tls2.pcap: ja3 of every ClientHello", got, want)
    check_server_hellos(cases, pcap)


def check_server_hellos(cases, pcap):
    table = golden.data("pcapplusplus/tls_fp_ch_sh.txt")
    if not table:
        cases.skip("pcapplusplus ServerHellos", "no data")
        return
    with open(table, encoding="utf-8") as f:
        rows = [line.rstrip("\n").split("\t") for line in f][1:]
    # Of TLS 1.3 PcapPlusPlus takes the version from an extension, JA3S as published the hello's own field.
    want = {((r[5], int(r[6])), (r[3], int(r[4])), re.sub("^772,", "771,", r[1])) for r in rows
            if r[2] == "ServerHello"}
    got = {(*golden.ends(r), r["tls"]["ja3s"]["string"]) for r in read(pcap).of("tls") if "ja3s" in r["tls"]}
    cases.same_set("pcapplusplus tls2.pcap: ja3s of every ServerHello", got, want)
    hashes = {(r["tls"]["ja3s"]["string"], r["tls"]["ja3s"]["hash"]) for r in read(pcap).of("tls")
              if "ja3s" in r["tls"]}
    known = {(r[1], r[0]) for r in rows if r[2] == "ServerHello" and not r[1].startswith("772,")}
    cases.check("pcapplusplus tls2.pcap: hashes of ja3s", known and known <= hashes, known - hashes)


def asyncrat(cases):
    """What its authors left in the certificate (Corelight's detector goes by it)."""
    tls = [r for p in glob.glob(os.path.join(golden.DATA, "c2-corelight", "cd010953*.pcap")) for r in read(p).of("tls")]
    cases.check("c2-corelight AsyncRAT: its certificate", tls and all(
        r["tls"].get("subject") == "CN=AsyncRAT Server" and r["egret"]["certificate"]["self_issued"] and
        r["tls"]["notafter"] == "9999-12-31T23:59:59" for r in tls), tls)


def main():
    cases = golden.Cases()
    for peer, folder in ((suricata, "suricata-verify"), (arkime, "arkime"), (zeek, "zeek-btest"),
                         (foxio, "ja4-foxio"), (ndpi, "ndpi"), (pcapplusplus, "pcapplusplus"), (asyncrat, "c2-corelight")):
        if golden.data(folder):
            peer(cases)
        else:
            cases.skip(peer.__name__, f"no {folder} in the shared data")
    return cases.end()


sys.exit(main())
