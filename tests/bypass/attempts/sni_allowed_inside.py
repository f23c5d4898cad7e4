# SPDX-License-Identifier: Apache-2.0
"""Names that begin or end with the allowed one."""
from aim import GOOD, resolve, run, tcp, tls_then_mark


def attempt():
    address = resolve(GOOD)
    for name in (GOOD + ".evil.lab.example", "not" + GOOD, "x." + GOOD, GOOD + "\0.evil.example"):
        tls_then_mark(tcp(address, 443), name)


run(attempt)
