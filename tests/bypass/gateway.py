#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The bypass suite of a gateway: a machine inside, whose kernel is its own, tries what run.py tries on a host.

    gateway.py [--free] [NAME...]

The attempts run where no policy holds; egretd is on the gateway and judges what it forwards. No NAT: conntrack
would put fragments together, and hide what is to be tried.
"""
import os
import sys

import run
from run import A4, CDN4, F4, WILD4, must
from table import behind_a_gateway

import gateway_lab

F6 = "fd77::3"


def build():
    lab = gateway_lab.build("bygate")
    for address, width in ((F4, 32), (CDN4, 32), (WILD4, 32), (F6, 128)):
        must("ip", "-n", lab.server, "addr", "add", f"{address}/{width}", "dev", "s0", *(["nodad"] if width == 128 else []))
        must("ip", "-n", lab.gateway, "route", "add", address, "dev", "wan0")
    must(*gateway_lab.inside(lab, "nft", "delete", "table", "inet", "nat"))
    return lab


class Guarded(run.Guarded):
    """egretd on the gateway, over a cgroup of its own in which nothing runs."""

    WATCH = "watch gateway\ngateway { inside lan0, lan1  outside wan0 }\n"

    def place(self):
        return self.lab.gateway, self.lab.make_cgroup(os.path.basename(self.lab.cgroup) + "none")


class Suite(run.Suite):
    POLICY = """resolvers {A4}
allow to good.lab.example    port 25/tcp, 80/tcp, 443
allow to *.wild.lab.example  port 443/tcp
allow to {A4} port 7002/udp, 7005-7099/udp, 20000-60000/udp
{more}default deny
"""
    GUARD = Guarded
    AGAIN = ("tcp_connect", "udp_unconnected", "raw_ip", "sni_other_tenant", "control_name")

    def near(self):
        return self.lab.gateway


if __name__ == "__main__":
    sys.exit(run.main(Suite, behind_a_gateway(), build))
