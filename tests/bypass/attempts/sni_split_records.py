# SPDX-License-Identifier: Apache-2.0
"""One ClientHello in TLS records of 16 bytes."""
from aim import GOOD, OTHER, hello, resolve, run, tcp, tls_then_mark


def attempt():
    tls_then_mark(tcp(resolve(GOOD), 443), None, hello.records(hello.handshake(OTHER), 16))


run(attempt)
