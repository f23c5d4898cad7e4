# SPDX-License-Identifier: Apache-2.0
"""An overlay whose upper layer has another program at the allowed one's place."""
import os
import shutil
import tempfile

from aim import BUILD, CLONE_NEWNS, COURIER, DIRECTORY, FORBIDDEN4, MARK, call, command, pass_on, run, tcp


def attempt():
    call("unshare", CLONE_NEWNS)
    command("mount", "--make-rprivate", "/")
    folder = tempfile.mkdtemp()
    command("mount", "-t", "tmpfs", "tmpfs", folder)
    for part in ("upper", "work"):
        os.mkdir(os.path.join(folder, part))
    shutil.copy(os.path.join(BUILD, "stranger"), os.path.join(folder, "upper", "courier"))
    command("mount", "-t", "overlay", "overlay", "-o",
            f"lowerdir={DIRECTORY},upperdir={folder}/upper,workdir={folder}/work", DIRECTORY)
    pass_on(COURIER, "tcp", FORBIDDEN4, 7001, MARK.decode())


run(attempt)
