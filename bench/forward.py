#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a gateway costs those whose packets it forwards.

usage: forward.py [blocks [only…]]       only: plain watch enforce nft flowtable

    near ──┬── plain gateway ─────────┬── far        each box a network namespace, each line a veth pair
           └── the gateway measured ──┘

One process on one core sends from near and receives at far, in blocks of some ms that go by one gateway and by the other in
turn; forwarding is part of its CPU time. The same policy everywhere: 1,000 pairs of address and port and a list of 1 M addresses,
of which the traffic meets none.
"""
import os
import statistics
import subprocess
import sys

import place
import results
from lists import MILLION, address, write_list

sys.path.insert(0, os.path.join(results.SOURCE, "tests", "e2e"))

import guarded                      # noqa: E402
import lab                          # noqa: E402

BLOCK_MS = 12
PROCESSES = 10
RULES = [(f"192.0.2.{i % 256}", 1 + i) for i in range(1000)]
WORKS = (("bulk", "TCP bulk"), ("cut", "TCP bulk, no offloads"), ("udp16", "UDP, 16 flows"), ("udp1000", "UDP, 1,000 flows"),
         ("conn", "connect+accept+close"))
MEASURED = 2        # of the two gateways


class Ground(lab.Lab):
    def __init__(self):
        super().__init__("fwd")
        lab.must("ip", "-n", self.client, "link", "del", "c0")
        self.gateways = {i: f"{self.name}g{i}" for i in (1, MEASURED)}
        for i, gateway in self.gateways.items():
            self.add_ns(gateway)
            lab.must("ip", "-n", gateway, "link", "set", "lo", "up")
            for end, net, here, there in ((self.client, 81, f"near{i}", "lan0"), (self.server, 82, f"far{i}", "wan0")):
                lab.must("ip", "link", "add", here, "netns", end, "type", "veth", "peer", "name", there, "netns", gateway)
                for ns, dev, host in ((end, here, 2), (gateway, there, 1)):
                    lab.must("ip", "-n", ns, "addr", "add", f"10.{net}.{i}.{host}/24", "dev", dev)
                    lab.must("ip", "-n", ns, "link", "set", dev, "up")
                lab.must("ip", "-n", end, "route", "add", f"10.{163 - net}.{i}.0/24", "via", f"10.{net}.{i}.1")
            self.set(gateway, "ip_forward", 1)
        for ns in (self.client, self.server):
            self.set(ns, "ip_local_port_range", "1024 65535")
            self.set(ns, "tcp_tw_reuse", 1)
            self.set(ns, "tcp_max_tw_buckets", 1024)

    def set(self, ns, key, value, family="net.ipv4"):
        lab.must("nsenter", f"--net=/run/netns/{ns}", "sysctl", "-qw", f"{family}.{key}={value}")

    def offloads(self, on):
        for ns, dev in ((self.client, "near"), (self.server, "far")):
            for i in self.gateways:
                lab.must("nsenter", f"--net=/run/netns/{ns}", "ethtool", "-K", f"{dev}{i}", *(
                    x for f in ("tso", "gso", "tx-udp-segmentation") for x in (f, "on" if on else "off")))

    def pairs(self, kind, blocks):
        """[(ns by the plain gateway, by the measured one, p50 of connect() by each)]. Some processes, one after the other:
        one connection has another window, and so another price, than the next."""
        self.offloads(kind != "cut")
        out = "".join(self.run(*place.PINNED, "paired", "bulk" if kind == "cut" else kind, max(blocks // PROCESSES, 1), BLOCK_MS,
                               f"/run/netns/{self.server}", *(f"10.82.{i}.2" for i in self.gateways), watched=False,
                               timeout=600) for _ in range(PROCESSES))
        return [tuple(map(float, line.split())) for line in out.splitlines()]


class Plain:
    def __init__(self, n):
        self.n, self.ns = n, n.gateways[MEASURED]

    def on(self):
        pass

    def off(self):
        pass


class Watch(Plain):
    def on(self):
        self.d = guarded.Guarded(self.n, conf="watch gateway\ngateway { inside lan0  outside wan0 }\n", ns=self.ns, start=True)

    def off(self):
        self.d.egret("disarm")
        self.d.stop()


class Enforce(Watch):
    def on(self):
        super().on()
        text = f'list many = file "{write_list(self.n, "addresses", address, MILLION)}" format plain\ndeny to list many\n'
        text += "".join(f"deny to {a} port {port}/tcp\n" for a, port in RULES) + "default allow\n"
        done = self.d.load(text, "--enforce", timeout=120)
        if done.returncode:
            raise RuntimeError(f"policy load: {done.stdout}{done.stderr}")


class Nftables(Plain):
    """Rules of one shape as one set, which is the fastest way to write them."""
    offload = ""

    def nft(self, *words):
        lab.must("nsenter", f"--net=/run/netns/{self.ns}", "nft", *words, timeout=600)

    def on(self):
        path = os.path.join(self.n.tmp, "forward.nft")
        pairs = ", ".join(f"{a} . {port}" for a, port in RULES)
        with open(path, "w", encoding="ascii") as f:
            f.write("table inet bench {\n"
                    f"set many {{ type ipv4_addr; flags interval; elements = {{ {', '.join(map(address, range(MILLION)))} }}; }}\n"
                    f"set few {{ type ipv4_addr . inet_service; elements = {{ {pairs} }}; }}\n"
                    f"chain forward {{ type filter hook forward priority 0; policy accept; {self.offload}\n"
                    "ct state established,related accept\nip daddr @many drop\nip daddr . tcp dport @few drop\n}\n}\n")
        self.nft("-f", path)
        for state in ("time_wait", "close", "last_ack"):
            self.n.set(self.ns, f"nf_conntrack_tcp_timeout_{state}", 1, "net.netfilter")

    def off(self):
        self.nft("flush", "ruleset")


class Flowtable(Nftables):
    offload = "meta l4proto { tcp, udp } flow add @fast"

    def on(self):
        self.nft("table inet bench { flowtable fast { hook ingress priority 0; devices = { lan0, wan0 }; }; }")
        super().on()


ROWS = (("plain", "plain forwarding, again", Plain), ("watch", "egretd watching", Watch),
        ("enforce", "egretd, 1,000 rules, 1 M enforced", Enforce), ("nft", "nftables, conntrack, the same", Nftables),
        ("flowtable", "the same with a flowtable", Flowtable))


def measure(row, n, blocks):
    cells, more = [], ""
    row.on()
    try:
        for kind, _ in WORKS:
            pairs = n.pairs(kind, blocks)
            low, median, high = statistics.quantiles((p[0] / p[1] for p in pairs), n=4)
            cells.append(f"{median:.3f} ({low:.2f} to {high:.2f})")
            if kind == "conn":
                more = f"{statistics.median(p[3] - p[2] for p in pairs) / 1000:+.1f}"
    finally:
        row.off()
    return (*cells, more)


def main():
    results.need_root()
    blocks = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    only = sys.argv[2:] or [row[0] for row in ROWS]
    n = Ground()
    try:
        table, absent = [], []
        for id, name, kind in ROWS:
            if id not in only:
                continue
            try:
                table.append((name, *measure(kind(n), n, blocks)))
            except subprocess.CalledProcessError as e:
                absent.append(f"{name}: did not run here: {e.stderr.splitlines()[0]}.")
        results.write("forward", "Forwarding", (
            "Speed beside plain forwarding, from the CPU time of one process on one core that sends through one of two gateways "
            f"and receives behind it; blocks of {BLOCK_MS} ms that go by the one and the other in turn, medians and quartiles of "
            f"{blocks} pairs, by {PROCESSES} processes. 1,000 rules and a list of 1 M addresses; none of them is met. The first row must be 1.00: what "
            "it is off by, the others may be, too. Asked for: at least 0.93 on bulk, "
            "0.90 on small UDP, and more than nftables everywhere.\n\n" +
            results.table(("gateway", *(name for _, name in WORKS), "more in connect() p50, us"), table) + "\n\n" +
            " ".join([*absent, results.versions("nftables")])), " ".join(["./dev bench forward", *sys.argv[1:]]))
    finally:
        n.close()


main()
