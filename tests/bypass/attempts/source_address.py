# SPDX-License-Identifier: Apache-2.0
"""Somebody else's source address (IP_TRANSPARENT), bound to the device (SO_BINDTODEVICE)."""
import socket

from aim import FORBIDDEN4, MARK, PORT, run, udp


def attempt():
    s = udp()
    s.setsockopt(socket.IPPROTO_IP, 19, 1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"c0")
    s.bind(("10.77.0.99", 0))
    s.sendto(MARK, (FORBIDDEN4, PORT))


run(attempt)
