# SPDX-License-Identifier: Apache-2.0
"""A name that the wildcard takes in."""
from aim import resolve, run, tcp, tls_then_mark


def attempt():
    tls_then_mark(tcp(resolve("a.b.wild.lab.example"), 443), "a.b.wild.lab.example")


run(attempt)
