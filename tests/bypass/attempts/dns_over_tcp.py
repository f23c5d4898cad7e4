# SPDX-License-Identifier: Apache-2.0
"""The same over TCP."""
from aim import FORBIDDEN4, MARK, query, run, tcp, tell


def attempt():
    q = query(MARK.decode() + ".lab.example")
    tell(tcp(FORBIDDEN4, 53), len(q).to_bytes(2, "big") + q)


run(attempt)
