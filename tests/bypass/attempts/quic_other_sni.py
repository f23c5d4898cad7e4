# SPDX-License-Identifier: Apache-2.0
"""QUIC to the allowed address with another tenant's name."""
import quic

from aim import GOOD, MARK, OTHER, resolve, run, udp


def attempt():
    s = udp()
    s.connect((resolve(GOOD), 443))
    s.send(quic.initial(OTHER))
    s.settimeout(0.5)
    try:
        s.recv(64)
    except TimeoutError:
        pass
    s.send(b"\x40" + MARK)


run(attempt)
