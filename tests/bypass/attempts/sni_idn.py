# SPDX-License-Identifier: Apache-2.0
"""A name that only looks like the allowed one (a Cyrillic letter), as bytes and as an A-label."""
from aim import GOOD, hello, resolve, run, tcp, tls_then_mark


def attempt():
    address = resolve(GOOD)
    for name in ("xn--gd-bkca.lab.example", "g\u043e\u043ed.lab.example"):
        host = name.encode()
        message = hello.handshake("x" * len(host)).replace(b"x" * len(host), host)
        tls_then_mark(tcp(address, 443), None, hello.records(message, 16384))


run(attempt)
