# SPDX-License-Identifier: Apache-2.0
"""A connection that the allowed program made and gives away."""
import socket
import subprocess

from aim import COURIER, FORBIDDEN4, run, tell


def attempt():
    ours, theirs = socket.socketpair()
    with subprocess.Popen([COURIER, "give-connected", FORBIDDEN4, "7001"], stdin=theirs):
        _, fds, _, _ = socket.recv_fds(ours, 16, 1)
        tell(socket.socket(fileno=fds[0]))


run(attempt)
