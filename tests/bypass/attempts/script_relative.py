# SPDX-License-Identifier: Apache-2.0
"""A relative path that ends like the allowed script's."""
import os
import shutil
import subprocess
import tempfile

from aim import DIRECTORY, FORBIDDEN4, MARK, run


def attempt():
    folder = tempfile.mkdtemp()
    inside = folder + DIRECTORY
    os.makedirs(inside)
    shutil.copy(os.path.join(DIRECTORY, "job.py"), inside)
    os.chdir(folder)
    try:
        subprocess.run(["." + DIRECTORY + "/job.py", FORBIDDEN4, "7003", MARK], check=False)
    finally:
        shutil.rmtree(folder)


run(attempt)
