# SPDX-License-Identifier: Apache-2.0
"""Connected to an allowed server, then sendto() to another."""
from aim import ALLOWED4, FORBIDDEN4, MARK, PORT, hello, run, udp


def attempt():
    s = udp()
    s.connect((ALLOWED4, 7002))
    s.send(b"hello")
    s.sendto(MARK, (FORBIDDEN4, PORT))


run(attempt)
