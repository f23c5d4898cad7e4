# SPDX-License-Identifier: Apache-2.0
"""The same over IPv6."""
from aim import FORBIDDEN6, PORT, run, tcp, tell


def attempt():
    tell(tcp(FORBIDDEN6, PORT))


run(attempt)
