# SPDX-License-Identifier: Apache-2.0
"""An IPv4 address in the clothes of IPv6."""
from aim import FORBIDDEN4, PORT, run, tcp, tell


def attempt():
    tell(tcp("::ffff:" + FORBIDDEN4, PORT))


run(attempt)
