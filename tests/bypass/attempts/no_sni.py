# SPDX-License-Identifier: Apache-2.0
"""A ClientHello without a name at the allowed name's address."""
from aim import GOOD, resolve, run, tcp, tls_then_mark


def attempt():
    tls_then_mark(tcp(resolve(GOOD), 443), "")


run(attempt)
