#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Machines behind a gateway by name: a real DHCP server and client, MAC addresses of neighbours, hostile and missing lease files."""
import json
import os
import subprocess
import sys
import time

import gateway_lab
import lab
from gateway_lab import Gateway
from lab import C4, S4, S6

CASES = lab.golden.Cases()
GATE4, GATE6, M6 = "10.78.0.1", "fd78::1", "fd78::5"
MAC, OTHER_MAC = "02:00:00:00:78:05", "02:00:00:00:78:06"
UDHCPC = """#!/bin/sh
case $1 in
bound|renew)
	ip addr flush dev "$interface" scope global 2>/dev/null
	ip addr add "$ip/24" dev "$interface"
	ip addr add {m6}/64 dev "$interface" nodad
	ip route replace default via "$router" dev "$interface"
	ip -6 route replace default via {gate6} dev "$interface"
	;;
esac
"""


def build():
    n = gateway_lab.build("gm")
    n.third = n.name + "d"
    n.add_ns(n.third)
    lab.must("ip", "link", "add", "d0", "netns", n.third, "address", MAC, "type", "veth",
             "peer", "name", "lan2", "netns", n.gateway)
    for ns, dev in ((n.third, "d0"), (n.gateway, "lan2")):
        lab.must("ip", "-n", ns, "link", "set", "lo", "up")
        lab.must("ip", "-n", ns, "link", "set", dev, "up")
    lab.must("ip", "-n", n.gateway, "addr", "add", GATE4 + "/24", "dev", "lan2")
    lab.must("ip", "-n", n.gateway, "addr", "add", GATE6 + "/64", "dev", "lan2", "nodad")
    n.leases = os.path.join(n.tmp, "dnsmasq.leases")
    n.script = os.path.join(n.tmp, "udhcpc.sh")
    with open(n.script, "w", encoding="ascii") as f:
        f.write(UDHCPC.format(m6=M6, gate6=GATE6))
    os.chmod(n.script, 0o755)
    return n


def serve(n):
    n.start("dnsmasq", "-k", "-C", "/dev/null", "--port=0", "--user=root", f"--pid-file={n.tmp}/dhcp.pid", "--log-facility=-",
            "--bind-interfaces", "-i", "lan2", "--dhcp-range=10.78.0.50,10.78.0.99,255.255.255.0,1h", "--no-ping",
            f"--dhcp-leasefile={n.leases}", ns=n.gateway, ready=lambda _: n.listens("u", 67, n.gateway))


def lease(n, name):
    """A real client asks under this name; its address."""
    n.run("udhcpc", "-f", "-q", "-n", "-i", "d0", "-s", n.script, "-t", "10", "-T", "1", "-x", f"hostname:{name}",
          ns=n.third, watched=False)
    with open(n.leases, encoding="ascii") as f:
        line = next(x.split() for x in f if MAC in x)
    CASES.equal(f"the server knows {name}", line[3], name)
    return line[2]


def get(n, host, ns=None):
    n.run("curl", "-s", "-o", "/dev/null", "--max-time", "5", f"http://{host}/", ns=ns or n.third, watched=False)


def told(d, address):
    """What forwarded flows that are over say of the machine with this address, the newest last."""
    return [r["egret"].get("machine") for r in lab.last_flows(d.records())
            if r["egret"]["vantage"] == "gateway" and r.get("dest_port") == 80 and r["src_ip"] == address]


def shown(d, *argv):
    return [json.loads(x) for x in d.egret("flows", "--json", *argv).stdout.splitlines()]


def wait_named(d, name, seconds=15):
    lab.wait_for(f"leases with {name}", lambda: name in {
        r["egret"].get("machine", {}).get("name") for r in shown(d, f"machine:{name}")}, seconds)


