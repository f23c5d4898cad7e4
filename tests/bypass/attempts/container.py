# SPDX-License-Identifier: Apache-2.0
"""All namespaces at once, a new root, a new /proc: what a container is, and one inside it."""
from aim import FORBIDDEN4, MARK, PORT, command, run


def attempt():
    inner = ("import socket\ns=socket.socket(2,2)\ns.sendto(%r,(%r,%d))" % (MARK, FORBIDDEN4, PORT))
    command("unshare", "-mpuiCf", "--mount-proc", "unshare", "-mpuiCf", "--mount-proc", "/usr/bin/python3", "-c", inner)


run(attempt)
