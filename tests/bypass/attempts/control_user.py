# SPDX-License-Identifier: Apache-2.0
"""The allowed user."""
import os

from aim import FORBIDDEN4, run, tcp, tell


def attempt():
    os.setgid(65533)
    os.setuid(65533)
    tell(tcp(FORBIDDEN4, 7004))


run(attempt)
