# SPDX-License-Identifier: Apache-2.0
"""The allowed program under another name (hard link), doing another's work."""
import os
import subprocess

from aim import COURIER, DIRECTORY, FORBIDDEN4, MARK, run, tcp


def attempt():
    link = os.path.join(os.path.dirname(DIRECTORY), "linked")
    os.link(COURIER, link)
    try:
        subprocess.run([link, "tcp", FORBIDDEN4, "7001", MARK], check=False)
    finally:
        os.unlink(link)


run(attempt)
