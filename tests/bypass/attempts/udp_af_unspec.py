# SPDX-License-Identifier: Apache-2.0
"""Connected to an allowed server, disconnected with AF_UNSPEC, connected to another."""
from aim import ALLOWED4, FORBIDDEN4, MARK, PORT, call, hello, run, udp


def attempt():
    s = udp()
    s.connect((ALLOWED4, 7002))
    s.send(b"hello")
    call("connect", s.fileno(), b"\0" * 16, 16)
    s.connect((FORBIDDEN4, PORT))
    s.send(MARK)


run(attempt)
