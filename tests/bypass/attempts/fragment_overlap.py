# SPDX-License-Identifier: Apache-2.0
"""A datagram to an allowed port in two pieces, of which the second writes another port over the first one's."""
import socket
import struct

from aim import ALLOWED4, HERE4, MARK, PORT, ip4, run


def attempt():
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    data = MARK.ljust(64, b".")
    for port, more, text in ((7002, 0x2000, b"o" * 64), (PORT, 0, data)):
        piece = bytearray(ip4(HERE4, ALLOWED4, 17, struct.pack(">HHHH", 4000, port, 72, 0) + text))
        piece[4:8] = struct.pack(">HH", 0x4242, more) if more else struct.pack(">HH", 0x4242, 1)
        s.sendto(piece, (ALLOWED4, 0))


run(attempt)
