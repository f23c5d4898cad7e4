# SPDX-License-Identifier: Apache-2.0
"""A socket made in one cgroup, used in another."""
import os

from aim import FORBIDDEN4, MARK, PORT, run, udp


def attempt():
    s = udp()
    for name in ("one", "two"):
        child = os.path.join(os.environ["EGRET_CGROUP"], name)
        os.makedirs(child, exist_ok=True)
        with open(os.path.join(child, "cgroup.procs"), "w", encoding="ascii") as f:
            f.write("0")
        s.sendto(MARK, (FORBIDDEN4, PORT))


run(attempt)
