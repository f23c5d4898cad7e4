# SPDX-License-Identifier: Apache-2.0
"""The IPv4 address inside IPv6 ones: NAT64, 6to4, compatible."""
from aim import FORBIDDEN4, MARK, PORT, run, udp


def attempt():
    for host in ("64:ff9b::" + FORBIDDEN4, "2002:a4d:3::1"):
        udp(host).sendto(MARK, (host, PORT))


run(attempt)
