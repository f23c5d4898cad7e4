# SPDX-License-Identifier: Apache-2.0
"""The other name in capitals and with a dot at its end."""
from aim import GOOD, OTHER, resolve, run, tcp, tls_then_mark


def attempt():
    address = resolve(GOOD)
    for name in (OTHER.upper() + ".", OTHER + ".", "OtHeR.lab.example"):
        tls_then_mark(tcp(address, 443), name)


run(attempt)
