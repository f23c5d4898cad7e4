#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Flows at IPFIX collectors: nfcapd and pmacct's nfacctd (Debian) and a reader of our own, beside eve.json of the same run."""
import collections
import glob
import json
import os
import re
import signal
import subprocess
import sys
import time

import lab
from ipfix_decode import Collector
import receivers
from lab import S4, S6

CASES = lab.golden.Cases()
PROTO = {"TCP": 6, "UDP": 17, "ICMP": 1, "IPv6-ICMP": 58}
REASON = {"timeout": 1, "tcp_fin": 3, "tcp_reset": 3, "closed": 3, "failed": 3, "shutdown": 4, "forced": 5}


FLOWS = 8                           # that traffic() makes


def traffic(n, big=True):
    """TCP and UDP of both families, pings, a refused connection, one that is cut off."""
    for host in (S4, S6):
        n.python("import socket,sys\n"
                 f"s=socket.create_connection(('{host}',7003)); s.send(b'x'*{100000 if big else 100}); s.shutdown(1)\n"
                 "while s.recv(65536): pass\n"
                 f"u=socket.socket({'socket.AF_INET6' if ':' in host else 'socket.AF_INET'},socket.SOCK_DGRAM)\n"
                 f"u.connect(('{host}',7003)); u.send(b'y'*500); u.recv(999)\n")
        n.run("ping", "-c", "2", "-i", "0.2", host)
    n.python("import socket,struct\n"
             f"s=socket.create_connection(('{S4}',7003)); s.send(b'x'); s.recv(9)\n"
             "s.setsockopt(socket.SOL_SOCKET,socket.SO_LINGER,struct.pack('ii',1,0)); s.close()\n"
             f"s=socket.socket(); s.connect_ex(('{S4}',7999))")


def flows_of(d):
    return [r for r in d.records() if r["event_type"] == "flow" and "reason" in r["flow"]]


def key(r):
    """Ends and counters of an eve record, as collectors have them."""
    f = r["flow"]
    return (PROTO[r["proto"]], r["src_ip"], r.get("src_port", 0), r["dest_ip"], r.get("dest_port", 0),
            f["bytes_toserver"], f["pkts_toserver"], f["bytes_toclient"], f["pkts_toclient"])


def flow_flags(r, side="ts"):
    return int(r["tcp"].get(f"tcp_flags_{side}", "0"), 16) if "tcp" in r else 0


def ms(t):
    h, m, s = t[11:26].split(":")
    return int((int(h) * 60 + int(m)) * 60000 + float(s) * 1000 + 1e-6)


def whole(r):
    """All that a record of IPFIX has, from the eve record of the same flow."""
    f, e = r["flow"], r["egret"]
    return (*key(r), r["flow_id"], ms(f["start"]) % 86400000, ms(f["end"]) % 86400000, REASON[f["reason"]],
            r.get("app_proto", ""), r.get("user", {}).get("name", ""), int(not e["mid_stream"]),
            flow_flags(r), flow_flags(r, "tc"))


def decoded(f):
    return (f["proto"], f["src"], f.get("sport", 0), f["dst"], f.get("dport", 0), f["octets"], f["packets"], f["r_octets"],
            f["r_packets"], f["id"], f["start"] % 86400000, f["end"] % 86400000, f["reason"], f["app"], f["user"], f["biflow"],
            f.get("flags", 0), f.get("r_flags", 0))


