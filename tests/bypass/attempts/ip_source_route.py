# SPDX-License-Identifier: Apache-2.0
"""A loose source route: the allowed server is only the last stop, the other one the first."""
import socket

from aim import ALLOWED4, FORBIDDEN4, MARK, run, udp


def attempt():
    with open("/proc/sys/net/ipv4/conf/all/accept_source_route", "w", encoding="ascii") as f:
        f.write("1")
    s = udp()
    option = b"\x83\x07\x04" + socket.inet_aton(FORBIDDEN4) + b"\0"
    s.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, option)
    s.sendto(MARK, (ALLOWED4, 7002))


run(attempt)
