# SPDX-License-Identifier: Apache-2.0
"""First an Initial with the allowed name, then another connection on the same socket with another name."""
import quic

from aim import GOOD, MARK, OTHER, resolve, run, udp


def attempt():
    s = udp()
    s.connect((resolve(GOOD), 443))
    s.send(quic.initial(GOOD))
    s.send(quic.initial(OTHER, MARK))


run(attempt)
