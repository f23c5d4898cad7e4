# SPDX-License-Identifier: Apache-2.0
"""A raw packet that looks like one of the allowed program's connection."""
import socket
import subprocess

from aim import COURIER, FORBIDDEN4, HERE4, MARK, hello, run, udp, udp_packet


def attempt():
    courier = subprocess.Popen([COURIER, "udp-hold", FORBIDDEN4, "7001", "hello"], stdout=subprocess.PIPE,
                               stdin=subprocess.PIPE)
    port = int(courier.stdout.readline())
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    s.sendto(udp_packet(HERE4, FORBIDDEN4, port, 7001, MARK), (FORBIDDEN4, 0))
    courier.communicate(timeout=2)


run(attempt)
