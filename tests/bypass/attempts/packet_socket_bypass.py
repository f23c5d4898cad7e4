# SPDX-License-Identifier: Apache-2.0
"""The same past the queueing discipline (PACKET_QDISC_BYPASS), where tc does not look."""
import socket

from aim import FORBIDDEN4, HERE4, MARK, PORT, run, udp_packet

PACKET_QDISC_BYPASS = 20


def attempt():
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    s.setsockopt(263, PACKET_QDISC_BYPASS, 1)
    s.bind(("c0", 0x0800))
    s.send(b"\xff" * 6 + s.getsockname()[4] + b"\x08\0" + udp_packet(HERE4, FORBIDDEN4, 4000, PORT, MARK))


run(attempt)
