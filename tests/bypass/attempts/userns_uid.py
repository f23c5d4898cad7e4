# SPDX-License-Identifier: Apache-2.0
"""The user number of an allowed user, but only within a user namespace of one's own."""
import os

from aim import CLONE_NEWUSER, FORBIDDEN4, call, run, tcp, tell


def attempt():
    os.setgid(65534)
    os.setuid(65534)
    call("prctl", 4, 1, 0, 0, 0)
    call("unshare", CLONE_NEWUSER)
    with open("/proc/self/uid_map", "w", encoding="ascii") as f:
        f.write("65533 65534 1")
    os.setuid(65533)
    tell(tcp(FORBIDDEN4, 7004))


run(attempt)
