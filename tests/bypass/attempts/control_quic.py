# SPDX-License-Identifier: Apache-2.0
"""QUIC to the allowed name."""
import quic

from aim import GOOD, MARK, resolve, run, udp


def attempt():
    s = udp()
    s.connect((resolve(GOOD), 443))
    s.send(quic.initial(GOOD))
    s.send(b"\x40" + MARK)


run(attempt)
