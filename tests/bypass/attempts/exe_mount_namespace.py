# SPDX-License-Identifier: Apache-2.0
"""Another file system over the folder of the allowed program, with a program of that name in it."""
import os
import shutil

from aim import BUILD, CLONE_NEWNS, COURIER, DIRECTORY, FORBIDDEN4, MARK, call, command, pass_on, run, tcp


def attempt():
    call("unshare", CLONE_NEWNS)
    command("mount", "--make-rprivate", "/")
    command("mount", "-t", "tmpfs", "tmpfs", DIRECTORY)
    shutil.copy(os.path.join(BUILD, "stranger"), COURIER)
    pass_on(COURIER, "tcp", FORBIDDEN4, 7001, MARK.decode())


run(attempt)
