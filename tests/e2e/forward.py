#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Policy on what a gateway forwards: segments, names, first payload, reject and deny, swaps, and the death of egretd.

Machines inside run outside the watched cgroup, so that nobody but the gateway decides.
"""
import json
import os
import signal
import subprocess
import sys
import time

import lab
from gateway_lab import I4, I6, build, filters, inside
from guarded import Guarded
from lab import C4, C6, S4, S6, ZONE

CASES = lab.golden.Cases()
CONF = "watch gateway\ngateway { inside lan0, lan1  outside wan0 }\n"
OTHER = "10.77.0.9"         # of n.server as well: nobody's name
NEW = "10.88.0.1"           # of n.second, once there is a route

POLICY = f"""resolvers {S4}
segment office = {C4}, {C6}
segment iot    = {I4}, {I6}
allow  from office to www.{ZONE}       port 443
allow  from office to *.syn.{ZONE}     port 7001/tcp
allow  from office to {S4}, {S6}       port 7001/tcp, 7003/udp, 7004/tcp
reject from office to iot              port 7006
allow  from office to iot              port 7005/tcp, 7007/udp
allow  from iot    to {S4}             port 7003/udp
reject from iot    to internet, private
default deny
"""

# What a connection, or a datagram that is to be echoed, comes to: "ok" or the name of the error.
PROBE = """
import errno, socket, sys
kind, host, port, size = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
s.settimeout(float(sys.argv[5]))
try:
    s.connect((host, port))
    s.send(b"x" * size)
    if kind == "udp":
        for i in range(2):
            try:
                s.recv(65535)
                break
            except ConnectionRefusedError:
                raise
    print("ok")
except TimeoutError:
    print("timeout")
except OSError as e:
    print(errno.errorcode.get(e.errno, e))
"""

# Frames as nobody's kernel would send them. HOW: spoof (another's address), tag0 (VLAN 0), tag00 (twice), late (no SYN)
FRAMES = """
import socket, struct, sys
how, dev, mac, src, dst, port = sys.argv[1], sys.argv[2], bytes.fromhex(sys.argv[3]), sys.argv[4], sys.argv[5], int(sys.argv[6])
text = how.encode() + b"-" + sys.argv[7].encode()
def total(b):
    b += bytes(len(b) % 2)
    s = sum(struct.unpack(f"!{len(b) // 2}H", b))
    s = (s & 0xffff) + (s >> 16)
    return ~((s & 0xffff) + (s >> 16)) & 0xffff
body = struct.pack("!HHHH", 4000, port, 8 + len(text), 0) + text
head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 0, 0, 64, 17, 0, socket.inet_aton(src), socket.inet_aton(dst))
packet = head[:10] + struct.pack("!H", total(head)) + head[12:] + body
tags = {"tag0": b"\\x81\\0\\0\\0", "tag00": b"\\x81\\0\\0\\0\\x81\\0\\0\\0"}.get(how, b"")
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind((dev, 0))
s.send(mac + bytes(6) + tags + b"\\x08\\0" + packet)
"""

# Fresh names, each looked up and connected to at once: how many were refused.
NAMES = """
import socket, sys
bad = 0
for i in range(int(sys.argv[2])):
    for _, _, _, _, where in socket.getaddrinfo(f"ip-10-77-{i // 256 + 64}-{i % 256}.{sys.argv[1]}", 7001, socket.AF_INET, socket.SOCK_STREAM):
        s = socket.socket()
        s.settimeout(3)
        try:
            s.connect(where)
            s.send(b"x")
        except OSError:
            bad += 1
        s.close()
print(bad)
"""


def probe(n, kind, host, port, size=1, ns=None, seconds=1.5):
    return n.python(PROBE, kind, host, port, size, seconds, ns=ns, watched=False).strip()


def tls(n, sni, address=S4):
    """curl's exit status: 0, 28 (time-out), 7 (refused), 35 and 56 (reset)."""
    child = n._popen(["curl", "-sk", "-m", "3", "-o", "/dev/null", "-w", "%{exitcode}", "--resolve", f"{sni}:443:{address}",
                      f"https://{sni}/"], n.client, None, stdout=subprocess.PIPE)
    return int(child.communicate(timeout=30)[0])


