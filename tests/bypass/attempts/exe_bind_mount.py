# SPDX-License-Identifier: Apache-2.0
"""Another program, mounted over the allowed one in a mount namespace of one's own."""
import os

from aim import BUILD, CLONE_NEWNS, COURIER, FORBIDDEN4, MARK, call, command, pass_on, run, tcp


def attempt():
    mine = os.path.join(BUILD, "stranger")
    call("unshare", CLONE_NEWNS)
    command("mount", "--make-rprivate", "/")
    command("mount", "--bind", mine, COURIER)
    pass_on(COURIER, "tcp", FORBIDDEN4, 7001, MARK.decode())


run(attempt)
