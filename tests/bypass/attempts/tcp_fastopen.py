# SPDX-License-Identifier: Apache-2.0
"""Data within the SYN, by sendto() without connect()."""
import socket

from aim import FORBIDDEN4, MARK, PORT, run

TCP_FASTOPEN_CONNECT, MSG_FASTOPEN, TCP_FASTOPEN_NO_COOKIE = 30, 0x20000000, 34


def attempt():
    s = socket.socket()
    s.settimeout(2)
    s.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, 1)
    s.sendto(MARK, MSG_FASTOPEN, (FORBIDDEN4, PORT))
    s.recv(16)


run(attempt)
