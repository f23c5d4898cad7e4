# SPDX-License-Identifier: Apache-2.0
"""A child that changes its user."""
import os

from aim import FORBIDDEN4, PORT, run, tcp, tell


def attempt():
    pid = os.fork()
    if not pid:
        os.setgid(65534)
        os.setuid(65534)
        try:
            tell(tcp(FORBIDDEN4, PORT))
        finally:
            os._exit(0)
    os.waitpid(pid, 0)


run(attempt)
