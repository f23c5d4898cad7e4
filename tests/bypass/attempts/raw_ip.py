# SPDX-License-Identifier: Apache-2.0
"""UDP made by hand on a raw socket (IP_HDRINCL)."""
import socket

from aim import FORBIDDEN4, HERE4, MARK, PORT, run, udp_packet


def attempt():
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    s.sendto(udp_packet(HERE4, FORBIDDEN4, 4000, PORT, MARK), (FORBIDDEN4, 0))


run(attempt)