class Ears:
    """What datagrams to one port say, at n.server."""

    CODE = ("import socket,sys\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\ns.bind(('',int(sys.argv[1])))\n"
            "print('ready',flush=True)\nwhile True: print(s.recv(2000).decode(),flush=True)")

    def __init__(self, n, port):
        self.child = n.start("/usr/bin/python3", "-c", self.CODE, port, log=f"ears.{port}", ready=lambda c: "ready" in self.text(c))

    def text(self, child=None):
        with open((child or self.child).log, encoding="ascii") as f:
            return f.read()

    def heard(self, text):
        try:
            return lab.wait_for("a datagram", lambda: text in self.text(), 1.5)
        except TimeoutError:
            return False


def segments(n):
    CASES.equal("allowed between segments", probe(n, "tcp", I4, 7005), "ok")
    CASES.equal("rejected between segments: at once", probe(n, "tcp", I4, 7006), "ECONNREFUSED")
    CASES.equal("rejected over IPv6", probe(n, "tcp", I6, 7006), "ECONNREFUSED")
    CASES.equal("rejected datagrams", probe(n, "udp", I4, 7006), "EHOSTUNREACH")
    CASES.equal("rejected datagrams over IPv6", probe(n, "udp", I6, 7006), "EACCES")
    CASES.equal("denied", probe(n, "tcp", I4, 7003), "timeout")
    CASES.equal("the other way: rejected", probe(n, "tcp", C4, 22, ns=n.second), "ECONNREFUSED")
    CASES.equal("to the outside, by address", probe(n, "tcp", S4, 7001), "ok")
    CASES.equal("and over IPv6", probe(n, "tcp", S6, 7001), "ok")
    CASES.equal("another address is denied", probe(n, "tcp", OTHER, 7001), "timeout")
    CASES.equal("another port is denied", probe(n, "tcp", S4, 7002), "timeout")
    CASES.equal("a segment that may nothing else", probe(n, "tcp", S4, 7001, ns=n.second), "ECONNREFUSED")
    CASES.equal("but this", probe(n, "udp", S4, 7003, ns=n.second), "ok")


def names(n):
    CASES.equal("before the name was asked for", tls(n, f"www.{ZONE}"), 28)
    n.run("dig", "+short", f"www.{ZONE}", f"@{S4}", watched=False)
    CASES.equal("the name in DNS and SNI", tls(n, f"www.{ZONE}"), 0)
    CASES.equal("another SNI at the same address", tls(n, "other.example"), 28)
    CASES.equal("the name again", tls(n, f"www.{ZONE}"), 0)
    CASES.equal("names without a race: 500 fresh ones", n.python(NAMES, f"syn.{ZONE}", 500, watched=False).strip(), "0")


def packets(n, mac):
    CASES.equal("fragments of what may pass", probe(n, "udp", S4, 7003, 6000), "ok")
    CASES.equal("fragments over IPv6", probe(n, "udp", S6, 7003, 6000), "ok")
    CASES.equal("fragments of what may not", probe(n, "udp", S4, 7008, 6000), "timeout")
    ears = Ears(n, 7003 + 6)
    open_ears = Ears(n, 7010)
    for how, src, port, may in (("plain", C4, 7010, True), ("spoof", C4, 7010, False), ("tag0", C4, 7009, False),
                                ("tag00", C4, 7009, False)):
        ns, dev = (n.second, "i0") if how == "spoof" else (n.client, "c0")
        n.python(FRAMES, how, dev, mac[dev], src, S4, port, "m", ns=ns, watched=False)
        CASES.equal(f"a frame: {how}", bool((open_ears if port == 7010 else ears).heard(f"{how}-m")), may)
    n.python(FRAMES, "tag0", "c0", mac["c0"], C4, S4, 7010, "n", watched=False)
    CASES.check("VLAN 0 is read as what has none", open_ears.heard("tag0-n"), open_ears.text())


def errors(n):
    """A port that is closed inside: the error about a flow that passes goes back to whoever asked, each time."""
    for _ in range(2):
        CASES.equal("an ICMP error about a flow that passes", probe(n, "udp", I4, 7007), "ECONNREFUSED")


STAY = """
import socket, sys, time
s = socket.create_connection((sys.argv[1], 7004), 5)
print("open", flush=True)
while True:
    s.sendall(b"y" * 100)
    s.recv(1000)
    print("moved", flush=True)
    time.sleep(0.05)
"""


