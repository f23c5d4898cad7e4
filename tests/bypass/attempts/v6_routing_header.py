# SPDX-License-Identifier: Apache-2.0
"""By way of an allowed address, with a routing header (segment routing, RFC 8754)."""
import socket

from aim import ALLOWED6, FORBIDDEN6, MARK, PORT, run, udp


def attempt():
    s = udp(FORBIDDEN6)
    hops = b"".join(socket.inet_pton(socket.AF_INET6, hop) for hop in (FORBIDDEN6, ALLOWED6))
    rthdr = b"\0\4\4\1\1\0\0\0" + hops
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RTHDR, rthdr)
    s.sendto(MARK, (FORBIDDEN6, PORT))


run(attempt)
