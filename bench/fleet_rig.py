# SPDX-License-Identifier: Apache-2.0
"""What the benches of fleets share: a cluster in a namespace of its own, simulated hosts, CPU of its processes."""
import os
import shutil
import subprocess
import sys

import results

sys.path.insert(0, os.path.join(results.SOURCE, "tests", "e2e"))
os.environ.setdefault("EGRET_SOURCE", results.SOURCE)
os.environ.setdefault("EGRET_BUILD", results.BUILD)
import clickhouse_rig  # noqa: E402
import collector_rig  # noqa: E402
import lab  # noqa: E402

SIM = os.path.join(results.BUILD, "tools", "fleet-sim", "fleet-sim")
HISTORY = os.path.join(results.BUILD, "bench", "bench-history")
RIG_PORT = clickhouse_rig.PORT
TICKS = os.sysconf("SC_CLK_TCK")


def cluster(shards, replicas):
    gone = [x for x in clickhouse_rig.DEBIAN if not os.path.exists(x)]
    if gone:
        sys.exit(f"no {gone[0]} here: apt-get install clickhouse-server libzookeeper-java default-jre-headless")
    return clickhouse_rig.Cluster(shards, replicas)


def pairs(text):
    return {k: float(v) for k, v in (line.split() for line in text.splitlines() if len(line.split()) == 2)}


def cpu_of(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def cpu(where):
    """Seconds of (the servers, ZooKeeper)."""
    names = [x[:-4] for x in os.listdir(os.path.join(where.dir, "run")) if x.endswith(".pid")]
    spent = {name: cpu_of(where.pid(name)) for name in names}
    servers = sum(v for k, v in spent.items() if k.startswith("s"))
    return servers, sum(spent.values()) - servers


def cpu_of_family(pid):
    """Of a process and its children that live."""
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        return cpu_of(pid) + sum(cpu_of_family(int(x)) for x in f.read().split())


class Collector:
    """`egretd --collector` before a cluster, and certificates for simulated hosts."""

    def __init__(self, where, hosts):
        self.lab = lab.Lab("flt")
        password = os.path.join(self.lab.tmp, "password")
        shutil.copy(os.path.join(where.dir, "password"), password)
        ca = collector_rig.Authority(self.lab.tmp)
        self.collector = collector_rig.Collector(self.lab, where.ns, ca, [f"http://127.0.0.1:{RIG_PORT}"], password)
        roles = ("web", "web", "web", "web", "web", "db", "db", "dev", "mail", "build")     # of tools/fleet-sim/hosts.c
        pair = ca.issue("agents", *(f"DNS:{roles[i % 10]}-{i:05}" for i in range(hosts)))
        self.url = self.collector.url
        self.options = ("--ca", ca.ca, "--certificate", pair[0], "--key", pair[1])

    def cpu(self):
        return cpu_of_family(self.collector.child.pid)

    def drained(self):
        self.collector.drained()

    def close(self):
        self.collector.stop()
        self.lab.close()


def simulate(where, *options, workers=8, via=None):
    """(what each host sent: pieces, flows, up, down, names, rows of host; how it went)"""
    done = subprocess.run(["nsenter", f"--net=/run/netns/{where.ns}", SIM, "--url", via.url if via else f"http://127.0.0.1:{RIG_PORT}",
                           *(via.options if via else ("--user", "egret", "--password-file", os.path.join(where.dir, "password"))),
                           "--workers", str(workers), *map(str, options)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    hosts = [line.split("\t") for line in done.stdout.splitlines()[1:]]
    return {h[0]: tuple(map(int, h[1:])) for h in hosts}, pairs(done.stderr)
