# SPDX-License-Identifier: Apache-2.0
"""The plainest of all: connect and send."""
from aim import FORBIDDEN4, PORT, run, tcp, tell


def attempt():
    tell(tcp(FORBIDDEN4, PORT))


run(attempt)
