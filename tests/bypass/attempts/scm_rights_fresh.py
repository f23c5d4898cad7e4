# SPDX-License-Identifier: Apache-2.0
"""A socket that the allowed program made, connected by a stranger."""
import socket
import subprocess

from aim import COURIER, FORBIDDEN4, run, tell


def attempt():
    ours, theirs = socket.socketpair()
    with subprocess.Popen([COURIER, "give-fresh"], stdin=theirs):
        _, fds, _, _ = socket.recv_fds(ours, 16, 1)
        s = socket.socket(fileno=fds[0])
        s.settimeout(2)
        s.connect((FORBIDDEN4, 7001))
        tell(s)


run(attempt)
