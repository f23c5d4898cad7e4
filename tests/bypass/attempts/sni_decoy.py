# SPDX-License-Identifier: Apache-2.0
"""
TCP by hand: a ClientHello with the allowed name that the server throws away (its checksum is wrong), then in its place the one
with another name; or that one begun a byte before the first, which the server cuts off.
"""
import random
import socket
import struct
import sys

from aim import CDN4, GOOD, HERE4, MARK, OTHER, command, hello, resolve, run, wire

SYN, ACK, PUSH = 2, 16, 8


def attempt():
    resolve(GOOD)
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
    s.setsockopt(socket.IPPROTO_IP, socket.IP_HDRINCL, 1)
    s.settimeout(2)
    port = random.randrange(30000, 40000)
    command("nft", "table ip egraw { chain out { type filter hook output priority 0; tcp flags rst drop; }; }")
    try:
        s.sendto(wire.tcp_segment(HERE4, CDN4, port, 443, 1000, 0, SYN, b""), (CDN4, 0))
        while True:
            packet = s.recv(2048)
            _, dport, theirs = struct.unpack(">HHI", packet[20:28])
            if dport == port:
                break
        decoy = bytearray(wire.tcp_segment(HERE4, CDN4, port, 443, 1001, theirs + 1, ACK | PUSH, hello.client_hello(GOOD)))
        decoy[36] ^= 0x55
        s.sendto(decoy, (CDN4, 0))
        real = hello.client_hello(OTHER)
        before = b"." if "before" in sys.argv else b""
        s.sendto(wire.tcp_segment(HERE4, CDN4, port, 443, 1001 - len(before), theirs + 1, ACK | PUSH, before + real), (CDN4, 0))
        s.sendto(wire.tcp_segment(HERE4, CDN4, port, 443, 1001 + len(real), theirs + 1, ACK | PUSH, MARK), (CDN4, 0))
    finally:
        command("nft", "delete", "table", "ip", "egraw")


run(attempt)
