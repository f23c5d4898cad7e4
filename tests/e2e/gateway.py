#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""egretd on a gateway that masquerades: every forwarded flow once, with the counts of tcpdump on the inside interface."""
import json
import os
import signal
import subprocess
import sys
import time

import lab
from gateway_lab import I4, Gateway, build, filters, inside, wire
from lab import C4, C6, S4, S6, ZONE

CASES = lab.golden.Cases()
V_CLIENT, V_SERVER = "10.77.0.7", "10.77.0.9"


def traffic(n):
    n.run("dig", "+short", f"www.{ZONE}", f"@{S4}")
    n.run("curl", "-sk", "-o", "/dev/null", "--resolve", f"www.{ZONE}:443:{S4}", f"https://www.{ZONE}/big")
    n.run("curl", "-s", "-o", "/dev/null", f"http://[{S6}]/big")
    n.run("curl", "-s", "-o", "/dev/null", f"http://{S4}/")
    n.python("import socket\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.settimeout(5)\n"
             f"for size in (1,1400):\n s.sendto(b'u'*size,('{S4}',7003)); s.recv(65535)")
    n.python(f"import socket\ns=socket.create_connection(('{S4}',7001))\nb=b'z'*1000000\n"
             "for i in range(100): s.sendall(b)\ns.close()")
    n.run("ping", "-c", "3", "-i", "0.05", S4)
    n.run("ping", "-6", "-c", "3", "-i", "0.05", S6)
    n.python(f"import socket\ns=socket.create_connection(('{I4}',7005))\ns.send(b'within'); s.recv(9); s.close()")


def forwarded(n):
    d = Gateway(n, conf="watch gateway\ngateway { inside lan0, lan1  outside wan0 }\nstore sqlite\n")
    capture = lab.Capture(n, "lan0", n.gateway, os.path.join(n.tmp, "lan0.pcap"), 256)
    traffic(n)
    n.wait_quiet()
    flows = capture.stop()
    time.sleep(4)       # ends of TCP flows are told two seconds after their FINs
    shown = d.egret("flows").stdout
    kept = [json.loads(x) for x in d.egret("flows", "--last", "1h", "--json").stdout.splitlines()]
    segments = d.egret("segments", "--last", "1h").stdout
    CASES.check("egret segments", "private" in segments and " in " in segments, segments)
    status = json.loads(d.egret("status", "--json").stdout)
    CASES.equal("status says gateway", status["watch"], "gateway")
    CASES.equal("egretd ends well", d.stop(), 0)
    records = d.records()
    of_gateway = [r for r in records if r["event_type"] != "flow" or r["egret"]["vantage"] == "gateway"]
    of_gateway = [r for r in of_gateway if r["event_type"] != "flow" or 9 not in (r.get("dest_port"), r.get("src_port"))]
    # the capture leaves out errors of ICMP: here the answer to its own mark
    of_gateway = [r for r in of_gateway if r.get("icmp_type") != 3]
    # the machine's programs are in the watched cgroup as well: each flow is seen from both sides, and says from which
    said = {r["flow_id"]: r["egret"]["vantage"] for r in records if r["event_type"] == "flow"}
    CASES.check("history says of each flow who saw it", kept and all(said[r["flow_id"]] == r["egret"]["vantage"] for r in kept
                                                                     if r["flow_id"] in said) and
                {r["egret"]["vantage"] for r in kept} == {"host", "gateway"}, kept[:2])
    CASES.check("records of a flow say the same", not [r for r in records if r.get("flow_id") in said and
                                                       r["egret"].get("vantage", said[r["flow_id"]]) != said[r["flow_id"]]])
    CASES.check("nothing says that a process is missing", not any("identity" in r["egret"] for r in of_gateway
                                                                  if r["event_type"] == "flow"))
    lab.compare_counts(CASES, "forwarded", of_gateway, flows)
    last = lab.last_flows(of_gateway)
    CASES.check("addresses are those inside", last and all(r["src_ip"] in (C4, C6) for r in last), last[:2])
    names = {(r.get("dest_port"), r["egret"].get("name"), r["egret"].get("name_source")) for r in last}
    CASES.check("the name of SNI", (443, f"www.{ZONE}", "sni") in names, names)
    CASES.check("the name of DNS", (80, f"www.{ZONE}", "dns") in names or (7001, f"www.{ZONE}", "dns") in names, names)
    CASES.check("JA4", any(r["event_type"] == "tls" and r["tls"].get("ja4") for r in records))
    within = [r for r in last if r["dest_ip"] == I4]
    CASES.equal("between inside interfaces: once", len(within), 1)
    CASES.check("and as forward", within and within[0]["egret"]["direction"] == "forward", within)
    CASES.check("the interface is named", last and {r.get("in_iface") for r in last} == {"lan0"}, {r.get("in_iface") for r in last})
    CASES.check("egret flows shows who", C4 in shown, shown)
    lost = [r["stats"] for r in records if r["event_type"] == "stats" and r["stats"]["lost_total"]]
    CASES.check("nothing lost", not lost, lost[-1:])
    CASES.check("filters are gone", not any("eg_gate" in filters(n, dev) for dev in ("lan0", "lan1")), filters(n, "lan0"))


