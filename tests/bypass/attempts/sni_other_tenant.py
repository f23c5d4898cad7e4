# SPDX-License-Identifier: Apache-2.0
"""Another tenant's name at an address that the allowed name has too."""
from aim import GOOD, OTHER, resolve, run, tcp, tls_then_mark


def attempt():
    tls_then_mark(tcp(resolve(GOOD), 443), OTHER)


run(attempt)
