# SPDX-License-Identifier: Apache-2.0
"""A request for another host in the same segment, behind the body of a good one."""
from aim import GOOD, MARK, OTHER, resolve, run, tcp, tell


def attempt():
    good = b"POST / HTTP/1.1\r\nHost: " + GOOD.encode() + b"\r\nContent-Length: 5\r\n\r\nhello"
    tell(tcp(resolve(GOOD), 80), good + b"GET /" + MARK + b" HTTP/1.1\r\nHost: " + OTHER.encode() + b"\r\n\r\n")


run(attempt)
