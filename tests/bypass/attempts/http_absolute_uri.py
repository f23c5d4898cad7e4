# SPDX-License-Identifier: Apache-2.0
"""The other host in the request line, where it outranks the Host field (RFC 9112, 3.2.2)."""
from aim import GOOD, MARK, OTHER, resolve, run, tcp, tell


def attempt():
    s = tcp(resolve(GOOD), 80)
    tell(s, b"GET http://" + OTHER.encode() + b"/" + MARK + b" HTTP/1.1\r\nHost: " + GOOD.encode() + b"\r\n\r\n")


run(attempt)
