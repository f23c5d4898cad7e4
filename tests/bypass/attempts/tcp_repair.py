# SPDX-License-Identifier: Apache-2.0
"""A connection that never had a handshake (TCP_REPAIR)."""
import socket
import struct

from aim import FORBIDDEN4, HERE4, MARK, PORT, run

TCP_REPAIR, TCP_REPAIR_WINDOW, OFF_WITHOUT_A_PROBE = 19, 29, -1


def attempt():
    s = socket.socket()
    s.settimeout(1)
    s.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    s.bind((HERE4, 0))
    s.connect((FORBIDDEN4, PORT))
    s.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR_WINDOW, struct.pack("=IIIII", 0, 65535, 65535, 65535, 0))
    s.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, OFF_WITHOUT_A_PROBE)
    s.send(MARK)


run(attempt)
