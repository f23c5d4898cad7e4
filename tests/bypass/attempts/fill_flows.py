# SPDX-License-Identifier: Apache-2.0
"""More destinations than the kernel can remember, then the forbidden one."""
from aim import ALLOWED4, FORBIDDEN4, MARK, PORT, run, udp


def attempt():
    s = udp()
    for port in range(20000, 60000):
        try:
            s.sendto(b"x", (ALLOWED4, port))
        except ConnectionRefusedError:
            pass
    sockets = [udp() for _ in range(900)]
    for i, other in enumerate(sockets):
        other.sendto(b"x", (ALLOWED4, 20000 + i))
    for other in (s, sockets[0], udp()):
        other.sendto(MARK, (FORBIDDEN4, PORT))


run(attempt)
