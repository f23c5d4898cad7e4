# SPDX-License-Identifier: Apache-2.0
"""A UDP socket that was in use when the policy came."""
import sys

from aim import FORBIDDEN4, MARK, PORT, hello, run, udp


def attempt():
    s = udp()
    s.connect((FORBIDDEN4, PORT))
    s.send(b"hello")
    print("ready", flush=True)
    sys.stdin.readline()
    s.send(MARK)


run(attempt)
