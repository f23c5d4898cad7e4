# SPDX-License-Identifier: Apache-2.0
"""An answer that seems to come from the trusted resolver, put on lo by a raw socket."""
import socket

from aim import ALLOWED4, FORBIDDEN4, GOOD, HERE4, answer, perhaps, run, tcp, tls_then_mark, udp, udp_packet


def attempt():
    client = udp()
    client.bind(("0.0.0.0", 0))
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    for here in ("127.0.0.1", HERE4):
        packet = udp_packet(ALLOWED4, here, 53, client.getsockname()[1], answer(GOOD, FORBIDDEN4))
        perhaps(s.sendto, packet, (here, 0))
    tls_then_mark(tcp(FORBIDDEN4, 443), GOOD)


run(attempt)
