# SPDX-License-Identifier: Apache-2.0
"""UDP-Lite, a protocol that filters forget."""
import socket

from aim import FORBIDDEN4, MARK, PORT, run


def attempt():
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 136).sendto(MARK, (FORBIDDEN4, PORT))


run(attempt)