class Stays:
    """A connection through the gateway that moves bytes all the time."""

    def __init__(self, n):
        self.child = n.start("/usr/bin/python3", "-c", STAY, S4, ns=n.client, ready=lambda c: "moved" in self.text(c))

    def text(self, child=None):
        with open((child or self.child).log, encoding="ascii") as f:
            return f.read()

    def moves(self):
        before = self.text().count("moved")
        time.sleep(0.7)
        return self.text().count("moved") > before + 2


def changes(n, d):
    stays = Stays(n)
    CASES.check("a connection moves", stays.moves())
    d.kill()
    CASES.check("egretd is killed: it still moves", stays.moves())
    CASES.equal("what was denied still is", probe(n, "tcp", S4, 7002), "timeout")
    CASES.equal("what was rejected still is", probe(n, "tcp", I4, 7006), "ECONNREFUSED")
    CASES.equal("what was allowed still is", probe(n, "tcp", S4, 7001), "ok")
    d.start()
    CASES.check("the next egretd: it still moves", stays.moves())
    lab.must(*inside(n, "tc", "qdisc", "del", "dev", "lan0", "clsact"))
    CASES.check("filters that somebody took away are put back", lab.wait_for("filters", lambda: filters(n, "lan0").count(
        "handle 0xe67e8") == 2, 10))
    CASES.equal("two filters an interface", [filters(n, dev).count("handle 0xe67e8") for dev in ("lan0", "lan1")], [2, 2])
    d.load(POLICY.replace(", 7004/tcp", ""), "--enforce")
    CASES.check("another policy: open connections are judged again", not stays.moves())
    d.load(POLICY, "--watch")
    CASES.equal("in watch mode nothing is refused", probe(n, "tcp", S4, 7002), "ok")
    CASES.check("and what could not move moves again", lab.wait_for("bytes", stays.moves, 20))
    would = d.wait_record("a record of what would be refused", lambda r: r["event_type"] == "flow" and r.get("dest_port") == 7002
                          and r["egret"].get("would_deny"))
    CASES.equal("its vantage", would["egret"]["vantage"], "gateway")
    n.stop(stays.child)


def interfaces(n, d):
    """A segment by its interface: what routes lead there by it, now and after they have changed."""
    by = POLICY.replace(f"segment iot    = {I4}, {I6}", "segment iot    = interface lan1")
    done = d.load(by, "--enforce")
    CASES.check("a segment by its interface", done.returncode == 0, done.stdout, done.stderr)
    CASES.equal("its machine may", probe(n, "tcp", I4, 7005), "ok")
    CASES.equal("over IPv6, too, and not more", probe(n, "tcp", I6, 7006), "ECONNREFUSED")
    lab.must("ip", "-n", n.gateway, "route", "add", NEW, "dev", "lan1")
    lab.must("ip", "-n", n.second, "addr", "add", NEW + "/32", "dev", "i0")
    for argv in (("10.90.0.0/16", "dev", "lan1"), ("10.90.1.0/24", "dev", "lan0"), ("2001:db8:5::/48", "dev", "lan1", "table", "100"),
                 ("172.20.0.0/16", "nexthop", "dev", "lan0", "nexthop", "dev", "lan1")):
        lab.must(*inside(n, "ip", "-6" if ":" in argv[0] else "-4", "route", "add", *argv))
    text = "segment lab = interface lan1\ndeny from lab to any\ndefault allow\n" + "".join(
        f"expect {verdict} from {host} to {where} port 80/tcp\n" for verdict, host, where in (
            ("deny", "10.90.0.5", S4), ("allow", "10.90.1.5", S4), ("deny", "172.20.0.5", S4), ("allow", "2001:db8:5::5", S6)))
    with open(os.path.join(n.tmp, "routes.egret"), "w", encoding="ascii") as f:
        f.write(text)
    done = subprocess.run(inside(n, lab.EGRET, "policy", "check", f.name), capture_output=True, text=True)
    CASES.check("networks less what leads elsewhere, several ways, the main table", done.returncode == 0, done.stdout, done.stderr)
    CASES.check("a route that comes", lab.wait_for("the new route to count", lambda: probe(n, "tcp", NEW, 7005) == "ok", 20))


UPLOAD = """
import socket, sys
s = socket.create_connection((sys.argv[1], 7001), 5)
s.settimeout(5)
try:
    for i in range(200):
        s.sendall(bytes(100000))
except OSError:
    pass
"""


