# SPDX-License-Identifier: Apache-2.0
"""The ClientHello in segments of 7 bytes."""
from aim import GOOD, OTHER, hello, resolve, run, tcp, tell


def attempt():
    s = tcp(resolve(GOOD), 443)
    greeting = hello.client_hello(OTHER)
    for i in range(0, len(greeting), 7):
        s.sendall(greeting[i:i + 7])
    tell(s)


run(attempt)
