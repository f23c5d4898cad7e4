# SPDX-License-Identifier: Apache-2.0
"""A file, from the page cache to the socket (sendfile)."""
import os
import tempfile

from aim import FORBIDDEN4, MARK, PORT, run, tcp


def attempt():
    s = tcp(FORBIDDEN4, PORT)
    with tempfile.TemporaryFile() as f:
        f.write(MARK)
        f.flush()
        os.sendfile(s.fileno(), f.fileno(), 0, len(MARK))
    s.recv(16)


run(attempt)
