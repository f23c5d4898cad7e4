# SPDX-License-Identifier: Apache-2.0
"""The same over UDP without connect()."""
from aim import FORBIDDEN4, MARK, PORT, run, udp


def attempt():
    udp("::").sendto(MARK, ("::ffff:" + FORBIDDEN4, PORT))


run(attempt)
