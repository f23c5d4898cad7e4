#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""NAT on a gateway: each forwarded flow says what conntrack says it becomes; SNAT, DNAT, both, what was there before, overruns."""
import json
import os
import re
import signal
import subprocess
import sys
import time

import lab
from gateway_lab import I4, Gateway, build, inside
from lab import C4, C6, S4, S6, ZONE

CASES = lab.golden.Cases()
WAN4, VIP = "10.79.3.1", "10.79.9.9"
CONF = "watch gateway\ngateway { inside lan0, lan1  outside wan0 }\n"
RULES = f"""
flush table inet nat
add chain inet nat pre {{ type nat hook prerouting priority -100; }}
add rule inet nat pre iifname wan0 tcp dport 8080 dnat ip to {C4}:7005
add rule inet nat pre iifname lan0 ip daddr {VIP} tcp dport 8000 dnat ip to {S4}:80
add rule inet nat pre iifname lan0 ip daddr {WAN4} tcp dport 8081 dnat ip to {S4}:80
add rule inet nat pre iifname lan0 ip daddr {WAN4} tcp dport 8082 dnat ip to {I4}:7005
add rule inet nat post oifname wan0 meta l4proto {{ tcp, udp }} masquerade to :20000-29999
add rule inet nat post oifname wan0 masquerade
"""


def in_gateway(n, *argv, **kw):
    return lab.must(*inside(n, *argv), **kw)


def conntrack(n):
    """{(proto, src, sport, dst, dport): the same after NAT}, as conntrack(8) lists them."""
    found = {}
    for family in ("ipv4", "ipv6"):
        for line in in_gateway(n, "conntrack", "-L", "-f", family).splitlines():
            if line.split()[0] not in ("tcp", "udp", "icmp", "icmpv6"):
                continue
            proto = {"icmpv6": "IPv6-ICMP"}.get(line.split()[0], line.split()[0].upper())
            half = [dict(re.findall(r"(src|dst|sport|dport)=(\S+)", part)) for part in re.split(r"(?=\bsrc=)", line)[1:]]
            before, back = (tuple(h.get(k, "0") for k in ("src", "sport", "dst", "dport")) for h in half)
            found[(proto, *before)] = (back[2], back[3], back[0], back[1])
    return found


def known_of(flow, table):
    """What the record of this flow should say, or None."""
    ends = (flow["src_ip"], str(flow.get("src_port", 0)), flow["dest_ip"], str(flow.get("dest_port", 0)))
    for (proto, *before), after in table.items():
        before = tuple(before)
        if proto != flow["proto"] or before == after:
            continue
        for mine, other in ((before, after), (after, before)):
            if ends == mine:
                return other
            if ends == mine[2:] + mine[:2]:
                return other[2:] + other[:2]
    return None


def told(flow):
    nat = flow["egret"].get("nat")
    return nat and (nat["src_ip"], str(nat.get("src_port", 0)), nat["dest_ip"], str(nat.get("dest_port", 0)))


def exchange(host, port):
    return f"import socket\ns=socket.create_connection(('{host}',{port}),5)\ns.send(b'hello'); s.recv(9); s.close()"


def get(n, url):
    n.run("curl", "-s", "-o", "/dev/null", "--max-time", "5", url)


def gateway_flows(d):
    return [r for r in lab.last_flows(d.records()) if r["egret"]["vantage"] == "gateway" and r.get("icmp_type") != 3]


def one(flows, **what):
    found = [f for f in flows if all(f.get(k) == v for k, v in what.items())]
    return found[0] if len(found) == 1 else None


