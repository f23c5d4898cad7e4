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
import subprocess
import sys
import time

import place
import results
import rows

ROWS = (("nothing", rows.Nothing), ("nothing, again", rows.Nothing), ("egretd watching", rows.Egretd),
        ("nftables with conntrack", rows.Nftables), ("OpenSnitch", rows.OpenSnitch))


def beside(n, rounds):
    there, absent = rows.runnable(n, ROWS)
    got = rows.measure(n, there, rounds)
    return ("Speed beside nothing in the way, from the CPU time of one process on one core that sends and receives over "
            f"loopback; blocks of {rows.BLOCK_MS} ms, medians of {rounds} rounds. Daemons work on whatever core is free: what "
            "they take is not in the first columns, what waiting for them costs is in the last three.\n\n" +
            rows.compare(there, got) +
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
        parts = {"hooks": lambda: hooks(rounds * 8), "rows": lambda: beside(n, rounds), "daemon": lambda: daemon(n)}
        results.write("live", "Watching a host", "\n\n".join(parts[p]() for p in only),
                      " ".join(["./dev bench live", *sys.argv[1:]]))
    finally:
        n.close()


main()
