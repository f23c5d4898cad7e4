# SPDX-License-Identifier: Apache-2.0
"""Data where a ClientHello has begun and never ends."""
from aim import GOOD, MARK, OTHER, hello, resolve, run, tcp, tell_hello


def attempt():
    tell_hello(tcp(resolve(GOOD), 443), hello.client_hello(OTHER)[:40] + MARK)


run(attempt)
