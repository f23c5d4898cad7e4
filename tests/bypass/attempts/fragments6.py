# SPDX-License-Identifier: Apache-2.0
"""The same over IPv6."""
from aim import FORBIDDEN6, MARK, PORT, run, udp


def attempt():
    udp(FORBIDDEN6).sendto(b"." * 3000 + MARK, (FORBIDDEN6, PORT))


run(attempt)
