# SPDX-License-Identifier: Apache-2.0
"""What stands in the way of a benchmark's traffic, each row put there and taken away in turn, and their comparison."""
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys

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


def forget_connections(n):
    """Else conntrack's table is full of ended ones after some rounds, and what is dropped then is not its price."""
    for state in ("time_wait", "close", "last_ack"):
        place.lab.must("ip", "netns", "exec", n.client, "sysctl", "-qw",
                       f"net.netfilter.nf_conntrack_tcp_timeout_{state}=1")


def runnable(n, rows):
    """The rows, (name, class, arguments…), that can be had here, and why not the others."""
    there, absent = [], []
    for name, kind, *args in rows:
        try:
            row = kind(n, *args)
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


def compare(there, got):
    """The table: each row beside "nothing" of the same round."""
    base, out = got["nothing"], []
    for name, _ in there:
        speed = [statistics.median(b[0] / c[0] for b, c in zip(base[k], got[name][k])) for k, _ in KINDS]
        connections = [statistics.median(run[i] for run in got[name]["conn"]) for i in range(3)]
        more = statistics.median(c[2] - b[2] for b, c in zip(base["conn"], got[name]["conn"]))
        out.append((name, *(f"{v:.3f}" for v in speed), f"{1e9 / connections[1]:,.0f}", f"{connections[2] / 1000:.1f}",
                    f"{more / 1000:+.1f}"))
    return results.table(("row", *(name for _, name in KINDS), "connections/s", "connect() p50, us",
                          "more than nothing, us"), out)
