#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What an enforced policy costs those who are under it, small and large, beside others that filter.

usage: enforce.py [rounds [only…]]       only: size, peers, load

size    egretd enforcing 10 and 1,000 rules; 1 k, 100 k, 1 M addresses; 1 k, 100 k, 1 M names
peers   egretd with 1 M + 1 M beside nftables with conntrack and a set of 1 M, iptables with ipset 1 M, an LPM trie asked
        for each packet, and OpenSnitch
load    from the text of a policy to its being enforced: seconds and memory
Each row is put there and taken away in turn in each round; medians of the rounds. Nothing of what runs is refused.
"""
import os
import signal
import subprocess
import sys
import time

import place
import results
import rows
from lists import MILLION, address, name, write_list


class Enforcing:
    """egretd with a policy of so many rules, addresses and names."""

    def __init__(self, n, rules, addresses, names):
        self.n = n
        self.path = os.path.join(n.tmp, f"policy-{rules}-{addresses}-{names}.egret")
        lists = []
        with open(self.path, "w", encoding="ascii") as f:
            for what, make, count in (("addresses", address, addresses), ("names", name, names)):
                if count:
                    f.write(f'list {what} = file "{write_list(n, what, make, count)}" format plain\n')
                    lists.append(f"deny to list {what}\n")
            f.writelines(lists)
            for i in range(rules - 1 - len(lists)):
                f.write(f"deny user {60000 + i % 7} to 192.0.2.{i % 256} port {1 + i}/tcp\n")
            f.write("default allow\n")

    def on(self):
        self.d = self.n.daemon()
        start = time.monotonic()
        done = self.d.egret("policy", "load", self.path, "--enforce", timeout=120)
        self.seconds = time.monotonic() - start
        if done.returncode:
            raise RuntimeError(f"policy load: {done.stdout}{done.stderr}")

    def off(self):
        self.d.egret("disarm")
        self.d.stop()


class NftablesSet(rows.Nftables):
    """conntrack as in rows.Nftables, and a set of 1 M refused addresses."""

    def on(self):
        super().on()
        text = (f"add set inet bench refused {{ type ipv4_addr; size {MILLION + 1}; }}\n"
                "add rule inet bench out ip daddr @refused drop\n")
        with open(write_list(self.n, "addresses", address, MILLION), encoding="ascii") as f:
            all_of_them = f.read().split()
        for at in range(0, MILLION, 100_000):
            text += f"add element inet bench refused {{ {', '.join(all_of_them[at:at + 100_000])} }}\n"
        path = os.path.join(self.n.tmp, "set.nft")
        with open(path, "w", encoding="ascii") as f:
            f.write(text)
        start = time.monotonic()
        self.n.run("nft", "-f", path, watched=False, timeout=300)
        self.seconds = time.monotonic() - start


class Ipset:
    def __init__(self, n):
        self.n = n

    def on(self):
        with open(write_list(self.n, "addresses", address, MILLION), encoding="ascii") as f:
            text = f"create refused hash:ip maxelem {2 * MILLION}\n" + "".join(f"add refused {a}" for a in f)
        start = time.monotonic()
        self.n.run("ipset", "restore", watched=False, stdin=text.encode(), timeout=300)
        self.seconds = time.monotonic() - start
        for rule in ("OUTPUT -m set --match-set refused dst -j DROP", "OUTPUT -m conntrack --ctstate NEW,ESTABLISHED -j ACCEPT"):
            self.n.run("iptables", "-A", *rule.split(), watched=False)
        rows.forget_connections(self.n)

    def off(self):
        self.n.run("iptables", "-F", watched=False)
        self.n.run("ipset", "destroy", watched=False)


class Lpm:
    """An LPM trie asked for each packet (bench/lpm.bpf.c)."""

    def __init__(self, n):
        self.n = n

    def on(self):
        with open(write_list(self.n, "addresses", address, MILLION), "rb") as f:
            self.child = subprocess.Popen([os.path.join(results.BUILD, "bench", "bench-lpm"), self.n.cgroup], stdin=f,
                                          stdout=subprocess.PIPE, text=True)
        self.n.children.append(self.child)
        line = self.child.stdout.readline()
        if "attached" not in line:
            raise RuntimeError("bench-lpm did not attach")
        self.seconds = float(line.split()[2])

    def off(self):
        self.n.stop(self.child, signal.SIGKILL)


NOTHING = (("nothing", rows.Nothing), ("nothing, again", rows.Nothing))
SIZES = NOTHING + (
    ("10 rules", Enforcing, 10, 0, 0),
    ("1,000 rules", Enforcing, 1000, 0, 0),
    ("10 rules, 1 k addresses", Enforcing, 10, 1000, 0),
    ("10 rules, 100 k addresses", Enforcing, 10, 100_000, 0),
    ("10 rules, 1 M addresses", Enforcing, 10, MILLION, 0),
    ("10 rules, 1 k names", Enforcing, 10, 0, 1000),
    ("10 rules, 100 k names", Enforcing, 10, 0, 100_000),
    ("10 rules, 1 M names", Enforcing, 10, 0, MILLION),
    ("1,000 rules, 1 M + 1 M", Enforcing, 1000, MILLION, MILLION))
PEERS = NOTHING + (
    ("egretd, 1,000 rules, 1 M + 1 M", Enforcing, 1000, MILLION, MILLION),
    ("nftables, conntrack, 1 M set", NftablesSet),
    ("iptables, conntrack, ipset 1 M", Ipset),
    ("LPM trie, 1 M", Lpm),
    ("OpenSnitch", rows.OpenSnitch))


def speed(n, rounds, which):
    there, absent = rows.runnable(n, which)
    return "\n\n".join([rows.compare(there, rows.measure(n, there, rounds)), *absent])


def memory(d):
    """Of the daemon, now and at its highest, and of its maps in the kernel; MiB."""
    with open(f"/proc/{d.child.pid}/status", encoding="ascii", errors="replace") as f:
        peak = next(int(line.split()[1]) for line in f if line.startswith("VmHWM"))
    status = rows.json.loads(d.egret("status", "--json").stdout)
    return place.rss_bytes(d.child.pid) >> 20, peak >> 10, status["kernel_bytes"] >> 20


def load(n, rounds):
    out = []
    for title, kind, *args in SIZES[2:]:
        row, took = kind(n, *args), []
        for _ in range(min(rounds, 5)):
            row.on()
            took.append(row.seconds)
            used = memory(row.d)
            row.off()
        out.append((title, f"{sorted(took)[len(took) // 2]:.2f}", *used))
    for title, kind in (("nftables set of 1 M", NftablesSet), ("ipset of 1 M", Ipset), ("LPM trie of 1 M", Lpm)):
        row = kind(n)
        row.on()
        out.append((title, f"{row.seconds:.2f}", "", "", ""))
        row.off()
    return ("Asked for: at most 3 s and 150 MiB for 1 M + 1 M. Addresses and names are in files, read as `list`.\n\n" +
            results.table(("policy", "text to enforced, s", "egretd, MiB", "at its highest", "in the kernel, MiB"), out))


def main():
    results.need_root()
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    only = sys.argv[2:] or ["size", "peers", "load"]
    n = place.Place("enf")
    try:
        n.sysctl(ip_local_port_range="1024 65535", tcp_tw_reuse=1, tcp_max_tw_buckets=1024)
        parts = {"size": lambda: "Size of the policy.\n\n" + speed(n, rounds, SIZES),
                 "peers": lambda: "Beside others.\n\n" + speed(n, rounds, PEERS),
                 "load": lambda: load(n, rounds)}
        head = ("Speed beside nothing in the way, from the CPU time of one process on one core that sends and receives on "
                f"one host; both ends are watched. Blocks of {rows.BLOCK_MS} ms, medians of {rounds} rounds.\n\n")
        results.write("enforce", "Enforcing a policy", head + "\n\n".join(parts[p]() for p in only) + "\n\n" +
                      results.versions("nftables", "iptables", "ipset", "opensnitch"),
                      " ".join(["./dev bench enforce", *sys.argv[1:]]))
    finally:
        n.close()


main()
