# SPDX-License-Identifier: Apache-2.0
"""The allowed script does what it may."""
from aim import DIRECTORY, FORBIDDEN4, MARK, pass_on, run


def attempt():
    pass_on(DIRECTORY + "/job.py", FORBIDDEN4, 7003, MARK.decode())


run(attempt)
