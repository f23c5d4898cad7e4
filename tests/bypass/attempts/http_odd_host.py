# SPDX-License-Identifier: Apache-2.0
"""A Host field with blanks, tabs and a line folded."""
from aim import GOOD, MARK, OTHER, resolve, run, tcp, tell


def attempt():
    address = resolve(GOOD)
    for odd in (b"Host :" + OTHER.encode(), b"Host:\r\n\t" + OTHER.encode(), b"hOsT:\t" + OTHER.encode() + b"\t"):
        s = tcp(address, 80)
        tell(s, b"GET /" + MARK + b" HTTP/1.1\r\n" + odd + b"\r\n\r\n")


run(attempt)
