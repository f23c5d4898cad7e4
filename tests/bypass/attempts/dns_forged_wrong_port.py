# SPDX-License-Identifier: Apache-2.0
"""An answer from the resolver's host, but not from its port 53."""
from aim import ALLOWED4, FORBIDDEN4, GOOD, HERE4, answer, perhaps, run, tcp, tls_then_mark, udp


def attempt():
    client = udp()
    client.bind((HERE4, 0))
    s = udp()
    s.bind((HERE4, 5353))
    perhaps(s.sendto, answer(GOOD, FORBIDDEN4), client.getsockname())
    # and one that the other side sends: it answers every question with what it is told, from port 5300
    client.sendto(answer(GOOD, FORBIDDEN4), (ALLOWED4, 7005))
    client.settimeout(1)
    client.recv(512)
    tls_then_mark(tcp(FORBIDDEN4, 443), GOOD)


run(attempt)