def named(n):
    address = lease(n, "Printer-3")
    d = Gateway(n, conf=f'watch gateway\ngateway {{ inside lan0, lan2  outside wan0\n leases "{n.leases}" }}\nstore off\n')
    get(n, S4)
    get(n, f"[{S6}]")
    get(n, S4, n.client)
    want = {"name": "printer-3", "mac": MAC, "source": "dhcp"}
    lab.wait_for("flows to be shown", lambda: len(shown(d, "port:80")) >= 3)
    table = d.egret("flows", "machine:printer*").stdout
    CASES.check("egret flows shows the name, and the filter finds it", table.count("printer-3") == 2 and C4 not in table, table)
    CASES.equal("the filter by MAC address", len(shown(d, f"machine:{MAC}")), 2)
    top = d.egret("top", "--once", "--by", "program").stdout
    CASES.check("egret top sums by it", "printer-3" in top and C4 in top, top)
    status = json.loads(d.egret("status", "--json").stdout)["gateway"]["machines"]
    CASES.check("status counts machines and leases", status["leases"] == 1 and status["addresses"] >= 3 and
                "problem" not in status, status)

    for src in (address, M6):
        d.wait_record(f"the end of the flow of {src}", lambda r, src=src: r["event_type"] == "flow" and
                      r.get("src_ip") == src and "reason" in r["flow"])
    # the same machine calls itself something else; what the server writes meanwhile is garbage for others
    lease(n, "scanner")
    with open(n.leases, "ab") as f:
        f.write(b"1 02:00:00:00:00:09 " + C4.encode() + b" ;$(reboot) *\n\xff\xfe\0\0 lease {\n" + b"x" * 100000 + b"\n")
    get(n, S4)
    wait_named(d, "scanner")
    time.sleep(4)       # ends of TCP flows are told two seconds after their FINs
    mac = json.loads(lab.must("ip", "-n", n.client, "-j", "link", "show", "c0"))[0]["address"]
    CASES.equal("a machine with a lease; a name that changes is that of the record's time", told(d, address),
                [want, {"name": "scanner", "mac": MAC, "source": "dhcp"}])
    CASES.equal("its address that nobody leased", told(d, M6), [want])
    CASES.equal("a machine without a lease: MAC address alone", told(d, C4), [{"mac": mac, "source": "neighbour"}])
    others = [r["egret"].get("machine") for r in d.records() if r["event_type"] == "http" and r["src_ip"] == address]
    CASES.check("other records of such flows say it", others and all(m and m.get("mac", MAC) == MAC for m in others) and
                any(m.get("mac") for m in others), others)

    # another takes the address: it does not inherit the name
    for word in ("down", "up"):
        lab.must("ip", "-n", n.third, "link", "set", "d0", *(("address", OTHER_MAC) if word == "up" else ()), word)
    for argv in (("addr", "replace", address + "/24", "dev", "d0"), ("addr", "replace", M6 + "/64", "dev", "d0", "nodad"),
                 ("route", "replace", "default", "via", GATE4, "dev", "d0")):
        lab.must("ip", "-n", n.third, *argv)
    lab.must("ip", "-n", n.gateway, "neigh", "flush", "dev", "lan2")

    def seen():
        get(n, S4)
        return any(r["egret"].get("machine", {}).get("mac") == OTHER_MAC for r in shown(d, "port:80"))

    lab.wait_for("a flow of the other machine", seen)
    time.sleep(4)
    CASES.equal("egretd ends well", d.stop(), 0)
    taken = [m for m in told(d, address) if m.get("mac") == OTHER_MAC]      # a flow may have begun before its MAC address was known
    CASES.check("who takes an address has not its name", taken and all(m == {"mac": OTHER_MAC, "source": "neighbour"} for m in taken),
                told(d, address))
    CASES.check("no hostile name got through", not any("reboot" in line.decode("utf-8", "replace") for line in d.lines()))
    lost = [r["stats"]["lost"] for r in d.records() if r["event_type"] == "stats"][-1]
    CASES.equal("nothing is lost", {k: v for k, v in lost.items() if v}, {})


def missing(n):
    """No file, one that is no file, one that comes later."""
    later = os.path.join(n.tmp, "later.leases")
    d = Gateway(n, conf='watch gateway\ngateway { inside lan0, lan2 leases "/dev/zero", "' + later + '" }\nstore off\n')
    said = d.egret("status").stdout
    CASES.check("status says what is not read", f"leases are not read: {later}" in said, said)
    CASES.check("so does the log, once each", d.messages().count("warning: leases: ") == 2, d.messages())
    with open(later, "w", encoding="ascii") as f:
        f.write(f"lease {C4} {{\n  binding state active;\n  client-hostname \"desk\";\n}}\n")
    get(n, S4, n.client)
    wait_named(d, "desk")
    d.stop()


def main():
    lab.need(CASES, "curl", "nginx", "dnsmasq", "nft", "tc", "sysctl", "udhcpc")
    n = build()
    try:
        n.nginx()
        serve(n)
        named(n)
        missing(n)
    except (RuntimeError, TimeoutError, subprocess.SubprocessError) as e:
        CASES.check("names", False, repr(e), getattr(e, "stderr", ""))
    finally:
        n.close()
    return CASES.end()


sys.exit(main())
