# SPDX-License-Identifier: Apache-2.0
"""A network namespace of one's own, joined to this one by a veth pair and routed."""
import os

from aim import CLONE_NEWNET, FORBIDDEN4, MARK, PORT, call, command, run, udp

NAMESPACE = f"egtry{os.getpid()}"


def attempt():
    command("ip", "netns", "add", NAMESPACE)
    try:
        command("ip", "link", "add", "b0", "type", "veth", "peer", "name", "b1", "netns", NAMESPACE)
        command("ip", "addr", "add", "10.98.0.1/24", "dev", "b0")
        command("ip", "link", "set", "b0", "up")
        command("ip", "-n", NAMESPACE, "addr", "add", "10.98.0.2/24", "dev", "b1")
        command("ip", "-n", NAMESPACE, "link", "set", "b1", "up")
        command("ip", "-n", NAMESPACE, "route", "add", "default", "via", "10.98.0.1")
        with open("/proc/sys/net/ipv4/ip_forward", "w", encoding="ascii") as f:
            f.write("1")
        with open("/run/netns/" + NAMESPACE, encoding="ascii") as f:
            call("setns", f.fileno(), CLONE_NEWNET)
        for _ in range(3):
            udp().sendto(MARK, (FORBIDDEN4, PORT))
    finally:
        command("ip", "netns", "del", NAMESPACE)


run(attempt)
