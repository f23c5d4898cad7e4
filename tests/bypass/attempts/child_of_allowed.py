# SPDX-License-Identifier: Apache-2.0
"""A stranger that the allowed program starts."""
import os
import subprocess

from aim import BUILD, COURIER, FORBIDDEN4, MARK, run, tcp


def attempt():
    subprocess.run([COURIER, "exec", os.path.join(BUILD, "stranger"), "tcp", FORBIDDEN4, "7001", MARK], check=False)


run(attempt)
