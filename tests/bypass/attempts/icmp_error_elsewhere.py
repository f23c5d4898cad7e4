# SPDX-License-Identifier: Apache-2.0
"""An ICMP error about a flow that is allowed, sent to somebody else, with the mark behind it."""
import socket
import struct

from aim import ALLOWED4, FORBIDDEN4, HERE4, MARK, checksum, ip4, run, udp, udp_packet


def attempt():
    s = udp()
    s.bind((HERE4, 0))
    s.sendto(b"allowed", (ALLOWED4, 7002))
    quoted = udp_packet(ALLOWED4, HERE4, 7002, s.getsockname()[1], MARK)
    message = struct.pack(">BBHI", 3, 3, 0, 0) + quoted
    message = message[:2] + struct.pack(">H", checksum(message)) + message[4:]
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    raw.sendto(ip4(HERE4, FORBIDDEN4, 1, message), (FORBIDDEN4, 0))


run(attempt)
