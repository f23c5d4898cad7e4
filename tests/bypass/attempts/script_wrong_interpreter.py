# SPDX-License-Identifier: Apache-2.0
"""The allowed script's name, given to the interpreter as a word and not run by it."""
import os

from aim import DIRECTORY, FORBIDDEN4, MARK, run


def attempt():
    job = os.path.join(DIRECTORY, "job.py")
    code = ("import socket\ns=socket.create_connection((%r,7003),2)\ns.send(%r)\ns.recv(9)" % (FORBIDDEN4, MARK))
    os.execv("/usr/bin/python3", ["/usr/bin/python3", "-c", code, job])


run(attempt)
