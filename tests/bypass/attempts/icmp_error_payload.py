# SPDX-License-Identifier: Apache-2.0
"""An ICMP error about a packet that never was, with the mark behind it."""
import socket
import struct

from aim import FORBIDDEN4, HERE4, MARK, checksum, ip4, run, udp_packet


def attempt():
    quoted = udp_packet(FORBIDDEN4, HERE4, 443, 4000, MARK)
    message = struct.pack(">BBHI", 3, 3, 0, 0) + quoted
    message = message[:2] + struct.pack(">H", checksum(message)) + message[4:]
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    s.sendto(ip4(HERE4, FORBIDDEN4, 1, message), (FORBIDDEN4, 0))


run(attempt)
