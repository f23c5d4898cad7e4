# SPDX-License-Identifier: Apache-2.0
"""The same to a socket that did ask the resolver, with the number of its question."""
import socket

from aim import ALLOWED4, FORBIDDEN4, GOOD, HERE4, answer, perhaps, query, run, tcp, tls_then_mark, udp, udp_packet


def attempt():
    client = udp()
    client.connect((ALLOWED4, 53))
    client.send(query("nothing.lab.example", 77))
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    for ident in (77, 78):
        packet = udp_packet(ALLOWED4, HERE4, 53, client.getsockname()[1], answer(GOOD, FORBIDDEN4, ident))
        perhaps(s.sendto, packet, (HERE4, 0))
    tls_then_mark(tcp(FORBIDDEN4, 443), GOOD)


run(attempt)
