# SPDX-License-Identifier: Apache-2.0
"""The forbidden packet inside one to an allowed address (IP in IP)."""
import socket

from aim import ALLOWED4, FORBIDDEN4, HERE4, MARK, PORT, run, udp_packet


def attempt():
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 4)
    s.sendto(udp_packet(HERE4, FORBIDDEN4, 4000, PORT, MARK), (ALLOWED4, 0))


run(attempt)
