#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a fleet costs: a piece of a flow in egretd by stage, hosts × rates into a real cluster of 2 × 2 on this machine.

Usage: fleet.py [--quick] | fleet.py --peers (bench/fleet_peers.py) | fleet.py --ask URL FROM TO (bench/fleet_ask.py)
"""
import os
import subprocess
import sys
import tempfile
import time

import fleet_rig
import results
from fleet_rig import cpu, pairs, simulate

SHIP = os.path.join(results.BUILD, "bench", "bench-ship")
AIM = 50_000
STAGES = (("make", "the flow made (this bench's own, stands for src/flow)"), ("queue", "encoded for the queue"),
          ("take", "decoded by the writer"), ("row_binary", "as RowBinary"),
          ("commit", "packed, hashed, into the journal, synced; batches closed"), ("send", "read and sent by `egretd --ship`"))
STRAIGHT = ((20, 400), (20, 4000), (50, 1000), (100, 2000))
JOINED = ((20, 400), (20, 4000), (200, 4000), (500, 10000), (200, 20000))


def stages(flows):
    with tempfile.TemporaryDirectory(prefix="egret-ship.") as folder:
        got = pairs(subprocess.run([SHIP, folder, str(flows)], check=True, capture_output=True, text=True).stdout)
    whole = sum(got[name] for name, _ in STAGES[1:])
    rows = [[title, f"{got[name] / 1000:.2f} µs", f"{got[name] * AIM / 1e7:.1f} %"] for name, title in STAGES]
    rows.append(["**all but the making**", f"**{whole / 1000:.2f} µs**", f"**{whole * AIM / 1e7:.1f} %**"])
    rows.append(["of it zstd", f"{got['pack'] / 1000:.2f} µs", f"{got['pack'] * AIM / 1e7:.1f} %"])
    threads = got["all"] - got["make"] + got["send"]
    rows.append([f"**in real time, by egretd's threads, {got['all_rate']:,.0f}/s, without the making**",
                 f"**{threads / 1000:.2f} µs**", f"**{threads * AIM / 1e7:.1f} %**"])
    return results.table(("a piece", "CPU", f"at {AIM:,}/s, of a core"), rows) + (
        f"\n\nBytes a piece: {got['raw_bytes']:.0f} as RowBinary, {got['batch_bytes']:.0f} packed, in batches of "
        f"{got['batch_pieces']:,.0f}; {got['packed_bytes']:.0f} in packs of 2,000.")


def compare(cluster, sent):
    """Nothing lost, nothing twice."""
    text = cluster.ask("SELECT host, count(), countIf(seq = 0), sum(up_bytes), sum(down_bytes) FROM egret.flow GROUP BY host")
    there = {x[0]: tuple(map(int, x[1:])) for x in (line.split("\t") for line in text.splitlines())}
    return all(there.get(host, (0,) * 4) == s[:4] for host, s in sent.items())


def drive(cluster, hosts, rate, seconds, via=None):
    for table in ("flow_1_local", "name_1_local", "host_1_local"):
        cluster.ask(f"TRUNCATE TABLE egret.{table} ON CLUSTER egret")
    before, began, own = cpu(cluster), time.monotonic(), via.cpu() if via else 0
    sent, how = simulate(cluster, "--hosts", hosts, "--rate", rate, "--seconds", seconds, "--seed", hosts * rate, via=via)
    took = time.monotonic() - began
    if via:
        via.drained()
    after, rows = cpu(cluster), sum(s[0] + s[4] + s[5] for s in sent.values())
    pieces = sum(s[0] for s in sent.values())
    disk, kept = (int(x) for x in cluster.ask("SELECT sum(bytes), sum(rows) FROM system.parts WHERE active AND table = 'flow_1_local'").split("\t"))
    servers, keeper, exact = after[0] - before[0], after[1] - before[1], compare(cluster, sent)
    return ["through a collector" if via else "straight", f"{hosts}", f"{pieces / took:,.0f}", f"{how['inserts'] / took:.1f}",
            f"{how['insert_ms']:.0f} / {how['insert_ms_max']:,.0f} ms", f"{how['late_ms_max'] / 1000:.1f} s",
            f"{100 * servers / took:.0f} %", f"{100 * keeper / took:.0f} %", f"{1e6 * (servers + keeper) / rows:.0f} µs",
            f"{1e6 * (via.cpu() - own) / rows:.1f} µs" if via else "",
            f"{how['body_bytes'] / pieces:.0f}", f"{disk / max(kept, 1):.0f}",
            "yes" if exact and not how["retries"] else f"{'yes' if exact else 'NO'}, {how['retries']:.0f} retries"]


def fill(cluster, pieces):
    """Large blocks: what a piece costs the servers when inserts are no matter."""
    before, began = cpu(cluster), time.monotonic()
    sent, how = simulate(cluster, "--hosts", 200, "--fill", pieces, "--days", 1, "--seed", 99, workers=2)
    took, after = time.monotonic() - began, cpu(cluster)
    made = sum(s[0] for s in sent.values())
    return (f"{made:,} pieces in blocks of 250,000: {made / took:,.0f}/s, {1e6 * (after[0] - before[0]) / made:.1f} µs of CPU of the four servers a "
            f"piece (two replicas each), {1e6 * how['cpu'] / made:.1f} µs of the program that makes, packs and sends them.")


def main():
    if sys.argv[1:2] == ["--peers"]:
        os.execv(sys.executable, [sys.executable, "-B", os.path.join(results.HERE, "fleet_peers.py"), *sys.argv[2:]])
    if sys.argv[1:2] == ["--ask"]:
        os.execv(sys.executable, [sys.executable, "-B", os.path.join(results.HERE, "fleet_ask.py"), *sys.argv[2:]])
    quick = "--quick" in sys.argv
    results.need_root()
    own = stages(200_000 if quick else 1_000_000)
    cluster, seconds = fleet_rig.cluster(2, 2), 15 if quick else 30
    try:
        cluster.tool("migrate")
        runs = [drive(cluster, hosts, rate, seconds) for hosts, rate in STRAIGHT[:2 if quick else None]]
        via = fleet_rig.Collector(cluster, max(hosts for hosts, _ in JOINED))
        runs += [drive(cluster, hosts, rate, seconds, via) for hosts, rate in JOINED[:2 if quick else None]]
        via.close()
        blocks = fill(cluster, 200_000 if quick else 2_000_000)
    finally:
        cluster.close()
    text = f"""{own}

Simulated hosts (`tools/fleet-sim`: each a connection, its own batches of flows and of names every 5 s, quiet and busy ones), into a
cluster of two shards of two replicas with ZooKeeper, collector and all on this machine, {seconds} s each, from 8 threads (a late batch waited for one):

{results.table(("way", "hosts", "pieces/s", "batches/s", "answer to one, mean / worst", "late at most", "servers, of a core", "ZooKeeper",
                "both, a row", "collector, a row", "bytes a piece sent", "on disk, not merged", "sums exact"), runs)}

A row: of flows, names or hosts. {blocks}"""
    results.write("fleet", "Fleets: shipping to a cluster", text + "\n\n" + results.versions("clickhouse-server", "libzstd1"),
                  "./dev bench fleet" + (" --quick" if quick else ""))


main()
