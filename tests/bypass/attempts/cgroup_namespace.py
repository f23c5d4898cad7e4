# SPDX-License-Identifier: Apache-2.0
"""A cgroup namespace of one's own, in which this cgroup is the root."""
from aim import CLONE_NEWCGROUP, CLONE_NEWNS, FORBIDDEN4, PORT, call, run, tcp, tell


def attempt():
    call("unshare", CLONE_NEWCGROUP | CLONE_NEWNS)
    tell(tcp(FORBIDDEN4, PORT))


run(attempt)