def own_reader(n, kind):
    """Each element of each record, over UDP or TCP; a collector that dies and comes back; the end of egretd."""
    c = Collector(kind)
    d = n.daemon(conf=f'ipfix "{kind}://127.0.0.1:{c.port}" domain 7\n')
    traffic(n)
    n.wait_quiet()
    # Idle UDP and pings end by time: not waited for, but told when egretd ends.
    lab.wait_for("flows at the collector", lambda: len(c.flows) >= 4)
    first = c.port, list(c.flows)
    sessions = c.sessions
    c.close()
    CASES.check(f"{kind}: the collector is gone", lab.wait_for("the status to say so", lambda: (
        traffic(n, big=False), json.loads(d.egret("status", "--json").stdout)["ipfix"]["reachable"] is False)[1], 20))
    held = json.loads(d.egret("status", "--json").stdout)["ipfix"]
    CASES.check(f"{kind}: flows wait for it", held["waiting_bytes"] > 0 or kind == "udp", held)
    CASES.check(f"{kind}: egret status says so", "cannot be reached" in d.egret("status").stdout, d.egret("status").stdout)
    c = Collector(kind, first[0])
    lab.wait_for("it to be found again", lambda: c.flows, 30)
    n.python(f"import socket\ns=socket.create_connection(('{S4}',7003)); s.send(b'again'); s.recv(9)")
    lab.wait_for("a new flow", lambda: any(f["octets"] and f["end"] > first[1][0]["end"] for f in c.flows))
    CASES.equal(f"{kind}: ends well", d.stop(), 0)
    lab.wait_for("the last flows", lambda: any(f["reason"] == 4 or f["proto"] == 1 for f in c.flows), 10)
    c.close()
    sessions = sessions + c.sessions
    CASES.check(f"{kind}: well-formed, sequence without a gap, templates first", not [w for s in sessions for w in s.wrong] and
                all(s.template_sets for s in sessions), [w for s in sessions for w in s.wrong])
    got = [f for s in sessions for f in s.flows]
    CASES.check(f"{kind}: the observation domain", {f["domain"] for f in got} == {7}, got[:1])
    want = {r["flow_id"]: r for r in flows_of(d)}
    # UDP: what was sent to nobody is gone. TCP: what a dying collector did not read is gone.
    CASES.check(f"{kind}: most flows arrive ({len(got)} of {len(want)})", len(got) > len(want) // 2, len(got), len(want))
    lab.golden.Cases.same_set(CASES, f"{kind}: what arrives is what eve.json has, element by element", map(decoded, got),
                              (whole(want[f["id"]]) for f in got if f["id"] in want))
    CASES.check(f"{kind}: both families, pings, ports", {(f["version"], f["proto"]) for f in got} >=
                {(4, 6), (6, 6), (4, 17), (6, 17), (4, 1), (6, 58)}, sorted({(f["version"], f["proto"]) for f in got}))
    CASES.equal(f"{kind}: type and code of pings", {(f["proto"], f["icmp"]) for f in got if "icmp" in f},
                {(1, 8 << 8), (58, 128 << 8)})
    CASES.check(f"{kind}: who opened it, which way, firewall event", all(
        f["biflow"] == 1 and f["direction"] == 1 and f["event"] == 2 for f in got), got[:1])
    lab.golden.check_schema(CASES, f"records beside IPFIX over {kind}", d.lines())


class Nfcapd:
    """The daemon of nfdump, with a folder of its own."""

    def __init__(self, n, port):
        self.folder = os.path.join(n.tmp, f"nfcapd.{len(n.children)}")
        os.mkdir(self.folder)
        argv = [{"flows": self.folder, "4739": port}.get(x, x) for x in receivers.recipe_command("nfcapd")]
        self.child = receivers.start(n, *argv, "-b", "127.0.0.1", "-I", "egret", "-P", self.folder + ".pid",
                                     ready=lambda: receivers.is_bound("udp", port))

    def stop(self):
        """Ends it; what it took, as nfdump reads it."""
        self.child.terminate()
        self.child.wait(20)
        self.said = receivers.messages(self.child)
        rows = []
        for path in glob.glob(os.path.join(self.folder, "nfcapd.2*")):
            argv = [path if x.startswith("flows/") else x for x in receivers.recipe_command("nfdump")]
            out = subprocess.run(argv, capture_output=True, text=True).stdout
            rows += [dict(re.findall(r"^  ([\w ]+?) *= *(\S*)", one, re.M)) for one in out.split("Flow Record:")[1:]]
        return rows


def sent(d):
    """All flows that ended so far are on their way: how many."""
    ended = len(flows_of(d))
    return ended >= FLOWS and json.loads(d.egret("status", "--json").stdout)["ipfix"]["flows"] >= ended and ended


def is_lost(d):
    return json.loads(d.egret("status", "--json").stdout)["ipfix"]["reachable"] is False


def nfcapd(n):
    """nfcapd writes, nfdump reads; killed in between and started again on the same port."""
    port = receivers.free_port()
    c = Nfcapd(n, port)
    d = n.daemon(conf=f'ipfix "udp://127.0.0.1:{port}"\n')
    traffic(n)
    lab.wait_for("flows to be sent", lambda: sent(d))
    time.sleep(0.5)                 # nfcapd has no way to tell that it took a datagram
    rows, before = c.stop(), {r["flow_id"] for r in flows_of(d)}
    said = c.said
    lab.wait_for("its end to be seen", lambda: (traffic(n, big=False), is_lost(d))[1])
    time.sleep(2)                   # what is on its way to nobody goes
    gap = {r["flow_id"] for r in flows_of(d)} - before
    c = Nfcapd(n, port)
    traffic(n)
    CASES.equal("nfcapd: ends well", d.stop(), 0)
    time.sleep(0.5)
    again = c.stop()
    CASES.check("nfcapd: it took flows before and after its restart", rows and again, len(rows), len(again))
    got = [(int(r["proto"]), r["src addr"], int(r.get("src port", 0)), r["dst addr"], int(r.get("dst port", 0)),
            *(int(r.get(k, 0)) for k in ("in bytes", "in packets", "out bytes", "out packets")), int(r["end reason"], 16))
           for r in rows + again]
    flows = {r["flow_id"]: (*key(r), REASON[r["flow"]["reason"]]) for r in flows_of(d)}
    got, want = collections.Counter(got), collections.Counter(flow for i, flow in flows.items() if i not in gap)
    CASES.check(f"nfcapd: ends, bytes and packets both ways, end reason of {sum(want.values())} flows", not want - got and
                not got - collections.Counter(flows.values()), f"missing {want - got}",
                f"too many {got - collections.Counter(flows.values())}")
    CASES.check("nfcapd: no sequence error, no bad packet", "Sequence Errors: 0, Bad Packets: 0" in said and
                "Sequence Errors: 0, Bad Packets: 0" in c.said, said, c.said)


def nfacctd(n):
    """pmacct's collector, which prints what it took as JSON."""
    port, out, conf = receivers.free_port(), os.path.join(n.tmp, "nfacctd.json"), os.path.join(n.tmp, "nfacctd.conf")
    with open(conf, "w", encoding="ascii") as f:
        f.write(f"daemonize: false\nnfacctd_ip: 127.0.0.1\nnfacctd_port: {port}\nnfacctd_time_new: true\nplugins: print\n"
                f"print_output: json\nprint_output_file: {out}\nprint_output_file_append: true\nprint_refresh_time: 1\n"
                "print_history: 1m\naggregate: src_host, dst_host, src_port, dst_port, proto, tcpflags\n")
    child = receivers.start(n, "nfacctd", "-f", conf, ready=lambda: receivers.is_bound("udp", port))
    d = n.daemon(conf=f'ipfix "udp://127.0.0.1:{port}"\n')
    traffic(n)
    n.wait_quiet()
    d.stop()
    want = [(flow_flags(r), *key(r)[:7]) for r in flows_of(d)]

    def taken():
        if not os.path.exists(out):
            return []
        with open(out, encoding="ascii") as f:
            rows = [json.loads(line) for line in f if line.endswith("\n")]
        return [(int(r["tcp_flags"]), {v.lower(): k for v, k in PROTO.items()}[r["ip_proto"]], r["ip_src"], r["port_src"],
                 r["ip_dst"], r["port_dst"], r["bytes"], r["packets"]) for r in rows]
    try:
        lab.wait_for("nfacctd to print", lambda: len(taken()) >= len(want), 10)
    except TimeoutError:
        pass
    # It knows no reverse elements (RFC 5103): the opener's side alone, and passes over the others.
    CASES.same_set(f"nfacctd: ends, flags, bytes and packets of {len(want)} flows", taken(), want)
    n.stop(child, signal.SIGINT)


def main():
    lab.need(CASES, "nfcapd", "nfdump", "nfacctd", "ping")
    n = lab.Lab("ipf")
    try:
        n.echo(7003)
        n.echo(7003, udp=True)
        for scenario in (lambda n: own_reader(n, "udp"), lambda n: own_reader(n, "tcp"), nfcapd, nfacctd):
            try:
                scenario(n)
            except (RuntimeError, TimeoutError, subprocess.SubprocessError, OSError) as e:
                CASES.check(getattr(scenario, "__name__", "ipfix"), False, repr(e))
    finally:
        n.close()
    return CASES.end()


sys.exit(main())
