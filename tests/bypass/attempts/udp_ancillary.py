# SPDX-License-Identifier: Apache-2.0
"""sendmsg() with the outgoing interface and a source address of its own (IP_PKTINFO)."""
import socket
import struct

from aim import FORBIDDEN4, HERE4, MARK, PORT, run, udp

IP_PKTINFO = 8


def attempt():
    info = struct.pack("=i4s4s", socket.if_nametoindex("c0"), socket.inet_aton(HERE4), b"\0" * 4)
    udp().sendmsg([MARK], [(socket.IPPROTO_IP, IP_PKTINFO, info)], 0, (FORBIDDEN4, PORT))


run(attempt)
