#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What 100,000 flows that are all open at once take: live under egretd, and in a capture under `egret read`.

Live: user space is egretd's resident memory without maps of the kernel that it has mapped; the kernel's part is what it accounts for egretd's maps and
programs, and the growth of slabs, where storage inside sockets lives, above what the same sockets take unwatched.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

import capture
import place
import results

FLOWS, PROCESSES = 100_000, 10
EGRET = os.path.join(results.BUILD, "src", "egret")
LIMIT_FLOW, LIMIT_ALL = 1024, 128


def status(d):
    return json.loads(d.egret("status", "--json").stdout)


def slabs():
    """Bytes of the kernel's unreclaimable slabs and per-CPU memory, once nothing waits to be freed."""
    time.sleep(3)
    with open("/proc/meminfo", encoding="ascii") as f:
        kb = dict(re.findall(r"^(\w+): +(\d+)", f.read(), re.M))
    return (int(kb["SUnreclaim"]) + int(kb["Percpu"])) * 1024


def held(n, kind, while_open):
    sinks = [n.start_traffic("sink", i, watched=False) for i in range(PROCESSES)]
    holders = [n.start_traffic("hold", kind, FLOWS // PROCESSES, i) for i in range(PROCESSES)]
    got = while_open()
    for h in holders + sinks:
        n.say(h, "end")
        h.wait(60)
    return got


def live(n, kind):
    empty = slabs()
    sockets = held(n, kind, slabs) - empty
    d = n.daemon()
    time.sleep(2)
    before, rss, slab = status(d), place.rss_bytes(d.child.pid), slabs()

    def look():
        place.lab.wait_for("all flows to be known", lambda: status(d)["flows_now"] >= FLOWS, 120)
        return slabs(), status(d), place.rss_bytes(d.child.pid)

    slab_after, after, rss_after = held(n, kind, look)
    d.stop()
    flows = after["flows_now"] - before["flows_now"]
    grown = max(0, slab_after - slab - sockets)
    total = rss_after + after["kernel_bytes"] + grown
    lost = ", ".join(f"{k} {v:,}" for k, v in after["lost"].items() if v) or "nothing"
    return (f"egretd, {kind} sockets of {PROCESSES} processes", f"{flows:,}", mb(rss), mb(rss_after),
            mb(after["kernel_bytes"]), mb(grown), mb(total), f"{(total - rss) / flows:.0f}", lost)


def offline(tmp):
    rows, base = [], 0
    for flows in (10, FLOWS):
        pcap, peak = os.path.join(tmp, "flows.pcap"), os.path.join(tmp, "peak")
        capture.concurrent(pcap, flows)
        out = subprocess.run(["time", "-f", "%M", "-o", peak, EGRET, "read", "--json", "--quiet", pcap], check=True,
                             capture_output=True, text=True, cwd=tmp).stdout
        with open(peak, encoding="ascii") as f:
            rss = int(f.read()) * 1024
        if flows < FLOWS:
            base = rss
            continue
        stats = json.loads(out.splitlines()[-1])["stats"]
        rows.append((f"egret read --json, {flows:,} UDP flows", f"{stats['flows_total']:,}", mb(base), mb(rss), "", "", mb(rss),
                     f"{(rss - base) / flows:.0f}", f"{stats['lost_total'] or 'nothing'}"))
    return rows


def mb(n):
    return f"{n / 1048576:.1f}"


def main():
    results.need_root()
    tmp = tempfile.mkdtemp(prefix="egret-bench.")
    n = place.Place("mem")
    try:
        n.sysctl(ip_local_port_range="1024 65535", tcp_max_tw_buckets=1024)
        rows = [live(n, "udp"), live(n, "tcp"), *offline(tmp)]
        bad = [r[0] for r in rows if float(r[6]) > LIMIT_ALL or int(r[7]) > LIMIT_FLOW]
        text = (f"Flows open at once; the far end of the live ones is not watched. Asked for: at most {LIMIT_FLOW} bytes a "
                f"flow and {LIMIT_ALL} MiB in all. " +
                (f"NOT kept by: {'; '.join(bad)}." if bad else "Kept by all.") + "\n\n" +
                results.table(("what", "flows", "resident without, MiB", "with", "maps and programs, MiB",
                               "in sockets, MiB", "all, MiB", "bytes a flow, all but the idle program", "lost"), rows))
        results.write("memory", "Memory of live flows", text, "./dev bench memory")
    finally:
        n.close()
        shutil.rmtree(tmp, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
