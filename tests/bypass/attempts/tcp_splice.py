# SPDX-License-Identifier: Apache-2.0
"""From a pipe into the socket (splice)."""
import os

from aim import FORBIDDEN4, MARK, PORT, call, run, tcp


def attempt():
    s = tcp(FORBIDDEN4, PORT)
    r, w = os.pipe()
    os.write(w, MARK)
    call("splice", r, None, s.fileno(), None, len(MARK), 0)
    s.recv(16)


run(attempt)
