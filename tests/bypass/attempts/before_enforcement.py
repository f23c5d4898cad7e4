# SPDX-License-Identifier: Apache-2.0
"""A connection that was open when the policy came."""
import sys

from aim import FORBIDDEN4, PORT, hello, run, tcp, tell


def attempt():
    s = tcp(FORBIDDEN4, PORT)
    tell(s, b"hello")
    print("ready", flush=True)
    sys.stdin.readline()
    tell(s)


run(attempt)
