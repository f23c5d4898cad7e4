# SPDX-License-Identifier: Apache-2.0
"""connect() that only pretends, so that the SYN takes data along (TCP_FASTOPEN_CONNECT)."""
import socket

from aim import FORBIDDEN4, PORT, run, tell

TCP_FASTOPEN_CONNECT, TCP_FASTOPEN_NO_COOKIE = 30, 34


def attempt():
    s = socket.socket()
    s.settimeout(2)
    s.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, 1)
    s.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1)
    s.connect((FORBIDDEN4, PORT))
    tell(s)


run(attempt)
