# SPDX-License-Identifier: Apache-2.0
"""Not DNS at all, to port 53 of another host."""
from aim import FORBIDDEN6, MARK, run, udp


def attempt():
    udp(FORBIDDEN6).sendto(MARK, (FORBIDDEN6, 53))


run(attempt)
