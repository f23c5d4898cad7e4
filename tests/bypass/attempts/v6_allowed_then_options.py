# SPDX-License-Identifier: Apache-2.0
"""To an allowed address, with 64 bytes of options between the headers and a port that is not allowed."""
import socket

from aim import ALLOWED6, MARK, PORT, run, udp


def attempt():
    s = udp(ALLOWED6)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_DSTOPTS, b"\0\7\1\74" + b"\0" * 60)
    s.sendto(MARK, (ALLOWED6, PORT))


run(attempt)
