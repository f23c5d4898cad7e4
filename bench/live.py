#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What watching costs those who are watched, and what the daemon itself takes.

usage: live.py [rounds [only…]]       only: hooks, rows, daemon

hooks   bench-hooks: hooks attached and detached around short blocks of one process; exact to a per cent
rows    nothing, nothing again, egretd, nftables with conntrack and OpenSnitch, in turn in each round, each time with
        runs of bench-traffic in the same namespace and cgroup; medians of the rounds
daemon  CPU of egretd at 5,000 new flows a second, and at twice as many
"""
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time

import place
import results

KINDS = (("bulk", "TCP bulk"), ("udp16", "UDP, 16 flows"), ("udp1000", "UDP, 1,000 flows"),
         ("conn", "connect+accept+close"))
BLOCK_MS = 300
NFT = """table inet bench {
	chain in { type filter hook input priority 0; policy accept; ct state established,related accept; }
	chain out { type filter hook output priority 0; policy accept; ct state established,related accept;
		ct state new counter accept; }
}"""
SNITCH_RULE = """{"created":"2024-01-01T00:00:00Z","updated":"2024-01-01T00:00:00Z","name":"all","enabled":true,
"precedence":false,"action":"allow","duration":"always","operator":{"type":"simple","operand":"true","sensitive":false,
"data":"","list":[]}}"""


class Egretd:
    def __init__(self, n):
        self.n = n

    def on(self):
        self.d = self.n.daemon()

    def off(self):
        self.d.stop()


class Nothing:
    def __init__(self, n):
        pass

    def on(self):
        pass

    def off(self):
        pass


class Nftables:
    def __init__(self, n):
        self.n = n

    def on(self):
        self.n.run("nft", NFT, watched=False)
        forget_connections(self.n)

    def off(self):
        self.n.run("nft", "flush ruleset", watched=False)


class OpenSnitch:
    """
    Debian's daemon with its own configuration, but for paths, no user interface and so all allowed, and processes looked
    up in /proc: its eBPF way needs a module of its own, which Debian does not ship. Its firewall is iptables, the default.
    """

    def __init__(self, n):
        self.n = n
        self.root = os.path.join(n.tmp, "snitch")
        shutil.copytree("/etc/opensnitchd", self.root)
        os.makedirs(os.path.join(self.root, "rules"), exist_ok=True)
        conf = os.path.join(self.root, "default-config.json")
        with open(conf, encoding="utf-8") as f:
            c = json.load(f)
        c["Server"] = {"Address": f"unix://{n.tmp}/no-ui.sock", "LogFile": f"{n.tmp}/opensnitchd.log"}
        c["ProcMonitorMethod"] = "proc"
        with open(conf, "w", encoding="utf-8") as f:
            json.dump(c, f)

    def on(self):
        self.child = self.n.start(
            "unshare", "-m", "sh", "-c",
            f"mount --bind {self.root} /etc/opensnitchd && exec opensnitchd -rules-path {self.root}/rules "
            f"-log-file {self.n.tmp}/opensnitchd.log -ui-socket unix://{self.n.tmp}/no-ui.sock", ns=self.n.client,
            ready=lambda _: "queue" in place.lab.must("ip", "netns", "exec", self.n.client, "nft", "list", "ruleset"))
        forget_connections(self.n)

    def off(self):
        self.n.stop(self.child, signal.SIGKILL)         # told to end it waits five seconds for its queue
        self.n.run("nft", "flush ruleset", watched=False)


ROWS = (("nothing", Nothing), ("nothing, again", Nothing), ("egretd watching", Egretd),
        ("nftables with conntrack", Nftables), ("OpenSnitch", OpenSnitch))


def forget_connections(n):
    """Else conntrack's table is full of ended ones after some rounds, and what is dropped then is not its price."""
    for state in ("time_wait", "close", "last_ack"):
        place.lab.must("ip", "netns", "exec", n.client, "sysctl", "-qw",
                       f"net.netfilter.nf_conntrack_tcp_timeout_{state}=1")


def runnable(n):
    """The rows that can be had here, and why not the others."""
    there, absent = [], []
    for name, kind in ROWS:
        try:
            row = kind(n)
            row.on()
            row.off()
            there.append((name, row))
        except (OSError, RuntimeError, TimeoutError, subprocess.SubprocessError) as e:
            why = str(e).splitlines()
            absent.append(f"{name} did not run here: {why[0] if why else type(e).__name__}.")
            print(absent[-1], file=sys.stderr)
    return there, absent


