# SPDX-License-Identifier: Apache-2.0
"""connect() and send() over UDP."""
from aim import FORBIDDEN6, MARK, PORT, run, udp


def attempt():
    s = udp(FORBIDDEN6)
    s.connect((FORBIDDEN6, PORT))
    s.send(MARK)


run(attempt)
