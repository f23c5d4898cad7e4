# SPDX-License-Identifier: Apache-2.0
"""Multipath TCP."""
from aim import FORBIDDEN4, PORT, run, tcp, tell


def attempt():
    tell(tcp(FORBIDDEN4, PORT, 262))


run(attempt)