def measure(n, there, rounds):
    """{row: {kind: [(CPU ns, ns, connect() p50 in ns) of each round]}}"""
    got = {name: {k: [] for k, _ in KINDS} for name, _ in there}
    for i in range(rounds):
        turn = i % len(there)
        for name, row in there[turn:] + there[:turn]:
            row.on()
            try:
                for k, _ in KINDS:
                    got[name][k].append(n.block(k, BLOCK_MS))
            finally:
                row.off()
        print(f"round {i + 1} of {rounds}", file=sys.stderr)
    return got


def rows(n, rounds):
    there, absent = runnable(n)
    got = measure(n, there, rounds)
    base, out = got["nothing"], []
    for name, _ in there:
        speed = [statistics.median(b[0] / c[0] for b, c in zip(base[k], got[name][k])) for k, _ in KINDS]
        connections = [statistics.median(run[i] for run in got[name]["conn"]) for i in range(3)]
        more = statistics.median(c[2] - b[2] for b, c in zip(base["conn"], got[name]["conn"]))
        out.append((name, *(f"{v:.3f}" for v in speed), f"{1e9 / connections[1]:,.0f}", f"{connections[2] / 1000:.1f}",
                    f"{more / 1000:+.1f}"))
    return ("Speed beside nothing in the way, from the CPU time of one process on one core that sends and receives over "
            f"loopback; blocks of {BLOCK_MS} ms, medians of {rounds} rounds. Daemons work on whatever core is free: what they "
            "take is not in the first columns, what waiting for them costs is in the last three.\n\n" +
            results.table(("row", *(name for _, name in KINDS), "connections/s", "connect() p50, us", "more than nothing, us"),
                          out) +
            "\n\n" + " ".join([*absent, results.versions("nftables", "iptables", "opensnitch")]))


HOOK_LINE = re.compile(r"^(.{22}) (\w+) +([\d.]+)  \(quartiles ([\d.]+) ([\d.]+)\)  base +([\d.]+ \S+)"
                       r"(?:  connect\(\) p50 (\S+) us)?$")


def hooks(rounds):
    done = subprocess.run([os.path.join(results.BUILD, "bench", "bench-hooks"), str(rounds)], check=True,
                          capture_output=True, text=True, timeout=3600)
    lines = [HOOK_LINE.match(line) for line in done.stdout.splitlines()]
    if not lines or not all(lines):
        raise RuntimeError(f"bench-hooks said what is not understood: {done.stdout[-500:]}")
    return ("The hooks alone, attached and detached around blocks of 12 ms in one process (bench/hooks.c): nothing / with, "
            f"medians and quartiles of {rounds} pairs; \"none\" is nothing against nothing. {done.stderr.strip()}\n\n" +
            results.table(("work", "hooks", "speed", "quartiles", "without", "connect() p50, us"),
                          [(m[1].strip(), m[2], m[3], f"{m[4]} to {m[5]}", m[6], m[7] or "") for m in lines]))


def status(d):
    return json.loads(d.egret("status", "--json").stdout)


def daemon(n):
    out, seconds = [], 20
    for rate in (2500, 5000):
        d = n.daemon()
        n.traffic("rate", rate, 3)
        time.sleep(2)
        flows, used, start = status(d)["flows_total"], place.cpu_seconds(d.child.pid), time.monotonic()
        made = int(n.traffic("rate", rate, seconds))
        used, passed = place.cpu_seconds(d.child.pid) - used, time.monotonic() - start
        time.sleep(1.5)
        after = status(d)
        lost = {k: v for k, v in after["lost"].items() if v}
        d.stop()
        out.append((f"{made / passed:,.0f}", f"{(after['flows_total'] - flows) / passed:,.0f}",
                    f"{100 * used / passed:.2f} %", ", ".join(f"{k} {v}" for k, v in lost.items()) or "nothing"))
    return (f"CPU time of egretd that writes eve.json, over {seconds} s; TCP connections over loopback with both ends watched "
            "are two flows each. Asked for: at most 3 % of a core at 5,000 new flows a second.\n\n" +
            results.table(("connections/s", "new flows/s", "of a core", "lost"), out))


def main():
    results.need_root()
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    only = sys.argv[2:] or ["hooks", "rows", "daemon"]
    n = place.Place("ben")
    try:
        n.sysctl(ip_local_port_range="1024 65535", tcp_tw_reuse=1, tcp_max_tw_buckets=1024)
        parts = {"hooks": lambda: hooks(rounds * 8), "rows": lambda: rows(n, rounds), "daemon": lambda: daemon(n)}
        results.write("live", "Watching a host", "\n\n".join(parts[p]() for p in only),
                      " ".join(["./dev bench live", *sys.argv[1:]]))
    finally:
        n.close()


main()
