# SPDX-License-Identifier: Apache-2.0
"""A good request first, on the same connection one for another host."""
from aim import GOOD, MARK, OTHER, resolve, run, tcp, tell


def attempt():
    s = tcp(resolve(GOOD), 80)
    tell(s, b"GET / HTTP/1.1\r\nHost: " + GOOD.encode() + b"\r\n\r\n")
    tell(s, b"GET /" + MARK + b" HTTP/1.1\r\nHost: " + OTHER.encode() + b"\r\n\r\n")


run(attempt)
