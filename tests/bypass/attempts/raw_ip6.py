# SPDX-License-Identifier: Apache-2.0
"""Raw over IPv6, a protocol number that nobody uses."""
import socket

from aim import FORBIDDEN6, MARK, run


def attempt():
    s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, 253)
    s.sendto(MARK, (FORBIDDEN6, 0))


run(attempt)
