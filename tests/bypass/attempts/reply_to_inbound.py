# SPDX-License-Identifier: Apache-2.0
"""An answer to a connection that came from outside."""
import socket

from aim import HERE4, run, tell


def attempt():
    s = socket.create_server((HERE4, 7100))
    s.settimeout(5)
    print("ready", flush=True)
    c, _ = s.accept()
    tell(c)


run(attempt)
