# SPDX-License-Identifier: Apache-2.0
"""The allowed program, copied to another place."""
import shutil
import subprocess
import tempfile

from aim import COURIER, FORBIDDEN4, MARK, run, tcp


def attempt():
    with tempfile.TemporaryDirectory() as folder:
        path = shutil.copy(COURIER, folder)
        subprocess.run([path, "tcp", FORBIDDEN4, "7001", MARK], check=False)


run(attempt)
