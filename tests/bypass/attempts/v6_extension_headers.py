# SPDX-License-Identifier: Apache-2.0
"""UDP behind a destination options header and behind a hop-by-hop one."""
import socket

from aim import FORBIDDEN6, MARK, PORT, run, udp


def attempt():
    for option in (socket.IPV6_DSTOPTS, socket.IPV6_HOPOPTS):
        s = udp(FORBIDDEN6)
        s.setsockopt(socket.IPPROTO_IPV6, option, b"\0\0\1\4\0\0\0\0")
        s.sendto(MARK, (FORBIDDEN6, PORT))


run(attempt)
