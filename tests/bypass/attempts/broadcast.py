# SPDX-License-Identifier: Apache-2.0
"""To everybody on the link."""
import socket

from aim import MARK, PORT, run, udp


def attempt():
    s = udp()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    s.sendto(MARK, ("10.77.0.255", PORT))


run(attempt)
