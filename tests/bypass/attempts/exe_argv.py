# SPDX-License-Identifier: Apache-2.0
"""A program that only calls itself like the allowed one: argv[0] and its short name."""
import os

from aim import COURIER, FORBIDDEN4, MARK, call, run


def attempt():
    call("prctl", 15, b"courier")
    os.execv("/usr/bin/python3", [COURIER, "-c", "import socket,sys\ns=socket.create_connection(sys.argv[1:3],2)\n"
                                  "s.send(sys.argv[3].encode())\ns.recv(9)", FORBIDDEN4, "7001", MARK.decode()])


run(attempt)
