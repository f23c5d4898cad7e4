# SPDX-License-Identifier: Apache-2.0
"""The neighbour by its link-local address."""
import socket

from aim import MARK, PORT, run, udp


def attempt():
    udp("fe80::").sendto(MARK, ("fe80::77:2", PORT, 0, socket.if_nametoindex("c0")))


run(attempt)
