# SPDX-License-Identifier: Apache-2.0
"""A gateway with two inside interfaces and one outside: lan0 to n.client, lan1 to n.second, wan0 to n.server."""
import lab
from lab import C4, C6, S4, S6

I4, I6 = "10.77.0.33", "fd77::33"         # of n.second


def inside(n, *argv):
    """The command in the gateway's network namespace."""
    return ["nsenter", f"--net=/run/netns/{n.gateway}", *argv]


class Gateway(lab.Daemon):
    """egretd in the gateway's network namespace."""

    def inside(self, *argv):
        return inside(self.lab, *argv)


def wire(n, ns, dev, gateway_dev, v4, v6, via):
    """One machine and its cable to the gateway; routes by address, so that all keep the lab's addresses."""
    lab.must("ip", "link", "add", dev, "netns", ns, "type", "veth", "peer", "name", gateway_dev, "netns", n.gateway)
    for where, name in ((ns, dev), (n.gateway, gateway_dev)):
        lab.must("ip", "-n", where, "link", "set", "lo", "up")
        lab.must("ip", "-n", where, "link", "set", name, "up")
    gate4, gate6 = f"10.79.{via}.1", f"fd79:{via}::1"
    routes(n, gateway_dev, v4, v6, via)
    lab.must("ip", "-n", ns, "addr", "add", v4 + "/32", "dev", dev)
    lab.must("ip", "-n", ns, "addr", "add", v6 + "/128", "dev", dev, "nodad")
    for gate, family, own in ((gate4, "-4", v4), (gate6, "-6", v6)):
        lab.must("ip", family, "-n", ns, "route", "add", gate, "dev", dev, "src", own)
        lab.must("ip", family, "-n", ns, "route", "add", "default", "via", gate, "dev", dev, "src", own)


def routes(n, dev, v4, v6, via):
    lab.must("ip", "-n", n.gateway, "addr", "add", f"10.79.{via}.1/32", "dev", dev)
    lab.must("ip", "-n", n.gateway, "addr", "add", f"fd79:{via}::1/128", "dev", dev, "nodad")
    lab.must("ip", "-n", n.gateway, "route", "add", v4, "dev", dev)
    lab.must("ip", "-n", n.gateway, "route", "add", v6, "dev", dev)


def build(name):
    """Two machines inside (n.client, n.second), the gateway, and n.server outside; it masquerades."""
    n = lab.Lab(name)
    n.gateway, n.second = n.name + "g", n.name + "i"
    n.add_ns(n.gateway)
    n.add_ns(n.second)
    lab.must("ip", "-n", n.client, "link", "del", "c0")
    wire(n, n.client, "c0", "lan0", C4, C6, 1)
    wire(n, n.second, "i0", "lan1", I4, I6, 2)
    wire(n, n.server, "s0", "wan0", S4, S6, 3)
    for key in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"):
        lab.must(*inside(n, "sysctl", "-qw", key + "=1"))
    lab.must(*inside(n, "nft", "add table inet nat; add chain inet nat post { type nat hook postrouting priority 100; }; "
                     "add rule inet nat post oifname wan0 masquerade"))
    return n


def filters(n, dev):
    return "".join(lab.must(*inside(n, "tc", "filter", "show", "dev", dev, way)) for way in ("ingress", "egress"))
