# SPDX-License-Identifier: Apache-2.0
"""To an allowed server: a first piece too short for ports, then the rest with a port that is not allowed."""
import socket
import struct

from aim import ALLOWED4, HERE4, MARK, PORT, ip4, run


def attempt():
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    datagram = struct.pack(">HHHH", 4000, PORT, 8 + 64, 0) + MARK.ljust(64, b".")
    for at, data in ((0x2000, datagram[:8]), (1, datagram[8:])):
        piece = bytearray(ip4(HERE4, ALLOWED4, 17, data))
        piece[6:8] = struct.pack(">H", at)
        s.sendto(piece, (ALLOWED4, 0))


run(attempt)
