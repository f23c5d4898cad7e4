# SPDX-License-Identifier: Apache-2.0
"""A segment of a connection that nobody saw begin, to an allowed address."""
import socket
import sys

from aim import CDN4, GOOD, HERE4, MARK, resolve, run, wire

ACK, PUSH = 16, 8


def attempt():
    print("ready", flush=True)
    sys.stdin.readline()
    resolve(GOOD)
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
    s.setsockopt(socket.IPPROTO_IP, socket.IP_HDRINCL, 1)
    s.sendto(wire.tcp_segment(HERE4, CDN4, 31234, 443, 5000, 6000, ACK | PUSH, MARK), (CDN4, 0))


run(attempt)
