# SPDX-License-Identifier: Apache-2.0
"""sendto() on a socket that was never connected."""
from aim import FORBIDDEN4, MARK, PORT, run, udp


def attempt():
    udp().sendto(MARK, (FORBIDDEN4, PORT))


run(attempt)
