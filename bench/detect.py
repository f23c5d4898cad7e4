#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What detection costs: by itself (bench-detect) and as a share of `egret read` on one capture.

usage: detect.py [rounds [copies]]       copies of the captures of EGRET_DATA (capture.py)
"""
import json
import os
import statistics
import subprocess
import sys
import tempfile
import shutil

import capture
import offline
import results

LEAST = "--no-findings"


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    copies = int(sys.argv[2]) if len(sys.argv) > 2 else 24
    alone = json.loads(subprocess.run([os.path.join(results.BUILD, "bench", "bench-detect")], stdout=subprocess.PIPE,
                                      check=False).stdout)
    tmp = tempfile.mkdtemp(prefix="egret-bench.", dir=offline.room())
    try:
        pcap = os.path.join(tmp, "mixed.pcap")
        made = capture.mixed(pcap, copies)
        seconds, peak = {"on": [], "off": []}, {"on": 0.0, "off": 0.0}
        for n in range(rounds + 1):
            for name in ("on", "off") if n % 2 else ("off", "on"):
                argv = [offline.EGRET, "read", "--json", "--quiet", *([LEAST] if name == "off" else []), pcap]
                cpu, _, mb = offline.run(argv, tmp)
                if n:                   # the first round warms the page cache
                    seconds[name].append(cpu)
                    peak[name] = max(peak[name], mb)
        on, off = (statistics.median(seconds[x]) for x in ("on", "off"))
        ns = (on - off) * 1e9 / made["packets"]
        rows = (
            ("bulk traffic, a packet", f"{alone['bulk_ns_per_packet']:.1f} ns", "150 ns"),
            ("a flow: one request, one answer", f"{alone['ns_per_flow']:,.0f} ns", "2,000 ns"),
            ("a check-in, tests included", f"{alone['ns_per_checkin']:,.0f} ns", ""),
            ("one test of 128 check-ins", f"{alone['test_ns']:,.0f} ns", "10,000 ns"),
            (f"memory, {alone['pairs']:,} pairs that all came back 12 times", f"{alone['memory_bytes'] / 2**20:.0f} MiB",
             "128 MiB"),
            ("`egret read --json` with detection, beside without", f"+{100 * (on / off - 1):.1f} %", "+30 %"),
            ("the same, a packet", f"{ns:.0f} ns", "150 ns"),
        )
        text = (f"All detectors. `egret read`: {made['packets']:,} packets of {made['captures']} real captures, "
                f"{made['copies']} times over (bench/capture.py), {rounds} rounds in turn, medians of CPU seconds "
                f"({on:.2f} with, {off:.2f} without), at most {peak['on']:.0f} and {peak['off']:.0f} MB.\n\n" +
                results.table(("what", "measured", "goal"), rows))
        results.write("detect", "Detection", text, " ".join(["./dev bench detect", *sys.argv[1:]]))
    finally:
        shutil.rmtree(tmp, ignore_errors=True)


if __name__ == "__main__":
    main()
