# SPDX-License-Identifier: Apache-2.0
"""A raw socket told an allowed address, the packet's own header says another."""
import socket

from aim import ALLOWED4, FORBIDDEN4, HERE4, MARK, PORT, run, udp_packet


def attempt():
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    s.connect((ALLOWED4, 0))
    s.send(udp_packet(HERE4, FORBIDDEN4, 4000, PORT, MARK))


run(attempt)
