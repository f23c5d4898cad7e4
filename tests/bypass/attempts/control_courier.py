# SPDX-License-Identifier: Apache-2.0
"""The allowed program does what it may."""
from aim import COURIER, FORBIDDEN4, MARK, pass_on, run, tcp


def attempt():
    pass_on(COURIER, "tcp", FORBIDDEN4, 7001, MARK.decode())


run(attempt)
