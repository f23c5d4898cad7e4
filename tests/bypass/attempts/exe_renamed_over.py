# SPDX-License-Identifier: Apache-2.0
"""A running program, renamed to where the allowed one was."""
import os
import shutil
import subprocess

from aim import BUILD, COURIER, DIRECTORY, FORBIDDEN4, MARK, run, tcp


def attempt():
    kept = COURIER + ".kept"
    mine = os.path.join(DIRECTORY, "mine")
    shutil.copy(os.path.join(BUILD, "stranger"), mine)
    child = subprocess.Popen([mine, "tcp-wait", FORBIDDEN4, "7001", MARK], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE)
    child.stdout.readline()
    os.rename(COURIER, kept)
    try:
        os.rename(mine, COURIER)
        child.communicate(b"go\n", timeout=5)
    finally:
        os.rename(kept, COURIER)


run(attempt)
