# SPDX-License-Identifier: Apache-2.0
"""Connections and datagrams without a pause while the policy is loaded again and again."""
import time

from aim import FORBIDDEN4, MARK, PORT, run, tcp, udp


def attempt():
    print("ready", flush=True)
    end = time.monotonic() + 4
    while time.monotonic() < end:
        for _ in range(50):
            try:
                udp().sendto(MARK, (FORBIDDEN4, PORT))
            except OSError:
                pass
        try:
            s = tcp(FORBIDDEN4, PORT)
            s.send(MARK)
        except OSError:
            pass
    raise PermissionError("never again and again")


run(attempt)
