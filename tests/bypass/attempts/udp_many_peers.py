# SPDX-License-Identifier: Apache-2.0
"""One unconnected socket: a thousand datagrams to the allowed server, one to the other."""
from aim import ALLOWED4, FORBIDDEN4, MARK, PORT, hello, run, udp


def attempt():
    s = udp()
    for i in range(1000):
        s.sendto(b"hello", (ALLOWED4, 7006 + i % 90))
    s.sendto(MARK, (FORBIDDEN4, PORT))


run(attempt)