def vlan(n):
    """lan7 is VLAN 20 of lan0, or where the kernel has none a cable of its own, and what leads to V_SERVER."""
    ends = ((n.client, "c0", "c7", V_CLIENT), (n.gateway, "lan0", "lan7", "10.79.7.1"))
    try:
        for ns, parent, dev, _ in ends:
            lab.must("ip", "-n", ns, "link", "add", "link", parent, "name", dev, "type", "vlan", "id", "20")
    except subprocess.CalledProcessError:
        CASES.skip("VLAN", "this kernel has no VLAN devices")
        lab.must("ip", "link", "add", "c7", "netns", n.client, "type", "veth", "peer", "name", "lan7", "netns", n.gateway)
    for ns, _, dev, address in ends:
        lab.must("ip", "-n", ns, "link", "set", dev, "up")
        lab.must("ip", "-n", ns, "addr", "add", address + "/32", "dev", dev)
    lab.must("ip", "-n", n.server, "addr", "add", V_SERVER + "/32", "dev", "s0")
    lab.must("ip", "-n", n.gateway, "route", "add", V_SERVER, "dev", "wan0")
    lab.must("ip", "-n", n.gateway, "route", "add", V_CLIENT, "dev", "lan7")
    lab.must("ip", "-n", n.client, "route", "add", "10.79.7.1", "dev", "c7", "src", V_CLIENT)
    lab.must("ip", "-n", n.client, "route", "add", V_SERVER, "via", "10.79.7.1", "dev", "c7", "src", V_CLIENT)
    lab.wait_for("the filter on the VLAN", lambda: "eg_gate_in" in filters(n, "lan7") and "eg_gate_out" in filters(n, "lan7"), 10)


def comes_back(n):
    """An interface that is deleted and made again; a filter of somebody else's; what the gateway itself sends."""
    lab.must(*inside(n), "tc", "filter", "add", "dev", "lan1", "ingress", "pref", "1", "bpf", "bytecode",
             "1,6 0 0 4294967295", "classid", "1:1")
    Gateway(n, conf="watch gateway\ngateway { inside lan1 }\n").stop(signal.SIGKILL)
    d = Gateway(n, conf="watch gateway\ngateway { inside lan0, lan1, lan7  outside wan0 }\n")
    CASES.equal("what a killed egretd left is replaced", filters(n, "lan1").count("handle 0xe67e8"), 2)
    CASES.check("an interface that is not there is said", "lan7" in d.messages(), d.messages())
    lab.must("ip", "-n", n.gateway, "link", "del", "lan0")
    wire(n, n.client, "c0", "lan0", C4, C6, 1)
    lab.wait_for("the filter on the new lan0", lambda: "eg_gate_in" in filters(n, "lan0") and
                 "eg_gate_out" in filters(n, "lan0"), 10)
    n.run("curl", "-s", "-o", "/dev/null", f"http://{S4}/")
    n.python("import socket\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.settimeout(5)\n"
             f"for size in (3000,20000):\n s.sendto(b'f'*size,('{S4}',7003)); s.recv(65535)")
    vlan(n)
    n.run("curl", "-s", "-o", "/dev/null", f"http://{V_SERVER}/")
    n.run("ping", "-c", "2", "-i", "0.05", "10.79.1.1")          # for the gateway itself
    time.sleep(4)
    CASES.equal("egretd ends well, again", d.stop(), 0)
    last = [r for r in lab.last_flows(d.records()) if r["egret"]["vantage"] == "gateway"]
    udp = [r["flow"] for r in last if r["proto"] == "UDP"]
    CASES.equal("fragments: all packets and bytes are there, the later ones without ports",
                [sum(f[what] for f in udp) for what in ("pkts_toserver", "pkts_toclient", "bytes_toserver", "bytes_toclient")],
                [17, 17, 23356, 23356])
    last = [r for r in last if r["proto"] != "UDP"]
    CASES.equal("one flow after it came back, one of the VLAN that came later, none of the gateway's own",
                sorted((r["src_ip"], r["dest_ip"], r["proto"], r["in_iface"]) for r in last),
                [(C4, S4, "TCP", "lan0"), (V_CLIENT, V_SERVER, "TCP", "lan7")])
    CASES.check("the other filter stays", "bytecode" in filters(n, "lan1"), filters(n, "lan1"))
    CASES.check("ours are gone", "eg_gate" not in filters(n, "lan0") + filters(n, "lan1"), filters(n, "lan1"))


def main():
    lab.need(CASES, "curl", "nginx", "dnsmasq", "dig", "ping", "nft", "tc", "sysctl")
    n = build("gw")
    try:
        n.nginx()
        n.dnsmasq()
        n.sink(7001)
        n.echo(7003, udp=True)
        n.start("/usr/bin/python3", os.path.join(lab.HERE, "servers.py"), "echo", "tcp", 7005, ns=n.second,
                ready=lambda _: n.listens("t", 7005, n.second))
        forwarded(n)
        comes_back(n)
    except (RuntimeError, TimeoutError, subprocess.SubprocessError) as e:
        CASES.check("gateway", False, repr(e), getattr(e, "stderr", ""))
    finally:
        n.close()
    return CASES.end()


sys.exit(main())
