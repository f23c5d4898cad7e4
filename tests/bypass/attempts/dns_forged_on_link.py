# SPDX-License-Identifier: Apache-2.0
"""
Somebody on the link sends answers in the trusted resolver's name, to the right port, that nobody asked for.
"""
import sys

from aim import ALLOWED4, FORBIDDEN4, GOOD, query, run, tcp, tls_then_mark, udp


def attempt():
    client = udp()
    client.connect((ALLOWED4, 53))
    client.settimeout(2)
    client.send(query(GOOD, 77))
    client.recv(512)
    print(client.getsockname()[1], flush=True)
    sys.stdin.readline()
    tls_then_mark(tcp(FORBIDDEN4, 443), GOOD)


run(attempt)
