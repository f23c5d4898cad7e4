# SPDX-License-Identifier: Apache-2.0
"""The allowed program's own port shared (SO_REUSEPORT): the same addresses and ports, another socket."""
import socket
import subprocess

from aim import COURIER, FORBIDDEN4, HERE4, MARK, hello, run, udp


def attempt():
    courier = subprocess.Popen([COURIER, "udp-hold", FORBIDDEN4, "7001", "hello"], stdout=subprocess.PIPE,
                               stdin=subprocess.PIPE)
    port = int(courier.stdout.readline())
    s = udp()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    s.bind((HERE4, port))
    s.connect((FORBIDDEN4, 7001))
    s.send(MARK)
    courier.communicate(timeout=2)


run(attempt)
