# SPDX-License-Identifier: Apache-2.0
"""A user namespace with all rights of its own, and from there."""
from aim import CLONE_NEWNS, CLONE_NEWUSER, FORBIDDEN4, MARK, PORT, call, run, udp


def attempt():
    call("unshare", CLONE_NEWUSER | CLONE_NEWNS)
    udp().sendto(MARK, (FORBIDDEN4, PORT))


run(attempt)
