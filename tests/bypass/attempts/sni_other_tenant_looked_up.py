# SPDX-License-Identifier: Apache-2.0
"""The same, after the other tenant was looked up as well."""
from aim import GOOD, OTHER, resolve, run, tcp, tls_then_mark


def attempt():
    resolve(GOOD)
    tls_then_mark(tcp(resolve(OTHER), 443), OTHER)


run(attempt)
