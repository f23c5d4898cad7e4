# SPDX-License-Identifier: Apache-2.0
"""The same where the kernel makes the frame's header."""
import socket

from aim import FORBIDDEN4, HERE4, MARK, PORT, run, udp_packet


def attempt():
    s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM)
    s.sendto(udp_packet(HERE4, FORBIDDEN4, 4000, PORT, MARK), ("c0", 0x0800, 0, 0, b"\xff" * 6))


run(attempt)
