# SPDX-License-Identifier: Apache-2.0
"""Threads that send while the process becomes the allowed program."""
import os
import subprocess

from aim import BUILD, COURIER, FORBIDDEN4, MARK, run


def attempt():
    for _ in range(40):
        subprocess.run([os.path.join(BUILD, "race_exec"), COURIER, FORBIDDEN4, "7001", MARK], check=False)


run(attempt)
