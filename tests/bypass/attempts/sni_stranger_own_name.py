# SPDX-License-Identifier: Apache-2.0
"""A stranger's name that was looked up, and the allowed one in the ClientHello."""
from aim import EVIL, GOOD, resolve, run, tcp, tls_then_mark


def attempt():
    tls_then_mark(tcp(resolve(EVIL), 443), GOOD)


run(attempt)
