# SPDX-License-Identifier: Apache-2.0
"""MSG_ZEROCOPY: the pages themselves."""
import socket

from aim import FORBIDDEN4, MARK, PORT, run, udp

SO_ZEROCOPY, MSG_ZEROCOPY = 60, 0x4000000


def attempt():
    s = udp()
    s.setsockopt(socket.SOL_SOCKET, SO_ZEROCOPY, 1)
    s.sendto(MARK.ljust(1200, b"."), MSG_ZEROCOPY, (FORBIDDEN4, PORT))


run(attempt)
