# SPDX-License-Identifier: Apache-2.0
"""Two segments, the cut in the middle of the name."""
import time

from aim import GOOD, OTHER, hello, resolve, run, tcp, tell, tell_hello


def attempt():
    s = tcp(resolve(GOOD), 443)
    greeting = hello.client_hello(OTHER)
    at = greeting.index(OTHER.encode()) + 3
    s.sendall(greeting[:at])
    time.sleep(0.3)
    tell_hello(s, greeting[at:])
    tell(s)


run(attempt)
