# SPDX-License-Identifier: Apache-2.0
"""A program that is in no file system (memfd), called like the allowed one."""
import os

from aim import COURIER, FORBIDDEN4, MARK, run, tcp


def attempt():
    fd = os.memfd_create(COURIER)
    with open(COURIER, "rb") as f:
        os.write(fd, f.read())
    os.execve(fd, [COURIER, "tcp", FORBIDDEN4, "7001", MARK.decode()], {})


run(attempt)
