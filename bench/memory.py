#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What 100,000 live flows take: memory of egretd and of its maps in the kernel, above what it takes with none."""
import json
import os
import sys
import time

import place
import results

FLOWS, PROCESSES = 100000, 10


def status(d):
    return json.loads(d.egret("status", "--json").stdout)


def main():
    results.need_root()
    n = place.Place("mem")
    try:
        n.sysctl(ip_local_port_range="1024 65535")
        d = n.daemon()
        before = status(d), place.rss_bytes(d.child.pid), meminfo()
        per = FLOWS // PROCESSES
        holders = [n.traffic("hold", per, wait=False) for _ in range(PROCESSES)]
        place.lab.wait_for("all flows to be known", lambda: status(d)["flows_now"] >= FLOWS, 120)
        time.sleep(3)                   # two sweeps: steady state, not the first burst
        after = status(d), place.rss_bytes(d.child.pid), meminfo()
        for h in holders:
            n.say(h, "end")
            h.wait(60)
        flows = after[0]["flows_now"] - before[0]["flows_now"]
        user, kernel = after[1] - before[1], after[0]["kernel_bytes"] - before[0]["kernel_bytes"]
        rows = [("egretd, resident", mb(before[1]), mb(after[1]), f"{user / flows:.0f}"),
                ("its maps and programs in the kernel", mb(before[0]["kernel_bytes"]), mb(after[0]["kernel_bytes"]),
                 f"{kernel / flows:.0f}"),
                ("flow table as it accounts itself", mb(before[0]["memory_bytes"]), mb(after[0]["memory_bytes"]),
                 f"{(after[0]['memory_bytes'] - before[0]['memory_bytes']) / flows:.0f}")]
        total = after[1] + after[0]["kernel_bytes"]
        text = (f"{flows:,} connected UDP sockets held by {PROCESSES} processes, each with one datagram sent, under a running "
                f"egretd. All in: {total / 1048576:.0f} MiB, {(user + kernel) / flows:.0f} bytes a flow above the idle "
                f"daemon. Lost: {after[0]['lost_total']}.\n\n" +
                results.table(("what", "idle, MiB", f"with {flows:,} flows, MiB", "bytes a flow"), rows))
        results.write("memory", "Memory of live flows", text, "./dev bench memory")
    finally:
        n.close()


def mb(n):
    return f"{n / 1048576:.1f}"


def meminfo():
    with open("/proc/meminfo", encoding="ascii") as f:
        return {line.split(":")[0]: int(line.split()[1]) for line in f}


if __name__ == "__main__":
    sys.exit(main())
