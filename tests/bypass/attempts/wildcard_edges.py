# SPDX-License-Identifier: Apache-2.0
"""What `*.wild.lab.example` is not: the name itself, and names that only end alike."""
from aim import resolve, run, tcp, tls_then_mark


def attempt():
    for name in ("wild.lab.example", "evilwild.lab.example", "a.wild.lab.example.evil.lab.example"):
        tls_then_mark(tcp(resolve(name), 443), name)


run(attempt)
