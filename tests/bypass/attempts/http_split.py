# SPDX-License-Identifier: Apache-2.0
"""The head of the request in segments of 5 bytes."""
from aim import GOOD, MARK, resolve, run, tcp, tell


def attempt():
    s = tcp(resolve(GOOD), 80)
    for part in (b"GET /", b"x HTT", b"P/1.1", b"\r\nHo", b"st: o"):
        s.sendall(part)
    tell(s, b"ther.lab.example\r\nX: " + MARK + b"\r\n\r\n")


run(attempt)
