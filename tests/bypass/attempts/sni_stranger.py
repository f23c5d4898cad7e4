# SPDX-License-Identifier: Apache-2.0
"""The allowed name in the ClientHello, said to a stranger's address."""
from aim import FORBIDDEN4, GOOD, resolve, run, tcp, tls_then_mark


def attempt():
    resolve(GOOD)
    tls_then_mark(tcp(FORBIDDEN4, 443), GOOD)


run(attempt)