def joined(n):
    """All kinds of NAT, against conntrack's own list; one connection is older than the daemon."""
    old = n.start("/usr/bin/python3", "-c", "import socket,sys\n"
                  f"s=socket.create_connection(('{S4}',7001)); s.send(b'a'); print('up',flush=True)\n"
                  "sys.stdin.readline(); s.send(b'b'*1000); s.close()", ns=n.client, stdin=True,
                  ready=lambda _: (C4, S4) in {(k[1], k[3]) for k in conntrack(n)})
    d = Gateway(n, conf=CONF)
    n.run("dig", "+short", f"www.{ZONE}", f"@{S4}")
    get(n, f"http://{S4}/")
    get(n, f"http://[{S6}]/")
    get(n, f"http://{VIP}:8000/")
    get(n, f"http://{WAN4}:8081/")
    n.python(exchange(I4, 7005))
    n.python(exchange(WAN4, 8080), ns=n.server, watched=False)
    n.run("ping", "-c", "2", "-i", "0.05", S4)
    n.run("ping", "-6", "-c", "2", "-i", "0.05", S6)
    n.say(old, "go")
    time.sleep(0.5)
    table = conntrack(n)
    live = [json.loads(x) for x in d.egret("flows", "--json", "natport:20000-29999").stdout.splitlines()]
    CASES.check("the filter natport finds flows", live and all(20000 <= r["egret"]["nat"]["src_port"] <= 29999 for r in live), live)
    d.wait_record("the end of the old connection", lambda r: r["event_type"] == "flow" and r.get("dest_port") == 7001 and
                  "reason" in r["flow"])
    time.sleep(4)       # ends of TCP flows are told two seconds after their FINs
    status = json.loads(d.egret("status", "--json").stdout)
    CASES.check("status counts them, and has no problem", status["gateway"]["nat"]["connections"] >= 8 and
                "problem" not in status["gateway"]["nat"], status["gateway"])
    CASES.equal("egretd ends well", d.stop(), 0)
    flows = gateway_flows(d)
    wrong = [(f["src_ip"], f.get("src_port"), f["dest_ip"], f.get("dest_port"), f["proto"], told(f), known_of(f, table))
             for f in flows if told(f) != known_of(f, table)]
    CASES.check(f"{len(flows)} flows say what conntrack says", len(flows) >= 10 and not wrong, *wrong)
    for name, flow, ends in (
            ("SNAT", one(flows, dest_ip=S4, dest_port=80), (WAN4, S4)),
            ("SNAT of IPv6", one(flows, dest_ip=S6, dest_port=80), ("fd79:3::1", S6)),
            ("SNAT of a datagram", one(flows, dest_ip=S4, dest_port=53), (WAN4, S4)),
            ("SNAT of an echo", one(flows, dest_ip=S4, proto="ICMP"), (WAN4, S4)),
            ("SNAT and DNAT", one(flows, dest_ip=VIP, dest_port=8000), (WAN4, S4)),
            ("DNAT from outside", one(flows, dest_ip=C4, dest_port=7005), (S4, WAN4)),
            ("DNAT of the gateway's own address", one(flows, dest_ip=WAN4, dest_port=8081), (WAN4, S4)),
            ("what was there before", one(flows, dest_ip=S4, dest_port=7001), (WAN4, S4))):
        nat = flow and flow["egret"].get("nat")
        CASES.equal(name, nat and (nat["src_ip"], nat["dest_ip"]), ends)
    within = one(flows, dest_ip=I4, dest_port=7005)
    CASES.check("without NAT nothing is said", within and "nat" not in within["egret"], within)
    hostile = [r for r in d.records() if r["event_type"] == "flow" and r["egret"]["vantage"] != "gateway" and "nat" in r["egret"]]
    CASES.check("nor of flows that are not forwarded", not hostile, hostile[:1])
    lost = [r["stats"]["lost"] for r in d.records() if r["event_type"] == "stats"][-1]
    CASES.equal("nothing is lost", {k: v for k, v in lost.items() if v}, {})


def hairpin(n):
    """From inside to the gateway's own address and back inside: said, because its packets are not all counted."""
    d = Gateway(n, conf=CONF)
    n.python(exchange(WAN4, 8082))
    time.sleep(1)
    lost = json.loads(d.egret("status", "--json").stdout)["losses"]
    CASES.equal("a hairpin is counted as not seen", [(x["reason"], x["lost"]) for x in lost], [("hairpin", 1)])
    CASES.check("and egret status says what it is", "sends back inside" in d.egret("status").stdout, d.egret("status").stdout)
    d.stop()


def overrun(n):
    """More notices than the socket has room for while egretd stands still: counted, and what is there is asked for again."""
    d = Gateway(n, conf=CONF)
    d.child.send_signal(signal.SIGSTOP)
    try:
        n.python("import socket\n"
                 "for port in range(2000,8000):\n"
                 " s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.bind(('" + C4 + "',port))\n"
                 f" for to in range(7100,7110): s.sendto(b'x',('{S4}',to))\n"
                 " s.close()")
    finally:
        d.child.send_signal(signal.SIGCONT)
    lab.wait_for("the overrun to be told", lambda: any(
        x["reason"] == "conntrack" for x in json.loads(d.egret("status", "--json").stdout).get("losses", ())))
    # those of the end are the ones whose notices were lost
    newest = lab.wait_for("translations whose notices were lost", lambda: [r for r in map(json.loads, d.egret(
        "flows", "--json", f"src:{C4} port:7100-7109 natport:20000-29999").stdout.splitlines()) if r["src_port"] == 7999])
    table = conntrack(n)
    CASES.check("after an overrun all is asked for again", all(told(r) == known_of(r, table) for r in newest), newest[:2])
    d.stop()


def silent(n):
    in_gateway(n, "sysctl", "-qw", "net.netfilter.nf_conntrack_events=0")
    d = Gateway(n, conf=CONF)
    said = d.egret("status").stdout
    CASES.check("a conntrack that tells nothing is said", "addresses after NAT are not known" in said and
                "nf_conntrack_events is 0" in said, said)
    time.sleep(1)       # what is there when egretd starts is asked for once, and that takes a moment
    get(n, f"http://{S4}/")
    d.stop()
    CASES.check("and nothing is guessed", not any("nat" in f["egret"] for f in gateway_flows(d) if f.get("dest_port") == 80))


def main():
    lab.need(CASES, "curl", "nginx", "dnsmasq", "dig", "ping", "nft", "tc", "sysctl", "conntrack")
    n = build("gn")
    try:
        lab.must("ip", "-n", n.gateway, "route", "add", VIP, "dev", "wan0")
        in_gateway(n, "nft", "-f", "-", input=RULES)
        n.nginx()
        n.dnsmasq()
        n.sink(7001)
        n.echo(7003, udp=True)
        for ns in (n.client, n.second):
            n.start("/usr/bin/python3", os.path.join(lab.HERE, "servers.py"), "echo", "tcp", 7005, ns=ns,
                    ready=lambda _, ns=ns: n.listens("t", 7005, ns))
        joined(n)
        hairpin(n)
        overrun(n)
        silent(n)
    except (RuntimeError, TimeoutError, subprocess.SubprocessError) as e:
        CASES.check("NAT", False, repr(e), getattr(e, "stderr", ""))
    finally:
        n.close()
    return CASES.end()


sys.exit(main())
