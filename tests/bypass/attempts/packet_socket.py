# SPDX-License-Identifier: Apache-2.0
"""A frame put on the wire beneath IP (AF_PACKET)."""
import socket

from aim import FORBIDDEN4, HERE4, MARK, PORT, run, udp_packet


def attempt():
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    s.bind(("c0", 0x0800))
    s.send(b"\xff" * 6 + s.getsockname()[4] + b"\x08\0" + udp_packet(HERE4, FORBIDDEN4, 4000, PORT, MARK))


run(attempt)
