# SPDX-License-Identifier: Apache-2.0
"""One sendmsg() that the kernel cuts into many datagrams (UDP_SEGMENT)."""
import socket

from aim import FORBIDDEN4, MARK, PORT, run, udp

UDP_SEGMENT = 103


def attempt():
    s = udp()
    s.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 100)
    s.sendto(MARK.ljust(1000, b"."), (FORBIDDEN4, PORT))


run(attempt)
