# SPDX-License-Identifier: Apache-2.0
"""DCCP."""
import socket
import struct

from aim import FORBIDDEN4, MARK, PORT, run


def attempt():
    s = socket.socket(socket.AF_INET, 6, 33)
    s.setsockopt(269, 2, struct.pack(">I", 42))
    s.settimeout(2)
    s.connect((FORBIDDEN4, PORT))
    s.send(MARK)


run(attempt)
