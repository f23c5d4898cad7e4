# SPDX-License-Identifier: Apache-2.0
"""A copy that is gone from its folder while it runs."""
import os
import shutil
import tempfile

from aim import COURIER, FORBIDDEN4, MARK, run, tcp


def attempt():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "courier")
        shutil.copy(COURIER, path)
        fd = os.open(path, os.O_RDONLY)
        os.unlink(path)
        os.execve(fd, [COURIER, "tcp", FORBIDDEN4, "7001", MARK.decode()], {})


run(attempt)
