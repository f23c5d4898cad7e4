# SPDX-License-Identifier: Apache-2.0
"""A datagram larger than the link: only its first piece has ports."""
from aim import FORBIDDEN4, MARK, PORT, run, udp


def attempt():
    udp().sendto(b"." * 3000 + MARK, (FORBIDDEN4, PORT))


run(attempt)
