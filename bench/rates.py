#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How near TCP comes to a rate, by egret and by tc's HTB and TBF, on the same path: goodput over rate, and Jain's index of the flows.

    ./dev bench rates [--jobs N] [--rates 1,10,100,1000] [--rtts 0,20,100] [--flows 1,2,8,64] [--cc cubic,reno,bbr] [--by egret,down,htb,tbf]

client -- bench-delay -- server, each in a network namespace of its own; bench-delay is the long wire. `egret` and `down` are `limit RATE`
at the client, sending and receiving; HTB and TBF stand on the client's interface, sending. Rates are Mbit/s, RTTs ms.
"""
import argparse
import fcntl
import itertools
import json
import multiprocessing
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "tests", "e2e"))

import results                  # noqa: E402
import lab                      # noqa: E402
from guarded import Guarded     # noqa: E402

PORT = 7200
PROBE = os.path.join(lab.HERE, "rate_probe.py")
DELAY = os.path.join(lab.BUILD, "bench", "bench-delay")


NAMES = {"egret": "egret, up", "down": "egret, down", "htb": "HTB, up", "tbf": "TBF, up"}
WORDS = """What TCP flows together carry of a rate (goodput: payload that arrived, five seconds from the third or, of 64 flows, sixth on), and
Jain's index of how evenly. `limit RATE` at one end of a wire with that RTT, sending and receiving, and the same path with tc's HTB and
TBF. A rate is of IP packets, so that 96 to 100 % is what can be had; HTB and TBF count Ethernet's headers as well."""


class Path(lab.Lab):
    """A lab whose two ends are joined by a third namespace, in which the delay is."""

    def __init__(self, name):
        super().__init__(name)
        self.middle, self.wire = self.name + "m", None
        lab.must("ip", "-n", self.client, "link", "del", "c0")
        self.add_ns(self.middle)
        lab.must("ip", "netns", "exec", self.middle, "sysctl", "-q", "net.ipv6.conf.default.disable_ipv6=1")
        for ns, dev, addr, other in ((self.client, "c0", lab.C4, "m0"), (self.server, "s0", lab.S4, "m1")):
            lab.must("ip", "link", "add", dev, "netns", ns, "type", "veth", "peer", "name", other, "netns", self.middle)
            lab.must("ip", "-n", ns, "addr", "add", addr + "/24", "dev", dev)
            lab.must("ip", "-n", ns, "link", "set", dev, "up")
            lab.must("ip", "-n", self.middle, "link", "set", other, "up")
        for ns in (self.client, self.server):
            # as much as a path of 1 Gbit/s and 100 ms holds
            lab.must("ip", "netns", "exec", ns, "sysctl", "-q", "net.ipv4.tcp_rmem=4096 131072 67108864",
                     "net.ipv4.tcp_wmem=4096 131072 67108864")

    def delay(self, rtt_ms):
        if self.wire:
            self.stop(self.wire)
        self.wire = self.start(DELAY, "m0", "m1", int(rtt_ms * 500), ns=self.middle,
                               ready=lambda c: "open" in open(c.log, encoding="utf-8").read())

    def tc(self, *argv):
        subprocess.run(["ip", "netns", "exec", self.client, "tc", *argv], check=argv[1] != "del", capture_output=True)

    def qdisc(self, by, rate):
        self.tc("qdisc", "del", "dev", "c0", "root")
        if by == "htb":
            self.tc("qdisc", "add", "dev", "c0", "root", "handle", "1:", "htb", "default", "1")
            self.tc("class", "add", "dev", "c0", "parent", "1:", "classid", "1:1", "htb", "rate", f"{rate}mbit")
        elif by == "tbf":
            burst = max(rate * 1000 // 8, 70000)     # a millisecond, or what one GSO packet is
            self.tc("qdisc", "add", "dev", "c0", "root", "tbf", "rate", f"{rate}mbit", "burst", str(burst), "latency", "200ms")


def jain(x):
    return sum(x) ** 2 / (len(x) * sum(v * v for v in x)) if any(x) else 0


def measure(path, daemon, cell, by):
    rate, _, cc, flows = cell
    path.qdisc(by, rate)
    limit = f" limit {rate}mbit" if by in ("egret", "down") else ""
    daemon.load(f"allow to {lab.S4} port {PORT}{limit} as \"{by} {cell}\"\ndefault allow\n", "--enforce")
    skip = 3 if flows < 64 else 6
    try:
        out = path.run("/usr/bin/python3", PROBE, "ask", lab.S4, PORT, flows, skip + 5, skip, "down" if by == "down" else "up",
                       cc, timeout=120)
        bits = json.loads(out)
    except (RuntimeError, subprocess.TimeoutExpired, ValueError):
        return None
    return sum(bits) / (rate * 1e6), jain(bits)


def work(job):
    number, cells, by = job
    done = []
    path = Path(f"rt{number}")
    try:
        daemon = Guarded(path)
        with open(PROBE, encoding="utf-8") as f:    # one after the other: loading takes a processor for seconds
            fcntl.flock(f, fcntl.LOCK_EX)
            daemon.start()
        path.start("/usr/bin/python3", PROBE, "serve", PORT, ready=lambda c: "serving" in open(c.log, encoding="utf-8").read())
        for rtt, group in itertools.groupby(cells, key=lambda c: c[1]):
            path.delay(rtt)
            for cell in group:
                got = [measure(path, daemon, cell, b) for b in by]
                done.append((cell, got))
                print(cell, got, file=sys.stderr, flush=True)
    finally:
        path.close()
    return done


def numbers(text):
    return [int(x) for x in re.split(",", text)]


def text_of(got):
    return "-" if got is None else f"{100 * got[0]:.1f} % / {got[1]:.2f}"


def main():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument("--jobs", type=int, default=1)
    p.add_argument("--rates", type=numbers, default=[1, 10, 100, 1000])
    p.add_argument("--rtts", type=numbers, default=[0, 20, 100])
    p.add_argument("--flows", type=numbers, default=[1, 2, 8, 64])
    p.add_argument("--cc", default="cubic,reno,bbr")
    p.add_argument("--by", default="egret,down,htb,tbf")
    a = p.parse_args()
    with open("/proc/sys/net/ipv4/tcp_available_congestion_control", encoding="ascii") as f:
        there = f.read().split()
    by = a.by.split(",")
    cells = [c for c in itertools.product(a.rates, a.rtts, a.cc.split(","), a.flows) if c[2] in there]
    # What is fast needs the processors for itself.
    slow, fast = [c for c in cells if c[0] <= 100], [c for c in cells if c[0] > 100]
    jobs = [(i, sorted(slow[i::a.jobs], key=lambda c: c[1]), by) for i in range(a.jobs) if slow[i::a.jobs]]
    done = []
    with multiprocessing.get_context("spawn").Pool(max(len(jobs), 1)) as pool:
        for part in pool.imap_unordered(work, jobs):
            done += part
    if fast:
        done += work((a.jobs, sorted(fast, key=lambda c: c[1]), by))
    rows = [(*cell, *map(text_of, got)) for cell, got in sorted(done)]
    results.write("rates", "Rates", WORDS + "\n\n" + results.table(("Mbit/s", "RTT, ms", "TCP", "flows", *(NAMES[b] for b in by)), rows),
                  "./dev bench rates " + " ".join(sys.argv[1:]))


if __name__ == "__main__":
    main()
