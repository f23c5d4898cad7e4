# SPDX-License-Identifier: Apache-2.0
"""A script of the allowed one's name, elsewhere, with the same interpreter."""
import os
import shutil
import subprocess
import tempfile

from aim import DIRECTORY, FORBIDDEN4, MARK, run


def attempt():
    with tempfile.TemporaryDirectory() as folder:
        path = shutil.copy(os.path.join(DIRECTORY, "job.py"), folder)
        subprocess.run([path, FORBIDDEN4, "7003", MARK], check=False)


run(attempt)
