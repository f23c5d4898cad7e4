# SPDX-License-Identifier: Apache-2.0
"""The allowed file as an argument of the dynamic loader."""
import os

from aim import COURIER, FORBIDDEN4, MARK, pass_on, run, tcp


def attempt():
    loader = next(p for p in ("/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1") if os.path.exists(p))
    pass_on(loader, COURIER, "tcp", FORBIDDEN4, 7001, MARK.decode())


run(attempt)
