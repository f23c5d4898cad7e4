# SPDX-License-Identifier: Apache-2.0
"""Only a second piece, which has no ports, made by hand on a raw socket."""
import socket

from aim import FORBIDDEN4, HERE4, MARK, ip4, run


def attempt():
    piece = bytearray(ip4(HERE4, FORBIDDEN4, 17, MARK.ljust(64, b".")))
    piece[6:8] = b"\0\xb9"
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    s.sendto(piece, (FORBIDDEN4, 0))


run(attempt)
