# SPDX-License-Identifier: Apache-2.0
"""A root of one's own, in which the path is that of the allowed program."""
import os
import shutil
import tempfile

from aim import BUILD, COURIER, FORBIDDEN4, MARK, pass_on, run, tcp


def attempt():
    root = tempfile.mkdtemp()
    try:
        inside = root + os.path.dirname(COURIER)
        os.makedirs(inside)
        shutil.copy(os.path.join(BUILD, "stranger"), inside + "/courier")
        pid = os.fork()
        if not pid:
            os.chroot(root)
            os.chdir("/")
            try:
                pass_on(COURIER, "tcp", FORBIDDEN4, 7001, MARK.decode())
            finally:
                os._exit(127)
        os.waitpid(pid, 0)
    finally:
        shutil.rmtree(root)


run(attempt)
