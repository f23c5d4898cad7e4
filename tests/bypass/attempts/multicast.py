# SPDX-License-Identifier: Apache-2.0
"""To whoever listens on the link."""
import socket

from aim import MARK, PORT, run, udp


def attempt():
    udp().sendto(MARK, ("239.77.0.3", PORT))
    udp("::").sendto(MARK, ("ff02::7777", PORT, 0, socket.if_nametoindex("c0")))


run(attempt)
