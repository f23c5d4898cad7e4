# SPDX-License-Identifier: Apache-2.0
"""Raw IP with the numbers of GRE, IP in IP and ESP."""
import socket

from aim import FORBIDDEN4, MARK, run


def attempt():
    for proto in (47, 4, 50):
        s = socket.socket(socket.AF_INET, socket.SOCK_RAW, proto)
        s.sendto(MARK.ljust(40, b"."), (FORBIDDEN4, 0))


run(attempt)
