#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How fast `egret read --json` reads, beside every flow tool that Debian ships: one capture, one core, runs in turn.

usage: offline.py [rounds [copies]]       copies of the captures of EGRET_DATA (capture.py); 48 make 690 MB

What tools print goes to /dev/null, files that they insist on to tmpfs. Rates are of CPU time, which a busy machine
changes less than the clock on the wall. tshark, which takes a hundred times as long, reads the first TSHARK_PACKETS
only, and in two rounds: it grows slower with the packets it has seen, so this is in its favour.
"""
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import capture
import results

EGRET = os.path.join(results.BUILD, "src", "egret")
TSHARK_PACKETS = 200_000
FIELDS = ("frame.time_epoch", "frame.len", "ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "ip.proto", "tcp.srcport",
          "tcp.dstport", "udp.srcport", "udp.dstport", "tls.handshake.extensions_server_name", "dns.qry.name")
JSON, TSHARK, AS_IT_COMES = "egret read --json", "tshark -T fields", "softflowd"
CORE = str(max(os.sched_getaffinity(0)))


def tools(pcap, cut, tmp):
    """Name, what it tells, command, share of the rounds it takes part in, whether it counts as a flow tool."""
    fields = [x for f in FIELDS for x in ("-e", f)]
    # With a control socket it sometimes waits there for ever instead of reading.
    softflowd = ["softflowd", "-r", pcap, "-n", "127.0.0.1:9", "-p", os.path.join(tmp, "sf.pid"), "-c", "none"]
    return (
        (JSON, "flows, names, protocols, JA3, JA4, DNS, TLS, QUIC, HTTP", [EGRET, "read", "--json", "--quiet", pcap], False),
        ("egret read", "the same as a table", [EGRET, "read", "--quiet", pcap], False),
        ("tcpdump -w", "copies packets: a floor", ["tcpdump", "-r", pcap, "-w", "/dev/null"], False),
        ("nfpcapd", "flows", ["nfpcapd", "-r", pcap, "-w", os.path.join(tmp, "nf")], True),
        # As it comes it leaves out IPv6 and pushes out all flows but 8,192; the others do neither.
        ("softflowd -v9 -m 1000000", "flows", [*softflowd, "-v", "9", "-m", "1000000"], True),
        (AS_IT_COMES, "flows, IPv4 only, 8,192 at once", softflowd, False),
        ("argus", "flows", ["argus", "-r", pcap, "-w", "/dev/null"], True),
        ("ndpiReader -q", "flows, protocols, names", ["ndpiReader", "-q", "-i", pcap], True),
        (TSHARK, "5-tuple and names of each packet", ["tshark", "-n", "-r", cut, "-T", "fields", *fields], False),
    )


def run(argv, tmp):
    """CPU seconds, wall seconds and peak RSS in MB of one run on one core."""
    nf = os.path.join(tmp, "nf")
    shutil.rmtree(nf, ignore_errors=True)
    os.makedirs(nf)
    start = time.monotonic()
    peak = os.path.join(tmp, "peak")
    with open(os.path.join(tmp, "stderr"), "w+b") as err:
        # time(1) because a child's peak begins with what its parent had at fork: here with Python's
        child = subprocess.Popen(["timeout", "-k", "1", "600", "taskset", "-c", CORE, "time", "-f", "%M", "-o", peak, *argv],
                                 stdout=subprocess.DEVNULL, stderr=err, stdin=subprocess.DEVNULL, cwd=tmp)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        wall = time.monotonic() - start
        if child.returncode:
            err.seek(0)
            sys.exit(f"{' '.join(argv)} gave {child.returncode}: {err.read()[-500:].decode(errors='replace')}")
    with open(peak, encoding="ascii") as f:
        return usage.ru_utime + usage.ru_stime, wall, int(f.read()) / 1024


def room():
    """tmpfs when the capture fits twice, so that no disk is measured."""
    shm = "/dev/shm"
    return shm if os.path.isdir(shm) and shutil.disk_usage(shm).free > 4 << 30 else None


def measure(rows, rounds, tmp):
    got = {name: [] for name, *_ in rows}
    for n in range(rounds + 1):
        for i in range(len(rows)):
            name, _, argv, _ = rows[(i + n) % len(rows)]        # a different one first in each round
            if name == TSHARK and n not in (1, 2):
                continue
            one = run(argv, tmp)
            if n:                       # the first round warms the page cache
                got[name].append(one)
            print(f"{n} {name}: {one[0]:.2f} s CPU, {one[1]:.2f} s, {one[2]:.0f} MB", file=sys.stderr)
    return {name: [statistics.median(v[i] for v in runs) for i in range(3)] for name, runs in got.items()}


def verdict(rows, rate):
    by_tshark = rate[JSON] / rate[TSHARK]
    slower = [f"{name} ({rate[JSON] / rate[name]:.2f} times)" for name, _, _, flow_tool in rows
              if flow_tool and rate[name] < rate[JSON]]
    faster = [f"{name} ({rate[JSON] / rate[name]:.2f} times)" for name, _, _, flow_tool in rows
              if flow_tool and rate[name] >= rate[JSON]]
    return (f"`{JSON}` is {by_tshark:.0f} times as fast as `{TSHARK}` (asked for: 20), and faster than "
            f"{', '.join(slower) or 'no flow tool'}" + (f"; it is NOT faster than {', '.join(faster)}" if faster else "") +
            f". Beside softflowd as it comes, which leaves out IPv6 and keeps 8,192 flows, it is at "
            f"{rate[JSON] / rate[AS_IT_COMES]:.2f}.")


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    copies = int(sys.argv[2]) if len(sys.argv) > 2 else 48
    tmp = tempfile.mkdtemp(prefix="egret-bench.", dir=room())
    try:
        pcap, cut = os.path.join(tmp, "mixed.pcap"), os.path.join(tmp, "cut.pcap")
        made = capture.mixed(pcap, copies)
        cut_packets = min(TSHARK_PACKETS, made["packets"])
        subprocess.run(["tcpdump", "-r", pcap, "-c", str(cut_packets), "-w", cut], check=True, stderr=subprocess.DEVNULL)
        rows = tools(pcap, cut, tmp)
        middle = measure(rows, rounds, tmp)
        packets = {name: cut_packets if name == TSHARK else made["packets"] for name, *_ in rows}
        rate = {name: packets[name] / middle[name][0] for name in middle}
        lines = [(name, what, f"{rate[name] / 1e6:.3f}", f"{rate[name] / rate[JSON]:.2f}",
                  f"{packets[name] / middle[name][1] / 1e6:.3f}", f"{middle[name][2]:.0f}") for name, what, _, _ in rows]
        text = (f"{made['captures']} real captures, {made['copies']} times over with other addresses and times "
                f"(bench/capture.py): {made['packets']:,} packets, {made['bytes'] / 1e6:,.0f} MB, page cache warm. One core, "
                f"{rounds} rounds in turn, medians; output to /dev/null, files of nfpcapd to tmpfs; {TSHARK} reads the first "
                f"{cut_packets:,} packets, twice.\n\n{verdict(rows, rate)}\n\n" +
                results.table(("tool", "tells", "million packets per CPU second", "egret --json = 1",
                               "million packets/s on the wall", "peak MB"), lines) + "\n\n" +
                results.versions("tcpdump", "nfdump", "argus-server", "softflowd", "libndpi-bin", "tshark"))
        results.write("offline", "Reading a capture", text, " ".join(["./dev bench offline", *sys.argv[1:]]))
    finally:
        shutil.rmtree(tmp, ignore_errors=True)


if __name__ == "__main__":
    main()