def quota(n, d):
    """A quota of what is forwarded: 1 MB, of which 20 are sent."""
    d.load(f"segment office = {C4}, {C6}\nallow from office to {S4} port 7001/tcp quota 1mb/month then reject\ndefault deny\n", "--enforce")
    n.python(UPLOAD, S4, watched=False)
    refused = lab.wait_for("the quota to be used up", lambda: probe(n, "tcp", S4, 7001) == "ECONNREFUSED", 15)
    CASES.check("a quota of forwarded traffic", refused, d.egret("quota").stdout)


def scenario(n):
    mac = {dev: lab.must("ip", "-n", n.gateway, "-o", "link", "show", gate).split("link/ether ")[1].split()[0].replace(":", "")
           for dev, gate in (("c0", "lan0"), ("i0", "lan1"))}
    CASES.equal("before: all is open", (probe(n, "tcp", S4, 7002), tls(n, "other.example"),
                                        probe(n, "udp", S4, 7008, 6000)), ("ok", 0, "ok"))
    d = Guarded(n, 'policy "FILE" enforce', CONF, n.gateway)
    d.write(POLICY)
    d.start()
    CASES.equal("egret status", json.loads(d.egret("status", "--json").stdout)["watch"], "gateway")
    segments(n)
    names(n)
    lab.agree(CASES, "segments and names", d.policy_file, d.eve, 15)
    d.load(POLICY.replace("default deny", f"allow from office to {S4} port 7010/udp\ndefault deny"), "--enforce")
    packets(n, mac)
    errors(n)
    interfaces(n, d)
    refused = d.wait_record("the record of a refusal", lambda r: r["event_type"] == "drop" and r.get("dest_port") == 7006)
    CASES.equal("a refusal says from where", (refused["src_ip"], refused["egret"].get("vantage")), (C4, "gateway"))
    rule = d.rule("reject from office")
    CASES.check("rules count what they refused", rule.get("refused_packets", 0) > 0, rule)
    why = d.egret("why", "--from", C4, f"{I4}:7006/tcp").stdout
    CASES.check("egret why says the same", "reject" in why, why)
    d.load(POLICY, "--enforce")
    changes(n, d)
    quota(n, d)
    d.load(POLICY, "--enforce")
    CASES.equal("egretd ends", d.stop(), 0)
    CASES.equal("its policy does not", probe(n, "tcp", S4, 7002), "timeout")
    done = d.egret("disarm")
    CASES.check("egret disarm", done.returncode == 0, done.stdout, done.stderr)
    CASES.check("nothing is left", not d.pins() and not any("0xe67e8" in filters(n, dev) for dev in ("lan0", "lan1")), d.pins())
    CASES.equal("after: all is open", probe(n, "tcp", S4, 7002), "ok")


def main():
    lab.need(CASES, "curl", "nginx", "dnsmasq", "dig", "nft", "tc", "sysctl")
    n = build("fw")
    try:
        lab.must("ip", "-n", n.server, "addr", "add", OTHER + "/32", "dev", "s0")
        lab.must("ip", "-n", n.server, "addr", "add", "10.77.64.0/18", "dev", "s0")
        lab.must("ip", "-n", n.server, "route", "add", "local", "10.77.64.0/18", "dev", "s0")
        for where in (OTHER, "10.77.64.0/18"):      # by one neighbour: the kernel's table of them is one for all tests
            lab.must("ip", "-n", n.gateway, "route", "add", where, "via", S4, "dev", "wan0")
        n.nginx()
        n.dnsmasq("--synth-domain=syn." + ZONE + ",10.77.64.0/18,ip-")
        for port in (7001, 7002):
            n.sink(port)
        for port, udp in ((7003, True), (7004, False), (7008, True)):
            n.echo(port, udp=udp)
        for port in (7003, 7005, 7006):
            n.start("/usr/bin/python3", os.path.join(lab.HERE, "servers.py"), "echo", "tcp", port, ns=n.second,
                    ready=lambda _, p=port: n.listens("t", p, n.second))
        scenario(n)
    except (RuntimeError, TimeoutError, subprocess.SubprocessError) as e:
        CASES.check("forward", False, repr(e), getattr(e, "stderr", ""))
    finally:
        n.close()
    return CASES.end()


sys.exit(main())
