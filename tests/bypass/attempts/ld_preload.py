# SPDX-License-Identifier: Apache-2.0
"""A library of one's own within the allowed program."""
import os

from aim import BUILD, COURIER, FORBIDDEN4, MARK, hello, run, tcp


def attempt():
    os.execve(COURIER, [COURIER, "tcp", FORBIDDEN4, "7001", "hello"],
              {"LD_PRELOAD": os.path.join(BUILD, "preload.so"), "EGRET_MARK": MARK.decode()})


run(attempt)
