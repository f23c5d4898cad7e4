# SPDX-License-Identifier: Apache-2.0
"""SCTP, data right behind the handshake."""
import socket

from aim import FORBIDDEN4, MARK, PORT, run


def attempt():
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132)
    s.settimeout(2)
    s.connect((FORBIDDEN4, PORT))
    s.send(MARK)


run(attempt)
