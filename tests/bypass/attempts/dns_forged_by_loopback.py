# SPDX-License-Identifier: Apache-2.0
"""A resolver of one's own on 127.0.0.1 says that the forbidden address has the allowed name."""
from aim import FORBIDDEN4, GOOD, answer, query, run, tcp, tls_then_mark, udp


def attempt():
    server = udp()
    server.bind(("127.0.0.1", 53))
    client = udp()
    client.sendto(query(GOOD), ("127.0.0.1", 53))
    _, peer = server.recvfrom(512)
    server.sendto(answer(GOOD, FORBIDDEN4), peer)
    client.recv(512)
    tls_then_mark(tcp(FORBIDDEN4, 443), GOOD)


run(attempt)
