# SPDX-License-Identifier: Apache-2.0
"""The allowed program's connection, taken out of it (pidfd_getfd)."""
import os
import socket
import subprocess

from aim import COURIER, FORBIDDEN4, call, hello, run, tcp, tell


def attempt():
    courier = subprocess.Popen([COURIER, "tcp-hold", FORBIDDEN4, "7001", "hello"], stdout=subprocess.PIPE,
                               stdin=subprocess.PIPE)
    fd = int(courier.stdout.readline())
    stolen = call("syscall", 438, os.pidfd_open(courier.pid), fd, 0)
    tell(socket.socket(fileno=stolen))
    courier.communicate(timeout=2)


run(attempt)
