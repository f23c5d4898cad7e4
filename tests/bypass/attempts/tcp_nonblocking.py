# SPDX-License-Identifier: Apache-2.0
"""A connect() whose result nobody waits for."""
import select
import socket

from aim import FORBIDDEN4, PORT, run, tell


def attempt():
    s = socket.socket()
    s.setblocking(False)
    s.connect_ex((FORBIDDEN4, PORT))
    select.select([], [s], [], 2)
    s.setblocking(True)
    tell(s)


run(attempt)
