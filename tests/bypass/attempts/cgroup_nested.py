# SPDX-License-Identifier: Apache-2.0
"""A cgroup of one's own below this one."""
import os

from aim import FORBIDDEN4, PORT, run, tcp, tell


def attempt():
    child = os.path.join(os.environ["EGRET_CGROUP"], "deeper", "still")
    os.makedirs(child)
    with open(os.path.join(child, "cgroup.procs"), "w", encoding="ascii") as f:
        f.write("0")
    tell(tcp(FORBIDDEN4, PORT))


run(attempt)
