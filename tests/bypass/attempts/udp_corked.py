# SPDX-License-Identifier: Apache-2.0
"""A datagram put together piece by piece (MSG_MORE), the address only with the first."""
import socket

from aim import FORBIDDEN4, MARK, PORT, run, udp


def attempt():
    s = udp()
    s.sendto(MARK[:4], socket.MSG_MORE, (FORBIDDEN4, PORT))
    s.sendto(MARK[4:], 0, (FORBIDDEN4, PORT))


run(attempt)
