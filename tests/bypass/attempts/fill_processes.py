# SPDX-License-Identifier: Apache-2.0
"""Thousands of short processes, the allowed program among them, then a stranger."""
import os
import subprocess

from aim import BUILD, FORBIDDEN4, MARK, run, tcp


def attempt():
    subprocess.run([os.path.join(BUILD, "forks"), "20000"], check=True)
    subprocess.run([os.path.join(BUILD, "stranger"), "tcp", FORBIDDEN4, "7001", MARK], check=False)


run(attempt)
